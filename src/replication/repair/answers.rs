//! Answers to what other nodes ask for. Nothing is kept between two questions: whatever is told
//! again is read from the table as it is.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;

use crate::replication::group::{Group, Ranges};
use crate::replication::store::{ADOPTED, Buckets, Ledger, OWN, OwnLog, RING, UNLOGGED, is_local};
use crate::replication::wire::{
    LogKey, ReplayHead, ReplayWriter, Replayed, Request, Sender, Space, age,
};
use crate::session::{Entry, Slot, Stamp};

/// Questions that are being answered.
const MOST: usize = 64;
/// Slots, or places in our log, that one frame looks at, whether or not there is something to tell.
const LOOKS: u64 = 4096;
/// With fewer bytes to go an answer ends.
const SMALL: usize = 150;
/// Frames that everybody heard which are remembered, so that who asked meanwhile is not told again.
const MOST_TOLD: usize = 512;

/// A question that is being answered.
#[derive(Debug)]
struct Answer {
    to: LogKey,
    address: SocketAddr,
    token: u32,
    space: Space,
    /// When it was asked, on the clock that the nodes share.
    asked: Stamp,
    /// Length of the frames.
    length: usize,
    /// What is still to be answered.
    ranges: Ranges,
    /// Of a table: what is left out.
    filter: Option<Filter>,
    /// Bytes that may still leave: a frame for a single record is a small one.
    budget: usize,
}

/// Up to which places whoever asked knows the logs.
#[derive(Debug)]
struct Since {
    own: u64,
    /// By our numbers of the logs.
    others: Vec<u64>,
    /// Of what is in no log, nothing from before this moment.
    after: Stamp,
}

impl Since {
    /// Whether a session is known to whoever asked.
    fn has(&self, place: Option<u64>, entry: &Entry) -> bool {
        match (place, entry.log) {
            // What is in no log may be what replaced something that is asked for.
            (None, _) => entry.announced.since(self.after) < 0,
            (Some(seq), OWN) => seq <= self.own,
            (Some(seq), log) => {
                let known = self.others.get(usize::from(log)).copied();
                seq <= known.unwrap_or(0)
            }
        }
    }
}

/// What is left out of an answer.
#[derive(Debug)]
enum Filter {
    /// What whoever asked has.
    Known(Since),
    /// What is in other buckets.
    Others(Box<Buckets>),
}

/// What everybody was told just now.
#[derive(Clone, Copy, Debug)]
struct Told {
    space: Space,
    covers: (u64, u64),
    /// Length of the frame: not everybody hears a long one.
    length: usize,
    at: Stamp,
}

/// The questions that are being answered, in turn.
#[derive(Debug)]
pub(crate) struct Answers {
    /// Only who has heard this from us is answered: what a stranger sends in another's name makes us send
    /// nothing.
    pub(crate) proof: u32,
    waiting: VecDeque<Answer>,
    told: VecDeque<Told>,
    writer: ReplayWriter,
}

/// Where the answers are.
pub(crate) struct Source<'a> {
    pub(crate) group: &'a Group,
    pub(crate) ledger: &'a Ledger,
    pub(crate) own_log: &'a OwnLog,
    /// How our frames begin.
    pub(crate) sender: Sender,
    /// Whatever is sent to one is heard by all.
    pub(crate) is_shared: bool,
}

impl Answers {
    pub(crate) fn new() -> Self {
        // Keyed at random.
        let bits = RandomState::new().hash_one(0) >> 32;
        Self {
            proof: u32::try_from(bits).unwrap_or(0),
            waiting: VecDeque::new(),
            told: VecDeque::new(),
            writer: ReplayWriter::default(),
        }
    }

    /// A node asks us. Says whether it is answered.
    pub(crate) fn handle_request(
        &mut self,
        address: SocketAddr,
        from: Sender,
        request: &Request,
        group: &Group,
    ) -> bool {
        // Another question of the same node makes up for an answer that was lost.
        let waiting = &mut self.waiting;
        waiting.retain(|other| other.to != from.log || other.space != request.space);
        if waiting.len() >= MOST {
            return false;
        }
        let since = || {
            let known = |key: LogKey| {
                let position = request.since.iter().find(|position| position.log == key);
                position.map_or(0, |position| position.seq)
            };
            Filter::Known(Since {
                own: known(group.own),
                others: group.logs.keys().iter().map(|key| known(*key)).collect(),
                after: request.after,
            })
        };
        let filter = match &request.buckets {
            Some(bits) => Some(Filter::Others(Box::new(Buckets {
                key: request.after,
                bits: **bits,
            }))),
            None => (!request.since.is_empty()).then(since),
        };
        let mut ranges = Ranges::default();
        for (from, to) in &request.ranges {
            ranges.insert(*from, *to);
        }
        waiting.push_back(Answer {
            to: from.log,
            address,
            token: request.token,
            space: request.space,
            asked: from.clock,
            length: usize::from(request.length),
            ranges,
            filter,
            budget: usize::from(request.length) * usize::from(request.frames),
        });
        true
    }

