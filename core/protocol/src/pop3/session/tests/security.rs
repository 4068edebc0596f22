//! STLS (RFC 2595), and logins that wait for it.

use super::*;
use crate::pop3::sasl::Mechanism;

fn offering(security: Security) -> Dialogue {
    let mechanisms = [Mechanism::Plain].into_iter().collect();
    let mut dialogue = Dialogue::with(Greeting { mechanisms, security, ..GREETING });
    dialogue.hears("+OK");
    dialogue
}

fn capabilities(dialogue: &mut Dialogue) -> Vec<String> {
    dialogue.says("CAPA").hears("+OK");
    core::iter::from_fn(|| Some(dialogue.line()).filter(|line| line != ".")).collect()
}

fn has(dialogue: &mut Dialogue, capability: &str) -> bool {
    capabilities(dialogue).iter().any(|line| line == capability)
}

fn bound() -> Mechanisms {
    [Mechanism::ScramSha256Plus, Mechanism::Plain].into_iter().collect()
}

#[test]
fn stls_asks_for_tls_and_nothing_behind_it_is_taken() {
    let mut dialogue = offering(Security::Offered);
    dialogue.sends(b"STLS\r\nNOOP\r\nUSER mro").hears("+OK").hears_nothing();
    assert!(matches!(dialogue.asked(), Action::StartTls));
    assert_eq!(dialogue.waiting, b"NOOP\r\nUSER mro", "the caller throws it away");
}

#[test]
fn what_was_said_before_tls_is_forgotten() {
    let mut dialogue = offering(Security::Offered);
    dialogue.says("USER mrose").hears("+OK").says("stls").hears("+OK").asked();
    dialogue.answers(Answer::Secured(bound()));
    dialogue.hears_nothing().says("PASS secret").hears_line("-ERR send USER first").asks_nothing();
    assert!(has(&mut dialogue, "SASL SCRAM-SHA-256-PLUS PLAIN"));
    dialogue.says("USER mrose").hears("+OK").says("PASS secret");
    assert!(matches!(dialogue.asked(), Action::Verify(_)));
}

#[test]
fn stls_is_offered_in_authorization_without_tls_alone() {
    let mut dialogue = offering(Security::Offered);
    assert!(has(&mut dialogue, "STLS"));
    dialogue.says("STLS now").hears("-ERR").asks_nothing().says("STLS").hears("+OK").asked();
    dialogue.answers(Answer::Secured(bound()));
    assert!(!has(&mut dialogue, "STLS"));
    dialogue.says("STLS").hears("-ERR").asks_nothing();

    let mut dialogue = offering(Security::Offered);
    dialogue.says("USER mrose").hears("+OK").says("PASS secret").asked();
    dialogue.answers(Answer::Verified(Ok(()))).asked();
    let opened = Opened { snapshot: Stored::shared(&[]), measure_first: false };
    dialogue.answers(Answer::Maildrop(Ok(opened))).hears("+OK");
    assert!(!has(&mut dialogue, "STLS"));
    dialogue.says("STLS").hears("-ERR").asks_nothing();

    Dialogue::begun().says("STLS").hears_line("-ERR unknown command").asks_nothing();
    assert!(!has(&mut Dialogue::begun(), "STLS"));
}

#[test]
fn logins_wait_for_tls_where_they_have_to() {
    let mut dialogue = offering(Security::Required { pop3s_port: Some(1995) });
    for line in
        ["USER mrose", "PASS secret", "APOP mrose c4c9334bac560ecc979e58001b3e22fb", "AUTH", "AUTH PLAIN ="]
    {
        dialogue.says(line).hears_line("-ERR [AUTH] use STLS or port 1995").asks_nothing();
    }
    let before = capabilities(&mut dialogue);
    assert!(before.iter().all(|line| line != "USER" && !line.starts_with("SASL")), "{before:?}");
    dialogue.says("STLS").hears("+OK").asked();
    dialogue.answers(Answer::Secured(bound()));
    assert!(has(&mut dialogue, "USER") && has(&mut dialogue, "SASL SCRAM-SHA-256-PLUS PLAIN"));
    dialogue.says("USER mrose").hears("+OK");
}

#[test]
fn tls_from_the_beginning_says_what_it_offers_before_anything_is_said() {
    let mut dialogue = Dialogue::with(Greeting { security: Security::Tls, ..GREETING });
    dialogue.hears("+OK").answers(Answer::Secured(bound())).hears_nothing();
    assert!(has(&mut dialogue, "SASL SCRAM-SHA-256-PLUS PLAIN") && !has(&mut dialogue, "STLS"));
}

#[test]
fn failed_logins_count_on_behind_stls() {
    let mut dialogue = offering(Security::Offered);
    for attempt in 0..3 {
        dialogue.says("USER mrose").hears("+OK").says("PASS wrong").asked();
        dialogue.answers(Answer::Verified(Err(refusal(Some(ResponseCode::Auth), "no")))).hears("-ERR [AUTH]");
        if attempt == 0 {
            dialogue.says("STLS").hears("+OK").asked();
            dialogue.answers(Answer::Secured(bound()));
        }
    }
    dialogue.closes();
}
