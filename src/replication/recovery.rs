//! Getting what is missing: records that a datagram took with it, the time of a partition, or
//! everything.
//!
//! What is missing of the log of a node that is there, and was announced not too long ago, is asked
//! for by its places in that log. For everything else some node's table is read, slot by slot,
//! without what we have. A node that is new misses everything.

use std::time::Duration;

use super::ends::{Comparison, Reach};
use super::frame::{
    LogKey, MOST_RANGES, NEVER, Position, Progress, Replay, Request, Sender, Space,
};
use super::ledger::{Outcome, Way};
use super::logs::Log;
use super::nodes::Node;
use super::ranges::Ranges;
use super::receive::clamp;
use super::record::{OWN, Place, Record};
use super::status::State;
use super::walk::Walk;
use super::{Engine, Event, Phase};

/// A hole younger than this may be filled by what is only late, in milliseconds.
const TOLERANCE: u64 = 10;
/// When a question is asked again, in milliseconds; doubled each time.
const RETRY: u64 = 25;
const LONGEST_RETRY: u64 = 400;
/// How long a node that is new listens for others: three hellos, in milliseconds.
const LISTEN: u64 = 750;
/// How long something is missing that nobody has before it is given up, in milliseconds.
const GIVE_UP: u64 = 3_000;
/// How soon after a look that led to nothing there is another, in milliseconds.
const LATER: u64 = 100;
/// The same for what was given up, in milliseconds.
const SELDOM: u64 = 1_000;
/// Nodes whose lost records are told of one by one.
const MOST_LOST: usize = 32;
/// How many questions about a table may stay without an answer.
const TRIES: u32 = 8;

/// The reading of another node's table.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) donor: LogKey,
    token: u32,
    /// What need not be told; none: everything is to be.
    since: Vec<Position>,
    /// What is known when the reading is complete: how far the donor was before it began.
    reaches: Vec<Reach>,
    /// For how long the donor said that it may lack something, in milliseconds.
    lacks: u32,
    /// Slots that have not been read.
    missing: Ranges,
    /// Slots that the donor has.
    pub(super) slots: u64,
    /// When the next question is asked.
    pub(super) due: u64,
    tries: u32,
    pub(super) records: u64,
    pub(super) began: u64,
    /// What the donor has no longer has ended.
    finds_ended: bool,
}

/// What is read of another node's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// What is beyond our positions.
    Missing,
    /// Everything.
    Whole,
}

impl Scan {
    /// How much of the donor's table has been read.
    pub(super) fn percent(&self) -> u8 {
        if self.slots == 0 {
            return 0;
        }
        let missing: u64 = self
            .missing
            .iter()
            .filter(|&(from, _)| from < self.slots)
            .map(|(from, to)| to.min(self.slots - 1) - from + 1)
            .sum();
        u8::try_from(100 - (missing * 100).div_ceil(self.slots)).unwrap_or(0)
    }
}

/// Has something done about what is missing of a log.
pub(super) fn schedule(log: &mut Log, now: u64) {
    if log.missing.is_empty() {
        log.due = None;
        log.tries = 0;
        log.hopeless_since = None;
        log.given_up = false;
    } else if log.due.is_none() {
        log.due = Some(now + TOLERANCE);
    }
}

/// Never 0.
fn next_token(last: &mut u32) -> u32 {
    *last = last.wrapping_add(1).max(1);
    *last
}

fn back_off(tries: u32) -> u64 {
    (RETRY << tries.min(8)).min(LONGEST_RETRY)
}

/// How good a donor a node is; `None`: none.
pub(super) fn worth(node: &Node) -> Option<u8> {
    let hello = &node.hello;
    match State::of(hello.state)? {
        State::Synced | State::Alone => Some(3),
        State::Degraded => Some(2),
        State::Joining => Some(1),
        State::Waiting => (hello.sessions > 0).then_some(2),
    }
}

/// Whether a node says that it is so far in a log.
fn has(node: &Node, Position { log, seq }: Position) -> bool {
    let mut positions = node.hello.logs.iter().map(|log| log.position);
    positions.any(|position| position.log == log && position.seq >= seq)
        || (node.key == log && node.hello.last >= seq)
}

