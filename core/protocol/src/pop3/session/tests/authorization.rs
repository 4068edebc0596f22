//! Dialogues in AUTHORIZATION.

use super::*;

#[test]
fn the_greeting_has_the_timestamp_where_apop_is_offered() {
    let timestamp = Some("<1896.697170952@dbc.mtview.ca.us>".into());
    let mut dialogue = Dialogue::with(Greeting { timestamp, ..GREETING });
    dialogue.hears_line("+OK pop3d ready <1896.697170952@dbc.mtview.ca.us>");
    Dialogue::with(GREETING).hears_line("+OK pop3d ready").hears_nothing();
}

#[test]
fn pass_is_answered_once_the_maildrop_is_open() {
    let mut dialogue = Dialogue::begun();
    dialogue.says("USER mrose").hears("+OK").says("PASS secret").hears_nothing();
    let Action::Verify(Credentials::Password { user, password }) = dialogue.asked() else {
        panic!("the password is verified")
    };
    assert_eq!((&*user, &*password), (&b"mrose"[..], &b"secret"[..]));
    dialogue.answers(Answer::Verified(Ok(()))).hears_nothing();
    assert!(matches!(dialogue.asked(), Action::OpenMaildrop));
    assert!(!dialogue.session.is_authenticated());
    let opened = Opened { snapshot: Stored::shared(&[120, 200]), measure_first: false };
    dialogue.answers(Answer::Maildrop(Ok(opened))).hears_line("+OK maildrop locked, 2 messages");
    dialogue.asks_nothing();
    assert!(dialogue.session.is_authenticated());
}

#[test]
fn what_is_pipelined_behind_pass_waits_for_the_maildrop() {
    let mut dialogue = Dialogue::begun();
    dialogue.sends(b"USER mrose\r\nPASS secret\r\nSTAT\r\nLIST\r\nQUIT\r\n").hears("+OK").hears_nothing();
    dialogue.answers(Answer::Verified(Ok(()))).hears_nothing();
    let opened = Opened { snapshot: Stored::shared(&[120, 200]), measure_first: false };
    dialogue.answers(Answer::Maildrop(Ok(opened))).hears("+OK").hears_line("+OK 2 320");
    dialogue.hears("+OK").hears_lines(&["1 120", "2 200"]).hears("+OK").hears_nothing();
}

#[test]
fn a_password_has_all_its_spaces() {
    let mut dialogue = Dialogue::begun();
    dialogue.says("USER mrose").hears("+OK").says("pass  a:b c  ");
    let Action::Verify(Credentials::Password { password, .. }) = dialogue.asked() else { panic!() };
    assert_eq!(&*password, b" a:b c  ");
}

#[test]
fn a_name_or_a_password_with_nul_is_none() {
    let mut dialogue = Dialogue::begun();
    dialogue.sends(b"USER mrose\0x\r\n").hears("-ERR").says("PASS secret").hears("-ERR");
    dialogue.says("USER mrose").hears("+OK").sends(b"PASS secret\0x\r\n").hears("-ERR").asks_nothing();
    dialogue.says("PASS secret");
    assert!(matches!(dialogue.asked(), Action::Verify(_)));
}

#[test]
fn user_is_answered_the_same_for_every_name_and_the_last_one_counts() {
    let mut dialogue = Dialogue::begun();
    let first = dialogue.says("USER mrose").line();
    let second = dialogue.says("USER nobody@example.org").line();
    assert_eq!(first, second);
    dialogue.says("PASS secret");
    let Action::Verify(Credentials::Password { user, .. }) = dialogue.asked() else { panic!() };
    assert_eq!(&*user, b"nobody@example.org");
}

#[test]
fn pass_wants_user_before_it_each_time() {
    let mut dialogue = Dialogue::begun();
    dialogue.says("PASS secret").hears("-ERR").asks_nothing();
    dialogue.says("USER mrose").hears("+OK").says("PASS wrong").asked();
    let refused = refusal(Some(ResponseCode::Auth), "user or password wrong");
    dialogue.answers(Answer::Verified(Err(refused))).hears_line("-ERR [AUTH] user or password wrong");
    dialogue.says("PASS secret").hears("-ERR").asks_nothing();
}

