//! What the nodes tell about themselves.

use std::net::SocketAddr;

use crate::jool::Instance;
use crate::session::Stamp;

use super::event::{Difference, Event};
use super::frame::{Hello, LogKey, MOST_LOGS, NEVER, Position, Progress, Sender};
use super::logs::{Complete, Log};
use super::nodes::Node;
use super::status::State;
use super::{Engine, Phase, age, recovery};

/// How often a node says hello, in milliseconds.
pub(super) const INTERVAL: u64 = 250;
/// A node that missed so many is not there.
const MISSED: u64 = 5;
/// A hello out of turn comes no sooner than this after the last one, in milliseconds.
const SHORTEST: u64 = 20;

/// When hellos leave.
#[derive(Debug)]
pub(super) struct Timing {
    /// When the next one is due.
    pub(super) next: u64,
    last: u64,
    due: bool,
}

impl Timing {
    pub(super) fn new(now: u64) -> Self {
        Self {
            next: now,
            last: 0,
            due: false,
        }
    }

    /// One is to leave now, or as soon as it may.
    pub(super) fn at_once(&mut self, now: u64) {
        if now >= self.last + SHORTEST {
            self.due = true;
        } else {
            self.next = self.next.min(self.last + SHORTEST);
        }
    }

    /// One is to leave now, whenever the last one did.
    pub(super) fn now(&mut self) {
        self.due = true;
    }

    /// When the time for the next one has come, it is to leave as soon as it can.
    pub(super) fn keep_time(&mut self, now: u64) {
        if now >= self.next {
            self.due = true;
            self.next = now + INTERVAL;
        }
    }

    /// For how long one has been due, in milliseconds: if we did not stand still, hardly at all. What
    /// waited meanwhile, and does not say since when, counts as being that old: what others say they
    /// know.
    pub(super) fn late(&self, now: u64) -> u32 {
        u32::try_from(now.saturating_sub(self.next)).unwrap_or(u32::MAX)
    }

    /// Whether one leaves now.
    pub(super) fn take(&mut self, now: u64) -> bool {
        if !std::mem::take(&mut self.due) {
            return false;
        }
        self.last = now;
        self.next = now + INTERVAL;
        true
    }
}

/// FNV-1a, 32 bits; never 0.
fn digest(bytes: impl IntoIterator<Item = u8>) -> u32 {
    let hash = bytes.into_iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash.max(1)
}

/// Of pool6, pool4 and the timeouts, in the order of [`Difference::ALL`].
pub(super) fn digests(instance: &Instance) -> [u32; 3] {
    let pool6 = &instance.pool6;
    let timeouts = &instance.timeouts;
    let timeouts = [
        timeouts.tcp_established,
        timeouts.tcp_transitory,
        timeouts.udp,
        timeouts.icmp,
    ];
    [
        digest(pool6.address().octets().into_iter().chain([pool6.length()])),
        digest(instance.pool4.octets()),
        digest(timeouts.into_iter().flat_map(u32::to_be_bytes)),
    ]
}

/// Of the program itself, a byte each.
fn own_version() -> u32 {
    let number = |text: &str| text.parse::<u8>().unwrap_or(0);
    u32::from_be_bytes([
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
        0,
    ])
}

impl Engine {
    pub(super) fn write_hello(&self, now: u64, datagram: &mut Vec<u8>) {
        let jool = self.jool.as_ref();
        let (clock, soon) = (self.ledger.clock.at(now), self.soon());
        let format = jool.map(|jool| self.settings.format.unwrap_or(jool.format));
        let mut logs: Vec<(bool, u32, Progress)> = self
            .logs
            .iter()
            .filter(|(index, log)| !self.is_of_the_past(now, *index, log))
            .map(|(index, log)| {
                let progress = Progress {
                    position: Position {
                        log: log.key,
                        seq: log.have(),
                    },
                    last: log.last,
                    age: log
                        .complete_at(clock, soon)
                        .map_or(NEVER, |at| age(clock, at)),
                };
                let present = self.nodes.present(log.key).is_some();
                (present, self.ledger.entries_of(index), progress)
            })
            .collect();
        logs.sort_unstable_by_key(|(present, entries, _)| (!present, u32::MAX - entries));
        let hello = Hello {
            last: self.ring.last(),
            state: self.state() as u8,
            solicits: !matches!(self.phase, Phase::Joined),
            record_length: format.map_or(0, |format| u8::try_from(format.length()).unwrap_or(0)),
            jool: jool.map_or(0, |jool| jool.version),
            daemon: own_version(),
            sessions: u32::try_from(self.ledger.table.len()).unwrap_or(u32::MAX),
            digests: jool.map_or([0; 3], |jool| jool.digests),
            lacks: self.lacks_for(now),
            name: self.settings.name.clone(),
            logs: logs
                .into_iter()
                .take(MOST_LOGS)
                .map(|(_, _, progress)| progress)
                .collect(),
        };
        hello.write(self.sender(now), datagram);
    }