impl Engine {
    /// Does what is due about everything that is missing.
    pub(super) fn recover(&mut self, now: u64) {
        for index in self.logs.indexes() {
            if self
                .logs
                .get(index)
                .is_some_and(|log| log.due.is_some_and(|due| due <= now))
            {
                self.recover_log(now, index);
            }
        }
        self.go_on_with_scan(now);
        let nodes = &self.nodes;
        let is_gone = |comparison: &Comparison| {
            !comparison.is_confirmed && nodes.present(comparison.donor).is_none()
        };
        if self.comparison.as_ref().is_some_and(is_gone) {
            self.comparison = None;
        }
        if self.scan.is_none() && matches!(self.phase, Phase::Joined) && self.comparison.is_none() {
            if now >= self.next_comparison
                && let Some(donor) = self.who_knows_ends()
            {
                self.begin_scan(now, donor, Reading::Whole);
            } else if let Some(donor) = self.who_kept_what_was_skipped(now) {
                self.begin_scan(now, donor, Reading::Whole);
            } else if (self.resync_wanted || !self.lost.is_empty())
                && let Some(donor) = self.best_donor(2)
            {
                // What is lost may be with somebody who is back.
                self.resync_wanted = false;
                self.begin_scan(now, donor, Reading::Whole);
            }
        }
    }

    /// A node that lacks nothing, and has some of what was taken for had though its donor may have
    /// lacked it.
    fn who_kept_what_was_skipped(&mut self, now: u64) -> Option<LogKey> {
        if !self.skipped.is_empty() && !self.may_lack(now) {
            // None of it is alive.
            self.skipped.clear();
        }
        let has_some = |node: &&Node| self.skipped.iter().any(|skipped| has(node, *skipped));
        let mut nodes = self.nodes.all_present().filter(has_some);
        let kept_all = |node: &&Node| self.is_like_ours(node) && self.helps(node);
        nodes.find(kept_all).map(|node| node.key)
    }

    fn recover_log(&mut self, now: u64, index: u16) {
        let Some(log) = self.logs.get_mut(index) else {
            return;
        };
        let key = log.key;
        if log.missing.is_empty() {
            log.due = None;
            return;
        }
        // What a reading of a table will bring is not asked for as well.
        let is_scanning = self.scan.is_some();
        let reaches = self.scan.iter().flat_map(|scan| &scan.reaches);
        let brought = reaches.into_iter().find(|reach| reach.position.log == key);
        let brought = brought.map_or(0, |reach| reach.position.seq);
        let is_joining = !matches!(self.phase, Phase::Joined);
        let origin = self.nodes.present(key).map(|node| node.address);
        if let Some(address) = origin
            && (log.is_recent() || is_scanning)
        {
            let ranges: Vec<_> = log
                .missing
                .iter()
                .filter(|&(_, to)| to > brought)
                .map(|(from, to)| (from.max(brought + 1), to))
                .take(MOST_RANGES)
                .collect();
            if ranges.is_empty() || (is_joining && !is_scanning) {
                log.due = Some(now + LATER);
                return;
            }
            let tries = log.tries;
            log.tries += 1;
            log.due = Some(now + back_off(tries));
            log.hopeless_since = None;
            log.given_up = false;
            if log.token == 0 {
                log.token = next_token(&mut self.last_token);
            }
            let token = log.token;
            let request = Request {
                to: key,
                token,
                space: Space::Log,
                ranges,
                since: Vec::new(),
            };
            self.ask(address, request);
            return;
        }
        log.due = Some(now + LATER);
        if is_joining || is_scanning {
            return;
        }
        let have = log.have();
        if let Some(donor) = self.who_has_more(key, have) {
            self.begin_scan(now, donor, Reading::Missing);
            return;
        }
        // Each of them may have some of it.
        if let Some(donor) = self.unread(index) {
            self.begin_scan(now, donor, Reading::Missing);
            return;
        }
        self.consider_giving_up(now, index);
    }

    /// A node that is there and whose table has not been read for what is missing of a log.
    fn unread(&self, index: u16) -> Option<LogKey> {
        let log = self.logs.get(index)?;
        let donors = self.nodes.all_present().filter(|node| {
            worth(node) >= Some(2) && self.helps(node) && !log.read.contains(&node.key)
        });
        let best = donors.max_by_key(|node| self.kept_all(node));
        best.map(|node| node.key)
    }

    /// A node that is there and has more of a log than we.
    fn who_has_more(&self, key: LogKey, have: u64) -> Option<LogKey> {
        let more = Position {
            log: key,
            seq: have + 1,
        };
        let has_more = |node: &&Node| has(node, more);
        let have_it = self.nodes.all_present().filter(has_more);
        let best = have_it.max_by_key(|node| (self.helps(node), self.kept_all(node)));
        best.map(|node| node.key)
    }

    /// Whether a node answered when it was last asked for its table.
    pub(super) fn helps(&self, node: &Node) -> bool {
        Some(node.key) != self.unhelpful
    }

