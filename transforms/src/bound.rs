//! How much may come out of one link for what goes into it: what exceeds that is a bomb (`max_output`).

use pop3d_core::transform::Error;

/// Octets of output for each octet of input, and for a message of none.
const FACTOR: u64 = 100;
const FLOOR: u64 = 1 << 20;

/// What these two are, and what is configured, in the words of `Error::Limit`.
pub(crate) const BY_INPUT: &str = "of 100 times its input and 1 MiB of output";
pub(crate) const MAX_OUTPUT: &str = "max_output";

/// The bound of one message in one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// By the configuration.
    max_output: u64,
    /// Octets of input: all of them where that is known, else those that came so far.
    input: u64,
    is_whole: bool,
    /// Octets of output so far.
    output: u64,
}

impl Bound {
    pub(crate) fn new(max_output: u64) -> Self {
        Self { max_output, input: 0, is_whole: false, output: 0 }
    }

    /// All of the input will be so many octets.
    pub(crate) fn announce(&mut self, octets: u64) {
        (self.input, self.is_whole) = (octets, true);
    }

    /// So much more input came.
    pub(crate) fn feed(&mut self, octets: usize) {
        if !self.is_whole {
            self.input = self.input.saturating_add(octets as u64);
        }
    }

    /// What all of the input is, where that is known.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.is_whole.then_some(self.input)
    }

    /// So much more output comes.
    ///
    /// # Errors
    /// It is too much.
    pub(crate) fn take(&mut self, octets: usize) -> Result<(), Error> {
        self.output = self.output.saturating_add(octets as u64);
        let most = self.input.saturating_mul(FACTOR).saturating_add(FLOOR);
        if self.output > self.max_output {
            Err(Error::Limit(MAX_OUTPUT))
        } else if self.output > most {
            Err(Error::Limit(BY_INPUT))
        } else {
            Ok(())
        }
    }

    /// By the configuration.
    pub(crate) fn max_output(&self) -> u64 {
        self.max_output
    }

    /// Octets of output so far.
    pub(crate) fn output(&self) -> u64 {
        self.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_grows_with_the_input_up_to_what_is_configured() {
        let mut bound = Bound::new(5 << 20);
        assert!(bound.take(1 << 20).is_ok());
        bound.feed(1);
        let reached = |taken: Result<(), Error>| taken.map_err(|error| error.to_string());
        let by_input = Err("limit of 100 times its input and 1 MiB of output reached".to_owned());
        assert_eq!((reached(bound.take(100)), reached(bound.take(1))), (Ok(()), by_input));
        bound.feed(1 << 20);
        let configured = Err("limit max_output reached".to_owned());
        assert_eq!((reached(bound.take((4 << 20) - 101)), reached(bound.take(1))), (Ok(()), configured));
        assert_eq!((bound.output(), bound.announced()), ((5 << 20) + 1, None));
    }

    #[test]
    fn where_all_of_the_input_is_known_its_pieces_are_no_more() {
        let mut bound = Bound::new(u64::MAX);
        bound.announce(10);
        bound.feed(10);
        assert!(bound.take((1 << 20) + 1000).is_ok() && bound.take(1).is_err());
        assert_eq!(bound.announced(), Some(10));
    }
}
