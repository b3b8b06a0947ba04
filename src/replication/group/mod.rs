//! The other nodes: who is there, what they say they have, and what we have of what they announced.

mod heard;
mod hello;
mod log;
mod logs;
mod names;
mod nodes;
mod question;
mod ranges;
mod stock;

use std::net::SocketAddr;

use super::event::{Difference, Digests, Event, Events};
use super::store::{Ledger, Told};
use super::wire::{LogKey, shown};

pub(crate) use hello::{INTERVAL, Timing};
pub(crate) use log::Log;
pub(crate) use logs::Logs;
pub(crate) use nodes::{Node, Nodes, Verified};
pub(crate) use question::Question;
pub(crate) use ranges::Ranges;
pub(crate) use stock::StockPeers;

/// A node that missed so many hellos is not there.
const MISSED: u64 = 5;
/// How often a node of our identity is told of, and for how long after it was heard it is shown, in
/// milliseconds.
const NAMESAKE_SHOWN: u64 = 60_000;
/// For how long after it was heard it keeps us from being synced, in milliseconds.
const NAMESAKE: u64 = 5_000;
/// For how long after it was heard a node counts that is not followed, in milliseconds.
const OVERLOOKED: u64 = 10_000;
/// For how long others are told of a log of which nothing is here, and whose node is gone, in milliseconds.
const NEWS: u64 = 10_000;
/// Nodes that are not followed whose names are remembered.
const MOST_OVERLOOKED: usize = 8;

/// Another node that says that it is this one.
#[derive(Clone, Copy, Debug)]
struct Namesake {
    address: SocketAddr,
    heard: u64,
    told: u64,
}

/// Other clusters that are told of.
const MOST_FOREIGN: usize = 8;

/// The other nodes, and what we have of what they announced.
#[derive(Debug)]
pub(crate) struct Group {
    /// This node, in this run.
    pub(crate) own: LogKey,
    /// What people call it.
    name: String,
    /// Whose sessions it has.
    cluster: String,
    /// Other clusters that were heard.
    foreign: Vec<String>,
    pub(crate) nodes: Nodes,
    pub(crate) logs: Logs,
    pub(crate) stock: StockPeers,
    namesake: Option<Namesake>,
    /// Nodes that are not followed, since there are too many, and when they were last heard of.
    overlooked: Vec<(String, u64)>,
    /// A log whose entries are to be of none, so that there is room for another.
    disowned: Option<u16>,
    /// By how much our frames become longer on their way out, in bytes.
    pub(crate) overhead: usize,
}

impl Group {
    pub(crate) fn new(own: LogKey, name: String, cluster: &str) -> Self {
        Self {
            own,
            name,
            cluster: shown(cluster),
            foreign: Vec::new(),
            nodes: Nodes::default(),
            logs: Logs::default(),
            stock: StockPeers::default(),
            namesake: None,
            overlooked: Vec::new(),
            disowned: None,
            overhead: 0,
        }
    }

    /// Whose sessions this node has.
    pub(crate) fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Whether a node of that cluster belongs to this one.
    pub(crate) fn is_ours(&self, cluster: &str) -> bool {
        self.cluster == cluster
    }

    /// A node of another cluster is heard. Says whether that cluster was not before; there is room for a few.
    pub(crate) fn hear_foreign(&mut self, cluster: String) -> bool {
        let is_new = self.foreign.len() < MOST_FOREIGN && !self.foreign.contains(&cluster);
        if is_new {
            self.foreign.push(cluster);
        }
        is_new
    }

    /// The longest frame for everybody.
    pub(crate) fn room(&self) -> usize {
        self.nodes.reaches_all() - self.overhead
    }

    /// What people call this node, if anything.
    pub(crate) fn own_name(&self) -> &str {
        &self.name
    }

    /// What people call a node.
    pub(crate) fn name_of(&self, node: u64) -> String {
        if node == self.own.node {
            return display_name(&self.name, node);
        }
        let name = self.nodes.find(node).map(|node| node.hello.name.as_str());
        display_name(name.unwrap_or_default(), node)
    }

    /// A hello in our own name that is not ours. Says whether that is to be told of.
    pub(crate) fn hear_namesake(&mut self, now: u64, address: SocketAddr) -> bool {
        let told = self.namesake.map(|namesake| namesake.told);
        let told = told.filter(|told| now < told + NAMESAKE_SHOWN);
        self.namesake = Some(Namesake {
            address,
            heard: now,
            told: told.unwrap_or(now),
        });
        told.is_none()
    }

    /// Where another node is that said lately that it is this one.
    pub(crate) fn namesake(&self, now: u64) -> Option<SocketAddr> {
        let namesake = self.namesake?;
        (now < namesake.heard + NAMESAKE_SHOWN).then_some(namesake.address)
    }

    /// Whether one does so now.
    pub(crate) fn has_namesake(&self, now: u64) -> bool {
        let namesake = self.namesake;
        namesake.is_some_and(|namesake| now < namesake.heard + NAMESAKE)
    }

