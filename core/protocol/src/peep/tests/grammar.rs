//! The limits of the grammar, and a slow, obvious twin of it.

use proptest::prelude::*;

use super::*;

/// What a line is answered with before anybody is asked: the code, or none where it is a command.
fn twin(line: &[u8]) -> Option<u32> {
    let text: String = line.iter().map(|&octet| char::from(octet)).collect();
    let words: Vec<&str> = text.split(' ').collect();
    let Some(form) = COMMANDS.iter().find(|form| form.commencement == words[0]) else { return Some(0) };
    if form.commencement == "a" {
        return Some(0);
    }
    let arguments = &words[1..];
    let is_bad =
        |word: &&str| word.is_empty() || word.chars().count() > 128 || word.contains(['\r', '\n', '\0']);
    if line.len() + 2 > 268 || arguments.iter().any(is_bad) || arguments.len() < form.arguments.0 {
        return Some(1);
    }
    let is_number = |word: &str| word.chars().all(|letter| letter.is_ascii_digit());
    let is_wrong = match form.commencement {
        "c=" | "t=" | "k" => !is_number(arguments[0]),
        "tfo=" => arguments[1].find(':').is_none_or(|place| place == 0),
        _ => false,
    };
    is_wrong.then_some(1)
}

/// What a session answers a line with before it asks anybody: the code, or none where it asks.
fn code(line: &[u8]) -> Option<u32> {
    let mut admin = Dialogue::authenticated();
    admin.is_answering = false;
    admin.sends(line).sends(b"\r\n");
    let heard = String::from_utf8(admin.heard).unwrap();
    match heard.as_str() {
        "" => None,
        // `q` is a command too.
        "+\r\n" => None,
        refusal => Some(refusal.trim().strip_prefix('-').unwrap().parse().unwrap()),
    }
}

#[test]
fn the_limits_of_a_line() {
    let long = |count: usize| "x".repeat(count);
    for (line, expected) in [
        (String::new(), Some(0)),
        (" ".into(), Some(0)),
        (" u?".into(), Some(0)),
        ("U?".into(), Some(0)),
        ("u?\t".into(), Some(0)),
        ("abcdefgh".into(), Some(0)),
        ("abcdefghi".into(), Some(0)),
        ("u*".into(), Some(0)),
        ("u??".into(), Some(0)),
        ("u".into(), Some(0)),
        ("a root pass".into(), Some(0)),
        ("nonsense  x".into(), Some(0)),
        ("u? ".into(), Some(1)),
        ("u?  x".into(), Some(1)),
        ("u+ a".into(), Some(1)),
        ("u+".into(), Some(1)),
        ("u+  a b".into(), Some(1)),
        ("u+ a  b".into(), Some(1)),
        ("u+ a b ".into(), Some(1)),
        ("u+ a b c".into(), None),
        ("u+ a b c d".into(), None),
        ("u+ a b  c".into(), Some(1)),
        (format!("u+ {} {}", long(128), long(128)), None),
        (format!("u+ {} {}", long(129), long(1)), Some(1)),
        (format!("u+ {} {}", long(1), long(129)), Some(1)),
        (format!("u+ a b {}", long(129)), Some(1)),
        ("c= 5".into(), None),
        ("c= +5".into(), Some(1)),
        ("c= -5".into(), Some(1)),
        ("c= 5x".into(), Some(1)),
        ("c= 0x5".into(), Some(1)),
        ("c= 007".into(), None),
        ("c=5".into(), Some(0)),
        ("c=".into(), Some(1)),
        ("u- \u{fc}".into(), None),
        ("u- a\rb".into(), Some(1)),
        ("u- a\0".into(), Some(1)),
        ("u?\r".into(), Some(0)),
        ("q x y z".into(), None),
    ] {
        assert_eq!(code(line.as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn a_line_of_268_octets_is_read_and_one_of_269_is_refused_once() {
    let name = "x".repeat(128);
    // No commencement that takes two arguments has 8 letters: the third argument fills the line.
    let longest = format!("u+ {name} {} yy", "x".repeat(128));
    assert_eq!(longest.len() + 2, 265);
    assert_eq!(code(longest.as_bytes()), None);
    assert_eq!(code(format!("{longest}yyy").as_bytes()), None);
    assert_eq!(code(format!("{longest}yyyy").as_bytes()), Some(1));
    let mut admin = Dialogue::authenticated();
    for _ in 0..1000 {
        admin.sends(&[b'x'; 1000]);
    }
    admin.hears(&["-1"]).sends(b"\r\nv?\n").hears(&["+1.2.3"]);
}

#[test]
fn lf_alone_ends_a_command_too() {
    Dialogue::authenticated().sends(b"c?\nt?\r\n").hears(&["+998", "+600"]);
}

#[test]
fn each_row_of_the_table_is_read_and_has_a_form() {
    for form in COMMANDS.iter().filter(|form| form.commencement != "a") {
        let argument = if form.commencement == "tfo=" { " a:b" } else { " 1" };
        let line = format!("{}{}", form.commencement, argument.repeat(form.arguments.0));
        assert_eq!(code(line.as_bytes()), None, "{line}");
        assert!(form.commencement.len() <= COMMENCEMENT_MAX && form.arguments.0 <= form.arguments.1);
        let sign = form.commencement.trim_start_matches(|letter: char| letter.is_ascii_lowercase());
        assert!(["", "+", "-", "=", "?"].contains(&sign));
        if form.arguments.0 > 0 {
            let less = format!("{}{}", form.commencement, argument.repeat(form.arguments.0 - 1));
            assert_eq!(code(less.as_bytes()), Some(1), "{less}");
        }
    }
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let commencement = prop_oneof![
        4 => (0..COMMANDS.len()).prop_map(|row| COMMANDS[row].commencement.into()),
        1 => "[a-zA-Z]{0,10}[-+=?]?",
    ];
    let argument = prop_oneof![
        4 => "[ -~]{0,6}".prop_map(String::into_bytes),
        2 => "[0-9]{1,3}".prop_map(String::into_bytes),
        1 => (126_usize..131).prop_map(|count| vec![b'x'; count]),
        1 => "a:b".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>().prop_filter("no line end", |&octet| octet != b'\n'), 0..5),
    ];
    (commencement, prop::collection::vec(argument, 0..4)).prop_map(
        |(commencement, arguments): (String, _)| {
            let mut line = commencement.into_bytes();
            for argument in arguments {
                line.push(b' ');
                line.extend(argument);
            }
            line
        },
    )
}

proptest! {
    #[test]
    fn a_line_is_read_as_the_twin_reads_it(line in line()) {
        // A CR at the end belongs to the line end.
        prop_assume!(line.len() + 2 <= COMMAND_MAX || twin(&line) == Some(1));
        prop_assert_eq!(code(&line), twin(&line), "{}", line.escape_ascii());
    }

    #[test]
    fn every_cutting_gives_the_same_replies(
        lines in prop::collection::vec(line(), 0..12),
        cuts in prop::collection::vec(1_usize..50, 1..20),
        is_authenticated in any::<bool>(),
    ) {
        let octets: Vec<u8> = lines.iter().flat_map(|line| [line.as_slice(), b"\r\n"].concat()).collect();
        let begin = || if is_authenticated { Dialogue::authenticated() } else { Dialogue::in_authentication() };
        let mut whole = begin();
        whole.sends(&octets);
        let mut cut = begin();
        let mut rest = octets.as_slice();
        for &count in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at(count.min(rest.len()));
            cut.sends(chunk);
            rest = after;
        }
        prop_assert_eq!(whole.heard, cut.heard);
    }
}
