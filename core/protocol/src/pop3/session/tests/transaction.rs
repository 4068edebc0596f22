//! Dialogues in TRANSACTION.

use super::*;

#[test]
fn stat_and_list_show_the_maildrop() {
    let mut dialogue = Dialogue::in_transaction(&[120, 200]);
    dialogue.says("STAT").hears_line("+OK 2 320");
    dialogue.says("LIST").hears_line("+OK 2 messages (320 octets)").hears_lines(&["1 120", "2 200"]);
    dialogue.says("LIST 2").hears_line("+OK 2 200");
    dialogue.says("LIST 3").hears("-ERR").hears_nothing();
}

#[test]
fn an_empty_maildrop_has_empty_listings() {
    let mut dialogue = Dialogue::in_transaction(&[]);
    dialogue.says("STAT").hears_line("+OK 0 0");
    dialogue.says("LIST").hears_line("+OK 0 messages (0 octets)").hears_lines(&[]);
    dialogue.says("UIDL").hears("+OK").hears_lines(&[]);
    dialogue.says("LIST 1").hears("-ERR").says("RETR 1").hears("-ERR").says("DELE 1").hears("-ERR");
}

#[test]
fn dele_is_refused_where_all_is_kept() {
    let mut dialogue = Dialogue::in_transaction(&[120, 200]);
    dialogue.session.set_keeps_all(true);
    dialogue.says("DELE 1").hears("-ERR [SYS/PERM]").says("STAT").hears_line("+OK 2 320");
    dialogue.says("QUIT").hears("+OK goodbye");
}

#[test]
fn totals_are_larger_than_32_bits() {
    let mut dialogue = Dialogue::in_transaction(&[u64::from(u32::MAX), 5]);
    dialogue.says("STAT").hears_line("+OK 2 4294967300");
    dialogue.says("LIST 1").hears_line("+OK 1 4294967295");
}

#[test]
fn unique_ids_are_listed() {
    let mut dialogue = Dialogue::in_transaction(&[120, 200]);
    dialogue.says("UIDL").hears("+OK").hears_lines(&["1 uid-1", "2 uid-2"]);
    dialogue.says("UIDL 2").hears_line("+OK 2 uid-2").says("UIDL 3").hears("-ERR");
}

#[test]
fn a_unique_id_is_shown_as_it_is_and_never_longer_than_70_octets() {
    let unique_ids = vec!["!\"'\\[]~".to_owned(), "x".repeat(70), "y".repeat(71)];
    let snapshot = Arc::new(Stored { octets: vec![1, 1, 1], unique_ids });
    let mut dialogue = Dialogue::opening();
    dialogue.answers(Answer::Maildrop(Ok(Opened { snapshot, measure_first: false }))).hears("+OK");
    let (x, y) = ("x".repeat(70), "y".repeat(70));
    dialogue.says("UIDL").hears("+OK");
    dialogue.hears_lines(&["1 !\"'\\[]~", &format!("2 {x}"), &format!("3 {y}")]);
    dialogue.says("UIDL 1").hears_line("+OK 1 !\"'\\[]~");
    dialogue.says("UIDL 2").hears_line(&format!("+OK 2 {x}"));
}

#[test]
fn a_deleted_message_can_be_neither_read_nor_counted_nor_listed() {
    let mut dialogue = Dialogue::in_transaction(&[120, 200, 300]);
    dialogue.says("DELE 2").hears_line("+OK message 2 deleted").says("DELE 2").hears("-ERR");
    dialogue.says("STAT").hears_line("+OK 2 420");
    dialogue.says("LIST").hears("+OK 2 messages (420 octets)").hears_lines(&["1 120", "3 300"]);
    dialogue.says("UIDL").hears("+OK").hears_lines(&["1 uid-1", "3 uid-3"]);
    for line in ["RETR 2", "TOP 2 0", "LIST 2", "UIDL 2"] {
        dialogue.says(line).hears_line("-ERR message is deleted").asks_nothing();
    }
    dialogue.says("LIST 3").hears_line("+OK 3 300");
    assert!(dialogue.session.deletions().iter().eq([number(2)]));
}

#[test]
fn rset_takes_every_mark_back() {
    let mut dialogue = Dialogue::in_transaction(&[120, 200]);
    dialogue.says("DELE 1").hears("+OK").says("DELE 2").hears("+OK").says("STAT").hears_line("+OK 0 0");
    dialogue.says("RSET").hears_line("+OK 2 messages").says("STAT").hears_line("+OK 2 320");
    dialogue.says("LIST").hears("+OK").hears_lines(&["1 120", "2 200"]);
    assert_eq!(dialogue.session.deletions().count(), 0);
}

