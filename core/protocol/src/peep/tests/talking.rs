//! The two halves talking to each other.

use proptest::prelude::*;

use super::*;

/// A reply of the shape that a command has, or a failure.
fn answer(shape: Shape) -> BoxedStrategy<Result<Reply, Failure>> {
    // What a line cannot hold is another test's.
    let line = "[ -~äöü]{0,100}";
    let reply = match shape {
        Shape::Nothing => Just(Reply::Done).boxed(),
        Shape::Integer => any::<u64>().prop_map(Reply::Integer).boxed(),
        Shape::Text => line.prop_map(Reply::Text).boxed(),
        Shape::Lines => prop::collection::vec(line, 0..30).prop_map(Reply::Lines).boxed(),
    };
    prop_oneof![3 => reply.prop_map(Ok), 1 => (0_u32..40).prop_map(|code| Err(Failure::of_code(code)))]
        .boxed()
}

/// A command that reaches the outside, and what that will answer.
fn exchange() -> impl Strategy<Value = (Request, Result<Reply, Failure>)> {
    let rows: Vec<_> =
        COMMANDS.iter().filter(|form| !["a", "q", "cap?"].contains(&form.commencement)).collect();
    (0..rows.len(), "[0-9]{1,128}").prop_flat_map(move |(row, argument)| {
        let form = rows[row];
        let argument = if form.commencement == "tfo=" { "key:value".into() } else { argument };
        let request = Request::new(form.commencement, &[argument.as_bytes(), argument.as_bytes()]).unwrap();
        (Just(request), answer(form.shape))
    })
}

proptest! {
    #[test]
    fn what_one_half_asks_the_other_answers_in_form_and_in_order(
        exchanges in prop::collection::vec(exchange(), 0..10),
        sizes in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let (mut client, mut session) = (Client::new(), Session::authenticated());
        let mut answers = exchanges.iter().map(|(_, answer)| answer.clone());
        for (request, _) in &exchanges {
            client.ask(request);
        }
        let (mut up, mut heard) = (Vec::new(), Vec::new());
        let mut sizes = sizes.iter().copied().cycle();
        while heard.len() < exchanges.len() {
            let mut room = vec![0; sizes.next().unwrap()];
            let count = client.poll_output(&mut room);
            up.extend_from_slice(&room[..count]);
            let taken = session.handle_input(&up);
            up.drain(..taken);
            if let Some(action) = session.poll_action() {
                prop_assert!(matches!(action, Action::Do(_)));
                session.handle_answer(Answer::Done(answers.next().unwrap()));
            }
            let count = session.poll_output(&mut room);
            prop_assert_eq!(client.handle_input(&room[..count]), Ok(()));
            heard.extend(core::iter::from_fn(|| client.poll_reply()));
        }
        let expected: Vec<_> = exchanges.into_iter().map(|(_, answer)| answer).collect();
        prop_assert_eq!(heard, expected);
        prop_assert_eq!(client.awaited(), 0);
    }

    #[test]
    fn no_octets_of_a_server_make_a_client_panic(
        requests in prop::collection::vec(exchange(), 0..4),
        octets in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"+-\r\n019".to_vec())], 0..200),
    ) {
        let mut client = Client::new();
        for (request, _) in &requests {
            client.ask(request);
        }
        let _ = client.handle_input(&octets);
        while client.poll_reply().is_some() {}
    }
}

#[test]
fn what_is_no_reply_is_told_apart() {
    let asked = |commencement: &str| {
        let mut client = Client::new();
        client.ask(&Request::new(commencement, &[]).unwrap());
        client
    };
    assert_eq!(Client::new().handle_input(b"+\r\n"), Err(ReplyError::Unasked));
    for (commencement, octets, error) in [
        ("c?", &b"HTTP/1.1 400 Bad Request\r\n"[..], ReplyError::BadForm),
        ("c?", b"+OK pop3 ready\r\n", ReplyError::BadForm),
        ("u?", b"+many\r\n", ReplyError::BadForm),
        ("c?", b"-\r\n", ReplyError::BadForm),
        ("c?", b"-99999999999\r\n", ReplyError::BadForm),
        ("c?", b"\r\n", ReplyError::BadForm),
        ("v?", &[b'+'; 600], ReplyError::TooLong),
    ] {
        assert_eq!(asked(commencement).handle_input(octets), Err(error), "{}", octets.escape_ascii());
    }
    let mut client = asked("u?");
    let line = [&[b'x'; 500][..], b"\r\n"].concat().repeat(1000);
    assert_eq!(client.handle_input(b"+18446744073709551615\r\n"), Ok(()));
    let refused = (0..1000).find_map(|_| client.handle_input(&line).err());
    assert_eq!(refused, Some(ReplyError::TooMuch));
    let mut client = asked("c?");
    assert_eq!(client.handle_input(b"-77\r\n"), Ok(()));
    assert_eq!(client.poll_reply(), Some(Err(Failure::Other(77))));
}

#[test]
fn what_the_protocol_has_no_form_for_cannot_be_asked() {
    let error = |commencement: &str, arguments: &[&[u8]]| Request::new(commencement, arguments).unwrap_err();
    assert_eq!(error("nonsense", &[]), RequestError::UnknownCommand);
    assert_eq!(error("u+", &[b"a"]), RequestError::TooFewArguments);
    assert_eq!(error("u-", &[b""]), RequestError::EmptyArgument);
    assert_eq!(error("u-", &[&[b'x'; 129]]), RequestError::ArgumentTooLong);
    for octet in [b' ', b'\r', b'\n', 0] {
        assert_eq!(error("u-", &[&[b'x', octet]]), RequestError::ForbiddenOctet);
    }
}

#[test]
fn nothing_shows_a_password() {
    let request = Request::new("u+", &[b"ann", b"tanstaaf"]).unwrap();
    assert_eq!(format!("{request:?}"), "u+");
    let mut admin = Dialogue::authenticated();
    admin.is_answering = false;
    admin.says("u+ ann tanstaaf");
    let shown = format!("{:?}", admin.asked);
    assert!(shown.contains("AddUser") && !shown.contains("tanstaaf"), "{shown}");
}

#[test]
fn each_failure_has_a_code_of_its_own() {
    for code in 0..100 {
        let failure = Failure::of_code(code);
        assert_eq!(failure.code(), code);
        assert!(!failure.to_string().is_empty());
    }
}