    /// Writes the next frame of an answer, and says where it goes and how many records it tells.
    pub(crate) fn write(
        &mut self,
        now: u64,
        source: &Source<'_>,
        datagram: &mut Vec<u8>,
    ) -> Option<(SocketAddr, usize)> {
        loop {
            let mut answer = self.waiting.pop_front()?;
            self.leave_out_what_all_heard(&mut answer);
            let Some((from, to)) = answer.ranges.iter().next() else {
                continue;
            };
            self.writer.begin(answer.length - source.group.overhead);
            let next = match answer.space {
                Space::Sums => None,
                Space::Log => source.replay_log(now, from, to, &mut self.writer),
                Space::Table => {
                    source.replay_table(now, from, to, answer.filter.as_ref(), &mut self.writer)
                }
            };
            let Some(next) = next else {
                // Too old to be found by its place: whoever asks will ask for the table.
                answer.ranges.remove(from, to);
                self.waiting.push_front(answer);
                continue;
            };
            let covers = (from, next.saturating_sub(1));
            answer.ranges.remove(from, covers.1);
            answer.budget = answer.budget.saturating_sub(self.writer.length());
            let is_last = answer.budget < SMALL || answer.ranges.is_empty();
            let head = ReplayHead {
                to: answer.to.node,
                token: answer.token,
                space: answer.space,
                covers,
                is_last,
                is_whole: answer.filter.is_none(),
                slots: u64::from(source.ledger.table.slots()),
                asked: answer.asked,
            };
            self.writer.write(source.sender, &head, datagram);
            if source.is_shared && head.is_whole {
                let length = datagram.len() + source.group.overhead;
                self.remember(&head, length, source.sender.clock);
            }
            let address = answer.address;
            if !is_last {
                // One frame each in turn.
                self.waiting.push_back(answer);
            }
            return Some((address, self.writer.len()));
        }
    }

    /// Whatever everybody was told after the question was asked.
    fn leave_out_what_all_heard(&self, answer: &mut Answer) {
        if answer.filter.is_some() {
            return;
        }
        for told in &self.told {
            let is_heard = told.length <= answer.length && told.at.since(answer.asked) > 0;
            if told.space == answer.space && is_heard {
                answer.ranges.remove(told.covers.0, told.covers.1);
            }
        }
    }

    fn remember(&mut self, head: &ReplayHead, length: usize, at: Stamp) {
        if self.told.len() == MOST_TOLD {
            self.told.pop_front();
        }
        self.told.push_back(Told {
            space: head.space,
            covers: head.covers,
            length,
            at,
        });
    }
}

impl Source<'_> {
    /// A session as it is told again.
    fn replayed(&self, now: u64, place: Option<(LogKey, u64)>, entry: &Entry) -> Replayed {
        let age = age(self.ledger.clock.at(now), entry.announced);
        let mut session = entry.session(now);
        if is_local(entry) {
            // As it was announced, since that is what all others have: what our own Jool said since counts
            // when it is announced.
            let timeouts = self.ledger.timeouts();
            let timeout = timeouts.of(session.id.protocol, session.timer);
            // The clock may have gone forward since.
            let announced = self.ledger.clock.when(entry.announced);
            let passed = u32::try_from(now.saturating_sub(announced)).unwrap_or(u32::MAX);
            session.lifetime = session.lifetime.min(timeout.saturating_sub(passed));
        }
        Replayed {
            place,
            age,
            session,
        }
    }

    /// Our own records from one place in our log on; returns the place behind the last.
    fn replay_log(&self, now: u64, from: u64, to: u64, writer: &mut ReplayWriter) -> Option<u64> {
        let last = self.own_log.last();
        if from == 0 || from + RING <= last || from > last {
            return None;
        }
        let end = to.min(last).min(from.saturating_add(LOOKS - 1));
        let mut told = Vec::new();
        for seq in from..=end {
            let slot = self.own_log.slot(seq);
            let Some(slot) = slot.filter(|slot| !told.contains(slot)) else {
                continue;
            };
            let entry = self.ledger.table.get(Slot(slot));
            let Some(entry) = entry.filter(|entry| entry.is_told(now)) else {
                // It has expired everywhere.
                continue;
            };
            // The session may have another place by now. It is told all the same: whoever asks may never
            // get that place, and what is not there has ended.
            let Some(place) = self.place_of(entry) else {
                continue;
            };
            if !writer.push(&self.replayed(now, place, entry)) {
                return Some(seq);
            }
            told.push(slot);
        }
        Some(end + 1)
    }

    /// Where a session is in the logs, if it is in one; `None`: it is going to be announced, and told as a
    /// part of our log.
    fn place_of(&self, entry: &Entry) -> Option<Option<(LogKey, u64)>> {
        match entry.log {
            ADOPTED => None,
            OWN if entry.seq == 0 => None,
            OWN => Some(Some((self.group.own, entry.seq))),
            UNLOGGED => Some(None),
            log => {
                let key = self.group.logs.keys().get(usize::from(log));
                Some(key.map(|key| (*key, entry.seq)))
            }
        }
    }

    /// The sessions from one slot on, but for those that are known to whoever asked; returns the
    /// slot behind the last. Beyond the last slot there is nothing.
    fn replay_table(
        &self,
        now: u64,
        from: u64,
        to: u64,
        filter: Option<&Filter>,
        writer: &mut ReplayWriter,
    ) -> Option<u64> {
        let slots = u64::from(self.ledger.table.slots());
        let end = to.min(from.saturating_add(LOOKS - 1));
        for number in from..=end.min(slots.saturating_sub(1)) {
            let slot = Slot(u32::try_from(number).ok()?);
            let entry = self.ledger.table.get(slot);
            let Some(entry) = entry.filter(|entry| entry.is_told(now)) else {
                continue;
            };
            let Some(place) = self.place_of(entry) else {
                continue;
            };
            let is_left_out = match filter {
                None => false,
                Some(Filter::Others(buckets)) => !buckets.has(&entry.id),
                Some(Filter::Known(since)) => since.has(place.map(|(_, seq)| seq), entry),
            };
            if !is_left_out && !writer.push(&self.replayed(now, place, entry)) {
                return Some(number);
            }
        }
        if end + 1 >= slots {
            return Some(to + 1);
        }
        Some(end + 1)
    }
}
