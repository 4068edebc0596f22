//! `[oauth]`: tokens that users log in by, and who looks at them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pop3d_core::accounts::token::{KeyError, LEEWAY_MAX, TokenKeys};
use pop3d_core::accounts::{Bearer, External, TokenCheck};
use pop3d_core::regular_file;
use serde::Deserialize;
use toml::Spanned;

use super::values::{Time, Words};
use super::{File, exposed, missing_program, read};
use crate::exit::Exit;

/// Longest file of keys that is read, in octets.
const KEYS_MAX: u64 = 1 << 20;

/// How far clocks may differ where nothing is said.
const LEEWAY: Duration = Duration::from_secs(60);

/// The claim that is the user name where nothing is said.
const USER_CLAIM: &str = "sub";

/// The table as it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Public keys of who gives tokens: PEM, or a set as JSON.
    keys: Option<Spanned<PathBuf>>,
    /// A secret that who gives tokens has too.
    secret: Option<Spanned<PathBuf>>,
    /// Who gives tokens.
    issuer: Option<Spanned<OneOrMore>>,
    /// Whom tokens are for.
    audience: Option<Spanned<OneOrMore>>,
    user_claim: Option<Spanned<String>>,
    leeway: Option<Spanned<Time>>,
    /// A program that knows whether a token is good.
    program: Option<Spanned<Words>>,
    /// What clients are told whose token is no good.
    scope: Option<Spanned<String>>,
    openid_configuration: Option<Spanned<String>>,
}

impl Table {
    /// The words of the program that it names.
    pub(super) fn program(&self) -> Vec<String> {
        self.program.as_ref().map(|program| program.as_ref().words()).unwrap_or_default()
    }

    /// The files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.keys, &self.secret].into_iter().flatten().map(|file| file.as_ref().as_path())
    }

    /// Where it stands whose tokens are taken, or whom they are for.
    fn named(&self) -> Option<Range<usize>> {
        self.issuer.as_ref().or(self.audience.as_ref()).map(Spanned::span)
    }

    /// Where something stands that tokens are held against by keys alone.
    fn of_keys(&self) -> Option<Range<usize>> {
        let claim = self.user_claim.as_ref().map(Spanned::span);
        self.named().or(claim).or(self.leeway.as_ref().map(Spanned::span))
    }

    /// Where something stands that clients are told of tokens.
    fn told(&self) -> Option<Range<usize>> {
        self.scope.as_ref().or(self.openid_configuration.as_ref()).map(Spanned::span)
    }
}

/// A text, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn list(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::More(texts) => texts.clone(),
        }
    }
}

/// Who looks at tokens, and what is told of them.
pub(crate) struct Tokens {
    check: Check,
    scope: Option<String>,
    openid_configuration: Option<String>,
}

/// Who looks at tokens.
enum Check {
    Keys(Arc<TokenKeys>),
    /// A program with its arguments.
    Program(Vec<String>),
}

impl Tokens {
    /// Whether users need no account to log in by them: a program knows them.
    pub(crate) fn asks_program(&self) -> bool {
        matches!(self.check, Check::Program(_))
    }

    /// Logins by them. `program` makes what asks a program of its words; none: it cannot be asked.
    pub(crate) fn bearer(&self, program: impl FnOnce(&[String]) -> Option<External>) -> Option<Bearer> {
        let check = match &self.check {
            Check::Keys(keys) => TokenCheck::Keys(Arc::clone(keys)),
            Check::Program(words) => TokenCheck::Program(Arc::new(program(words)?)),
        };
        Bearer::new(check, self.scope.as_deref(), self.openid_configuration.as_deref()).ok()
    }
}

