//! The daemon as others may see it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use super::Counters;
use crate::jool::Instance;
use crate::replication::{self, Kind, Peer, Status};
use crate::seal;

/// What the daemon is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no Jool instance to work with, for this reason. Nothing is synchronised.
    Waiting(String),
    /// There is one, and sessions go both ways.
    Running(Instance),
}

/// Everything that is shown. Taken once a second, and when the state changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What the daemon is about.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// Since when the verdict on its fitness is what it is.
    pub fitness_since: SystemTime,
    /// Name of the Jool instance that it is for.
    pub instance: String,
    /// Sessions in that Jool.
    pub sessions: u64,
    /// Where it listens and sends to.
    pub addresses: Addresses,
    /// Where its settings come from.
    pub configuration: Configuration,
    /// How this node and the others stand.
    pub status: Status,
    /// How the seal stands.
    pub seal: seal::Status,
    /// What it counted.
    pub counters: Counters,
    /// The latest thing that went wrong with Jool or the network, in words; empty: nothing yet.
    pub last_error: String,
    /// When that was.
    pub last_error_at: Option<SystemTime>,
    /// When something was last dropped, by the look after it.
    pub last_drop_at: Option<SystemTime>,
    /// What keeps datagrams from leaving or coming, as a clause; empty: nothing that is known, or that matters,
    /// since another node is heard.
    pub obstacle: String,
    /// Why what acts on whether this node is fit cannot be told; empty: it can.
    pub outlet_problems: Vec<String>,
}

impl Snapshot {
    /// A word for programs: one of [`replication::State`]'s names.
    pub fn state_name(&self) -> &'static str {
        match &self.state {
            State::Waiting(_) => replication::State::Waiting.name(),
            State::Running(_) => self.status.state.name(),
        }
    }

    /// Which steps from open to sealed, and from key to key, are safe.
    pub fn seal_advice(&self) -> seal::Advice {
        let present = self.status.peers.iter().filter(|peer| peer.present);
        let members: Vec<_> = present
            .map(|peer| seal::Member {
                name: peer.name.clone(),
                node: peer.node,
            })
            .collect();
        seal::advice(&self.seal, &members)
    }

    /// Who would take over best; empty: nobody has everything.
    pub fn failover_to(&self) -> String {
        let successors = self.status.failover.as_deref().unwrap_or_default();
        successors
            .first()
            .map_or_else(String::new, |who| who.name.clone())
    }

    /// Why nobody has everything; empty: somebody has.
    pub fn failover_reason(&self) -> String {
        match &self.status.failover {
            Ok(_) => String::new(),
            Err(reason) if self.obstacle.is_empty() => reason.clone(),
            Err(reason) => format!("{reason}, since {}", self.obstacle),
        }
    }

    /// Why no other node has the sessions of this one.
    fn alone(&self) -> String {
        let is_there = |peer: &&Peer| peer.present;
        let there = self.status.peers.iter().filter(is_there);
        let joolds = there.clone().filter(|peer| peer.kind == Kind::Joold);
        let joolds: Vec<&str> = joolds.map(|peer| peer.name.as_str()).collect();
        let is_unicast = self.addresses.group.is_none() && !self.addresses.peers.is_empty();
        match &joolds[..] {
            [] if !self.obstacle.is_empty() => {
                format!("no other joold is heard, since {}", self.obstacle)
            }
            [] if is_unicast && there.count() == 0 => {
                "no other joold is heard, though each of \"peers\" should run one that names this node in its own \
                 \"peers\""
                    .to_owned()
            }
            [] => "no other joold is heard".to_owned(),
            [name] => format!("{name} has no Jool"),
            names => format!("{} have no Jool", names.join(" and ")),
        }
    }

    /// Why it is so; empty if it is synced.
    pub fn reason(&self) -> String {
        match &self.state {
            State::Waiting(reason) => reason.clone(),
            State::Running(_) if self.status.state == replication::State::Degraded => {
                self.status.degraded_reason()
            }
            State::Running(_) => match (self.status.state, &self.status.transfer) {
                (replication::State::Joining, Some(transfer)) => {
                    format!("the sessions of {} are on their way", transfer.donor)
                }
                (replication::State::Joining, None) => {
                    "the table of our own Jool is read, and other nodes are looked for".to_owned()
                }
                (replication::State::Alone, _) => self.alone(),
                _ => String::new(),
            },
        }
    }
}

/// Where the daemon listens and sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Where it listens.
    pub local: SocketAddr,
    /// The multicast group, if there is one.
    pub group: Option<SocketAddr>,
    /// The peers that are sent to by unicast.
    pub peers: Vec<SocketAddr>,
    /// The interface that the group is joined on; empty: the kernel chose.
    pub receive_interface: String,
    /// The interface that multicasts leave by; empty: the kernel chose.
    pub send_interface: String,
}

/// Where the daemon's settings come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The files; none: defaults.
    pub files: Vec<PathBuf>,
    /// When they were last read.
    pub loaded: SystemTime,
    /// What was wrong with them then, a line each; empty: nothing. The settings before stayed.
    pub problems: String,
    /// Keys whose values the last reading without a problem changed, what waits for a restart among them.
    pub changes: Vec<&'static str>,
    /// Keys whose values take effect with the next restart.
    pub pending: Vec<&'static str>,
}
