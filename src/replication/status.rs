//! How this node and the others stand.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::event::Difference;
use super::hello::display_name;
use super::receive::NAMESAKE_INTERVAL;
use super::{Engine, Phase};

/// How long ago, in milliseconds, a peer may have been told the first record that it has not yet
/// said to have, for a failover to be safe.
const SAFE_LAG: u32 = 1000;
/// A peer that was synced so long ago counts as synced, in milliseconds: one that repairs what a
/// datagram took is degraded for a moment.
const GRACE: u64 = 1_000;
/// Stock peers that were silent for longer are not there.
const STOCK_PRESENT: Duration = Duration::from_secs(60);

/// What a node is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It has no Jool.
    Waiting = 0,
    /// It finds out what the others know.
    Joining = 1,
    /// It has every session that the others have, as far as anybody knows.
    Synced = 2,
    /// It has all there is, and there is no other node.
    Alone = 3,
    /// Something is known to be missing.
    Degraded = 4,
}

impl State {
    /// Every state, by number.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Joining,
        Self::Synced,
        Self::Alone,
        Self::Degraded,
    ];

    /// The state of that number in a hello.
    pub(super) fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Joining => "joining",
            Self::Synced => "synced",
            Self::Alone => "alone",
            Self::Degraded => "degraded",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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
    /// What people call it; its address for a stock peer.
    pub name: String,
    /// Where its datagrams come from.
    pub address: SocketAddr,
    /// Whether it has been heard lately.
    pub present: bool,
    /// What it says that it is about; `None`: stock peers say nothing.
    pub state: Option<State>,
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
    /// Datagrams of records that came from it.
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
            name: address.ip().to_string(),
            address,
            present: false,
            state: None,
            jool: String::new(),
            daemon: String::new(),
            record_length: 0,
            sessions: 0,
            behind: 0,
            lag: Duration::ZERO,
            missing: 0,
            drift: Vec::new(),
            datagrams: 0,
            records: 0,
            rejected: 0,
            heard,
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

/// How everything stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What this node is about.
    pub state: State,
    /// What is missing, a sentence each, if something is.
    pub reasons: Vec<String>,
    /// This node's name.
    pub name: String,
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
    /// Another node says that it is this one: from there.
    pub namesake: Option<SocketAddr>,
    /// Whether another node could take over now and have every session: which, or why none.
    pub failover: Result<String, String>,
}

fn version(number: u32) -> String {
    match number.to_be_bytes() {
        [0, 0, 0, 0] => String::new(),
        [major, minor, revision, _] => format!("{major}.{minor}.{revision}"),
    }
}

impl Engine {
    /// What this node is about. Nothing is known to be missing to one that is synced.
    pub fn state(&self) -> State {
        if !self.attached {
            State::Waiting
        } else if !matches!(self.phase, Phase::Joined) {
            State::Joining
        } else if self.is_degraded() {
            State::Degraded
        } else if self.nodes.all_present().next().is_none() {
            State::Alone
        } else {
            State::Synced
        }
    }

    /// Whether our own Jool dropped something that has not been found yet.
    fn has_lost(&self) -> bool {
        self.audit.loss_known || self.audit.finds_loss
    }

    fn is_degraded(&self) -> bool {
        self.has_lost()
            || self.audit.refused
            || !self.lost.is_empty()
            || self.ledger.lacks_given_up
            || self.logs.iter().any(|(_, log)| log.lacks())
    }

