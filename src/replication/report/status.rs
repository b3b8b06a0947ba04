//! How this node and the others stand, as it is shown.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::replication::event::{Audit, Difference};
use crate::replication::fitness::Fitness;
use crate::replication::state::State;

/// A node that could take over from this one now, with every session of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Its name.
    pub name: String,
    /// How far behind it is.
    pub lag: Duration,
}

/// What kind of daemon a peer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This one.
    Joold,
    /// Jool's own, or whatever else sends plain records.
    Stock,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Joold => "joold",
            Self::Stock => "stock",
        }
    }
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What kind of daemon it runs.
    pub kind: Kind,
    /// Its number; 0 for a stock peer.
    pub node: u64,
    /// What people call it; its address for a stock peer.
    pub name: String,
    /// Where its datagrams come from.
    pub address: SocketAddr,
    /// Whether it has been heard lately.
    pub present: bool,
    /// What it says that it is about; `None`: stock peers say nothing.
    pub state: Option<State>,
    /// What it says of its own fitness; `None`: stock peers say nothing.
    pub fitness: Option<Fitness>,
    /// Version of its Jool; empty: not known.
    pub jool: String,
    /// Version of its daemon; empty: not known.
    pub daemon: String,
    /// Length of the records that it sends; 0: not known.
    pub record_length: u8,
    /// Sessions that it knows.
    pub sessions: u64,
    /// Records of our log that it had not when it last said hello.
    pub behind: u64,
    /// How old the first of them was then. Of all that was announced so long before, it has
    /// everything.
    pub lag: Duration,
    /// Records of its log that are not here.
    pub missing: u64,
    /// Settings of its Jool that are not like ours.
    pub drift: Vec<Difference>,
    /// Whether it hears this node, as far as its hellos tell; stock peers say nothing.
    pub hears_us: bool,
    /// Another node that is there, or this one, has the same name.
    pub shares_name: bool,
    /// What the last comparison with it found.
    pub verified: Option<Verified>,
    /// Datagrams that came from it.
    pub datagrams: u64,
    /// Records in them that were taken.
    pub records: u64,
    /// Records in them that were not.
    pub rejected: u64,
    /// When it was last heard.
    pub heard: Instant,
}

impl Peer {
    /// A peer with the stock daemon, of which nothing but this is known.
    pub(crate) fn stock(address: SocketAddr, heard: Instant) -> Self {
        Self {
            kind: Kind::Stock,
            node: 0,
            name: address.ip().to_string(),
            address,
            present: false,
            state: None,
            fitness: None,
            jool: String::new(),
            daemon: String::new(),
            record_length: 0,
            sessions: 0,
            behind: 0,
            lag: Duration::ZERO,
            missing: 0,
            drift: Vec::new(),
            hears_us: true,
            shares_name: false,
            verified: None,
            datagrams: 0,
            records: 0,
            rejected: 0,
            heard,
        }
    }
}

/// What a comparison with another node found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Comparisons with it so far.
    pub count: u64,
    /// When the last one ended.
    pub at: Instant,
    /// Sessions here that were compared.
    pub sessions: u64,
    /// Sessions of it that were not here, or in another state, and are now.
    pub differed: u64,
}

/// A table that is being transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// From whom.
    pub donor: String,
    /// Records that came so far.
    pub records: u64,
    /// Slots of the donor's table that were read, in percent.
    pub percent: u8,
}

/// The last whole table that was read from another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReading {
    /// Whose.
    pub donor: String,
    /// When it ended.
    pub at: Instant,
    /// How long it took.
    pub took: Duration,
    /// Sessions that it told of.
    pub records: u64,
    /// Sessions of those that were not here, or of which less was known, and that were taken.
    pub taken: u64,
}

/// How everything stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What this node is about, without what passes within 2 s.
    pub state: State,
    /// Whether this node is fit to translate.
    pub fitness: Fitness,
    /// Why, in a sentence.
    pub fitness_reason: String,
    /// What is missing just now, a sentence each, if something is.
    pub reasons: Vec<String>,
    /// Records of other nodes that are known to be missing just now.
    pub missing: u64,
    /// This node's name.
    pub name: String,
    /// The name of the cluster that it is of.
    pub cluster: String,
    /// This node's number.
    pub node: u64,
    /// The run of this daemon.
    pub epoch: u64,
    /// Sessions that are known here.
    pub sessions: u64,
    /// The last place in our log: how many records were announced.
    pub position: u64,
    /// Sessions that are to be announced.
    pub announcing: u64,
    /// The other nodes, ours before stock ones.
    pub peers: Vec<Peer>,
    /// What is being transferred from another node, if anything is.
    pub transfer: Option<Transfer>,
    /// The last audit.
    pub audit: Option<Audit>,
    /// The last whole table that was read from another node.
    pub reading: Option<TableReading>,
    /// Another node says that it is this one: from there.
    pub namesake: Option<SocketAddr>,
    /// Who could take over now and has every session, the best first; or why nobody could.
    pub failover: Result<Vec<Successor>, String>,
}

impl Status {
    /// Why the state that is shown is degraded.
    pub fn degraded_reason(&self) -> String {
        if self.reasons.is_empty() {
            return "what was missing has come just now".to_owned();
        }
        self.reasons.join("; ")
    }
}
