//! pop3d: a POP3 server whose messages can pass through transforms on their way out.

fn main() -> std::process::ExitCode {
    pop3d::main()
}
