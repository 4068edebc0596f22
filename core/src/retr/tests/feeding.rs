//! What a stream is fed, and when.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Takes whatever comes, gives nothing, and wakes nobody.
struct Swallower {
    is_whole: bool,
}

impl Transform for Swallower {
    fn name(&self) -> &str {
        "swallower"
    }

    fn kind(&self) -> Kind {
        Kind::Native
    }

    fn open(self: Arc<Self>, _message: Arc<Message>, _wake: Wake) -> Result<Box<dyn Stream>, Error> {
        Ok(Box::new(Self { is_whole: false }))
    }
}

impl Stream for Swallower {
    fn write(&mut self, input: &[u8]) -> Result<usize, Error> {
        Ok(input.len())
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.is_whole = true;
        Ok(())
    }

    fn read(&mut self, _output: &mut [u8]) -> Result<Read, Error> {
        Ok(if self.is_whole { Read::End } else { Read::Pending })
    }
}

#[test]
fn a_stream_that_takes_whatever_comes_is_fed_without_a_pause() {
    let rung = Arc::new(AtomicBool::new(false));
    let bell = Arc::clone(&rung);
    let wake = Wake(Arc::new(move || bell.store(true, Ordering::Relaxed)));
    let source = source(&lines(3_000_000));
    let chain = Arc::new(Chain::new(vec![Arc::new(Swallower { is_whole: false })]));
    let mut pump = Pump::start(&chain, &source, &message_of_length(source.length), wake).unwrap();
    while pump.read(&source, &mut [0; 100]).unwrap() != Read::End {
        assert!(rung.swap(false, Ordering::Relaxed), "nobody comes back to it");
    }
}
