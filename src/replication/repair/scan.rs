//! The reading of another node's table, slot by slot.

use std::time::Duration;

use crate::replication::event::Event;
use crate::replication::group::{Group, Question, Ranges};
use crate::replication::store::{Buckets, STOCK_DELAY};
use crate::replication::wire::{LogKey, MOST_LOGS, Position, Request, Space};
use crate::session::Stamp;

use super::missing::LATER;
use super::{Around, Repair, TRIES};

/// How long a record may have been under way that tells of a hole, in milliseconds.
const SLACK: u64 = 1_000;

/// The reading of another node's table.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) donor: LogKey,
    pub(super) token: u32,
    /// What need not be told; none: everything is to be.
    since: Vec<Position>,
    /// What is in no log need not be told either if it is from before this moment.
    after: Stamp,
    /// What is in other buckets need not be told either.
    buckets: Option<Box<Buckets>>,
    /// Sessions that were not here, or in another state, though they have been so for a while.
    pub(super) differed: u64,
    /// What is known when the reading is complete: how far the donor was before it began.
    reaches: Vec<Position>,
    /// When the donor said so, on the clock that the nodes share.
    pub(super) said: Stamp,
    /// Slots that have not been read.
    pub(super) missing: Ranges,
    /// Slots that the donor has.
    pub(super) slots: u64,
    /// When the next question is asked.
    pub(super) due: u64,
    pub(super) tries: u32,
    pub(super) question: Question,
    pub(crate) records: u64,
    /// Of those, the ones that were not known here.
    pub(super) taken: u64,
    began: u64,
}

/// The last whole table that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastWhole {
    pub(crate) donor: LogKey,
    pub(crate) records: u64,
    /// Of those, the ones that were not known here.
    pub(crate) taken: u64,
    /// When it began and ended, in milliseconds on the engine's clock.
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// What is read of another node's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// What is beyond our positions.
    Missing,
    /// Everything.
    Whole,
    /// What is in these buckets, whose sums differ from ours.
    Differing(Box<Buckets>),
}

/// A table has been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(crate) donor: LogKey,
    pub(crate) records: u64,
}

impl Scan {
    /// How much of the donor's table has been read.
    pub(crate) fn percent(&self) -> u8 {
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

    pub(super) fn due(&self) -> u64 {
        self.due
    }

    /// Whether it reads everything.
    pub(super) fn is_whole(&self) -> bool {
        self.since.is_empty() && self.buckets.is_none()
    }

    /// Whether it reads what differs.
    pub(super) fn is_of_some(&self) -> bool {
        self.buckets.is_some()
    }

    /// Whether what was active then should have come before it was read.
    pub(super) fn is_overdue(&self, at: Stamp) -> bool {
        let buckets = self.buckets.as_ref();
        buckets.is_some_and(|buckets| buckets.key.since(at) > 0)
    }

    /// Up to which place of a log it will bring everything.
    pub(super) fn reach(&self, log: LogKey) -> u64 {
        let reach = self.reaches.iter().find(|reach| reach.log == log);
        reach.map_or(0, |reach| reach.seq)
    }
}

/// When nothing was missing yet of what is missing now. What a stock peer told since may have replaced some of
/// it.
fn after(now: u64, around: &Around<'_>) -> Stamp {
    let lacking = around.group.logs.iter().filter(|(_, log)| log.lacks());
    let whole = lacking.map(|(_, log)| log.whole_at).min();
    let clock = &around.ledger.clock;
    clock.at(whole.unwrap_or(now)).minus(STOCK_DELAY + SLACK)
}

impl Repair {
    /// Begins to read another node's table: what is beyond our positions, or everything.
    pub(crate) fn begin_scan(
        &mut self,
        now: u64,
        donor: LogKey,
        what: Reading,
        around: &mut Around<'_>,
    ) {
        let Some(node) = around.group.nodes.present(donor) else {
            return;
        };
        let mut reaches: Vec<_> = node.hello.logs.iter().map(|log| log.position).collect();
        reaches.push(Position {
            log: donor,
            seq: node.hello.last,
        });
        let said = node.said;
        let mut since = Vec::new();
        if what == Reading::Missing {
            let own = Position {
                log: around.group.own,
                seq: around.own_last,
            };
            let known = around.group.logs.positions();
            since.push(own);
            // What the donor has not said it has, it has little of.
            let is_meant = |known: &Position| reaches.iter().any(|reach| reach.log == known.log);
            since.extend(known.filter(is_meant).take(MOST_LOGS - 1));
        }
        let mut missing = Ranges::default();
        missing.insert(0, u64::from(u32::MAX));
        let buckets = match what {
            Reading::Differing(buckets) => Some(buckets),
            Reading::Missing | Reading::Whole => None,
        };
        if buckets.is_some() {
            // It brings nothing of which we say that we have it.
            reaches.clear();
        }
        self.scan = Some(Scan {
            donor,
            token: self.questions.token(),
            since,
            after: after(now, around),
            buckets,
            differed: 0,
            reaches,
            said,
            missing,
            slots: 0,
            due: now,
            tries: 0,
            question: Question::default(),
            records: 0,
            taken: 0,
            began: now,
        });
        self.go_on_with_scan(now, around);
    }

