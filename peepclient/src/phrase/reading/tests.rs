//! Tests of reading: every phrase of the published client, and what is refused.

use pop3d_protocol::peep::Client;
use proptest::prelude::*;

use super::*;
use crate::render::percent_decoded;

/// What a line sends.
fn sent(line: &str) -> String {
    let Said::Ask(question) = read(line).unwrap_or_else(|error| panic!("{line}: {error}")) else {
        panic!("{line} asks nothing");
    };
    let mut client = Client::new();
    client.ask(&question.request);
    let mut room = [0; 512];
    let count = client.poll_output(&mut room);
    String::from_utf8(room[..count].to_vec()).unwrap()
}

fn refused(line: &str) -> String {
    read(line).map(|said| panic!("{line} is {said:?}")).unwrap_err().to_string()
}

#[test]
fn every_phrase_becomes_its_command() {
    for (line, command) in [
        ("add user bob secret", "u+ bob secret"),
        ("delete user bob", "u- bob"),
        ("users", "u?"),
        ("maildir", "m?"),
        ("set maildir /var/mail", "m= /var/mail"),
        ("timeout", "t?"),
        ("set timeout 600", "t= 600"),
        ("max connections", "c?"),
        ("set max connections 15", "c= 15"),
        ("retrieved bytes", "rb?"),
        ("retrieved emails", "re?"),
        ("removed emails amount", "xe?"),
        ("current connections amount", "cc?"),
        ("current logged users", "cu?"),
        ("all time connection amount", "hc?"),
        ("all time logged amount", "hu?"),
        ("capa", "cap?"),
        ("quit", "q"),
        ("set password bob secret", "u= bob secret"),
        ("transform", "tf?"),
        ("transform bob", "tf? bob"),
        ("set transform banner,redact", "tf= banner,redact"),
        ("set transform default bob", "tf= default bob"),
        ("transforms", "tfl?"),
        ("load transform banner banner.wasm", "tf+ banner banner.wasm"),
        ("unload transform banner", "tf- banner"),
        ("reload transform *", "tfr *"),
        ("set transform option banner text:hello", "tfo= banner text:hello"),
        ("transform stats banner", "tfs? banner"),
        ("transform error banner", "tfe? banner"),
        ("set program sed  's/100%/x/'", "tfx= sed%20%20's/100%25/x/'"),
        ("sessions", "s?"),
        ("kick 7", "k 7"),
        ("kick user bob", "ku bob"),
        ("app passwords bob", "ua? bob"),
        ("add app password bob phone", "ua+ bob phone"),
        ("delete app password bob phone", "ua- bob phone"),
        ("bans", "ban?"),
        ("unban 2001:db8::7", "ban- 2001:db8::7"),
        ("statistics", "st?"),
        ("log level", "lg?"),
        ("set log level debug", "lg= debug"),
        ("reload", "cf"),
        ("version", "v?"),
        ("uptime", "up?"),
        ("  Set  TIMEOUT\t5 ", "t= 5"),
        ("set password bob päss;'\"", "u= bob päss;'\""),
    ] {
        assert_eq!(sent(line), format!("{command}\r\n"), "{line}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_what_to_do() {
    let long = "x".repeat(129);
    for (line, said) in [
        ("usrs", "there is no command \"usrs\"; did you mean \"users\"?"),
        ("zzzzzzz bob", "there is no command \"zzzzzzz\"; \"help\" lists them"),
        ("set timeout", "<seconds> is missing: set timeout <seconds>"),
        ("set timeout ten", "<seconds> is a number, digits only"),
        ("set timeout -5", "<seconds> is a number, digits only"),
        ("kick bob", "<id> is a number, digits only"),
        (
            "unban 192.0.2.7:1110",
            "<address> is an IP address without a port, such as 192.0.2.7 or 2001:db8::",
        ),
        ("users now", "more words than \"users\" takes; an argument with a space in it cannot be sent"),
        (
            "set maildir /my mail",
            "more words than \"set maildir <path>\" takes; an argument with a space in it cannot be sent",
        ),
        ("set transform option banner text", "an option is written as key:value"),
        (&format!("set maildir {long}"), "<path>: an argument has at most 128 octets"),
        (&format!("set password bob {long}"), "<password>: an argument has at most 128 octets"),
        ("delete user a\0b", "<user>: an argument cannot have a space, a line end or NUL in it"),
        ("set program", "<command…> is missing: set program <command…>"),
    ] {
        assert_eq!(refused(line), said, "{line}");
    }
    assert!(refused(&format!("set program {}", "a ".repeat(40))).contains("a space counts for three"));
}

#[test]
fn no_error_repeats_a_password() {
    for line in ["ad user bob secret", "bob secret", "add user bob secret secret", "set pass bob secret"] {
        assert!(!refused(line).contains("secret"), "{}", refused(line));
    }
    assert!(!format!("{:?}", read("add user bob secret")).contains("secret"));
}

#[test]
fn a_password_may_be_left_out() {
    for line in ["add user bob", "set password bob"] {
        let Ok(Said::NeedsPassword { phrase, user }) = read(line) else { panic!("{line}") };
        assert_eq!(user, "bob");
        let question = read_with_password(phrase, &user, "secret".to_owned().into()).unwrap();
        assert_eq!(question.phrase.words, phrase.words);
        let error = read_with_password(phrase, &user, "my secret".to_owned().into()).unwrap_err();
        assert!(error.to_string().starts_with("<password>: "), "{error}");
    }
    assert!(refused("add user").starts_with("<user> is missing"));
}

#[test]
fn help_keeps_the_words_it_is_wanted_for() {
    assert!(matches!(read("help"), Ok(Said::Help(words)) if words.is_empty()));
    assert!(matches!(read("help set timeout"), Ok(Said::Help(words)) if words == ["set", "timeout"]));
    assert!(matches!(read(" \t"), Ok(Said::Nothing)));
}

fn commands(arguments: &[&str]) -> Result<Vec<String>, String> {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    lines(&arguments).map_err(|error| error.to_string())
}

#[test]
fn arguments_are_commands_that_semicolons_part() {
    assert_eq!(commands(&["users"]).unwrap(), ["users"]);
    assert_eq!(commands(&["users; set timeout 5"]).unwrap(), ["users", "set timeout 5"]);
    assert_eq!(commands(&["users", ";", "set", "timeout", "5"]).unwrap(), ["users", "set timeout 5"]);
    assert_eq!(commands(&["users;", "timeout"]).unwrap(), ["users", "timeout"]);
    assert_eq!(commands(&["add", "user", "a", "x;y"]).unwrap(), ["add user a x;y"]);
    assert_eq!(commands(&["set", "program", "sed", "s/a  b/c/"]).unwrap(), ["set program sed s/a  b/c/"]);
    assert_eq!(commands(&["set program a  b"]).unwrap(), ["set program a  b"]);
}

#[test]
fn arguments_that_cannot_be_words_of_a_command_are_refused() {
    assert!(commands(&["users;"]).unwrap_err().contains("missing beside \";\""));
    assert!(commands(&["add", "user", "bob", "pass;"]).unwrap_err().contains("missing beside"));
    assert!(commands(&["set", "maildir", "/my mail"]).unwrap_err().contains("cannot have a space"));
    assert!(commands(&["set", "maildir", ""]).unwrap_err().contains("cannot be empty"));
}

proptest! {
    #[test]
    fn a_program_arrives_as_it_was_typed(command in "[ -~äß%]{0,30}") {
        let command = command.trim();
        prop_assume!(!command.is_empty());
        let line = sent(&format!("set program {command}"));
        let argument = line.strip_prefix("tfx= ").and_then(|line| line.strip_suffix("\r\n")).unwrap();
        prop_assert!(!argument.contains(' '));
        prop_assert_eq!(percent_decoded(argument), command);
    }

    #[test]
    fn whatever_is_typed_is_one_command_or_a_sentence(
        words in proptest::sample::select(PHRASES.iter().map(|phrase| phrase.words).collect::<Vec<_>>()),
        rest in any::<String>(),
    ) {
        let line = format!("{words} {rest}");
        match read(&line) {
            Ok(Said::Ask(_)) => {
                let sent = sent(&line);
                prop_assert!(sent.ends_with("\r\n"));
                prop_assert_eq!(sent.matches(['\r', '\n', '\0']).count(), 2);
            }
            Ok(Said::NeedsPassword { .. } | Said::Help(_) | Said::Nothing) => {}
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }

    #[test]
    fn arguments_never_become_more_words_than_they_are(arguments in prop::collection::vec(any::<String>(), 2..5)) {
        if let Ok(commands) = lines(&arguments) {
            let parted = arguments.iter().filter(|argument| argument.ends_with(';')).count();
            prop_assert_eq!(commands.len(), parted + 1);
        }
    }
}