    pub(super) fn handle_hello(
        &mut self,
        now: u64,
        address: SocketAddr,
        Sender { log: from, clock }: Sender,
        hello: Hello,
    ) {
        let mut is_new = false;
        let last = hello.last;
        // Nodes that both look for others would answer each other without end.
        if hello.solicits && matches!(self.phase, Phase::Joined) {
            self.hello.at_once(now);
        }
        let logs = hello.logs.clone();
        if let Some(node) = self.nodes.find_mut(from.node) {
            if from.epoch < node.key.epoch && node.present {
                // Of a former run, and late.
                return;
            }
            if node.key != from {
                node.key = from;
                node.met = None;
                node.synced_at = 0;
                is_new = true;
            }
            is_new |= !node.present;
            node.present = true;
            node.hello = hello;
            node.heard = now;
            node.address = address;
        } else {
            is_new = true;
            let node = Node {
                key: from,
                met: None,
                address,
                hello,
                heard: now,
                said: Stamp::default(),
                present: true,
                synced_at: 0,
                knows_ends: false,
                behind: 0,
                lag: 0,
                drift: [false; 3],
                datagrams: 0,
                records: 0,
                rejected: 0,
            };
            if !self.nodes.add(node) {
                self.counters.unknown_nodes += 1;
                return;
            }
        }
        let Some(node) = self.nodes.find_mut(from.node) else {
            return;
        };
        let waited = self.hello.late(now);
        let sent = self.ledger.clock.hear(now, clock, waited, &mut node.met);
        node.said = sent;
        if is_new {
            self.hello.at_once(now);
            let name = self.name_of(from.node);
            self.tell(Event::PeerFound { name, address });
        }
        self.follow(now, from, last);
        let own = Complete {
            place: last,
            at: sent,
        };
        let mut knows_ends = self.was_complete(now, from, own);
        self.confirm_comparison(from, sent);
        let mut of_ours = 0;
        for progress in logs {
            let Progress { position, last, .. } = progress;
            if position.log == self.own {
                of_ours = position.seq.min(self.ring.last());
            } else if self.nodes.present(position.log).is_none() {
                // Nobody else tells how far that log goes. Only its own node has another forgotten
                // for it, or two nodes that know many would never come to rest.
                let index = self.log_of(now, position.log);
                self.follow_at(now, index, last.max(position.seq));
            }
            if progress.age != NEVER {
                let theirs = Complete {
                    place: position.seq,
                    at: sent.minus(u64::from(progress.age)),
                };
                knows_ends |= self.was_complete(now, position.log, theirs);
            }
        }
        let lag = if of_ours >= self.ring.last() {
            0
        } else {
            // Beyond what the ring holds: at least as old as its oldest.
            let oldest = (self.ring.last() + 1)
                .saturating_sub(super::logs::RING)
                .max(1);
            let first = (of_ours + 1).max(oldest);
            self.ring.age(first, now).unwrap_or(0)
        };
        let behind = self.ring.last() - of_ours;
        if let Some(node) = self.nodes.find_mut(from.node) {
            if node.hello.state == State::Synced as u8 {
                node.synced_at = now;
            }
            node.behind = behind;
            node.lag = lag;
            node.knows_ends = knows_ends;
        }
        self.compare_settings();
    }

    /// Within this time, in milliseconds, no session ends after its last record.
    fn soon(&self) -> i64 {
        i64::from(self.ledger.timeouts().tcp_transitory / 2)
    }

    /// Another node had all of a log. Says whether it may know of ends that we do not.
    fn was_complete(&mut self, now: u64, key: LogKey, told: Complete) -> bool {
        let (clock, soon) = (self.ledger.clock.at(now), self.soon());
        let index = self.logs.find(key);
        let log = index.and_then(|index| self.logs.get_mut(index));
        log.is_some_and(|log| log.was_complete(clock, told, soon))
    }

