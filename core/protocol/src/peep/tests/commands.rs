//! Every command of both parts, in both states.

use super::*;

#[test]
fn each_published_command_is_answered() {
    let mut admin = Dialogue::authenticated();
    for (command, reply) in [
        ("u+ carl three", &["+"][..]),
        ("u+ ann x", &["-3"]),
        ("u?", &["+3", "ann", "bob", "carl"]),
        ("u- carl", &["+"]),
        ("u- carl", &["-4"]),
        ("c= 15", &["+"]),
        ("c?", &["+15"]),
        ("c= 0", &["-5"]),
        ("c= 999", &["-5"]),
        ("c= 99999999999999999999999999", &["-5"]),
        ("m= /tmp", &["+"]),
        ("m?", &["+/tmp"]),
        ("m= nowhere", &["-6"]),
        ("t= 0", &["+"]),
        ("t= 86400", &["+"]),
        ("t?", &["+86400"]),
        ("t= 86401", &["-7"]),
        ("rb?", &["+1"]),
        ("re?", &["+2"]),
        ("xe?", &["+3"]),
        ("cc?", &["+4"]),
        ("cu?", &["+0"]),
        ("hc?", &["+5"]),
        ("hu?", &["+18446744073709551615"]),
    ] {
        admin.says(command).hears(reply);
    }
}

#[test]
fn each_added_command_is_answered() {
    let mut admin = Dialogue::authenticated();
    for (command, reply) in [
        ("tf?", &["+1", "first"][..]),
        ("tf? ann", &["+1", "first"]),
        ("tf? nobody", &["-4"]),
        ("tf= a,b", &["+"]),
        ("tf= none ann", &["+"]),
        ("tf= none nobody", &["-4"]),
        ("tf= nothing", &["-20"]),
        ("tfl?", &["+1", "first process ready 1"]),
        ("tf+ new new.wasm", &["-21"]),
        ("tf- first", &["-23"]),
        ("tfr *", &["+"]),
        ("tfo= first key:value:more", &["+"]),
        ("tfo= first key:", &["+"]),
        ("tfo= first key", &["-1"]),
        ("tfo= first :value", &["-1"]),
        ("tfs? first", &["+1", "messages 1"]),
        ("tfe? first", &["+"]),
        ("tfx= cat%20-n", &["-24"]),
        ("u= ann new", &["+"]),
        ("u= nobody new", &["-4"]),
        ("s?", &["+1", "1 - 127.0.0.1:1 AUTHORIZATION 0 17"]),
        ("k 1", &["+"]),
        ("k 2", &["-9"]),
        ("k one", &["-1"]),
        ("ku ann", &["+0"]),
        ("ku nobody", &["-4"]),
        ("ua? ann", &["+1", "phone 1780000000 -"]),
        ("ua? nobody", &["-4"]),
        ("ua?", &["-1"]),
        ("ua+ ann tv", &["+abcd-efgh"]),
        ("ua+ ann phone", &["-15"]),
        ("ua+ ann", &["-1"]),
        ("ua- ann phone", &["+"]),
        ("ua- ann tv", &["-14"]),
        ("ban?", &["+1", "192.0.2.7 600"]),
        ("ban- 192.0.2.7", &["+"]),
        ("ban- 192.0.2.8", &["-13"]),
        ("ban-", &["-1"]),
        ("st?", &["+1", "pop3d_logins_total{result=\"ok\"} 1"]),
        ("lg?", &["+info"]),
        ("lg= debug", &["+"]),
        ("lg= loud", &["-10"]),
        ("cf", &["+"]),
        ("v?", &["+1.2.3"]),
        ("up?", &["+17"]),
    ] {
        admin.says(command).hears(reply);
    }
    assert_eq!(admin.model.users["ann"], "new");
}

#[test]
fn only_three_commands_are_known_before_the_administrator_is() {
    for form in COMMANDS {
        let mut admin = Dialogue::in_authentication();
        let arguments = " 1".repeat(form.arguments.1.max(1));
        admin.says(&format!("{}{arguments}", form.commencement));
        match form.commencement {
            "a" => drop(admin.hears(&["-2"])),
            "q" => drop(admin.hears(&["+"])),
            "cap?" => assert!(admin.heard.starts_with(b"+")),
            // Neither is its syntax looked at.
            commencement => drop(admin.hears(&["-0"]).says(&format!("{commencement}  ")).hears(&["-0"])),
        }
    }
}