    /// What is missing, a sentence each.
    fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        for (_, log) in self.logs.iter().filter(|(_, log)| log.lacks()) {
            let (missing, name) = (log.missing.len(), self.name_of(log.key.node));
            reasons.push(format!("{missing} records of {name} are not here yet"));
        }
        for (node, lost) in &self.lost {
            let name = self.name_of(*node);
            reasons.push(format!(
                "{lost} records of {name} are lost: no node that is there has them"
            ));
        }
        if self.audit.refused {
            reasons.push("Jool refused sessions, its table will be compared soon".to_owned());
        }
        if self.has_lost() {
            reasons.push(
                "records of our own Jool were lost on the way, its table is being compared"
                    .to_owned(),
            );
        }
        if self.ledger.lacks_given_up {
            reasons.push(format!(
                "the table was full, {} sessions were given up; raise \"max sessions\"",
                self.ledger.given_up
            ));
        }
        reasons
    }

    /// How everything stands.
    pub fn status(&self, now: Instant) -> Status {
        let state = self.state();
        let peers = self.peers(now);
        Status {
            state,
            reasons: self.reasons(),
            name: display_name(&self.settings.name, self.own.node),
            node: self.own.node,
            epoch: self.own.epoch,
            sessions: self.ledger.table.len() as u64,
            position: self.ring.last(),
            announcing: self.ledger.announcements() as u64,
            failover: self.failover(state),
            peers,
            transfer: self.scan.as_ref().map(|scan| Transfer {
                donor: self.name_of(scan.donor.node),
                records: scan.records,
                percent: scan.percent(),
            }),
            audit: self.audit.last,
            namesake: self
                .namesake
                .filter(|namesake| self.clock(now) < namesake.heard + NAMESAKE_INTERVAL)
                .map(|namesake| namesake.address),
        }
    }

    /// The other nodes.
    fn peers(&self, now: Instant) -> Vec<Peer> {
        let mut peers: Vec<Peer> = self
            .nodes
            .iter()
            .map(|node| {
                let hello = &node.hello;
                let log = self
                    .logs
                    .find(node.key)
                    .and_then(|index| self.logs.get(index));
                Peer {
                    kind: Kind::Joold,
                    name: display_name(&hello.name, node.key.node),
                    address: node.address,
                    present: node.present,
                    state: State::of(hello.state),
                    jool: version(hello.jool),
                    daemon: version(hello.daemon),
                    record_length: hello.record_length,
                    sessions: hello.sessions.into(),
                    behind: node.behind,
                    lag: Duration::from_millis(node.lag.into()),
                    missing: log.map_or(0, |log| log.missing.len()),
                    drift: Difference::ALL
                        .into_iter()
                        .zip(node.drift)
                        .filter_map(|(what, differs)| differs.then_some(what))
                        .collect(),
                    datagrams: node.datagrams,
                    records: node.records,
                    rejected: node.rejected,
                    heard: self.instant(node.heard),
                }
            })
            .collect();
        peers.sort_unstable_by(|a, b| (&a.name, a.address).cmp(&(&b.name, b.address)));
        let stock = self.stock.list().into_iter().map(|peer| {
            let heard = self.instant(peer.heard);
            Peer {
                present: now.saturating_duration_since(heard) < STOCK_PRESENT,
                datagrams: peer.datagrams,
                records: peer.records,
                rejected: peer.rejected,
                ..Peer::stock(peer.address, heard)
            }
        });
        peers.extend(stock);
        peers
    }

    /// Whether another node could take over now.
    fn failover(&self, state: State) -> Result<String, String> {
        match state {
            State::Waiting => return Err("this node has no Jool".to_owned()),
            State::Joining => return Err("this node has not told yet what its Jool has".to_owned()),
            _ if self.has_lost() => {
                return Err("this node has not found yet what its Jool dropped".to_owned());
            }
            _ => {}
        }
        let mut nearly = None;
        for node in self.nodes.all_present() {
            let name = display_name(&node.hello.name, node.key.node);
            let [pool6, pool4, _] = node.drift;
            if pool6 || pool4 {
                nearly = Some(format!("pool6 or pool4 of {name} is not as here"));
                continue;
            }
            let behind = node.behind;
            // What a datagram took is there again before anybody could fail over.
            let is_synced = node.heard < node.synced_at + GRACE && node.synced_at != 0;
            match State::of(node.hello.state) {
                Some(State::Synced | State::Degraded) if is_synced && node.lag < SAFE_LAG => {
                    return Ok(name);
                }
                Some(State::Synced) => {
                    nearly = Some(format!("{name} is {behind} records behind"));
                }
                Some(state) => nearly = nearly.or(Some(format!("{name} is {state}"))),
                None => {}
            }
        }
        Err(nearly.unwrap_or_else(|| {
            if self.stock.list().is_empty() {
                "no other node is there".to_owned()
            } else {
                "the other nodes run the stock daemon, which does not tell what it has".to_owned()
            }
        }))
    }
}
