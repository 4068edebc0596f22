//! Status indicators and response codes (RFC 1939, section 3; RFC 2449, section 8).

/// A response code in a reply (RFC 2449, section 8; RFC 3206).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseCode {
    /// The maildrop is in use by another session.
    InUse,
    /// There is a problem with the credentials (RFC 3206).
    Auth,
    /// Something here does not work now; trying again later may help (RFC 3206).
    SysTemp,
    /// Something here does not work until somebody acts (RFC 3206).
    SysPerm,
    /// Too soon after the last login (RFC 2449, section 8.1.1).
    LoginDelay,
}

impl ResponseCode {
    /// The code as it stands between brackets.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "IN-USE",
            Self::Auth => "AUTH",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::LoginDelay => "LOGIN-DELAY",
        }
    }
}
