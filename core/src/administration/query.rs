//! Questions: answered at once, from what is in memory.

use std::time::Duration;

use pop3d_protocol::peep::{Argument, Command, Failure, Reply};

use super::Administration;
use super::change::told;
use crate::accounts::UserName;
use crate::sessions::SessionFacts;

impl Administration {
    /// Answers a question of the administrator `peer`, or does what takes no time; none where it is a change that may.
    pub(crate) fn query(&self, command: &Command, peer: &str) -> Option<Result<Reply, Failure>> {
        let sessions = self.server.sessions();
        let settings = self.server.settings();
        Some(match command {
            Command::Users => Ok(Reply::Lines(sorted(settings.accounts.names()))),
            Command::Connections => {
                Ok(integer(settings.limits.connections.min(self.server.connections_max())))
            }
            Command::Mailbox => Ok(Reply::Text(settings.mailbox.display().to_string())),
            Command::Timeout => {
                // Part of a second is no second, and 0 would mean none.
                let seconds = settings.limits.silence.map_or(0, |silence| silence.as_secs().max(1));
                Ok(Reply::Integer(seconds))
            }
            Command::RetrievedOctets => Ok(Reply::Integer(self.server.totals().octets_answered())),
            Command::RetrievedMessages => Ok(Reply::Integer(self.server.totals().messages_retrieved())),
            Command::RemovedMessages => Ok(Reply::Integer(self.server.totals().messages_removed())),
            Command::CurrentConnections => Ok(integer(sessions.count())),
            Command::CurrentUsers => Ok(Reply::Lines(sorted(&sessions.users()))),
            Command::AllConnections => Ok(Reply::Integer(self.server.totals().connections())),
            Command::AllLogins => Ok(Reply::Integer(self.server.totals().logins())),
            Command::Chain { user } => self.chain(user.as_ref()),
            Command::Transforms => Ok(self.transforms()),
            Command::TransformStatistics { name } => self.transform_statistics(name),
            Command::TransformError { name } => self.transform_error(name),
            Command::Sessions => Ok(Reply::Lines(sessions.list().iter().map(session_line).collect())),
            Command::Kick { session } => {
                let is_there = sessions.kick(*session);
                told(peer, command, if is_there { Ok(Reply::Done) } else { Err(Failure::NoSuchSession) })
            }
            Command::KickUser { user } => told(peer, command, self.kick_user(user)),
            Command::AppPasswords { user } => self.app_passwords(user).map(Reply::Lines),
            Command::RefusedAddresses => Ok(Reply::Lines(self.refused_addresses())),
            Command::Statistics => Ok(Reply::Lines(self.statistics())),
            Command::LogLevel => Ok(Reply::Text(self.host.log_level())),
            Command::SetLogLevel { level } => {
                let level = level.text().and_then(|level| self.host.level_named(level));
                // Told before: with the level that is asked for, it may not be heard.
                let level = told(peer, command, level.ok_or(Failure::UnknownLevel));
                level.map(|level| {
                    self.host.set_log_level(level);
                    Reply::Done
                })
            }
            Command::Version => Ok(Reply::Text(env!("CARGO_PKG_VERSION").to_owned())),
            Command::Uptime => Ok(Reply::Integer(self.started.elapsed().as_secs())),
            Command::AddUser { .. }
            | Command::RemoveUser { .. }
            | Command::SetPassword { .. }
            | Command::SetConnections(_)
            | Command::SetMailbox { .. }
            | Command::SetTimeout(_)
            | Command::SetChain { .. }
            | Command::LoadTransform { .. }
            | Command::RemoveTransform { .. }
            | Command::ReloadTransform { .. }
            | Command::SetOption { .. }
            | Command::SetProgram { .. }
            | Command::AddAppPassword { .. }
            | Command::RemoveAppPassword { .. }
            | Command::AdmitAddress { .. }
            | Command::Reload => return None,
        })
    }

    fn kick_user(&self, user: &Argument) -> Result<Reply, Failure> {
        let user = UserName::parse(user.octets()).ok_or(Failure::NoSuchUser)?;
        let kicked = self.server.sessions().kick_user(&user);
        // One whose account has gone may have a session still.
        if kicked == 0 && !self.server.settings().accounts.contains(&user) {
            return Err(Failure::NoSuchUser);
        }
        Ok(integer(kicked))
    }

    /// Who may not log in for now, and for how many seconds still: sorted by address, so that nobody has to search.
    fn refused_addresses(&self) -> Vec<String> {
        let mut refused = self.server.refused_addresses();
        refused.sort_unstable();
        // Part of a second is still a second, and 0 would be none.
        let seconds = |left: &Duration| left.as_secs() + u64::from(left.subsec_nanos() > 0);
        refused.iter().map(|(address, left)| format!("{address} {}", seconds(left))).collect()
    }

    /// Every statistic by its OpenMetrics name.
    fn statistics(&self) -> Vec<String> {
        let totals = self.server.totals();
        let mut lines: Vec<_> = totals.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let sessions = self.server.sessions();
        lines.push(format!("pop3d_sessions {}", sessions.count()));
        lines.push(format!("pop3d_sessions_peak {}", sessions.peak()));
        lines.push(format!("pop3d_uptime_seconds {}", self.started.elapsed().as_secs()));
        self.add_transforms(&mut lines);
        if let Some(tls) = &self.server.settings().tls {
            let line = |(number, days)| format!("pop3d_tls_certificate_days{{number=\"{number}\"}} {days}");
            lines.extend(tls.days_left().map(line));
        }
        lines
    }
}

fn integer(number: usize) -> Reply {
    Reply::Integer(u64::try_from(number).unwrap_or(u64::MAX))
}

fn sorted<'a>(names: impl IntoIterator<Item = &'a UserName>) -> Vec<String> {
    let mut names: Vec<_> = names.into_iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn session_line(session: &SessionFacts) -> String {
    let user = session.user.as_ref().map_or("-", UserName::as_str);
    // What stands between spaces is counted by whoever reads it.
    let user = user.replace(' ', "%20");
    format!(
        "{} {user} {} {} {} {}",
        session.id,
        session.address,
        session.stage,
        session.since.elapsed().as_secs(),
        session.octets_sent,
    )
}
