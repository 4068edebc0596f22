//! External programs: the message on standard input, what they write is what the client gets.

use std::sync::Arc;

use pop3d_core::pool::Pool;
use pop3d_core::transform::{Error, Kind, Message, Policy, Reactor, Stream, Transform, Wake};

use crate::spec::ProcessSpec;

/// What all processes share.
#[derive(Clone)]
pub struct Resources {
    /// Starts and ends children, and keeps their time.
    pub pool: Pool,
    /// Where their descriptors are registered.
    pub reactor: Arc<dyn Reactor>,
    /// POP3D_VERSION in their environment.
    pub version: &'static str,
}

/// A program that is started for each message.
pub struct Process {
    spec: ProcessSpec,
    _resources: Resources,
}

impl Process {
    /// A transform made of a program.
    #[must_use]
    pub fn new(spec: ProcessSpec, resources: Resources) -> Self {
        Self { spec, _resources: resources }
    }
}

impl Transform for Process {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn kind(&self) -> Kind {
        Kind::Process
    }

    fn policy(&self) -> Policy {
        self.spec.policy
    }

    fn open(self: Arc<Self>, _message: Arc<Message>, _wake: Wake) -> Result<Box<dyn Stream>, Error> {
        Err(Error::Permanent(String::new()))
    }
}
