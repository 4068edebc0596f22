//! peepclient: administers a running POP3 server.

fn main() -> std::process::ExitCode {
    peepclient::main()
}
