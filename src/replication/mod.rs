//! The protocol between nodes: what is sent and what is applied. No sockets, no clock, no threads:
//! input is handed in, output is taken out. docs/protocol.md describes it from outside.
//!
//! Every node numbers what it announces: its log. Every node keeps one table of sessions, in which
//! each session has the place in a log that its latest record came from (`ledger.rs`). So anything
//! can be told again from the table: the records that a datagram took with it, or everything to a
//! node that is new (`recovery.rs`). Four times a second and more often each node says how far it is
//! (`hello.rs`), so each knows what it lacks and what the others lack.

mod answers;
mod audit;
mod clock;
mod counters;
mod ends;
mod event;
pub mod frame;
mod hello;
mod ledger;
mod logs;
mod nodes;
mod queue;
mod ranges;
mod receive;
mod record;
mod recovery;
mod status;
mod stock;
mod walk;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::jool::{Instance, MAX_RUN};
use crate::session::{Format, Pool4, Prefix, Reject, Slot, Stamp, parse_run};

use answers::Answers;
use audit::{AUDIT_INTERVAL_BLIND, AuditState};
use ends::Comparison;
use frame::{AGE, Data, LogKey, Position, Request, Sender, TRAILER};
use ledger::{Ledger, TOGETHER};
use logs::{Logs, Ring};
use nodes::Nodes;
use receive::Namesake;
use record::{Place, Record};
use recovery::Scan;
use stock::StockPeers;
use walk::Walk;

pub use counters::Counters;
pub use event::{Difference, Event};
pub use frame::MAX_FRAME;
pub use status::{Audit, Kind, Peer, State, Status, Transfer};

/// Records that may wait for another look at pool4.
const MAX_DOUBTFUL: usize = 4096;
/// Zero of the engine's clock is so far in the past that no timeout reaches it, in milliseconds.
const EPOCH: u64 = 1 << 40;
/// Questions that wait to be sent.
const MAX_REQUESTS: usize = 64;
/// Events that wait to be taken out.
const MAX_EVENTS: usize = 256;

/// How a node takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which node it is: not 0, the same over restarts, and no other node's.
    pub node: u64,
    /// Which run of the daemon: not 0, and higher than the last.
    pub epoch: u64,
    /// What people call the node.
    pub name: String,
    /// Format of the records on the wire; `None`: that of our own Jool.
    pub format: Option<Format>,
    /// A session with traffic is announced again after so long; earlier if its timeout is short.
    pub refresh: Duration,
    /// Sessions that are kept; beyond that those announced longest ago are given up.
    pub most_sessions: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: 1,
            epoch: 1,
            name: String::new(),
            format: None,
            refresh: Duration::from_secs(10),
            most_sessions: 4_000_000,
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

/// The state machine between our own Jool and the other nodes.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    start: Instant,
    own: LogKey,
    ledger: Ledger,
    ring: Ring,
    logs: Logs,
    nodes: Nodes,
    stock: StockPeers,
    /// Our own Jool as it was last seen.
    jool: Option<Attached>,
    attached: bool,
    phase: Phase,
    audit: AuditState,
    walks: VecDeque<(Walk, u32)>,
    scan: Option<Scan>,
    comparison: Option<Comparison>,
    /// The donor that last did not answer: others are asked first.
    unhelpful: Option<LogKey>,
    answers: Answers,
    requests: VecDeque<(SocketAddr, Request)>,
    hello: hello::Timing,
    /// When everything that can wait is next looked after.
    tick: u64,
    /// Records that nobody has any more: whose, and how many.
    lost: Vec<(u64, u64)>,
    /// Since when the last of them is missing.
    lost_since: u64,
    resync_wanted: bool,
    /// Until when something may be missing here for good that is alive, and that nothing else tells: it
    /// was cut, refused or given up, or whoever we got everything from had not all.
    may_lack_until: u64,
    /// Positions that were taken over from nodes that may have lacked something there.
    skipped: Vec<Position>,
    /// Till then what was given up for want of room may be alive.
    gave_up_until: u64,
    /// What came while joining is from several donors.
    has_several_donors: bool,
    /// When a table is next read to find out what has ended.
    next_comparison: u64,
    /// Slots of sessions whose mask is not in pool4 as it was when we last looked.
    doubtful: Vec<u32>,
    last_token: u32,
    /// Records that were read and are looked up next.
    read: Vec<Record>,
    /// Of the records that are being written: how long ago their sessions were active.
    ages: Vec<u32>,
    /// Another node said that it is this one.
    namesake: Option<Namesake>,
    /// Whether a version that is not spoken was told of.
    foreign_version_told: bool,
    events: VecDeque<Event>,
    counters: Counters,
}

