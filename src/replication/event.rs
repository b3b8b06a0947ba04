//! What an operator may want to read about.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::fitness::Fitness;

/// Events that wait to be taken out.
const MOST: usize = 256;

/// A setting that should be the same on all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The NAT64 prefix.
    Pool6,
    /// The masks.
    Pool4,
    /// The session timeouts.
    Timeouts,
    /// What else decides how packets are translated, and which.
    Settings,
    /// The masks that an operator gave to clients.
    StaticBib,
}

/// A digest of each [`Difference`], in the order of [`Difference::ALL`]; 0: not known yet.
pub(crate) type Digests = [u32; Difference::ALL.len()];

impl Difference {
    /// All, in the order of the digests in a hello.
    pub const ALL: [Self; 5] = [
        Self::Pool6,
        Self::Pool4,
        Self::Timeouts,
        Self::Settings,
        Self::StaticBib,
    ];
    /// How many of these, the first, decide which sessions a Jool takes, and for how long.
    pub(crate) const OF_SESSIONS: usize = 3;

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pool6 => "pool6",
            Self::Pool4 => "pool4",
            Self::Timeouts => "timeouts",
            Self::Settings => "settings",
            Self::StaticBib => "static BIB",
        }
    }
}

/// A comparison of our own Jool's table with ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// When it ended.
    pub at: Instant,
    /// How long it took.
    pub took: Duration,
    /// Sessions found in our own Jool.
    pub sessions: u64,
    /// Of those, announced since it began.
    pub announced: u64,
    /// Sessions that our own Jool had not, and was told.
    pub injected: u64,
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
    /// A comparison with another node found sessions that should have been here, or in another state, and are
    /// now.
    Differed {
        /// Whose.
        name: String,
        /// How many.
        sessions: u64,
        /// How long it took.
        took: Duration,
    },
    /// Our own Jool's table was compared with ours, because something had been lost or
    /// somebody wanted it.
    Audited(Audit),
    /// Sessions that our own Jool had translated were removed from it by somebody, so that they end on all nodes.
    Removed {
        /// How many.
        sessions: u64,
    },
    /// What our own Jool does not take, in a sentence; empty: nothing any more.
    NotTaken(String),
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
    /// The verdict on this node is another one, for this reason.
    Fitness(Fitness, String),
    /// Another node says that it is this one.
    Namesake(SocketAddr),
    /// A node has the name of another one, or of this one, and is not the same.
    NameShared {
        /// Their name.
        name: String,
        /// Where it is.
        address: SocketAddr,
    },
    /// A node that was there is there again under another number, so that its name is all that is left of it.
    Renumbered {
        /// Its name.
        name: String,
        /// Where it is.
        address: SocketAddr,
    },
    /// This run was there before, as the others know: this machine was set back, or its clock was. It goes on
    /// as another one.
    BeganAgain {
        /// A node that knew more than we of what we had announced.
        name: String,
    },
    /// A node of another cluster is on the same link. Told once of each.
    ForeignCluster {
        /// The node's name.
        name: String,
        /// Its cluster's.
        cluster: String,
        /// Where it sends from.
        address: SocketAddr,
    },
    /// Somebody speaks another version of the protocol.
    ForeignVersion(SocketAddr),
}

/// Those that have not been taken out. Strangers can cause some: they are bounded.
#[derive(Debug, Default)]
pub(crate) struct Events(VecDeque<Event>);

impl Events {
    pub(crate) fn tell(&mut self, event: Event) {
        if self.0.len() < MOST {
            self.0.push_back(event);
        }
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}
