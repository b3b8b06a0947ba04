//! How a node takes part, and where its datagrams go.

use std::net::SocketAddr;
use std::time::Duration;

use crate::session::Format;

use super::fitness::Policy;

/// How a node takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which node it is: not 0, the same over restarts, and no other node's.
    pub node: u64,
    /// Which run of the daemon: not 0, and higher than the last.
    pub epoch: u64,
    /// What people call the node.
    pub name: String,
    /// Whose sessions it has: nodes of other clusters are not listened to.
    pub cluster: String,
    /// Format of the records on the wire; `None`: that of our own Jool.
    pub format: Option<Format>,
    /// A session with traffic is announced again after so long; earlier if its timeout is short.
    pub refresh: Duration,
    /// How long our own Jool may keep a record back for others to go with.
    pub flush_interval: Duration,
    /// Sessions that are kept; beyond that those announced longest ago are given up.
    pub most_sessions: usize,
    /// Whatever is sent to one node is heard by all: there is a multicast group.
    pub is_shared: bool,
    /// When this node is fit to translate.
    pub policy: Policy,
    /// An operator drained this node.
    pub is_drained: bool,
    /// The daemon that ran before this one has just ended, and its node was fit.
    pub resumes: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: 1,
            epoch: 1,
            name: String::new(),
            cluster: "default".to_owned(),
            format: None,
            refresh: Duration::from_secs(10),
            flush_interval: Duration::from_millis(20),
            most_sessions: 4_000_000,
            is_shared: true,
            policy: Policy::default(),
            is_drained: false,
            resumes: false,
        }
    }
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// To all nodes.
    Everyone,
    /// To the node behind this address. Others may see it, too.
    One(SocketAddr),
}
