//! Sessions without sockets: the lines of a server are given, the commands are looked at.

use super::*;

fn common(scenario: Scenario) -> Common {
    let blocks = [Block::new(false), Block::new(true)];
    Common { scenario, password: "a secret".to_owned(), compare_every: 1, blocks }
}

fn message(common: &Common, number: u32) -> String {
    let recipe = common.blocks[0].recipe(3, 200);
    let mut text = format!("Subject: {number} of user0007\r\nX-Text: {recipe}\r\n\r\n");
    let mut place = common.blocks[0].place(recipe);
    while place.rest() > 0 {
        text.push_str(std::str::from_utf8(common.blocks[0].next(&mut place, 9_999)).unwrap());
    }
    text
}

/// Feeds replies one octet at a time; what was said in between.
fn converse(session: &mut Session<'_>, tally: &mut Tally, replies: &str) -> Result<Vec<Next>, Fault> {
    let (mut heard, now) = (Vec::new(), Instant::now());
    for octet in replies.bytes() {
        let (taken, next) = session.handle_input(&[octet], now, tally)?;
        assert_eq!(taken, 1);
        if next != Next::Hear {
            heard.push(next);
        }
    }
    Ok(heard)
}

fn say(line: &str) -> Next {
    Next::Say(format!("{line}\r\n"))
}

#[test]
fn a_short_session_says_what_a_mail_program_does() {
    let common = common(Scenario::Short);
    let mut tally = Tally { measuring: true, ..Tally::default() };
    let mut session = Session::new(&common, 7, Instant::now());
    let text = message(&common, 1);
    let octets = text.len();
    let replies = format!(
        "+OK hello\r\n+OK\r\n+OK\r\n+OK 1 {octets}\r\n+OK\r\n1 {octets}\r\n.\r\n+OK\r\n1 x\r\n.\r\n+OK\r\n{text}.\r\n+OK\r\n"
    );
    let expected = ["USER user0007", "PASS a secret", "STAT", "LIST", "UIDL", "RETR 1", "QUIT"];
    let expected: Vec<Next> = expected.into_iter().map(say).chain([Next::Ended]).collect();
    assert_eq!(converse(&mut session, &mut tally, &replies), Ok(expected));
    assert_eq!((tally.sessions, tally.messages, tally.compared, tally.octets), (1, 1, 1, octets as u64));
}

#[test]
fn retr_goes_round_and_round_until_told_to_leave() {
    let common = common(Scenario::Retr { count: None });
    let mut tally = Tally::default();
    let mut session = Session::new(&common, 7, Instant::now());
    let (one, two) = (message(&common, 1), message(&common, 2));
    let login = format!("+OK\r\n+OK\r\n+OK\r\n+OK\r\n1 {}\r\n2 {}\r\n.\r\n", one.len(), two.len());
    assert_eq!(converse(&mut session, &mut tally, &login).unwrap().last(), Some(&Next::Begin));
    assert_eq!(session.begin(Instant::now()), say("RETR 1"));
    let replies = format!("+OK\r\n{one}.\r\n+OK\r\n{two}.\r\n");
    assert_eq!(converse(&mut session, &mut tally, &replies), Ok(vec![say("RETR 2"), say("RETR 1")]));
    assert_eq!(session.leave(Instant::now()), Next::Hear);
    let replies = format!("+OK\r\n{one}.\r\n+OK\r\n");
    assert_eq!(converse(&mut session, &mut tally, &replies), Ok(vec![say("QUIT"), Next::Ended]));
    assert_eq!((tally.messages, tally.compared), (0, 3), "nothing was measured, all was compared");
}