#[test]
fn the_third_failed_login_is_the_last() {
    let mut dialogue = Dialogue::begun();
    for _ in 0..3 {
        dialogue.asks_nothing().says("USER mrose").hears("+OK").says("PASS wrong").asked();
        let refused = refusal(Some(ResponseCode::Auth), "wrong");
        dialogue.answers(Answer::Verified(Err(refused))).hears_line("-ERR [AUTH] wrong");
    }
    dialogue.closes();
}

#[test]
fn a_refused_maildrop_is_no_failed_login_but_has_its_limit() {
    let mut dialogue = Dialogue::begun();
    for _ in 0..10 {
        dialogue.asks_nothing().says("USER mrose").hears("+OK").says("PASS secret").asked();
        dialogue.answers(Answer::Verified(Ok(()))).asked();
        let refused = refusal(Some(ResponseCode::InUse), "maildrop in use since 12:30");
        dialogue
            .answers(Answer::Maildrop(Err(refused)))
            .hears_line("-ERR [IN-USE] maildrop in use since 12:30");
        assert!(!dialogue.session.is_authenticated());
    }
    dialogue.closes();
}

#[test]
fn apop_carries_a_digest() {
    let timestamp = Some("<1896.697170952@dbc.mtview.ca.us>".into());
    let mut dialogue = Dialogue::with(Greeting { timestamp, ..GREETING });
    dialogue.hears("+OK").says("APOP mrose c4c9334bac560ecc979e58001b3e22fb").hears_nothing();
    let Action::Verify(Credentials::Apop { user, digest }) = dialogue.asked() else { panic!() };
    assert_eq!((&*user, digest[0], digest[15]), (&b"mrose"[..], 0xc4, 0xfb));
    let refused = refusal(Some(ResponseCode::Auth), "wrong");
    dialogue.answers(Answer::Verified(Err(refused))).hears("-ERR [AUTH]");
}

#[test]
fn apop_is_unknown_where_it_is_not_offered() {
    let mut dialogue = Dialogue::begun();
    dialogue
        .says("APOP mrose c4c9334bac560ecc979e58001b3e22fb")
        .hears_line("-ERR unknown command")
        .asks_nothing();
}

#[test]
fn capabilities_before_login_tell_no_version() {
    let common = [
        "TOP",
        "UIDL",
        "USER",
        "PIPELINING",
        "RESP-CODES",
        "AUTH-RESP-CODE",
        "EXPIRE NEVER",
        "UTF8 USER",
        "LANG",
    ];
    let before = [&common[..], &["IMPLEMENTATION pop3d"]].concat();
    let after = [&common[..], &["IMPLEMENTATION pop3d-1.2.3"]].concat();
    Dialogue::begun().says("CAPA").hears("+OK").hears_lines(&before).hears_nothing();
    Dialogue::in_transaction(&[]).says("capa").hears("+OK").hears_lines(&after).hears_nothing();
}

#[test]
fn commands_of_transaction_are_refused_before_login() {
    let mut dialogue = Dialogue::begun();
    for line in ["STAT", "LIST", "LIST 1", "UIDL", "RETR 1", "TOP 1 0", "DELE 1", "RSET", "NOOP"] {
        dialogue.says(line).hears("-ERR").hears_nothing().asks_nothing();
    }
}

#[test]
fn quit_before_login_closes_without_update() {
    let mut dialogue = Dialogue::begun();
    dialogue.says("USER mrose").hears("+OK").says("QUIT").hears("+OK");
    dialogue.closes();
}

#[test]
fn the_twentieth_mistake_before_login_is_the_last() {
    let mut dialogue = Dialogue::begun();
    for line in
        ["XYZZY", "", "STAT", "PASS secret", "USER", "NOOP 1", "GET / HTTP/1.1"].iter().cycle().take(19)
    {
        dialogue.says(line).hears("-ERR").asks_nothing();
    }
    dialogue.says("USER mrose").hears("+OK").says("XYZZY").hears_line("-ERR too many errors");
    dialogue.closes();
}

#[test]
fn an_overlong_line_is_refused_once_and_skipped() {
    let mut dialogue = Dialogue::begun();
    for _ in 0..100 {
        dialogue.sends(&[b'A'; 1000]);
    }
    dialogue.sends(b"\r\nCAPA\r\n").hears_line("-ERR line too long").hears("+OK");
}

#[test]
fn lf_alone_ends_a_line_and_any_case_is_a_command() {
    let mut dialogue = Dialogue::begun();
    dialogue.sends(b"user mrose\nPaSs secret\n").hears("+OK");
    assert!(matches!(dialogue.asked(), Action::Verify(_)));
}