#[test]
fn no_other_number_is_taken_for_a_message() {
    let mut dialogue = Dialogue::in_transaction(&[120]);
    for argument in ["0", "2", "-1", "+1", "4294967296", "4294967297", "18446744073709551617", "1.0", "a"] {
        for keyword in ["RETR", "DELE", "LIST", "UIDL"] {
            dialogue.says(&format!("{keyword} {argument}")).hears("-ERR").hears_nothing().asks_nothing();
        }
        dialogue.says(&format!("TOP {argument} 0")).hears("-ERR").hears_nothing().asks_nothing();
    }
    dialogue.says("STAT").hears_line("+OK 1 120");
}

#[test]
fn retr_says_ok_once_the_message_is_open_and_takes_no_command_until_it_is_sent() {
    let mut dialogue = Dialogue::in_transaction(&[120]);
    dialogue.sends(b"RETR 1\r\nNOOP\r\n").hears_nothing();
    let Action::OpenMessage { number: opened, part: Part::Whole } = dialogue.asked() else { panic!() };
    assert_eq!(opened, number(1));
    dialogue.answers(Answer::Message(Ok(Some(Octets(120))))).hears_line("+OK 120 octets").hears_nothing();
    assert!(matches!(dialogue.asked(), Action::SendMessage));
    dialogue.answers(Answer::Sent).hears_line("+OK").hears_nothing();
}

#[test]
fn octets_that_are_not_known_are_not_told() {
    let mut dialogue = Dialogue::in_transaction(&[120]);
    dialogue.says("RETR 1").asked();
    dialogue.answers(Answer::Message(Ok(None))).hears_line("+OK message follows");
}

#[test]
fn top_asks_for_lines_and_tells_no_octets() {
    let mut dialogue = Dialogue::in_transaction(&[120]);
    for (argument, expected) in [("0", 0), ("10", 10), ("18446744073709551615", u32::MAX)] {
        dialogue.says(&format!("TOP 1 {argument}"));
        let Action::OpenMessage { part: Part::Top { lines }, .. } = dialogue.asked() else { panic!() };
        assert_eq!(lines, expected);
        dialogue.answers(Answer::Message(Ok(Some(Octets(120))))).hears_line("+OK top of message follows");
        assert!(matches!(dialogue.asked(), Action::SendMessage));
        dialogue.answers(Answer::Sent).hears_nothing().asks_nothing();
    }
    for line in ["TOP 1", "TOP 1 -1", "TOP 1 +1", "TOP 1 x", "TOP"] {
        dialogue.says(line).hears("-ERR").asks_nothing();
    }
}

#[test]
fn a_message_that_cannot_be_opened_costs_nothing_else() {
    let mut dialogue = Dialogue::in_transaction(&[120, 200]);
    dialogue.says("RETR 1").asked();
    let refused = refusal(Some(ResponseCode::SysTemp), "message cannot be read");
    dialogue.answers(Answer::Message(Err(refused))).hears_line("-ERR [SYS/TEMP] message cannot be read");
    dialogue.asks_nothing().says("STAT").hears_line("+OK 2 320").says("RETR 2").hears_nothing();
    assert!(matches!(dialogue.asked(), Action::OpenMessage { .. }));
}

#[test]
fn sizes_are_measured_once_when_first_shown() {
    for first in ["STAT", "LIST", "LIST 1"] {
        let mut dialogue = Dialogue::in_unmeasured_transaction(&[120, 200]);
        dialogue
            .says("UIDL 1")
            .hears("+OK")
            .says("LIST 3")
            .hears("-ERR")
            .says("NOOP")
            .hears("+OK")
            .asks_nothing();
        dialogue.says(first).hears_nothing();
        assert!(matches!(dialogue.asked(), Action::Measure));
        dialogue.answers(Answer::Measured(Ok(Stored::shared(&[1000, 2000]))));
        match first {
            "STAT" => dialogue.hears_line("+OK 2 3000"),
            "LIST" => dialogue.hears("+OK 2 messages (3000 octets)").hears_lines(&["1 1000", "2 2000"]),
            _ => dialogue.hears_line("+OK 1 1000"),
        };
        dialogue.says("LIST 2").hears_line("+OK 2 2000").says("STAT").hears_line("+OK 2 3000").asks_nothing();
    }
}

