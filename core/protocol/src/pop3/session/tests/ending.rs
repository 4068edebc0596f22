//! Dialogues that end: QUIT and UPDATE, silence, and ends from outside.

use super::*;

#[test]
fn quit_without_deletions_needs_no_update() {
    let mut dialogue = Dialogue::in_transaction(&[120]);
    dialogue.says("DELE 1").hears("+OK").says("RSET").hears("+OK").says("QUIT").hears("+OK");
    dialogue.closes();
}

#[test]
fn quit_is_answered_once_the_deletions_are_done() {
    let mut dialogue = Dialogue::in_transaction(&[120, 200, 300]);
    dialogue.says("DELE 3").hears("+OK").says("DELE 1").hears("+OK").says("QUIT").hears_nothing();
    let Action::Commit(deletions) = dialogue.asked() else { panic!() };
    assert!(deletions.iter().eq([number(1), number(3)]));
    assert_eq!(dialogue.session.deletions(), &deletions);
    assert!(dialogue.session.is_authenticated());
    dialogue.says("NOOP").hears_nothing().asks_nothing();
    dialogue.answers(Answer::Committed { remaining: 0 }).hears_line("+OK 2 messages deleted");
    dialogue.closes();
}

#[test]
fn quit_tells_how_many_messages_could_not_be_removed() {
    let mut dialogue = Dialogue::in_transaction(&[120, 200]);
    dialogue.says("DELE 1").hears("+OK").says("DELE 2").hears("+OK").says("QUIT").asked();
    dialogue.answers(Answer::Committed { remaining: 1 });
    dialogue.hears_line("-ERR [SYS/TEMP] 1 of 2 deleted messages not removed");
    dialogue.closes();
}

#[test]
fn silence_closes_without_a_word_and_without_update() {
    let mut dialogues = [Dialogue::begun(), Dialogue::opening(), Dialogue::in_transaction(&[120])];
    dialogues[2].says("DELE 1").hears("+OK");
    for mut dialogue in dialogues {
        dialogue.session.handle_timeout();
        dialogue.pump();
        dialogue.closes();
    }
}

#[test]
fn silence_in_a_listing_closes_without_the_rest_of_it() {
    let mut dialogue = Dialogue::in_transaction(&[120; 1000]);
    dialogue.session.handle_input(b"LIST\r\n");
    dialogue.session.poll_output(&mut [0; 100]);
    dialogue.session.handle_timeout();
    dialogue.pump();
    dialogue.closes();
}

#[test]
fn silence_in_a_transfer_closes() {
    let mut dialogue = Dialogue::in_transaction(&[120]);
    dialogue.says("RETR 1").asked();
    dialogue.answers(Answer::Message(Ok(None))).hears("+OK").asked();
    dialogue.session.handle_timeout();
    dialogue.pump();
    dialogue.closes();
}

fn stop(dialogue: &mut Dialogue) -> &mut Dialogue {
    dialogue.session.refuse_and_close(&refusal(Some(ResponseCode::SysTemp), "server stops"));
    dialogue.pump();
    dialogue
}

#[test]
fn an_idle_session_that_is_ended_hears_why_and_removes_nothing() {
    let mut dialogues = [Dialogue::begun(), Dialogue::in_transaction(&[120])];
    dialogues[1].says("DELE 1").hears("+OK");
    for mut dialogue in dialogues {
        stop(&mut dialogue).hears_line("-ERR [SYS/TEMP] server stops").closes();
    }
}

#[test]
fn a_login_that_was_begun_is_refused_in_its_reply() {
    let mut dialogue = Dialogue::begun();
    dialogue.says("USER mrose").hears("+OK").says("PASS secret").asked();
    stop(&mut dialogue).hears_nothing().asks_nothing();
    dialogue.answers(Answer::Verified(Ok(()))).hears_line("-ERR [SYS/TEMP] server stops").closes();

    let mut dialogue = Dialogue::opening();
    stop(&mut dialogue).hears_nothing().asks_nothing();
    let opened = Opened { snapshot: Stored::shared(&[]), measure_first: false };
    dialogue.answers(Answer::Maildrop(Ok(opened))).hears_line("-ERR [SYS/TEMP] server stops").closes();
}

#[test]
fn a_message_that_is_being_opened_is_refused_and_one_that_is_being_sent_is_sent() {
    let mut dialogue = Dialogue::in_transaction(&[120]);
    dialogue.says("RETR 1").asked();
    stop(&mut dialogue).hears_nothing();
    dialogue.answers(Answer::Message(Ok(None))).hears_line("-ERR [SYS/TEMP] server stops").closes();

    let mut dialogue = Dialogue::in_transaction(&[120]);
    dialogue.sends(b"RETR 1\r\nNOOP\r\n").asked();
    dialogue.answers(Answer::Message(Ok(None))).hears("+OK").asked();
    stop(&mut dialogue).hears_nothing().asks_nothing();
    dialogue.session.refuse_and_close(&refusal(None, "the first reason counts"));
    dialogue.answers(Answer::Sent).hears_line("-ERR [SYS/TEMP] server stops").closes();
}

#[test]
fn a_measurement_that_was_begun_is_refused_in_its_reply() {
    let mut dialogue = Dialogue::in_unmeasured_transaction(&[120]);
    dialogue.says("STAT").asked();
    stop(&mut dialogue).hears_nothing();
    dialogue
        .answers(Answer::Measured(Ok(Stored::shared(&[7]))))
        .hears_line("-ERR [SYS/TEMP] server stops")
        .closes();
}

#[test]
fn an_update_that_was_begun_is_finished_and_its_reply_is_the_last() {
    let mut dialogue = Dialogue::in_transaction(&[120]);
    dialogue.says("DELE 1").hears("+OK").says("QUIT").asked();
    stop(&mut dialogue).hears_nothing().asks_nothing();
    dialogue.answers(Answer::Committed { remaining: 0 }).hears_line("+OK 1 message deleted").closes();
}

#[test]
fn a_listing_that_was_begun_is_finished_before_the_end() {
    let mut dialogue = Dialogue::in_transaction(&[120; 100]);
    dialogue.says("DELE 1").hears("+OK");
    dialogue.session.handle_input(b"LIST\r\n");
    let mut room = [0; 100];
    let count = dialogue.session.poll_output(&mut room);
    dialogue.heard.extend_from_slice(&room[..count]);
    dialogue.session.refuse_and_close(&refusal(None, "server stops"));
    // The order to close comes at once; it holds once there is no more output.
    assert!(matches!(dialogue.session.poll_action(), Some(Action::Close)));
    assert_eq!(dialogue.session.deletions().count(), 1);
    assert_eq!(dialogue.session.handle_input(b"NOOP\r\n"), 6);
    dialogue.pump();
    dialogue.hears("+OK 99 messages");
    for value in 2..=100 {
        dialogue.hears_line(&format!("{value} 120"));
    }
    dialogue.hears_line(".").hears_line("-ERR server stops").hears_nothing().asks_nothing();
}
