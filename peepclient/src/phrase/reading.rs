//! From a line to a request. What cannot be a request is a sentence that says what to do.

use std::fmt;
use std::net::IpAddr;

use pop3d_protocol::peep::{ARGUMENT_MAX, Request, RequestError};
use pop3d_protocol::text::one_line;
use zeroize::Zeroizing;

use super::{Kind, PHRASES, Parameter, Phrase, help};

/// What a line says.
#[derive(Debug)]
pub(crate) enum Said {
    /// Something for the server.
    Ask(Question),
    /// Something that lacks a password; at a terminal it can be asked for.
    NeedsPassword { phrase: &'static Phrase, user: String },
    /// The words that help is wanted for; none: all.
    Help(Vec<String>),
    /// Nothing: a line that is empty.
    Nothing,
}

/// A request, and the phrase that says how its answer is shown.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) phrase: &'static Phrase,
    pub(crate) request: Request,
}

impl Question {
    /// Whether it ends the connection.
    pub(crate) fn is_farewell(&self) -> bool {
        self.phrase.commencement == Some("q")
    }
}

/// Why a line is no phrase. No variant holds what may be a password.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum PhraseError {
    /// No phrase begins so.
    Unknown {
        said: String,
        nearest: Option<&'static str>,
    },
    Missing {
        usage: String,
        parameter: &'static str,
    },
    TooMany {
        usage: String,
    },
    NoNumber {
        parameter: &'static str,
    },
    NoAddress {
        parameter: &'static str,
    },
    NoOption,
    ProgramTooLong,
    /// Two ";" with nothing between them, or one at an end.
    NoCommand,
    NotSendable {
        parameter: &'static str,
        error: RequestError,
    },
}

impl fmt::Display for PhraseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { said, nearest: Some(nearest) } => {
                write!(formatter, "there is no command \"{}\"; did you mean \"{nearest}\"?", one_line(said))
            }
            Self::Unknown { said, nearest: None } => {
                write!(formatter, "there is no command \"{}\"; \"help\" lists them", one_line(said))
            }
            Self::Missing { usage, parameter } => write!(formatter, "<{parameter}> is missing: {usage}"),
            Self::TooMany { usage } => write!(
                formatter,
                "more words than \"{usage}\" takes; an argument with a space in it cannot be sent"
            ),
            Self::NoNumber { parameter } => write!(formatter, "<{parameter}> is a number, digits only"),
            Self::NoAddress { parameter } => {
                write!(
                    formatter,
                    "<{parameter}> is an IP address without a port, such as 192.0.2.7 or 2001:db8::"
                )
            }
            Self::NoOption => formatter.write_str("an option is written as key:value"),
            Self::ProgramTooLong => write!(
                formatter,
                "a command line has at most {ARGUMENT_MAX} octets, where a space counts for three; put it into a \
                 script"
            ),
            Self::NoCommand => formatter.write_str("a command is missing beside \";\""),
            Self::NotSendable { parameter, error } => write!(formatter, "<{parameter}>: {error}"),
        }
    }
}

/// The lines that the arguments of the command line are. A ";" at the end of a word ends a command.
///
/// One argument is read as a line. Of several, each is a word.
pub(crate) fn lines(arguments: &[String]) -> Result<Vec<String>, PhraseError> {
    let mut commands = Vec::new();
    let mut rest = Vec::new();
    let split: Vec<&str> = match arguments {
        [line] => line.split(' ').collect(),
        words => words.iter().map(String::as_str).collect(),
    };
    let are_words = arguments.len() > 1;
    for word in split {
        match word.strip_suffix(';') {
            Some("") => commands.push(std::mem::take(&mut rest)),
            Some(word) => {
                rest.push(word);
                commands.push(std::mem::take(&mut rest));
            }
            None => rest.push(word),
        }
    }
    commands.push(rest);
    commands.into_iter().map(|words| line(&words, are_words)).collect()
}

fn line(words: &[&str], are_words: bool) -> Result<String, PhraseError> {
    let line = words.join(" ");
    if line.trim().is_empty() {
        return Err(PhraseError::NoCommand);
    }
    let Ok((phrase, _)) = find(&line) else { return Ok(line) };
    let wrong = |word: &&&str| word.is_empty() || word.contains([' ', '\t']);
    let takes_all = phrase.parameters.iter().any(|parameter| parameter.kind == Kind::Program);
    match words.iter().find(wrong).filter(|_| are_words && !takes_all) {
        None => Ok(line),
        Some(wrong) => {
            let error =
                if wrong.is_empty() { RequestError::EmptyArgument } else { RequestError::ForbiddenOctet };
            let parameter = phrase.parameters.first().map_or("command", |parameter| parameter.name);
            Err(PhraseError::NotSendable { parameter, error })
        }
    }
}