    /// A log is known to reach up to here.
    fn follow(&mut self, now: u64, key: LogKey, last: u64) {
        let index = self.log_of(now, key).or_else(|| self.make_room(key));
        if let Some(log) = index.and_then(|index| self.logs.get_mut(index)) {
            log.heard = true;
            log.news = now;
            if std::mem::take(&mut log.given_up) {
                // Its own node has it all.
                log.due = Some(now);
            }
        }
        if let Some(log) = index.and_then(|index| self.logs.get_mut(index)) {
            log.ends(now, last);
            recovery::schedule(log, now);
        }
    }

    fn follow_at(&mut self, now: u64, index: Option<u16>, last: u64) {
        if let Some(log) = index.and_then(|index| self.logs.get_mut(index)) {
            if log.reaches(last) {
                log.news = now;
            }
            recovery::schedule(log, now);
        }
    }

    /// Whether nothing of a log can be alive anywhere.
    fn is_of_the_past(&self, now: u64, index: u16, log: &Log) -> bool {
        self.ledger.entries_of(index) == 0
            && self.nodes.present(log.key).is_none()
            && now >= log.news + u64::from(self.ledger.timeouts().longest())
    }

    /// Our number for a log, which is followed from now on; `None`: there are too many.
    pub(super) fn log_of(&mut self, now: u64, key: LogKey) -> Option<u16> {
        if let Some(index) = self.logs.find_or_add(key) {
            return Some(index);
        }
        let past = |(index, log): &(u16, &Log)| self.is_of_the_past(now, *index, log);
        let (index, _) = self.logs.iter().find(past)?;
        self.logs.replace(index, key);
        Some(index)
    }

    /// Follows a log in place of one that is over, the one with the fewest sessions.
    fn make_room(&mut self, key: LogKey) -> Option<u16> {
        let over = self
            .logs
            .iter()
            .filter(|(_, log)| self.nodes.present(log.key).is_none());
        let (index, _) = over.min_by_key(|(index, _)| self.ledger.entries_of(*index))?;
        if self.ledger.entries_of(index) > 0 {
            let walk = super::walk::Walk::Disown(index);
            if !self.walks.iter().any(|(other, _)| *other == walk) {
                self.walks.push_back((walk, 0));
            }
            return None;
        }
        self.logs.replace(index, key);
        Some(index)
    }

    /// Tells about settings that have begun, or ceased, to differ from those of the others.
    pub(super) fn compare_settings(&mut self) {
        let Some(jool) = &self.jool else { return };
        let ours = jool.digests;
        let mut events = Vec::new();
        for node in self.nodes.iter_mut().filter(|node| node.present) {
            let theirs = node.hello.digests;
            let pairs = ours.into_iter().zip(theirs).zip(Difference::ALL);
            for (((ours, theirs), what), differs) in pairs.zip(&mut node.drift) {
                if theirs == 0 {
                    continue;
                }
                let name = || display_name(&node.hello.name, node.key.node);
                match (ours != theirs, *differs) {
                    (true, false) => events.push(Event::Drift { name: name(), what }),
                    (false, true) => events.push(Event::DriftEnded { name: name(), what }),
                    _ => {}
                }
                *differs = ours != theirs;
            }
        }
        for event in events {
            self.tell(event);
        }
    }

    /// Notices who has not been heard for too long.
    pub(super) fn notice_absence(&mut self, now: u64) {
        let mut gone = Vec::new();
        for node in self.nodes.iter_mut() {
            if node.present && now > node.heard + MISSED * INTERVAL {
                node.present = false;
                node.drift = [false; 3];
                gone.push((node.key, node.address));
            }
        }
        for (key, address) in gone {
            let name = self.name_of(key.node);
            self.tell(Event::PeerLost { name, address });
        }
    }

    /// What people call a node.
    pub(super) fn name_of(&self, node: u64) -> String {
        if node == self.own.node {
            return display_name(&self.settings.name, node);
        }
        let name = self.nodes.find(node).map(|node| node.hello.name.as_str());
        display_name(name.unwrap_or_default(), node)
    }
}

pub(super) fn display_name(name: &str, node: u64) -> String {
    if name.is_empty() {
        format!("node {node:016x}")
    } else {
        name.to_owned()
    }
}