    /// Nobody who is there has it.
    fn consider_giving_up(&mut self, now: u64, index: u16) {
        let Some(log) = self.logs.get_mut(index) else {
            return;
        };
        if log.given_up {
            log.due = Some(now + SELDOM);
            return;
        }
        if !log.heard {
            // Those who heard its node have looked for that, and told.
            self.give_up(index);
            return;
        }
        let since = *log.hopeless_since.get_or_insert(now);
        let (key, records) = (log.key, log.missing.len());
        let newer = self.nodes.find(key.node).filter(|node| node.present);
        if let Some(newer) = newer.filter(|node| node.key != key) {
            // The node itself is back. What its Jool has, and whoever it joined had not, is in its
            // new log by the time it is synced.
            let state = State::of(newer.hello.state);
            let has_joined = matches!(state, Some(State::Synced | State::Alone | State::Degraded));
            let told = newer.hello.last;
            let log = self
                .logs
                .find(newer.key)
                .and_then(|index| self.logs.get(index));
            if has_joined && log.is_some_and(|log| log.have() >= told) {
                self.give_up(index);
                return;
            }
            if now < since + 10 * GIVE_UP {
                return;
            }
        }
        if now >= since + GIVE_UP {
            self.give_up(index);
            self.lost_since = now;
            self.counters.lost_records += records;
            let others = self.lost.len();
            match self.lost.iter_mut().find(|(node, _)| *node == key.node) {
                Some((_, lost)) => *lost += records,
                None if others < MOST_LOST => self.lost.push((key.node, records)),
                None => {}
            }
            let name = self.name_of(key.node);
            self.tell(Event::Lost { name, records });
        }
    }

    fn give_up(&mut self, index: u16) {
        if let Some(log) = self.logs.get_mut(index) {
            log.given_up = true;
            log.hopeless_since = None;
        }
    }

    /// The best of the nodes that are there, if it is worth at least so much.
    fn best_donor(&self, least: u8) -> Option<LogKey> {
        let worths = self
            .nodes
            .all_present()
            .filter_map(|node| Some((worth(node)?, node)));
        worths
            .filter(|(worth, _)| *worth >= least)
            .max_by_key(|(worth, node)| {
                let sessions = node.hello.sessions;
                let (has_joined, kept_all) = (*worth > 1, self.kept_all(node));
                (
                    self.helps(node),
                    has_joined,
                    kept_all,
                    *worth,
                    sessions,
                    node.key,
                )
            })
            .map(|(_, node)| node.key)
    }

    /// Begins to read another node's table: what is beyond our positions, or everything.
    fn begin_scan(&mut self, now: u64, donor: LogKey, what: Reading) {
        let Some(node) = self.nodes.present(donor) else {
            return;
        };
        let reach = |log: &Progress| Reach {
            position: log.position,
            complete: (log.age != NEVER).then(|| node.said.minus(u64::from(log.age))),
        };
        let mut reaches: Vec<_> = node.hello.logs.iter().map(reach).collect();
        reaches.push(Reach {
            position: Position {
                log: donor,
                seq: node.hello.last,
            },
            complete: Some(node.said),
        });
        let mut since = Vec::new();
        if what == Reading::Missing {
            since.push(Position {
                log: self.own,
                seq: self.ring.last(),
            });
            since.extend(self.logs.positions());
        }
        let finds_ended = what != Reading::Missing
            && matches!(self.phase, Phase::Joined)
            && self.is_like_ours(node);
        if finds_ended {
            self.ledger.begin_comparison();
        }
        let mut missing = Ranges::default();
        missing.insert(0, u64::from(u32::MAX));
        self.scan = Some(Scan {
            donor,
            token: next_token(&mut self.last_token),
            since,
            reaches,
            lacks: 0,
            missing,
            slots: 0,
            due: now,
            tries: 0,
            records: 0,
            began: now,
            finds_ended,
        });
        self.go_on_with_scan(now);
    }

    /// Asks for more of a table, or for what was lost of it; or gives it up.
    fn go_on_with_scan(&mut self, now: u64) {
        let Some(scan) = &mut self.scan else { return };
        let Some(donor) = self.nodes.present(scan.donor) else {
            self.abandon_scan();
            return;
        };
        if scan.due > now {
            return;
        }
        if scan.tries >= TRIES {
            self.unhelpful = Some(scan.donor);
            self.abandon_scan();
            return;
        }
        scan.due = now + back_off(scan.tries);
        scan.tries += 1;
        let request = Request {
            to: scan.donor,
            token: scan.token,
            space: Space::Table,
            ranges: scan.missing.iter().take(MOST_RANGES).collect(),
            since: scan.since.clone(),
        };
        let address = donor.address;
        self.ask(address, request);
    }