#[test]
fn what_was_deleted_before_a_measurement_is_not_counted_after_it() {
    let mut dialogue = Dialogue::in_unmeasured_transaction(&[120, 200]);
    dialogue.says("DELE 1").hears("+OK").says("STAT").asked();
    dialogue.answers(Answer::Measured(Ok(Stored::shared(&[1000, 2000])))).hears_line("+OK 1 2000");
    dialogue.says("RSET").hears("+OK").says("STAT").hears_line("+OK 2 3000");
}

#[test]
fn a_measurement_that_failed_is_asked_for_again() {
    let mut dialogue = Dialogue::in_unmeasured_transaction(&[120]);
    for _ in 0..2 {
        dialogue.says("LIST");
        assert!(matches!(dialogue.asked(), Action::Measure));
        let refused = refusal(Some(ResponseCode::SysTemp), "not measured");
        dialogue
            .answers(Answer::Measured(Err(refused)))
            .hears_line("-ERR [SYS/TEMP] not measured")
            .hears_nothing();
    }
}

#[test]
fn commands_of_authorization_are_refused_after_login() {
    let mut dialogue = Dialogue::in_transaction(&[]);
    for line in ["USER mrose", "PASS secret", "APOP mrose c4c9334bac560ecc979e58001b3e22fb"] {
        dialogue.says(line).hears("-ERR").hears_nothing().asks_nothing();
    }
}

#[test]
fn the_hundredth_mistake_after_login_is_the_last_and_removes_nothing() {
    let mut dialogue = Dialogue::in_transaction(&[120]);
    dialogue.says("DELE 1").hears("+OK");
    for line in ["XYZZY", "", "USER mrose", "RETR", "RETR x"].iter().cycle().take(99) {
        dialogue.says(line).hears("-ERR").asks_nothing();
    }
    dialogue
        .says("RETR 2")
        .hears_line("-ERR no such message")
        .says("XYZZY")
        .hears_line("-ERR too many errors");
    dialogue.closes();
}

#[test]
fn a_client_that_says_last_before_each_message_fetches_and_deletes_hundreds() {
    let mut dialogue = Dialogue::in_transaction(&[120; 300]);
    for number in 1..=300 {
        dialogue.says("LAST").hears("-ERR").says(&format!("RETR {number}")).asked();
        dialogue.answers(Answer::Message(Ok(Some(Octets(120))))).hears("+OK").asked();
        dialogue.answers(Answer::Sent).hears_nothing();
    }
    for number in 1..=300 {
        dialogue.says("LAST").hears("-ERR").says(&format!("DELE {number}")).hears("+OK");
    }
}

#[test]
fn replies_to_pipelined_commands_go_out_together() {
    let mut dialogue = Dialogue::in_transaction(&[]);
    let commands = b"NOOP\r\n".repeat(40);
    assert_eq!(dialogue.session.handle_input(&commands), commands.len());
    let mut room = [0; 2000];
    assert_eq!(dialogue.session.poll_output(&mut room), 40 * b"+OK\r\n".len());
}

#[test]
fn no_command_is_taken_while_replies_find_no_room() {
    let mut dialogue = Dialogue::in_transaction(&[]);
    let commands = b"NOOP\r\n".repeat(1000);
    let taken = dialogue.session.handle_input(&commands);
    assert!(taken < 200 * b"NOOP\r\n".len());
    assert_eq!(dialogue.session.handle_input(&commands[taken..]), 0);
    let mut room = [0; 1000];
    assert!(dialogue.session.poll_output(&mut room) <= 1024);
    assert!(dialogue.session.handle_input(&commands[taken..]) > 0);
}

#[test]
fn a_listing_continues_where_it_stopped_and_takes_no_command_meanwhile() {
    let octets: Vec<u64> = (0..100_000).collect();
    let mut dialogue = Dialogue::in_transaction(&octets);
    assert_eq!(dialogue.session.handle_input(b"LIST\r\nNOOP\r\n"), 6);
    let mut room = vec![0; 8192];
    let mut listing = Vec::new();
    loop {
        let count = dialogue.session.poll_output(&mut room);
        listing.extend_from_slice(&room[..count]);
        if count < room.len() {
            break;
        }
        assert_eq!(dialogue.session.handle_input(b"NOOP\r\n"), 0);
    }
    let mut expected = String::from("+OK 100000 messages (4999950000 octets)\r\n");
    for octets in octets {
        expected += &format!("{} {octets}\r\n", octets + 1);
    }
    expected += ".\r\n";
    assert!(listing == expected.as_bytes());
    dialogue.says("NOOP").hears_line("+OK").hears_nothing();
}
