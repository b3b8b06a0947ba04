//! What an answer brings. Everybody hears it, and what is true for all is taken by all.

use crate::replication::group::{Group, Node, Question, Ranges};
use crate::replication::store::{HORIZON, OWN, Outcome, Place, Record, Way};
use crate::replication::wire::{LogKey, Replay, Sender, Space};

use super::scan::Read;
use super::{Around, Repair, TOLERANCE};

/// More frames than that are not asked for at once.
const MOST_HOLES: usize = 256;
/// No way is longer, in milliseconds.
const LONGEST_TRIP: u64 = 10_000;

/// What an answer led to.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// A table has been read.
    pub(crate) read: Option<Read>,
    /// Sessions that lived here, and have ended.
    pub(crate) ended: u64,
}

impl Repair {
    /// A part of an answer came: to us, or to another node.
    pub(crate) fn handle_replay(
        &mut self,
        now: u64,
        from: Sender,
        replay: &Replay<'_>,
        around: &mut Around<'_>,
    ) -> Heard {
        let mut heard = Heard::default();
        let index = around.group.logs.find(from.log);
        let way = match replay.head.space {
            Space::Log if self.is_missing(replay, index, around) => Way::AtOnce,
            Space::Table if self.is_of_scan(from, replay, around) => Way::Transferred,
            _ => return heard,
        };
        let Sender { clock, .. } = from;
        for replayed in replay.records() {
            let replayed = match replayed {
                Ok(replayed) => replayed,
                Err(reason) => {
                    around.counters.received_rejects.count(reason);
                    continue;
                }
            };
            around.counters.recovered_records += 1;
            let session = replayed.session.clamped(around.ledger.timeouts());
            around.counters.clamped += u64::from(session != replayed.session);
            let record = Record {
                session,
                at: clock.minus(u64::from(replayed.age)),
                place: place(now, replayed.place, around),
            };
            let key = around.ledger.table.key(&session.id);
            let logs = around.group.logs.keys();
            let outcome = around.ledger.received(now, key, &record, way, logs);
            around.counters.count(outcome);
            heard.ended += u64::from(outcome == Outcome::Ended);
            if way == Way::Transferred {
                self.was_transferred(now, &record, outcome, around);
            }
        }
        match index.filter(|_| way == Way::AtOnce) {
            Some(index) => self.has_come(now, index, replay, around),
            None => heard.read = self.has_been_read(now, replay, around),
        }
        heard
    }

    /// Whether an answer by place is of what is missing here.
    fn is_missing(&self, replay: &Replay<'_>, index: Option<u16>, around: &Around<'_>) -> bool {
        let log = index.and_then(|index| around.group.logs.get(index));
        let is_ours = |token| token == replay.head.token && replay.head.to == around.group.own.node;
        let (first, last) = replay.head.covers;
        log.is_some_and(|log| {
            log.missing.has_any(first, last) && (is_ours(log.token) || !around.is_joining)
        })
    }

    /// Whether an answer is of the table that is being read: ours, or another's who wants all of it.
    fn is_of_scan(&self, from: Sender, replay: &Replay<'_>, around: &Around<'_>) -> bool {
        let head = &replay.head;
        let Some(scan) = self.scan.as_ref().filter(|scan| scan.donor == from.log) else {
            return false;
        };
        let is_ours = head.to == around.group.own.node && head.token == scan.token;
        let is_later = from.clock.since(scan.said) >= 0;
        let (first, last) = head.covers;
        is_ours || (head.is_whole && is_later && scan.missing.has_any(first, last))
    }

    /// A record came with a table. What the donor's position does not cover has come all the same.
    fn was_transferred(
        &mut self,
        now: u64,
        record: &Record,
        outcome: Outcome,
        around: &mut Around<'_>,
    ) {
        if let Some(scan) = &mut self.scan {
            scan.records += 1;
            scan.taken += u64::from(matches!(outcome, Outcome::Taken | Outcome::Ended));
            // What is about to expire may have expired here.
            let lives = record.session.lifetime > HORIZON;
            let is_news = (outcome == Outcome::Taken && lives) || outcome == Outcome::Ended;
            scan.differed += u64::from(is_news && scan.is_overdue(record.at));
        }
        let Place { log, seq } = record.place;
        if let Some(log) = around
            .group
            .logs
            .get_mut(log)
            .filter(|_| !around.is_joining)
        {
            log.missing.remove(seq, seq);
            log.schedule(now);
        }
    }

