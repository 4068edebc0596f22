//! TLS as the session sees it: STLS, and what changes with it (RFC 2595, section 4).

use super::{Action, Conversation, LineReader, Mechanisms, Session, State};
use crate::pop3::authorization::Login;
use crate::pop3::capability::{self, Capabilities};
use crate::pop3::command::{Command, Malformed};
use crate::reply::ResponseCode;

/// What protects the octets of a session.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Security {
    /// Nothing, and nothing can.
    #[default]
    None,
    /// Nothing yet: STLS is offered.
    Offered,
    /// Nothing yet: STLS is offered, and logins have to wait for TLS.
    Required {
        /// The port where TLS comes first, which who does not wait is told of.
        pop3s_port: Option<u16>,
    },
    /// TLS.
    Tls,
}

impl Session {
    /// TLS is in force: the session is as it was behind its greeting. What the client said before counts for nothing, but
    /// for its mistakes and failed logins.
    pub(super) fn handle_secured(&mut self, mechanisms: Mechanisms) {
        let Conversation { state: State::Authorization(authorization), security, .. } =
            &mut self.conversation
        else {
            return;
        };
        match authorization.login {
            Login::Securing => {}
            Login::Nobody if *security == Security::Tls => {}
            Login::Nobody
            | Login::Named(_)
            | Login::Verifying
            | Login::Exchanging { .. }
            | Login::Challenged { .. }
            | Login::Explained
            | Login::Opening
            | Login::Identifying => return,
        }
        authorization.login = Login::Nobody;
        *security = Security::Tls;
        self.conversation.mechanisms = mechanisms;
        self.lines = LineReader::new(self.conversation.line_max());
        self.responses = None;
        if let Some(farewell) = self.conversation.farewell.take() {
            self.conversation.say_and_close(&farewell);
        }
    }
}

impl Conversation {
    /// Whether this is a login that has to wait for TLS; then it is refused.
    pub(super) fn refuses_in_clear(&mut self, command: Command<'_>) -> bool {
        let Security::Required { pop3s_port } = self.security else { return false };
        let is_login = matches!(
            command,
            Command::User(_) | Command::Pass(_) | Command::Apop { .. } | Command::Auth { .. }
        );
        if is_login {
            let code = Some(ResponseCode::Auth);
            match pop3s_port {
                Some(port) => self.mistake_with(code, format_args!("use STLS or port {port}")),
                None => self.mistake_with(code, format_args!("use STLS")),
            }
        }
        is_login
    }

    pub(super) fn say_capabilities(&mut self, implementation: &str) {
        let is_authorization = matches!(self.state, State::Authorization(_));
        let (stls, login) = match self.security {
            Security::Offered => (is_authorization, true),
            Security::Required { .. } => (is_authorization, !is_authorization),
            Security::None | Security::Tls => (false, true),
        };
        let Self { mechanisms, login_delay, is_proxy, .. } = *self;
        let xclient = is_proxy && is_authorization;
        let capabilities = Capabilities { stls, login, xclient, mechanisms, login_delay, implementation };
        capability::say(&mut self.replies, capabilities);
    }

    /// STLS (RFC 2595, section 4).
    pub(super) fn start_tls(&mut self) {
        let State::Authorization(authorization) = &mut self.state else { return };
        match self.security {
            Security::Offered | Security::Required { .. } => {
                authorization.login = Login::Securing;
                self.replies.ok(format_args!("begin TLS"));
                self.action = Some(Action::StartTls);
            }
            Security::Tls => self.mistake("TLS is in force already"),
            Security::None => self.mistake(Malformed::Unknown.as_str()),
        }
    }
}
