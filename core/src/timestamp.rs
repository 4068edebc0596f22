//! The timestamp of a greeting, which APOP hashes (RFC 1939, section 7). The server makes one for each connection.

/// `<process-ID.clock@host>`, as RFC 1939 has it. There are clients (Perl's Mail::Transport::POP3) that take nothing
/// else for a timestamp: the count that tells apart what the clock does not is a part of its number.
pub(crate) fn timestamp(process: u32, clock_nanoseconds: u128, count: usize, host: &str) -> Box<str> {
    format!("<{process}.{count}{clock_nanoseconds:019}@{host}>").into()
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn a_timestamp_has_two_numbers_and_the_host() {
        assert_eq!(
            &*timestamp(1896, 697_170_952, 3, "dbc.mtview.ca.us"),
            "<1896.30000000000697170952@dbc.mtview.ca.us>"
        );
    }

    #[test]
    fn two_timestamps_of_one_moment_differ() {
        assert_ne!(timestamp(1, 11, 1, "host"), timestamp(1, 11, 2, "host"));
        assert_ne!(timestamp(1, 11, 1, "host"), timestamp(1, 1, 11, "host"));
    }
}