    /// The donor is gone. What came is good all the same; another one is looked for.
    fn abandon_scan(&mut self) {
        if let Some(scan) = self.scan.take()
            && scan.since.is_empty()
        {
            match self.phase {
                Phase::Joined => self.resync_wanted = true,
                _ => self.has_several_donors |= scan.records > 0,
            }
        }
        self.ledger.release_backlog();
    }

    pub(super) fn handle_replay(&mut self, now: u64, from: Sender, replay: &Replay<'_>) {
        let Sender { log: from, clock } = from;
        if replay.to != self.own.node {
            return;
        }
        let index = self.logs.find(from);
        let way = match replay.space {
            Space::Log => {
                let log = index.and_then(|index| self.logs.get(index));
                if log.is_none_or(|log| log.token == 0 || log.token != replay.token) {
                    return;
                }
                Way::AtOnce
            }
            Space::Table => {
                let scan = self.scan.as_ref();
                if scan.is_none_or(|scan| scan.donor != from || scan.token != replay.token) {
                    return;
                }
                Way::Transferred
            }
        };
        let node = self.nodes.find_mut(from.node);
        let Some(node) = node.filter(|node| node.key == from) else {
            return;
        };
        let waited = self.hello.late(now);
        let clock = self.ledger.clock.hear(now, clock, waited, &mut node.met);
        if self.unhelpful == Some(from) {
            self.unhelpful = None;
        }
        let changed = self.counters.changed();
        let has_kept_all = matches!(self.phase, Phase::Joined) && !self.may_lack(now);
        for record in replay.records() {
            let record = match record {
                Ok(record) => record,
                Err(reason) => {
                    self.counters.received_rejects.count(reason);
                    continue;
                }
            };
            self.counters.recovered_records += 1;
            let record = Record {
                session: clamp(&record.session, &self.ledger, &mut self.counters),
                at: clock.minus(u64::from(record.age)),
                place: self.place(now, record.place),
            };
            let key = self.ledger.table.key(&record.session.id);
            if has_kept_all
                && self.counters.changed() == changed
                && self.had(record.place)
                && !self.ledger.has(now, key, &record.session.id)
            {
                // It has ended.
                self.counters.count(Outcome::Expired);
                continue;
            }
            let outcome = self.ledger.received(now, key, &record, way, &self.logs);
            self.counters.count(outcome);
            if let Some(scan) = self.scan.as_mut().filter(|_| way == Way::Transferred) {
                scan.records += 1;
                // What the donor's position does not cover.
                let log = self.logs.get_mut(record.place.log);
                if let Some(log) = log.filter(|_| matches!(self.phase, Phase::Joined)) {
                    log.missing.remove(record.place.seq, record.place.seq);
                }
            }
        }
        if self.counters.changed() > changed {
            self.now_lacks(now);
        }
        let (first, last) = replay.covers;
        match replay.space {
            Space::Log => {
                let Some(log) = index.and_then(|index| self.logs.get_mut(index)) else {
                    return;
                };
                let before = log.missing.len();
                if log.missing.remove(first, last) {
                    self.counters.repaired_records += before.saturating_sub(log.missing.len());
                    log.tries = 0;
                    log.due = Some(now + if replay.is_last { 0 } else { RETRY });
                }
                schedule(log, now);
                self.may_lack_for(now, replay.lacks);
            }
            Space::Table => {
                let Some(scan) = &mut self.scan else { return };
                scan.slots = replay.slots;
                scan.lacks = scan.lacks.max(replay.lacks);
                if scan.missing.remove(first, last) {
                    scan.tries = 0;
                    scan.due = now + if replay.is_last { 0 } else { RETRY };
                }
                if scan.missing.is_empty() {
                    self.finish_scan(now);
                }
            }
        }
    }

    /// Our number for a place that another node named.
    fn place(&mut self, now: u64, place: Option<(LogKey, u64)>) -> Place {
        let Some((key, seq)) = place else {
            return Place::UNLOGGED;
        };
        if key == self.own {
            return Place { log: OWN, seq };
        }
        let log = self.log_of(now, key);
        log.map_or(Place::UNLOGGED, |log| Place { log, seq })
    }