/// The tokens of a file; none: nobody logs in by any.
///
/// # Errors
/// Where something that is needed is missing, or no key can be read, with line and column.
pub(crate) fn tokens(
    file: &File,
    warnings: &mut Vec<String>,
    missing: &mut Vec<Exit>,
) -> Result<Option<Tokens>, Exit> {
    let table = &file.config.oauth;
    let check = match (&table.program, table.keys.as_ref().or(table.secret.as_ref())) {
        (Some(program), None) => match table.of_keys() {
            Some(place) => {
                return Err(file.error(place, "a program looks at tokens, and at this too; leave it out"));
            }
            None => Check::Program(program_of(file, program, missing)?),
        },
        (Some(program), Some(_)) => {
            return Err(
                file.error(program.span(), "either a program looks at tokens or keys do; leave one out")
            );
        }
        (None, Some(place)) => Check::Keys(Arc::new(keys(file, place, warnings)?)),
        (None, None) => match table.named() {
            Some(place) => {
                let what = "nobody looks at tokens; name keys, a secret or a program in [oauth]";
                return Err(file.error(place, what));
            }
            None => return Ok(None),
        },
    };
    let text = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.as_ref().clone());
    let tokens =
        Tokens { check, scope: text(&table.scope), openid_configuration: text(&table.openid_configuration) };
    let told = TokenCheck::Keys(Arc::default());
    if Bearer::new(told, tokens.scope.as_deref(), tokens.openid_configuration.as_deref()).is_err() {
        return Err(file.error(
            table.told().unwrap_or_default(),
            "scope and openid_configuration do not fit into one challenge, of 375 octets",
        ));
    }
    Ok(Some(tokens))
}

fn program_of(file: &File, program: &Spanned<Words>, missing: &mut Vec<Exit>) -> Result<Vec<String>, Exit> {
    let words = program.as_ref().words();
    if words.first().is_none_or(String::is_empty) || words.iter().any(|word| word.contains('\0')) {
        return Err(file.error(program.span(), "no program is named; write program = \"PROGRAM /bin/true\""));
    }
    let absent = missing_program(words.first().map_or("", String::as_str));
    missing.extend(absent.map(|what| file.error(program.span(), &what)));
    Ok(words)
}

/// The keys that are named at `place`, and perhaps another.
fn keys(file: &File, place: &Spanned<PathBuf>, warnings: &mut Vec<String>) -> Result<TokenKeys, Exit> {
    let table = &file.config.oauth;
    let named = |list: &Option<Spanned<OneOrMore>>, what: &str| {
        let list = list.as_ref().map(|list| list.as_ref().list()).filter(|list| !list.is_empty());
        list.ok_or_else(|| file.error(place.span(), what))
    };
    // Without both, a token that was given for another purpose would let in.
    let issuers = named(&table.issuer, "nobody is named who gives tokens; name the issuer in [oauth]")?;
    let audiences =
        named(&table.audience, "tokens of the issuer may be for others; name the audience in [oauth]")?;
    let leeway = match &table.leeway {
        Some(leeway) if leeway.as_ref().0 > LEEWAY_MAX => {
            return Err(file.error(leeway.span(), "clocks differ by less; at most 10m"));
        }
        Some(leeway) => leeway.as_ref().0,
        None => LEEWAY,
    };
    let user_claim = match &table.user_claim {
        Some(claim) if claim.as_ref().is_empty() => {
            return Err(file.error(claim.span(), "no claim has an empty name; leave it out for \"sub\""));
        }
        claim => claim.as_ref().map_or(USER_CLAIM, |claim| claim.as_ref().as_str()),
    };
    let mut keys = TokenKeys::new(issuers, audiences, user_claim, leeway);
    let wrong = |path: &Spanned<PathBuf>, what: &dyn std::fmt::Display| {
        file.error(path.span(), &format!("{}: {what}", path.as_ref().display()))
    };
    let octets = |path: &Spanned<PathBuf>| {
        regular_file::open(path.as_ref())
            .and_then(|file| read(file, KEYS_MAX))
            .map_err(|error| wrong(path, &error))
    };
    if let Some(path) = &table.keys {
        let added: Result<(), KeyError> = keys.add_public(&octets(path)?.0);
        added.map_err(|error| wrong(path, &error))?;
    }
    if let Some(path) = &table.secret {
        let (secret, is_open) = octets(path)?;
        keys.add_secret(&secret).map_err(|error| wrong(path, &error))?;
        if is_open {
            warnings.push(exposed(Path::new(path.as_ref())));
        }
    }
    Ok(keys)
}