/// Reads a line.
pub(crate) fn read(line: &str) -> Result<Said, PhraseError> {
    if line.trim().is_empty() {
        return Ok(Said::Nothing);
    }
    let (phrase, rest) = find(line)?;
    let arguments = arguments(phrase, rest)?;
    let Some(commencement) = phrase.commencement else {
        return Ok(Said::Help(arguments.iter().map(|word| word.to_string()).collect()));
    };
    if let ([user], Some(Parameter { kind: Kind::Password, .. })) =
        (arguments.as_slice(), phrase.parameters.get(1))
    {
        return Ok(Said::NeedsPassword { phrase, user: user.to_string() });
    }
    let least = phrase.parameters.iter().filter(|parameter| !parameter.is_optional).count();
    if let Some(parameter) = phrase.parameters.get(arguments.len()).filter(|_| arguments.len() < least) {
        return Err(PhraseError::Missing { usage: phrase.usage(), parameter: parameter.name });
    }
    request(phrase, commencement, &arguments).map(|request| Said::Ask(Question { phrase, request }))
}

/// The question of a phrase whose password was asked for.
pub(crate) fn read_with_password(
    phrase: &'static Phrase,
    user: &str,
    password: Zeroizing<String>,
) -> Result<Question, PhraseError> {
    let arguments = [user.to_owned().into(), password];
    let request = request(phrase, phrase.commencement.unwrap_or_default(), &arguments)?;
    Ok(Question { phrase, request })
}

/// The phrase that a line begins with, the longest that fits, and what follows it.
fn find(line: &str) -> Result<(&'static Phrase, &str), PhraseError> {
    let fitting = |phrase: &'static Phrase| {
        let mut rest = line.trim_start_matches(BLANK);
        for own in phrase.words.split(' ') {
            let (word, behind) = rest.split_once(BLANK).unwrap_or((rest, ""));
            if !word.eq_ignore_ascii_case(own) {
                return None;
            }
            rest = behind.trim_start_matches(BLANK);
        }
        Some((phrase, rest))
    };
    let longest = PHRASES.iter().filter_map(fitting).max_by_key(|(phrase, _)| phrase.words.len());
    longest.ok_or_else(|| {
        let words: Vec<&str> = line.split(BLANK).filter(|word| !word.is_empty()).collect();
        let nearest = help::nearest(&words);
        // No more than what stands for the phrase: what follows may be a password.
        let count = nearest.map_or(1, |phrase| phrase.words.split(' ').count());
        let said = words.iter().take(count).copied().collect::<Vec<_>>().join(" ");
        PhraseError::Unknown { said, nearest: nearest.map(|phrase| phrase.words) }
    })
}

pub(crate) const BLANK: [char; 2] = [' ', '\t'];

/// The words behind a phrase, no more than it takes.
fn arguments(phrase: &Phrase, rest: &str) -> Result<Vec<Zeroizing<String>>, PhraseError> {
    let rest = rest.trim_end_matches(BLANK);
    match phrase.parameters {
        [Parameter { kind: Kind::Program, .. }] if !rest.is_empty() => {
            return Ok(vec![percent_encoded(rest).into()]);
        }
        [Parameter { kind: Kind::Words, .. }] => {
            return Ok(words(rest).map(|word| word.to_owned().into()).collect());
        }
        _ => {}
    }
    let arguments: Vec<_> = words(rest).map(|word| Zeroizing::new(word.to_owned())).collect();
    if arguments.len() > phrase.parameters.len() {
        return Err(PhraseError::TooMany { usage: phrase.usage() });
    }
    Ok(arguments)
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(BLANK).filter(|word| !word.is_empty())
}

fn request(
    phrase: &Phrase,
    commencement: &str,
    arguments: &[Zeroizing<String>],
) -> Result<Request, PhraseError> {
    for (argument, parameter) in arguments.iter().zip(phrase.parameters) {
        let Parameter { name, kind, .. } = parameter;
        check(*kind, name, argument)?;
        // One alone tells which it is that cannot be sent.
        if let Err(error) = Request::new("u-", &[argument.as_bytes()]) {
            return Err(match (kind, error) {
                (Kind::Program, RequestError::ArgumentTooLong) => PhraseError::ProgramTooLong,
                _ => PhraseError::NotSendable { parameter: name, error },
            });
        }
    }
    let octets: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
    Request::new(commencement, &octets)
        .map_err(|error| PhraseError::NotSendable { parameter: phrase.words, error })
}

fn check(kind: Kind, parameter: &'static str, argument: &str) -> Result<(), PhraseError> {
    match kind {
        Kind::Number | Kind::Session if !argument.bytes().all(|octet| octet.is_ascii_digit()) => {
            Err(PhraseError::NoNumber { parameter })
        }
        Kind::Address if argument.parse::<IpAddr>().is_err() => Err(PhraseError::NoAddress { parameter }),
        Kind::Option if argument.find(':').is_none_or(|colon| colon == 0) => Err(PhraseError::NoOption),
        _ => Ok(()),
    }
}

/// A text as one argument: what would end it, and "%", as `%` and two hexadecimal digits.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '%' || character == ' ' || character.is_ascii_control() {
            encoded.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            encoded.push(character);
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