    /// Asks for more of a table, or for what was lost of it; or gives it up.
    pub(super) fn go_on_with_scan(&mut self, now: u64, around: &mut Around<'_>) {
        let Some(scan) = &mut self.scan else { return };
        let Group {
            nodes, overhead, ..
        } = &mut *around.group;
        let node = nodes.run_mut(scan.donor).filter(|node| node.present);
        let Some(node) = node else {
            self.abandon_scan(around);
            return;
        };
        if scan.due > now {
            return;
        }
        node.is_asked(scan.tries, usize::MAX, &mut scan.question);
        if scan.tries >= TRIES {
            self.abandon_scan(around);
            return;
        }
        scan.due = now + node.retry(scan.tries);
        scan.tries += 1;
        let room = node.takes() - *overhead;
        let most = Request::most_ranges(room);
        let ranges = scan.missing.iter().take(most);
        // Of a log that does not fit in everything is told.
        let since = scan.since.iter().take(Request::most_logs(room));
        let request = Request {
            to: scan.donor,
            token: scan.token,
            proof: node.hello.proof,
            space: Space::Table,
            length: u16::try_from(node.length()).unwrap_or(u16::MAX),
            frames: node.frames(),
            ranges: ranges.collect(),
            since: since.copied().collect(),
            after: scan.buckets.as_ref().map_or(scan.after, |some| some.key),
            buckets: scan.buckets.as_ref().map(|some| Box::new(some.bits)),
        };
        let address = node.address;
        self.questions.ask(address, request);
    }

    /// The donor is gone, or does not answer. What came is good all the same; another one is looked for.
    fn abandon_scan(&mut self, around: &mut Around<'_>) {
        if let Some(scan) = self.scan.take()
            && scan.is_whole()
            && !around.is_joining
        {
            self.resync_wanted = true;
        }
        around.ledger.release_backlog();
    }

    /// All of a table is here.
    pub(super) fn finish_scan(&mut self, now: u64, around: &mut Around<'_>) -> Option<Read> {
        let scan = self.scan.take()?;
        if scan.is_of_some() {
            self.differed = Some(scan.differed);
            around.ledger.release_backlog();
            return None;
        }
        for log in around.group.logs.iter_mut() {
            log.was_read(scan.donor);
            log.schedule(now);
        }
        for Position { log: key, seq } in &scan.reaches {
            if *key == around.group.own || *seq == 0 {
                continue;
            }
            let Group { nodes, .. } = &*around.group;
            let is_there = nodes.present(*key).is_some();
            let index = around.group.log_of(now, *key, false, around.ledger);
            let Some(log) = index.and_then(|index| around.group.logs.get_mut(index)) else {
                continue;
            };
            let had = log.have();
            log.came(now, 1, *seq);
            log.tries = 0;
            log.schedule(now);
            if !log.missing.is_empty() {
                let is_asked = log.is_recent() && is_there;
                let brought = log.have() > had || scan.records > 0 || is_asked;
                log.due = Some(now + if brought { 0 } else { LATER });
            }
        }
        around.ledger.release_backlog();
        around.counters.transfers += 1;
        if scan.is_whole() {
            self.lost.clear();
            self.last_whole = Some(LastWhole {
                donor: scan.donor,
                records: scan.records,
                taken: scan.taken,
                began: scan.began,
                ended: now,
            });
        }
        if !around.is_joining && (scan.records > 0 || scan.is_whole()) {
            around.events.tell(Event::CaughtUp {
                donor: around.group.name_of(scan.donor.node),
                records: scan.records,
                took: Duration::from_millis(now - scan.began),
            });
        }
        Some(Read {
            donor: scan.donor,
            records: scan.records,
        })
    }
}
