//! What a transform is told of a message.

use std::net::IpAddr;
use std::sync::Arc;

use pop3d_protocol::number::MessageNumber;

use crate::accounts::UserName;
use crate::store::Maildrop;
use crate::transform::{Command, Message};

/// Of a message of `length` octets as stored, for whoever fetches it from `remote`.
pub(crate) fn message_of(
    user: &UserName,
    maildrop: &dyn Maildrop,
    number: MessageNumber,
    length: u64,
    command: Command,
    remote: IpAddr,
) -> Arc<Message> {
    Arc::new(Message {
        user: user.as_str().to_owned(),
        number: number.value(),
        octets: length,
        uid: String::from_utf8_lossy(maildrop.snapshot().unique_id(number)).into_owned(),
        command,
        remote,
    })
}
