//! Clients that read slowly.

use super::*;

#[test]
fn who_takes_a_part_of_what_tls_writes_at_once_has_taken_something() {
    for line in ["x\r\n", "x\n"] {
        let says = format!("{LOGIN}RETR 1\r\n");
        let slow = Script { ends: false, in_wholes: true, takes: Some(1000), ..script(&says, 50) };
        let mut stage = Stage::new(vec![line.repeat(400_000).into_bytes()], slow);
        assert_eq!(stage.play(), Turn::Waiting);
        let written = stage.connection.facts.octets;
        for _ in 0..5 {
            stage.desk.now += Duration::from_secs(1);
            assert_eq!(stage.play(), Turn::Waiting);
            assert!(stage.connection.last_sign < stage.desk.now, "it took nothing");
            stage.takes(100);
            assert_eq!(stage.play(), Turn::Waiting);
            assert_eq!(stage.connection.last_sign, stage.desk.now);
        }
        assert_eq!(stage.connection.facts.octets, written, "all of a write was taken");
    }
}
