//! Dialogues of AUTH (RFC 5034).

use super::*;
use crate::pop3::sasl::{CHALLENGE_MAX, Mechanism, Mechanisms, RESPONSE_MAX, Step};

fn offering(mechanisms: &[Mechanism]) -> Dialogue {
    let mechanisms = mechanisms.iter().copied().collect();
    let mut dialogue = Dialogue::with(Greeting { mechanisms, ..GREETING });
    dialogue.hears("+OK");
    dialogue
}

fn begun(dialogue: &mut Dialogue) -> (Mechanism, Option<Vec<u8>>) {
    let Action::Exchange(Step::Begin { mechanism, initial }) = dialogue.asked() else {
        panic!("an exchange begins")
    };
    (mechanism, initial.map(|initial| initial.to_vec()))
}

fn response(dialogue: &mut Dialogue) -> Vec<u8> {
    let Action::Exchange(Step::Response(response)) = dialogue.asked() else { panic!("an exchange goes on") };
    response.to_vec()
}

#[test]
fn auth_is_no_command_where_nothing_is_offered() {
    let mut dialogue = Dialogue::begun();
    dialogue.says("AUTH").hears("-ERR unknown").says("AUTH PLAIN").hears("-ERR unknown").asks_nothing();
    dialogue.says("CAPA");
    while dialogue.line() != "." {}
    assert_eq!(Mechanisms::NONE, Mechanisms::default());
}

#[test]
fn what_is_offered_is_listed_by_capa_and_by_auth_alone() {
    let mut dialogue = offering(&[Mechanism::Login, Mechanism::Plain]);
    dialogue.says("AUTH").hears("+OK").hears_lines(&["PLAIN", "LOGIN"]);
    let mut capabilities = Vec::new();
    dialogue.says("CAPA").hears("+OK");
    loop {
        match dialogue.line() {
            line if line == "." => break,
            line => capabilities.push(line),
        }
    }
    assert!(capabilities.contains(&"SASL PLAIN LOGIN".to_owned()), "{capabilities:?}");
    dialogue.says("AUTH SCRAM-SHA-256").hears("-ERR").says("AUTH XYZZY").hears("-ERR").asks_nothing();
}

#[test]
fn an_initial_response_is_decoded_and_a_single_sign_is_an_empty_one() {
    let mut dialogue = offering(&[Mechanism::Plain]);
    dialogue.says("auth plain AHVzZXIAcGFzcw==").hears_nothing();
    assert_eq!(begun(&mut dialogue), (Mechanism::Plain, Some(b"\0user\0pass".to_vec())));
    dialogue
        .answers(Answer::Verified(Err(refusal(Some(ResponseCode::Auth), "wrong"))))
        .hears_line("-ERR [AUTH] wrong");
    dialogue.says("AUTH PLAIN =");
    assert_eq!(begun(&mut dialogue), (Mechanism::Plain, Some(Vec::new())));
    dialogue.answers(Answer::Verified(Ok(()))).hears_nothing();
    assert!(matches!(dialogue.asked(), Action::OpenMaildrop));
}

#[test]
fn challenges_and_their_answers_are_base64() {
    let mut dialogue = offering(&[Mechanism::Login]);
    dialogue.says("AUTH LOGIN");
    assert_eq!(begun(&mut dialogue), (Mechanism::Login, None));
    dialogue.answers(Answer::Challenged(b"Username:".as_slice().into())).hears_line("+ VXNlcm5hbWU6");
    dialogue.says("dXNlcg==").hears_nothing();
    assert_eq!(response(&mut dialogue), b"user");
    dialogue.answers(Answer::Challenged([].as_slice().into())).hears_line("+ ");
    dialogue.says("");
    assert_eq!(response(&mut dialogue), b"");
    dialogue.answers(Answer::Verified(Ok(())));
    assert!(matches!(dialogue.asked(), Action::OpenMaildrop));
}

#[test]
fn an_exchange_can_be_cancelled_and_what_is_no_base64_ends_it() {
    let mut dialogue = offering(&[Mechanism::Login]);
    for wrong in ["*", "x", "dXNlcg=", "USER mrose", " dXNlcg=="] {
        dialogue.says("AUTH LOGIN").answers(Answer::Challenged([].as_slice().into())).hears("+ ");
        begun(&mut dialogue);
        dialogue.says(wrong).hears("-ERR").asks_nothing();
        dialogue.says("CAPA").hears("+OK");
        while dialogue.line() != "." {}
    }
    dialogue.says("AUTH LOGIN x").hears("-ERR").asks_nothing();
    // An answer to what was cancelled changes nothing.
    dialogue.answers(Answer::Verified(Ok(()))).hears_nothing().asks_nothing();
}

