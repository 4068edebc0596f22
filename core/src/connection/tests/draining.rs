//! A server that stops while something is under way.

use super::*;
use crate::transform::{Chain, Error, Kind, Message, Policy, Stream, Transform, Wake};

/// Cannot begin any message.
struct Resting;

impl Transform for Resting {
    fn name(&self) -> &str {
        "resting"
    }

    fn kind(&self) -> Kind {
        Kind::Native
    }

    fn policy(&self) -> Policy {
        Policy::default()
    }

    fn open(self: Arc<Self>, _message: Arc<Message>, _wake: Wake) -> Result<Box<dyn Stream>, Error> {
        Err(Error::Temporary("as told".into()))
    }
}

#[test]
fn who_is_told_that_the_server_stops_while_sizes_are_measured_is_let_go() {
    let says = script(&format!("{LOGIN}STAT\r\n"), usize::MAX);
    let mut stage = Stage::new(vec![b"x\n".to_vec(); 1000], says);
    let mut settings = Settings::clone(&stage.desk.shared.settings.load());
    settings.sizes = Sizes::Exact;
    settings.chain = Some(Arc::new(Chain::new(vec![Arc::new(Resting)])));
    stage.desk.shared.settings.store(Arc::new(settings));
    while !matches!(stage.connection.task, Task::Measuring(_)) {
        stage.turn();
    }
    assert_eq!(stage.turn(), Turn::Unfinished, "there is more to measure");
    stage.connection.drain();
    let turns = (0..IDLE_TURNS).take_while(|_| stage.turn() != Turn::Gone).count();
    assert!(turns < IDLE_TURNS, "it goes on for ever");
    assert!(stage.heard().ends_with("-ERR [SYS/TEMP] server is stopping\r\n"), "{}", stage.heard());
}
