//! XCLIENT: proxies that say for whom they speak, and others who would.

use super::*;
use crate::pop3::sasl::Mechanism;

fn proxy() -> Dialogue {
    let mut dialogue = Dialogue::with(Greeting { is_proxy: true, ..GREETING });
    dialogue.hears("+OK [XCLIENT] pop3d ready");
    dialogue
}

#[test]
fn a_trusted_proxy_says_for_whom_it_speaks_and_begins_anew() {
    let mut dialogue = proxy();
    dialogue.says("USER mrose").hears("+OK").says("xclient ADDR=192.0.2.7 PORT=7 LOGIN=root");
    let Action::Identify(proxied) = dialogue.asked() else { panic!() };
    assert_eq!(proxied, Proxied { address: Some([192, 0, 2, 7].into()), port: Some(7) });
    // Nothing is done before it is known who that is.
    dialogue.says("USER other").hears_nothing().asks_nothing();
    dialogue.answers(Answer::Identified(Ok(()))).hears("+OK").hears("+OK");
    dialogue.says("XCLIENT ADDR=x").hears("-ERR").asks_nothing();
    dialogue.says("XCLIENT ADDR=192.0.2.8");
    assert!(matches!(dialogue.asked(), Action::Identify(_)));
    dialogue.answers(Answer::Identified(Ok(()))).hears("+OK");
    dialogue.says("PASS secret").hears("-ERR").asks_nothing();
}

#[test]
fn what_a_proxy_says_of_its_client_and_its_first_response_may_be_long() {
    let mut dialogue = proxy();
    // As Dovecot's sends it, and the login behind it without waiting.
    let forwarded = "A".repeat(4000);
    let told =
        format!("XCLIENT ADDR=192.0.2.7 PORT=50000 SESSION=YgVzBx8tqJLAAAIH TTL=4 FORWARD={forwarded}");
    dialogue.says(&told).says("USER mrose");
    let Action::Identify(proxied) = dialogue.asked() else { panic!() };
    assert_eq!(proxied, Proxied { address: Some([192, 0, 2, 7].into()), port: Some(50_000) });
    dialogue.answers(Answer::Identified(Ok(()))).hears("+OK").hears("+OK");
    let mut dialogue = Dialogue::with(Greeting {
        is_proxy: true,
        mechanisms: [Mechanism::Plain].into_iter().collect(),
        ..GREETING
    });
    dialogue.hears("+OK [XCLIENT] pop3d ready").says(&format!("AUTH PLAIN {forwarded}"));
    assert!(matches!(dialogue.asked(), Action::Exchange(_)));
}

#[test]
fn other_lines_of_a_proxy_are_bounded_as_those_of_others() {
    let mut dialogue = proxy();
    dialogue.says(&format!("USER {}", "a".repeat(248))).hears("+OK");
    dialogue.says(&format!("USER {}", "a".repeat(249))).hears("-ERR line too long");
    dialogue
        .says(&format!("XCLIENT FORWARD={}", "A".repeat(8192)))
        .hears("-ERR line too long")
        .asks_nothing();
    let mut other = Dialogue::begun();
    other.says(&format!("XCLIENT ADDR=192.0.2.7 FORWARD={}", "A".repeat(300))).hears("-ERR line too long");
}

#[test]
fn a_line_of_a_proxy_has_the_same_bound_by_either_line_end_however_it_is_cut() {
    for (octets, end, fits) in [
        (255, "\r\n", true),
        (256, "\r\n", false),
        (257, "\r\n", false),
        (254, "\n", true),
        (255, "\n", true),
        (256, "\n", false),
    ] {
        let line = format!("USER {}{end}", "a".repeat(octets - "USER ".len() - end.len()));
        let overlong = format!("{}\r\n", "x".repeat(10_000));
        for cut in [1, 7, 100_000] {
            for is_proxy in [true, false] {
                let mut dialogue = Dialogue::with(Greeting { is_proxy, ..GREETING });
                dialogue.hears("+OK");
                // Nothing of the line before counts for the next one.
                for piece in [&overlong, &line, &line].map(|line| line.as_bytes()).concat().chunks(cut) {
                    dialogue.sends(piece);
                }
                let reply = if fits { "+OK" } else { "-ERR line too long" };
                dialogue.hears("-ERR line too long").hears(reply).hears(reply);
            }
        }
    }
}

#[test]
fn who_may_not_come_in_is_sent_away_through_the_proxy_too() {
    let mut dialogue = proxy();
    dialogue.says("XCLIENT ADDR=192.0.2.7");
    assert!(matches!(dialogue.asked(), Action::Identify(_)));
    dialogue.answers(Answer::Identified(Err(refusal(Some(ResponseCode::SysTemp), "too many"))));
    dialogue.hears("-ERR [SYS/TEMP] too many");
    assert!(matches!(dialogue.asked(), Action::Close));
}

#[test]
fn for_others_there_is_no_xclient() {
    let mut dialogue = Dialogue::begun();
    dialogue.says("XYZZY ADDR=192.0.2.7");
    let unknown = dialogue.line();
    dialogue.says("XCLIENT ADDR=192.0.2.7");
    assert_eq!(dialogue.line(), unknown);
    dialogue.asks_nothing();
    let mut transaction = Dialogue::in_transaction(&[1]);
    transaction.says("XCLIENT ADDR=192.0.2.7").hears("-ERR").asks_nothing();
}