    fn finish_scan(&mut self, now: u64) {
        let Some(scan) = self.scan.take() else { return };
        for index in self.logs.indexes() {
            if let Some(log) = self.logs.get_mut(index) {
                log.was_read(scan.donor);
                schedule(log, now);
            }
        }
        let mut skipped = Vec::new();
        for Reach { position, complete } in &scan.reaches {
            if position.log == self.own || (position.seq == 0 && complete.is_none()) {
                continue;
            }
            let index = self.log_of(now, position.log);
            if let Some(log) = index.and_then(|index| self.logs.get_mut(index)) {
                let had = log.have();
                log.came(1, position.seq);
                let is_further = log.have() > had;
                if is_further {
                    skipped.push(*position);
                }
                log.tries = 0;
                if log.missing.is_empty() {
                    schedule(log, now);
                } else {
                    let is_asked = log.is_recent() && self.nodes.present(log.key).is_some();
                    let brought = is_further || scan.records > 0 || is_asked;
                    log.due = Some(now + if brought { 0 } else { LATER });
                }
            }
        }
        let donor = self.nodes.present(scan.donor);
        let is_alike = donor.is_some_and(|donor| self.has_our_settings(donor));
        let lacks = if is_alike { scan.lacks } else { u32::MAX };
        if lacks == 0 && scan.since.is_empty() {
            let is_further = |reach: &Reach, skipped: &Position| {
                reach.position.log == skipped.log && reach.position.seq >= skipped.seq
            };
            let reaches = &scan.reaches;
            self.skipped
                .retain(|skipped| !reaches.iter().any(|reach| is_further(reach, skipped)));
        } else if lacks > 0 && !skipped.is_empty() {
            // What the donor did not keep counts as had here, too, until somebody tells who did.
            self.may_lack_for(now, lacks);
            self.skipped
                .retain(|known| !skipped.iter().any(|new| new.log == known.log));
            self.skipped.append(&mut skipped);
        }
        if !matches!(self.phase, Phase::Joined) && !self.has_several_donors {
            self.knows_ends_of(&scan.reaches);
        }
        for node in self.nodes.iter_mut() {
            // Its next hello tells.
            node.knows_ends = false;
        }
        self.ledger.release_backlog();
        self.counters.transfers += 1;
        if scan.finds_ended {
            // It takes no more than a small part of the time.
            self.next_comparison = now + 8 * (now - scan.began);
            self.comparison = Some(Comparison {
                donor: scan.donor,
                reached: self.reached(&scan.reaches),
                reaches: scan.reaches,
                over: self.ledger.clock.at(now),
                is_confirmed: false,
                ended: 0,
            });
        }
        if scan.since.is_empty() {
            self.lost.clear();
        }
        if let Phase::Joining { transferred, .. } = &mut self.phase {
            *transferred = true;
            self.audit.last_donor = Some((scan.donor.node, scan.records));
        } else {
            if scan.records == 0 && !scan.since.is_empty() {
                return;
            }
            let donor = self.name_of(scan.donor.node);
            self.tell(Event::CaughtUp {
                donor,
                records: scan.records,
                took: Duration::from_millis(now - scan.began),
            });
        }
    }

    /// Goes on with finding out what the others know.
    pub(super) fn join(&mut self, now: u64) {
        let Phase::Joining {
            since,
            dumped,
            mut transferred,
        } = self.phase
        else {
            return;
        };
        if !transferred && self.scan.is_none() {
            let has_listened = now >= since + LISTEN;
            // Another one that is new, or lacks something, knows less than those that may not have been
            // heard yet.
            let donor = self.best_donor(if has_listened { 1 } else { 3 });
            let is_good = |donor: &LogKey| {
                let donor = self.nodes.present(*donor);
                has_listened || donor.is_some_and(|donor| self.kept_all(donor))
            };
            if let Some(donor) = donor.filter(is_good) {
                self.begin_scan(now, donor, Reading::Whole);
            } else if has_listened {
                transferred = true;
            }
        }
        self.phase = Phase::Joining {
            since,
            dumped,
            transferred,
        };
        if dumped && transferred && self.audit.running.is_none() {
            let walk = if self.nodes.all_present().next().is_some() {
                Walk::AnnounceAdopted
            } else {
                Walk::OwnAdopted
            };
            self.walks.push_back((walk, 0));
            self.phase = Phase::Ending {
                since,
                queued: false,
            };
        }
    }

    /// What only our own Jool had has left, too.
    pub(super) fn finish_join(&mut self, now: u64, since: u64) {
        self.phase = Phase::Joined;
        let donor = self.audit.last_donor.take();
        self.hello.at_once(now);
        self.tell(Event::Joined {
            donor: donor.map(|(node, _)| self.name_of(node)),
            records: donor.map_or(0, |(_, records)| records),
            took: Duration::from_millis(now - since),
        });
    }
}