#[test]
fn what_is_not_compared_is_skipped_once_its_length_is_known_and_its_end_is_read() {
    let common = Common { compare_every: 0, ..common(Scenario::Retr { count: None }) };
    let mut tally = Tally { measuring: true, ..Tally::default() };
    let mut session = Session::new(&common, 7, Instant::now());
    let text = format!("{}..dot\r\n", "line of a message\r\n..\r\n".repeat(500));
    let told = text.len() - 501;
    let login = format!("+OK\r\n+OK\r\n+OK\r\n+OK\r\n1 {told}\r\n.\r\n");
    converse(&mut session, &mut tally, &login).unwrap();
    session.begin(Instant::now());
    assert_eq!(session.taking(), Taking::Read);
    converse(&mut session, &mut tally, &format!("+OK\r\n{text}.\r\n")).unwrap();
    assert_eq!(tally.octets, told as u64);
    let skip_most_of_it = |session: &mut Session<'_>, tally: &mut Tally| {
        assert_eq!(session.taking(), Taking::ReadFew);
        converse(session, tally, &format!("+OK\r\n{}", &text[..100])).unwrap();
        let Taking::Skip(count) = session.taking() else { panic!("read") };
        assert!((SKIP_LEAST..text.len() as u64).contains(&(count as u64)));
        session.skip(count, tally);
        assert_eq!(session.taking(), Taking::Read);
        100 + count
    };
    let skipped = skip_most_of_it(&mut session, &mut tally);
    let rest = format!("{}.\r\n", &text[skipped..]);
    assert_eq!(converse(&mut session, &mut tally, &rest), Ok(vec![say("RETR 1")]));
    assert_eq!((tally.messages, tally.octets), (2, 2 * told as u64));
    let skipped = skip_most_of_it(&mut session, &mut tally);
    let longer = format!("{}a line\r\n.\r\n", &text[skipped..]);
    let before = text.len() as u64 + 3;
    assert_eq!(converse(&mut session, &mut tally, &longer), Err(Fault::Wire { before, heard: before + 8 }));
}

#[test]
fn a_server_that_lies_is_found_out() {
    let common = common(Scenario::Short);
    let told = |size: usize, text: &str| {
        let mut session = Session::new(&common, 7, Instant::now());
        let replies =
            format!("+OK\r\n+OK\r\n+OK\r\n+OK 1 1\r\n+OK\r\n1 {size}\r\n.\r\n+OK\r\n.\r\n+OK\r\n{text}.\r\n");
        converse(&mut session, &mut Tally::default(), &replies).unwrap_err()
    };
    let (one, two) = (message(&common, 1), message(&common, 2));
    assert_eq!(
        told(one.len() + 1, &one),
        Fault::Octets { told: one.len() as u64 + 1, heard: one.len() as u64 }
    );
    assert_eq!(told(two.len(), &two), Fault::Message(1, Difference::Header));
    let mut session = Session::new(&common, 7, Instant::now());
    let refused = converse(&mut session, &mut Tally::default(), "+OK\r\n+OK\r\n-ERR [IN-USE] no\r\n");
    assert_eq!(refused, Err(Fault::Refused("PASS", "[IN-USE] no".to_owned())));
}

#[test]
fn noop_rests_between() {
    let rest = Duration::from_millis(5);
    let common = common(Scenario::Noop { rest });
    let mut session = Session::new(&common, 7, Instant::now());
    let mut tally = Tally::default();
    assert_eq!(
        converse(&mut session, &mut tally, "+OK\r\n+OK\r\n+OK\r\n").unwrap().last(),
        Some(&Next::Begin)
    );
    assert_eq!(session.begin(Instant::now()), say("NOOP"));
    assert_eq!(converse(&mut session, &mut tally, "+OK\r\n"), Ok(vec![Next::Rest(rest)]));
    assert_eq!(session.rested(Instant::now()), say("NOOP"));
    assert_eq!(converse(&mut session, &mut tally, "+OK\r\n"), Ok(vec![Next::Rest(rest)]));
    assert_eq!(session.leave(Instant::now()), say("QUIT"));
    assert_eq!(session.rested(Instant::now()), Next::Hear, "QUIT is said once");
}

#[test]
fn a_slow_reader_rests_within_a_message_and_leaves_it_unread() {
    let rest = Duration::from_secs(64);
    let common = common(Scenario::Crawl { rest });
    let mut session = Session::new(&common, 7, Instant::now());
    let mut tally = Tally::default();
    let login = "+OK\r\n+OK\r\n+OK\r\n+OK\r\n1 1000\r\n.\r\n";
    assert_eq!(converse(&mut session, &mut tally, login).unwrap().last(), Some(&Next::Begin));
    let other = Duration::from_secs(7);
    assert_eq!(session.begin(Instant::now()), Next::Rest(other), "not all begin at the same time");
    assert_eq!(session.pace(), None);
    assert_eq!(session.rested(Instant::now()), say("RETR 1"));
    assert_eq!(session.pace(), Some(rest));
    assert_eq!(converse(&mut session, &mut tally, "+OK\r\nSubject"), Ok(vec![]));
    assert_eq!(session.leave(Instant::now()), Next::Ended);
}
