//! What an operator may want to read about.

use std::net::SocketAddr;
use std::time::Duration;

use super::status::Audit;

/// A setting that should be the same on all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The NAT64 prefix.
    Pool6,
    /// The masks.
    Pool4,
    /// The session timeouts.
    Timeouts,
}

impl Difference {
    /// All, in the order of the digests in a hello.
    pub const ALL: [Self; 3] = [Self::Pool6, Self::Pool4, Self::Timeouts];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pool6 => "pool6",
            Self::Pool4 => "pool4",
            Self::Timeouts => "timeouts",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node is there that was not.
    PeerFound {
        /// Its name.
        name: String,
        /// Where it sends from.
        address: SocketAddr,
    },
    /// A node that was there has not been heard for a while.
    PeerLost {
        /// Its name.
        name: String,
        /// Where it sent from.
        address: SocketAddr,
    },
    /// This node has what the others have.
    Joined {
        /// From whom; `None`: there is nobody.
        donor: Option<String>,
        /// How many records came.
        records: u64,
        /// How long it took.
        took: Duration,
    },
    /// A large part of a log, or a table, was asked for and came.
    CaughtUp {
        /// From whom.
        donor: String,
        /// How many records came.
        records: u64,
        /// How long it took.
        took: Duration,
    },
    /// Records are lost: nobody has them any more.
    Lost {
        /// Whose.
        name: String,
        /// How many.
        records: u64,
    },
    /// Sessions ended on another node while it was not heard, and so they do here.
    Ended {
        /// Where they ended.
        name: String,
        /// How many.
        sessions: u64,
    },
    /// Our own Jool's table was compared with ours, because something had been lost or
    /// somebody wanted it.
    Audited(Audit),
    /// A setting is another on another node.
    Drift {
        /// Whose.
        name: String,
        /// Which.
        what: Difference,
    },
    /// A setting is the same again.
    DriftEnded {
        /// Whose.
        name: String,
        /// Which.
        what: Difference,
    },
    /// Another node says that it is this one.
    Namesake(SocketAddr),
    /// Somebody speaks another version of the protocol.
    ForeignVersion(SocketAddr),
}
