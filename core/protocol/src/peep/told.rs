//! Commands as a log tells them: as PEEP writes them, without what may be a password.

use core::fmt;

use super::command::Command;

/// What stands behind a commencement.
enum Arguments {
    /// So many, any of which may be a password: also a name, where somebody mistypes.
    Hidden(usize),
    /// A number.
    Number(u64),
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (commencement, arguments) = self.told();
        formatter.write_str(commencement)?;
        match arguments {
            Arguments::Hidden(count) => (0..count).try_for_each(|_| formatter.write_str(" ****")),
            Arguments::Number(number) => write!(formatter, " {number}"),
        }
    }
}

impl Command {
    fn told(&self) -> (&'static str, Arguments) {
        use Arguments::{Hidden, Number};
        match self {
            Self::AddUser { .. } => ("u+", Hidden(2)),
            Self::RemoveUser { .. } => ("u-", Hidden(1)),
            Self::Users => ("u?", Hidden(0)),
            Self::SetPassword { .. } => ("u=", Hidden(2)),
            Self::SetConnections(count) => ("c=", Number(*count)),
            Self::Connections => ("c?", Hidden(0)),
            Self::SetMailbox { .. } => ("m=", Hidden(1)),
            Self::Mailbox => ("m?", Hidden(0)),
            Self::SetTimeout(seconds) => ("t=", Number(*seconds)),
            Self::Timeout => ("t?", Hidden(0)),
            Self::RetrievedOctets => ("rb?", Hidden(0)),
            Self::RetrievedMessages => ("re?", Hidden(0)),
            Self::RemovedMessages => ("xe?", Hidden(0)),
            Self::CurrentConnections => ("cc?", Hidden(0)),
            Self::CurrentUsers => ("cu?", Hidden(0)),
            Self::AllConnections => ("hc?", Hidden(0)),
            Self::AllLogins => ("hu?", Hidden(0)),
            Self::Chain { user } => ("tf?", Hidden(usize::from(user.is_some()))),
            Self::SetChain { user, .. } => ("tf=", Hidden(1 + usize::from(user.is_some()))),
            Self::Transforms => ("tfl?", Hidden(0)),
            Self::LoadTransform { .. } => ("tf+", Hidden(2)),
            Self::RemoveTransform { .. } => ("tf-", Hidden(1)),
            Self::ReloadTransform { .. } => ("tfr", Hidden(1)),
            Self::SetOption { .. } => ("tfo=", Hidden(2)),
            Self::TransformStatistics { .. } => ("tfs?", Hidden(1)),
            Self::TransformError { .. } => ("tfe?", Hidden(1)),
            Self::SetProgram { .. } => ("tfx=", Hidden(1)),
            Self::Sessions => ("s?", Hidden(0)),
            Self::Kick { session } => ("k", Number(*session)),
            Self::KickUser { .. } => ("ku", Hidden(1)),
            Self::AppPasswords { .. } => ("ua?", Hidden(1)),
            Self::AddAppPassword { .. } => ("ua+", Hidden(2)),
            Self::RemoveAppPassword { .. } => ("ua-", Hidden(2)),
            Self::RefusedAddresses => ("ban?", Hidden(0)),
            Self::AdmitAddress { .. } => ("ban-", Hidden(1)),
            Self::Statistics => ("st?", Hidden(0)),
            Self::LogLevel => ("lg?", Hidden(0)),
            Self::SetLogLevel { .. } => ("lg=", Hidden(1)),
            Self::Reload => ("cf", Hidden(0)),
            Self::Version => ("v?", Hidden(0)),
            Self::Uptime => ("up?", Hidden(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::super::command::{COMMANDS, Line, parse};

    #[test]
    fn each_command_is_told_as_it_was_written_without_what_may_be_a_password() {
        for form in COMMANDS {
            for count in form.arguments.0..=form.arguments.1 {
                let mut line = String::from(form.commencement);
                // One is a number, and the other an option too.
                for argument in ["17", "a:b"].iter().take(count) {
                    line.push(' ');
                    line.push_str(argument);
                }
                let Ok(Line::Other(command)) = parse(line.as_bytes(), true) else {
                    assert!(["a", "q", "cap?"].contains(&form.commencement), "{line}");
                    continue;
                };
                let takes_number = ["c=", "t=", "k"].contains(&form.commencement);
                let mut words: Vec<_> = line.split(' ').collect();
                if !takes_number {
                    words.iter_mut().skip(1).for_each(|word| *word = "****");
                }
                assert_eq!(command.to_string(), words.join(" "));
            }
        }
    }
}