/// What the engine has to know of our own Jool.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attached {
    format: Format,
    version: u32,
    pool6: Prefix,
    pool4: Pool4,
    digests: [u32; 3],
    /// Whether it counts what it drops.
    counts_drops: bool,
}

/// Where this node stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has not met its Jool yet.
    Fresh,
    /// It looks for what the others know.
    Joining {
        since: u64,
        /// The table of our own Jool has been read.
        dumped: bool,
        /// What the others know is here, or there is nobody.
        transferred: bool,
    },
    /// What the others do not know is put in our log, and leaves.
    Ending {
        since: u64,
        /// All of it is in the queue.
        queued: bool,
    },
    Joined,
}

impl Engine {
    /// An engine whose clock begins now.
    pub fn new(now: Instant, settings: Settings) -> Self {
        let own = LogKey {
            node: settings.node.max(1),
            epoch: settings.epoch.max(1),
        };
        let refresh = u64::try_from(settings.refresh.as_millis()).unwrap_or(u64::MAX);
        Self {
            start: now,
            own,
            ledger: Ledger::new(own, settings.most_sessions, refresh),
            ring: Ring::default(),
            logs: Logs::default(),
            nodes: Nodes::default(),
            stock: StockPeers::default(),
            jool: None,
            attached: false,
            phase: Phase::Fresh,
            audit: AuditState::default(),
            walks: VecDeque::new(),
            scan: None,
            comparison: None,
            unhelpful: None,
            answers: Answers::default(),
            requests: VecDeque::new(),
            hello: hello::Timing::new(EPOCH),
            tick: EPOCH,
            lost: Vec::new(),
            lost_since: EPOCH,
            resync_wanted: false,
            may_lack_until: 0,
            skipped: Vec::new(),
            gave_up_until: 0,
            has_several_donors: false,
            next_comparison: 0,
            doubtful: Vec::new(),
            last_token: 0,
            read: Vec::new(),
            ages: Vec::new(),
            namesake: None,
            foreign_version_told: false,
            events: VecDeque::new(),
            counters: Counters::default(),
            settings,
        }
    }