    /// Two nodes that say that they are the same one: its name, and where they are.
    pub(crate) fn clones(&self, now: u64) -> impl Iterator<Item = (String, [SocketAddr; 2])> + '_ {
        self.nodes.all_present().filter_map(move |node| {
            let places = [node.address, node.clone(now)?];
            Some((display_name(&node.hello.name, node.key.node), places))
        })
    }

    /// Nodes that are not followed, since there are too many.
    pub(crate) fn overlooked(&self, now: u64) -> impl Iterator<Item = &str> {
        let recent = move |(_, heard): &&(String, u64)| now < heard + OVERLOOKED;
        let recent = self.overlooked.iter().filter(recent);
        recent.map(|(name, _)| name.as_str())
    }

    fn overlook(&mut self, now: u64, name: String) {
        self.overlooked
            .retain(|(other, heard)| *other != name && now < heard + OVERLOOKED);
        if self.overlooked.len() < MOST_OVERLOOKED {
            self.overlooked.push((name, now));
        }
    }

    /// A log whose entries are to be of none.
    pub(crate) fn take_disowned(&mut self) -> Option<u16> {
        self.disowned.take()
    }

    /// Our number for a log, which is followed from now on; `None`: there are too many. `is_proven`: its own
    /// node says that there is one.
    pub(crate) fn log_of(
        &mut self,
        now: u64,
        key: LogKey,
        is_proven: bool,
        ledger: &Ledger,
    ) -> Option<u16> {
        if let Some(index) = self.logs.find(key).or_else(|| self.logs.add(now, key)) {
            return Some(index);
        }
        let unused = self.logs.iter().filter(|(index, log)| {
            let is_only_told_of = !log.heard && !log.lacks() && ledger.entries_of(*index) == 0;
            self.is_of_the_past(now, *index, log, ledger) || is_only_told_of
        });
        let (index, _) = unused.min_by_key(|(_, log)| (log.heard, log.news))?;
        if !is_proven && self.logs.get(index).is_some_and(|log| log.news == now) {
            // Whoever makes up so many at once displaces none.
            return None;
        }
        self.logs.replace(now, index, key);
        Some(index)
    }

    /// Whether nothing of a log can be alive anywhere.
    fn is_of_the_past(&self, now: u64, index: u16, log: &Log, ledger: &Ledger) -> bool {
        ledger.entries_of(index) == 0
            && self.nodes.present(log.key).is_none()
            && now >= log.news + u64::from(ledger.timeouts().longest())
    }

    /// There is nobody to learn from: what runs that are over had announced is in our own Jool, or nowhere.
    pub(crate) fn give_up_absent(&mut self) {
        for index in self.logs.indexes() {
            let key = self.logs.get(index).map(|log| log.key);
            let is_there = key.is_some_and(|key| self.nodes.present(key).is_some());
            if let Some(log) = self.logs.get_mut(index).filter(|_| !is_there) {
                log.give_up();
            }
        }
    }

    /// The logs that the others are told of: of nodes that are there, and those of which something is here, or
    /// was told lately.
    pub(crate) fn followed(&self, now: u64, ledger: &Ledger) -> impl Iterator<Item = (u16, &Log)> {
        self.logs.iter().filter(move |(index, log)| {
            ledger.entries_of(*index) > 0
                || self.nodes.present(log.key).is_some()
                || now < log.news + NEWS
        })
    }

    /// Follows the log of a node that is there in place of one that is over, the one with the fewest sessions.
    fn make_room(&mut self, now: u64, key: LogKey, ledger: &Ledger) -> Option<u16> {
        let over = self
            .logs
            .iter()
            .filter(|(_, log)| self.nodes.present(log.key).is_none());
        let (index, _) = over.min_by_key(|(index, _)| ledger.entries_of(*index))?;
        if ledger.entries_of(index) > 0 {
            self.disowned = Some(index);
            return None;
        }
        self.logs.replace(now, index, key);
        Some(index)
    }

    /// Up to which places every other node has the logs that lately had anything that may live.
    pub(crate) fn keep_told(&self, now: u64, ledger: &Ledger, told: &mut Told) {
        let longest = u64::from(ledger.timeouts().longest());
        let nodes = || self.nodes.iter().filter(|node| now < node.heard + longest);
        // Of a node that only others have heard, nobody knows how far it is.
        let is_unheard = |(_, log): (u16, &Log)| {
            let node = log.key.node;
            let is_another = node != self.own.node && self.nodes.find(node).is_none();
            is_another && now < log.news + longest
        };
        let knows_all = !self.logs.iter().any(is_unheard);
        let least = |log| {
            let positions = nodes().map(|node| node.position(log)).min();
            let least = positions.unwrap_or(u64::MAX);
            if knows_all { least } else { 0 }
        };
        told.own = least(self.own);
        told.others.clear();
        let keys = self.logs.keys().iter();
        told.others.extend(keys.map(|key| least(*key)));
    }

    /// Tells about settings that have begun, or ceased, to differ from those of the others.
    pub(crate) fn compare_settings(&mut self, ours: Digests, events: &mut Events) {
        for node in self.nodes.iter_mut().filter(|node| node.present) {
            let theirs = node.hello.digests;
            let pairs = ours.into_iter().zip(theirs).zip(Difference::ALL);
            for (((ours, theirs), what), differs) in pairs.zip(&mut node.drift) {
                if ours == 0 || theirs == 0 {
                    continue;
                }
                let name = || display_name(&node.hello.name, node.key.node);
                match (ours != theirs, *differs) {
                    (true, false) => events.tell(Event::Drift { name: name(), what }),
                    (false, true) => events.tell(Event::DriftEnded { name: name(), what }),
                    _ => {}
                }
                *differs = ours != theirs;
            }
        }
    }

    /// Notices who has not been heard for too long.
    pub(crate) fn notice_absence(&mut self, now: u64, events: &mut Events) {
        for node in self.nodes.iter_mut() {
            if node.present && now > node.heard + MISSED * INTERVAL {
                node.present = false;
                node.drift = [false; Difference::ALL.len()];
                events.tell(Event::PeerLost {
                    name: display_name(&node.hello.name, node.key.node),
                    address: node.address,
                });
            }
        }
    }
}

/// A node's name; its number if it has none.
pub(crate) fn display_name(name: &str, node: u64) -> String {
    if name.is_empty() {
        format!("node {node:016x}")
    } else {
        name.to_owned()
    }
}