#[test]
fn the_administrator_says_once_who_it_is() {
    let mut admin = Dialogue::in_authentication();
    admin.says("a root wrong").hears(&["-2"]).says("a root").hears(&["-1"]).says("c?").hears(&["-0"]);
    admin.says("a root pass").hears(&["+"]).says("c?").hears(&["+998"]).says("a root pass").hears(&["-0"]);
}

#[test]
fn five_wrong_ones_end_it() {
    let mut admin = Dialogue::in_authentication();
    admin.sends(&b"a root wrong\r\n".repeat(9)).hears(&["-2"; 5]);
    assert!(admin.is_closed);
}

#[test]
fn each_refusal_tells_how_many_came_before() {
    let mut admin = Dialogue::in_authentication();
    admin.is_answering = false;
    for expected in 0..5 {
        admin.says("a root wrong");
        let Some(Action::Authenticate { wrong_before, .. }) = admin.asked.pop() else {
            panic!("nothing asked")
        };
        assert_eq!(wrong_before, expected);
        admin.session.handle_answer(Answer::Authenticated(false));
        admin.pump();
    }
    assert!(admin.is_closed);
}

#[test]
fn quit_is_answered_and_ends_it() {
    for mut admin in [Dialogue::in_authentication(), Dialogue::authenticated()] {
        admin.sends(b"q\r\nc?\r\n").hears(&["+"]);
        assert!(admin.is_closed);
    }
}

#[test]
fn the_capabilities_are_the_commands_with_a_range_and_the_additions() {
    let mut admin = Dialogue::in_authentication();
    admin.says("cap?");
    let heard = String::from_utf8(core::mem::take(&mut admin.heard)).unwrap();
    let lines: Vec<_> = heard.lines().collect();
    assert_eq!(lines[..4], [&format!("+{}", lines.len() - 1)[..], "a", "c=1-998", "t=0-86400"]);
    let added = COMMANDS.iter().filter(|form| form.is_extension);
    assert_eq!(lines[4..], added.map(|form| form.commencement).collect::<Vec<_>>());
}

#[test]
fn a_command_that_waits_holds_those_behind_it() {
    let mut admin = Dialogue::authenticated();
    admin.is_answering = false;
    admin.sends(b"c?\r\nt?\r\nnonsense\r\n").hears(&[]);
    assert_eq!(admin.asked, [Action::Do(Command::Connections)]);
    admin.session.handle_answer(Answer::Done(Ok(Reply::Integer(1))));
    admin.pump();
    admin.hears(&["+1"]);
    assert_eq!(admin.asked.pop(), Some(Action::Do(Command::Timeout)));
    admin.session.handle_answer(Answer::Done(Err(Failure::NotSaved)));
    admin.pump();
    admin.hears(&["-12", "-0"]);
    // What nobody asked for changes nothing.
    admin.session.handle_answer(Answer::Done(Ok(Reply::Done)));
    admin.session.handle_answer(Answer::Authenticated(true));
    admin.pump();
    admin.hears(&[]);
}

#[test]
fn a_silent_administrator_is_closed() {
    let mut admin = Dialogue::in_authentication();
    admin.session.handle_timeout();
    admin.says("cap?").hears(&[]);
    assert!(admin.is_closed);
}

#[test]
fn a_reply_is_never_longer_than_a_line_and_never_two() {
    let mut admin = Dialogue::authenticated();
    admin.model.mailbox = format!("/a\r\n+\t\u{85}{}", "ü".repeat(600));
    admin.says("m?");
    let line = core::mem::take(&mut admin.heard);
    assert!(line.starts_with("+/a??+??ü".as_bytes()) && line.ends_with("ü\r\n".as_bytes()));
    assert!(line.len() <= REPLY_LINE_MAX && line.len() > REPLY_LINE_MAX - 2, "{}", line.len());
    assert_eq!(line.iter().filter(|&&octet| octet == b'\n').count(), 1);
}

#[test]
fn a_listing_of_any_length_goes_out_through_any_room() {
    let mut admin = Dialogue::authenticated();
    admin.model.users = (0..10_000).map(|number| (format!("u{number:05}"), String::new())).collect();
    admin.sends(b"u?\r\nv?\r\n");
    let heard = String::from_utf8(core::mem::take(&mut admin.heard)).unwrap();
    let lines: Vec<_> = heard.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[10_000], lines[10_001]), (10_002, "+10000", "u09999", "+1.2.3"));
}
