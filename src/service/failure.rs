//! How the daemon ends when it ends by itself.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::jool::Unavailable;
use crate::net::OpenError;

/// Why the daemon ended by itself. Each has an exit status of sysexits(3).
#[derive(Debug)]
pub enum Failure {
    /// There was no Jool instance to work with, within this time if it was waited for.
    Jool(Unavailable, Option<Duration>),
    /// The UDP socket could not be opened.
    Network(OpenError),
    /// The keys of the group cannot be used, for these reasons, a line each.
    Keys(String),
    /// The statistics address cannot be listened on.
    Statistics(SocketAddr, io::Error),
    /// The system refused something that the daemon cannot do without.
    System(&'static str, io::Error),
    /// The daemon may not open as many files as it needs.
    OpenFiles {
        /// How many it may.
        allowed: u64,
        /// How many it needs.
        needed: u64,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jool(reason, None) => reason.fmt(f),
            Self::Jool(reason, Some(waited)) => write!(
                f,
                "gave up after {} s (\"jool wait\"): {reason}",
                waited.as_secs()
            ),
            Self::Network(reason) => reason.fmt(f),
            Self::Keys(reason) => f.write_str(reason),
            Self::Statistics(address, reason) => write!(
                f,
                "the statistics address {address} cannot be listened on: {reason}; change or \
                 remove \"statistics address\""
            ),
            Self::System(what, reason) => write!(f, "{what} failed: {reason}"),
            Self::OpenFiles { allowed, needed } => write!(
                f,
                "only {allowed} files may be open at a time, and {needed} are needed; raise LimitNOFILE= of \
                 the unit, or `ulimit -n`"
            ),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Jool(reason, _) => Some(reason),
            Self::Network(reason) => Some(reason),
            Self::Statistics(_, reason) | Self::System(_, reason) => Some(reason),
            Self::Keys(_) | Self::OpenFiles { .. } => None,
        }
    }
}

impl Failure {
    /// The exit status: 69 no Jool, 77 not permitted, 78 keys that cannot be used, or interfaces that do not fit together, 71
    /// anything else: an interface that is not there, too, because it may come.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Jool(Unavailable::Permission, _) => 77,
            Self::Jool(..) => 69,
            Self::Network(OpenError::InterfaceRequired(_) | OpenError::InterfacesDiffer { .. }) => {
                78
            }
            Self::Keys(_) => 78,
            Self::Network(_) | Self::Statistics(..) | Self::System(..) | Self::OpenFiles { .. } => {
                71
            }
        }
    }
}