    /// What is missing of a log, or some of it, is here.
    fn has_come(&mut self, now: u64, index: u16, replay: &Replay<'_>, around: &mut Around<'_>) {
        let head = &replay.head;
        let (first, last) = head.covers;
        let trip = trip(now, replay, around);
        let Group {
            own, nodes, logs, ..
        } = &mut *around.group;
        let Some(log) = logs.get_mut(index) else {
            return;
        };
        let Some(node) = nodes.run_mut(log.key) else {
            return;
        };
        let before = log.missing.len();
        log.missing.remove(first, last);
        around.counters.repaired_records += before.saturating_sub(log.missing.len());
        log.question.came();
        if head.to == own.node && head.token == log.token {
            node.answered(replay.length(), trip.filter(|_| log.tries > 0));
            note_end(replay, trip, &log.missing, &mut log.question);
        }
        log.tries = 0;
        log.due = Some(now + pause(node, &mut log.question, &log.missing));
        log.schedule(now);
    }

    /// A part of a table is here.
    fn has_been_read(
        &mut self,
        now: u64,
        replay: &Replay<'_>,
        around: &mut Around<'_>,
    ) -> Option<Read> {
        let head = &replay.head;
        let (first, last) = head.covers;
        let trip = trip(now, replay, around);
        let scan = self.scan.as_mut()?;
        let node = around.group.nodes.run_mut(scan.donor)?;
        scan.slots = head.slots;
        let is_news = scan.missing.remove(first, last);
        if is_news {
            scan.question.came();
        }
        if head.to == around.group.own.node && head.token == scan.token {
            node.answered(replay.length(), trip.filter(|_| scan.tries > 0));
            if is_news {
                note_end(replay, trip, &scan.missing, &mut scan.question);
            }
        }
        if is_news {
            scan.tries = 0;
            scan.due = now + pause(node, &mut scan.question, &scan.missing);
        }
        if scan.missing.is_empty() {
            return self.finish_scan(now, around);
        }
        None
    }
}

/// How long after the question an answer comes, in milliseconds; `None`: the clock was set meanwhile.
fn trip(now: u64, replay: &Replay<'_>, around: &Around<'_>) -> Option<u64> {
    let asked = around.ledger.clock.when(replay.head.asked);
    now.checked_sub(asked).filter(|trip| *trip < LONGEST_TRIP)
}

/// If this frame, which brings something, is the last of the answer, it is known how much was to come.
fn note_end(replay: &Replay<'_>, trip: Option<u64>, missing: &Ranges, question: &mut Question) {
    let head = &replay.head;
    if head.is_last {
        let (_, last) = head.covers;
        let holes = missing.iter().take_while(|(from, _)| *from <= last);
        let holes = holes.take(MOST_HOLES).count();
        question.came_to_its_end(last, trip.unwrap_or(0), holes);
    }
}

/// How long to wait for more of an answer, in milliseconds.
fn pause(node: &mut Node, question: &mut Question, missing: &Ranges) -> u64 {
    match question.end() {
        None => node.retry(0),
        Some(last) if missing.first().is_some_and(|first| first <= last) => TOLERANCE,
        Some(_) => {
            node.came_whole(question);
            0
        }
    }
}

/// Our numbers for a place that another node named.
fn place(now: u64, place: Option<(LogKey, u64)>, around: &mut Around<'_>) -> Place {
    let Some((key, seq)) = place else {
        return Place::UNLOGGED;
    };
    if key == around.group.own {
        return Place { log: OWN, seq };
    }
    let log = around.group.log_of(now, key, false, around.ledger);
    log.map_or(Place::UNLOGGED, |log| Place { log, seq })
}