#[test]
fn a_login_whose_failure_was_explained_has_failed_whatever_the_client_answers() {
    let wrong = || Answer::Verified(Err(refusal(Some(ResponseCode::Auth), "wrong user name or password")));
    let mut dialogue = offering(&[Mechanism::OauthBearer]);
    for answers in [["", "*", "AQ=="], ["*", "no base64", "*"]] {
        let mut dialogue = offering(&[Mechanism::OauthBearer]);
        for answer in answers {
            dialogue.says("AUTH OAUTHBEARER").answers(Answer::Explained(b"{}".as_slice().into()));
            begun(&mut dialogue);
            dialogue.hears_line("+ e30=").says(answer).hears_nothing();
            assert_eq!(response(&mut dialogue), b"");
            dialogue.answers(wrong()).hears("-ERR [AUTH]");
        }
        // Three is the end.
        dialogue.closes();
    }
    // Nor does it matter how long the answer is.
    dialogue.says("AUTH OAUTHBEARER").answers(Answer::Explained(b"{}".as_slice().into())).hears("+ ");
    begun(&mut dialogue);
    dialogue.says(&"A".repeat(RESPONSE_MAX)).hears_nothing();
    assert_eq!(response(&mut dialogue), b"");
    dialogue.answers(wrong()).hears("-ERR [AUTH]").says("USER mrose").hears("+OK");
}

#[test]
fn an_answer_may_be_long_but_not_endless() {
    let mut dialogue = offering(&[Mechanism::OauthBearer]);
    for (length, is_taken) in [(RESPONSE_MAX - 4, true), (RESPONSE_MAX, false)] {
        dialogue.says("AUTH OAUTHBEARER").answers(Answer::Challenged([].as_slice().into())).hears("+ ");
        begun(&mut dialogue);
        dialogue.says(&"A".repeat(length));
        if is_taken {
            assert_eq!(response(&mut dialogue).len(), length / 4 * 3);
            dialogue.answers(Answer::Verified(Err(refusal(None, "wrong"))));
        }
        dialogue.hears("-ERR").asks_nothing();
    }
    dialogue.says("USER mrose").hears("+OK");
}

#[test]
fn how_long_lines_may_be_can_be_said() {
    let mechanisms = [Mechanism::OauthBearer].into_iter().collect();
    let lengths = Lengths { command: 1000, response: 100 };
    let mut dialogue = Dialogue::with(Greeting { mechanisms, lengths, ..GREETING });
    dialogue.hears("+OK").says(&format!("AUTH OAUTHBEARER {}", "A".repeat(980)));
    begun(&mut dialogue);
    dialogue.answers(Answer::Challenged([].as_slice().into())).hears("+ ");
    dialogue.says(&"A".repeat(100)).hears("-ERR line too long").asks_nothing();
    dialogue
        .says(&format!("AUTH OAUTHBEARER {}", "A".repeat(984)))
        .hears("-ERR line too long")
        .asks_nothing();
}

#[test]
fn a_challenge_that_fits_nowhere_and_challenges_without_end_fail_the_exchange() {
    let mut dialogue = offering(&[Mechanism::Plain]);
    dialogue
        .says("AUTH PLAIN")
        .answers(Answer::Challenged([0; CHALLENGE_MAX + 1].as_slice().into()))
        .hears("-ERR");
    begun(&mut dialogue);
    dialogue.says("AUTH PLAIN").answers(Answer::Challenged([0; CHALLENGE_MAX].as_slice().into())).hears("+ ");
    begun(&mut dialogue);
    for _ in 0..6 {
        dialogue.says("").answers(Answer::Challenged([].as_slice().into())).hears("+ ");
        response(&mut dialogue);
    }
    dialogue.says("").answers(Answer::Challenged([].as_slice().into())).hears("-ERR");
}

#[test]
fn nothing_secret_of_an_exchange_is_traced() {
    let mut dialogue = offering(&[Mechanism::Plain]);
    dialogue.session.set_tracing(true);
    dialogue.says("AUTH PLAIN").answers(Answer::Challenged([].as_slice().into())).says("AHVzZXIAcGFzcw==");
    let traced: Vec<_> = core::iter::from_fn(|| dialogue.session.poll_trace()).collect();
    assert_eq!(traced, ["AUTH PLAIN", "(answer to a challenge)"]);
}

#[test]
fn failed_exchanges_are_failed_logins() {
    let mut dialogue = offering(&[Mechanism::Plain]);
    for _ in 0..3 {
        dialogue
            .says("AUTH PLAIN =")
            .answers(Answer::Verified(Err(refusal(Some(ResponseCode::Auth), "wrong"))));
        begun(&mut dialogue);
        dialogue.hears("-ERR [AUTH] wrong");
    }
    dialogue.closes();
}

#[test]
fn who_is_logged_in_cannot_log_in_again() {
    let mut dialogue = offering(&[Mechanism::Plain]);
    dialogue.says("AUTH PLAIN =").answers(Answer::Verified(Ok(())));
    begun(&mut dialogue);
    dialogue.asked();
    let opened = Opened { snapshot: Stored::shared(&[1]), measure_first: false };
    dialogue
        .answers(Answer::Maildrop(Ok(opened)))
        .hears("+OK")
        .says("AUTH PLAIN =")
        .hears("-ERR")
        .asks_nothing();
}

#[test]
fn a_server_that_stops_ends_an_exchange() {
    let mut dialogue = offering(&[Mechanism::Plain]);
    dialogue.says("AUTH PLAIN");
    begun(&mut dialogue);
    dialogue.session.refuse_and_close(&refusal(Some(ResponseCode::SysTemp), "server stops"));
    dialogue.answers(Answer::Challenged([].as_slice().into())).hears_line("-ERR [SYS/TEMP] server stops");
    dialogue.closes();
}