    /// The time on the engine's own clock, in milliseconds.
    #[inline]
    fn clock(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.start).as_millis();
        EPOCH + u64::try_from(passed).unwrap_or(u64::MAX >> 1)
    }

    /// What has been counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What happened since the last call, for the log.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }

    /// Asks a node, unless too many questions wait to be sent: they are asked again all the same.
    fn ask(&mut self, address: SocketAddr, request: Request) {
        if self.requests.len() < MAX_REQUESTS {
            self.requests.push_back((address, request));
        }
    }

    /// Our own Jool is there, with these settings.
    pub fn handle_attached(&mut self, now: Instant, instance: &Instance) {
        let now = self.clock(now);
        self.ledger.set_timeouts(now, instance.timeouts);
        let pools = (&instance.pool6, &instance.pool4);
        // What was refused may be acceptable now.
        let masks_others = self
            .jool
            .as_ref()
            .is_some_and(|jool| (&jool.pool6, &jool.pool4) != pools);
        let differs = self
            .jool
            .as_ref()
            .is_some_and(|jool| jool.digests != hello::digests(instance));
        if differs {
            // What we refused or cut so far, the others have.
            self.now_lacks(now);
        }
        self.jool = Some(Attached {
            format: instance.format,
            version: instance.version.number(),
            pool6: instance.pool6,
            pool4: instance.pool4.clone(),
            digests: hello::digests(instance),
            counts_drops: instance.version.counts_drops(),
        });
        self.compare_settings();
        if self.attached {
            self.audit.wanted |= masks_others;
            return;
        }
        self.attached = true;
        self.audit.wanted = true;
        if self.phase == Phase::Fresh {
            self.phase = Phase::Joining {
                since: now,
                dumped: false,
                transferred: false,
            };
        } else {
            // It may be another one, and an empty one.
            self.audit.loss_known = true;
        }
        self.hello.at_once(now);
    }

    /// This node is about to stop: the others are told once more how far its log goes, so that they
    /// know if they lack its end.
    pub fn handle_stopping(&mut self) {
        self.hello.now();
    }

    /// Our own Jool is gone, and with it what was meant for it: it is told everything when it is
    /// back. The table stays, and goes on.
    pub fn handle_detached(&mut self, now: Instant) {
        let now = self.clock(now);
        self.attached = false;
        self.audit.running = None;
        self.walks.retain(|(walk, _)| *walk != Walk::Reinject);
        self.doubtful.clear();
        self.ledger.forget_injections();
        self.hello.at_once(now);
    }

    /// A run of records that our own Jool emitted.
    pub fn handle_local(&mut self, now: Instant, run: &[u8]) {
        let now = self.clock(now);
        let Some(jool) = &self.jool else { return };
        let Self {
            ledger,
            counters,
            read,
            ..
        } = self;
        read.clear();
        let late = self.hello.late(now);
        parse_run(run, &jool.pool6, |record| {
            counters.local_records += 1;
            match record {
                Ok(session) => {
                    let session = session.after(late);
                    read.push(Record {
                        session,
                        at: ledger.stamp(now, &session),
                        place: Place::NEXT,
                    });
                }
                Err(reason) => counters.local_rejects.count(reason),
            }
        });
        for records in read.chunks(TOGETHER) {
            for (record, key) in records.iter().zip(ledger.keys(records)) {
                if !ledger.local(now, key, record) {
                    counters.coalesced += 1;
                }
            }
        }
    }

    /// Sends in this format from now on, or in that of our own Jool.
    pub fn set_format(&mut self, format: Option<Format>) {
        self.settings.format = format;
    }

    fn instant(&self, now: u64) -> Instant {
        self.start + Duration::from_millis(now.saturating_sub(EPOCH))
    }

    /// Whether records wait for another look at pool4: it may have been changed just now.
    pub fn has_doubts(&self) -> bool {
        !self.doubtful.is_empty()
    }

    /// Pool4 has been looked at again, and [`Engine::handle_attached`] knows it: what waited for
    /// that is taken, or refused.
    pub fn settle_doubts(&mut self) {
        let Some(jool) = &self.jool else { return };
        for slot in self.doubtful.drain(..).map(Slot) {
            let Some(entry) = self.ledger.table.get(slot) else {
                continue;
            };
            if jool.pool4.masks(&entry.id) {
                self.ledger.inject_again(slot);
            } else {
                self.counters.received_rejects.count(Reject::Pool4);
            }
        }
    }

    /// When [`Engine::handle_timeout`] wants to be called; `None`: at once.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.walks.is_empty() {
            return None;
        }
        let mut next = self.hello.next.min(self.tick);
        for (_, log) in self.logs.iter() {
            next = next.min(log.due.unwrap_or(u64::MAX));
        }
        if let Some(scan) = &self.scan {
            next = next.min(scan.due);
        }
        Some(self.instant(next))
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock(now);
        self.step(now);
        self.hello.keep_time(now);
        if now >= self.tick {
            // What waits in our socket tells who is there.
            let stood_still = now >= self.tick + hello::INTERVAL;
            self.tick = now + hello::INTERVAL;
            if !stood_still {
                self.notice_absence(now);
            }
            if std::mem::take(&mut self.ledger.is_contradicted) {
                self.look_soon(now);
            }
            if self.ledger.lacks_given_up && self.ledger.has_room() {
                self.ledger.lacks_given_up = false;
                self.gave_up(now);
                self.handle_loss();
                self.resync();
            }
            if now >= self.lost_since + u64::from(self.ledger.timeouts().longest()) {
                // No session lives for so long without a packet.
                self.lost.clear();
            }
            // The whole table in some ten seconds.
            self.ledger.sweep(now, self.ledger.table.slots() / 40 + 64);
            if matches!(self.phase, Phase::Joined) && self.attached && now >= self.audit.due {
                self.audit.due = now + AUDIT_INTERVAL_BLIND;
                self.audit.wanted = true;
            }
        }
        self.recover(now);
        self.join(now);
    }

    /// Writes the next datagram for the other nodes; `None` when there is none.
    pub fn poll_transmit(&mut self, now: Instant, datagram: &mut Vec<u8>) -> Option<Transmit> {
        datagram.clear();
        let now = self.clock(now);
        if self.hello.take(now) {
            self.write_hello(now, datagram);
            self.counters.sent_hellos += 1;
            return Some(Transmit::Everyone);
        }
        if self.write_data(now, datagram) {
            return Some(Transmit::Everyone);
        }
        if let Phase::Ending {
            since,
            queued: true,
        } = self.phase
        {
            self.finish_join(now, since);
        }
        if let Some((to, request)) = self.requests.pop_front() {
            request.write(self.sender(now), datagram);
            self.counters.sent_requests += 1;
            return Some(Transmit::One(to));
        }
        self.write_replay(now, datagram).map(Transmit::One)
    }

    /// How our frames begin.
    fn sender(&self, now: u64) -> Sender {
        Sender {
            log: self.own,
            clock: self.ledger.clock.reading(now),
        }
    }

    /// A run of records and its trailer.
    fn write_data(&mut self, now: u64, datagram: &mut Vec<u8>) -> bool {
        let Some(jool) = &self.jool else { return false };
        let mut format = self.settings.format.unwrap_or(jool.format);
        if !format.can_express(&jool.pool6) {
            format = Format::Flat40;
        }
        let most = (MAX_FRAME - TRAILER) / (format.length() + AGE);
        let first = self.ring.last() + 1;
        self.ages.clear();
        while self.ages.len() < most {
            let seq = self.ring.last() + 1;
            let Some((slot, session, at)) = self.ledger.next_announcement(now, seq) else {
                break;
            };
            self.ring.push(slot.0, now);
            format.write(&session, &jool.pool6, datagram);
            self.ages.push(age(self.ledger.clock.at(now), at));
        }
        if self.ages.is_empty() {
            return false;
        }
        self.counters.sent_records += self.ages.len() as u64;
        Data::write(self.sender(now), first, &self.ages, datagram);
        true
    }

    /// Whether sessions wait for our own Jool, and may go there. When the daemon starts its Jool may
    /// know more than all others do, so that its table is read before it is told anything.
    pub fn has_injections(&self) -> bool {
        let has_read = !matches!(self.phase, Phase::Joining { dumped: false, .. });
        self.attached && has_read && self.ledger.injections() > 0
    }

    /// Writes the next run of records for our own Jool, at most [`MAX_RUN`] bytes; `false` when
    /// there is none.
    pub fn poll_inject(&mut self, now: Instant, run: &mut Vec<u8>) -> bool {
        run.clear();
        let now = self.clock(now);
        if !self.has_injections() {
            return false;
        }
        let Some(jool) = &self.jool else { return false };
        let format = jool.format;
        let expressible = format.can_express(&jool.pool6);
        // Pool4 may mask nothing of what waits.
        for _ in 0..MAX_DOUBTFUL {
            if run.len() + format.length() > MAX_RUN {
                break;
            }
            let Some((slot, session)) = self.ledger.next_injection(now, run.is_empty()) else {
                break;
            };
            if !jool.pool4.masks(&session.id) {
                if self.doubtful.len() < MAX_DOUBTFUL {
                    self.doubtful.push(slot.0);
                } else {
                    self.counters.received_rejects.count(Reject::Pool4);
                }
            } else if expressible {
                format.write(&session, &jool.pool6, run);
                self.counters.injected_records += 1;
            } else {
                self.counters.inexpressible += 1;
            }
        }
        !run.is_empty()
    }
}

/// How long before `clock` that was, in milliseconds. What is older than can be said is so old that no
/// session of that age is alive.
fn age(clock: Stamp, at: Stamp) -> u32 {
    let age = clock.since(at).max(0);
    u32::try_from(age).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
