//! Answers to what other nodes ask for. Nothing is kept between two questions: whatever is told
//! again is read from the table as it is.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::session::{Entry, Slot};

use super::Engine;
use super::frame::{LogKey, REPLAY_RECORDS, ReplayWriter, Replayed, Request, Space};
use super::logs::RING;
use super::record::{ADOPTED, OWN, UNLOGGED, is_local};

/// Questions that are being answered.
const MOST: usize = 64;
/// Frames of one answer, so that a question costs a bounded multiple of itself; whoever asked asks
/// again.
const FRAMES: u32 = 64;
/// Slots, or places in our log, that one frame looks at, whether or not there is something to tell.
const LOOKS: u64 = 4096;

/// A question that is being answered.
#[derive(Debug)]
struct Answer {
    to: LogKey,
    address: SocketAddr,
    token: u32,
    space: Space,
    /// What is still to be answered, the next last.
    ranges: Vec<(u64, u64)>,
    /// Of a table: up to which place each log is known to whoever asked; `None`: nothing is.
    since: Option<Since>,
    frames: u32,
}

/// Up to which places whoever asked knows the logs.
#[derive(Debug)]
struct Since {
    own: u64,
    /// By our numbers of the logs.
    others: Vec<u64>,
}

/// The questions that are being answered, in turn.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<Answer>,
    writer: ReplayWriter,
}

impl Engine {
    pub(super) fn handle_request(&mut self, address: SocketAddr, from: LogKey, request: Request) {
        if request.to != self.own {
            return;
        }
        // Another question of the same node makes up for an answer that was lost.
        let waiting = &mut self.answers.waiting;
        waiting.retain(|other| other.to != from || other.space != request.space);
        if self.nodes.present(from).is_none() || waiting.len() >= MOST {
            self.counters.refused_requests += 1;
            return;
        }
        let since = (!request.since.is_empty()).then(|| {
            let known = |key: LogKey| {
                let position = request.since.iter().find(|position| position.log == key);
                position.map_or(0, |position| position.seq)
            };
            Since {
                own: known(self.own),
                others: self.logs.iter().map(|(_, log)| known(log.key)).collect(),
            }
        });
        let mut ranges = request.ranges;
        ranges.reverse();
        waiting.push_back(Answer {
            to: from,
            address,
            token: request.token,
            space: request.space,
            ranges,
            since,
            frames: FRAMES,
        });
    }

    /// Writes the next frame of an answer, and says where it goes.
    pub(super) fn write_replay(&mut self, now: u64, datagram: &mut Vec<u8>) -> Option<SocketAddr> {
        loop {
            let mut answer = self.answers.waiting.pop_front()?;
            let Some((from, to)) = answer.ranges.pop() else {
                continue;
            };
            let mut writer = std::mem::take(&mut self.answers.writer);
            let next = match answer.space {
                Space::Log => self.replay_log(now, from, to, &mut writer),
                Space::Table => {
                    self.replay_table(now, from, to, answer.since.as_ref(), &mut writer)
                }
            };
            // Too old to be found by its place: whoever asks will ask for the table.
            let Some(next) = next else {
                self.answers.writer = writer;
                self.answers.waiting.push_front(answer);
                continue;
            };
            if next <= to {
                answer.ranges.push((next, to));
            }
            answer.frames -= 1;
            let is_last = answer.frames == 0 || answer.ranges.is_empty();
            self.counters.replayed_records += writer.len() as u64;
            writer.write(
                self.sender(now),
                answer.to.node,
                answer.token,
                answer.space,
                (from, next.saturating_sub(1)),
                is_last,
                u64::from(self.ledger.table.slots()),
                match answer.space {
                    Space::Log => self.gave_up_for(now),
                    Space::Table => self.lacks_for(now),
                },
                datagram,
            );
            self.answers.writer = writer;
            let address = answer.address;
            if !is_last {
                // One frame each in turn.
                self.answers.waiting.push_back(answer);
            }
            return Some(address);
        }
    }

    /// A session as it is told again.
    fn replayed(&self, now: u64, place: Option<(LogKey, u64)>, entry: &Entry) -> Replayed {
        let age = super::age(self.ledger.clock.at(now), entry.announced);
        let mut session = entry.session(now);
        if is_local(entry) {
            // As it was announced, since that is what all others have: what our own Jool said since counts
            // when it is announced.
            let timeout = self
                .ledger
                .timeouts()
                .of(session.id.protocol, session.timer);
            session.lifetime = session.lifetime.min(timeout.saturating_sub(age));
        }
        Replayed {
            place,
            age,
            session,
        }
    }

    /// Our own records from one place in our log on; returns the place behind the last.
    fn replay_log(&self, now: u64, from: u64, to: u64, writer: &mut ReplayWriter) -> Option<u64> {
        if from == 0 || from + RING <= self.ring.last() || from > self.ring.last() {
            return None;
        }
        let end = to.min(self.ring.last()).min(from.saturating_add(LOOKS - 1));
        let mut told = Vec::with_capacity(REPLAY_RECORDS);
        for seq in from..=end {
            let Some(slot) = self.ring.slot(seq).filter(|slot| !told.contains(slot)) else {
                continue;
            };
            let entry = self.ledger.table.get(Slot(slot));
            let Some(entry) = entry.filter(|entry| entry.is_told(now)) else {
                // It has ended.
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
            OWN => Some(Some((self.own, entry.seq))),
            UNLOGGED => Some(None),
            log => Some(self.logs.get(log).map(|log| (log.key, entry.seq))),
        }
    }

    /// The sessions from one slot on, but for those that are known to whoever asked; returns the
    /// slot behind the last. Beyond the last slot there is nothing.
    fn replay_table(
        &self,
        now: u64,
        from: u64,
        to: u64,
        since: Option<&Since>,
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
            let is_known = match (since, place, entry.log) {
                // What is in no log may be what replaced something that is asked for.
                (None, ..) | (Some(_), None, _) => false,
                (Some(since), Some((_, seq)), OWN) => seq <= since.own,
                (Some(since), Some((_, seq)), log) => {
                    let known = since.others.get(usize::from(log)).copied();
                    seq <= known.unwrap_or(0)
                }
            };
            if !is_known && !writer.push(&self.replayed(now, place, entry)) {
                return Some(number);
            }
        }
        if end + 1 >= slots {
            return Some(to + 1);
        }
        Some(end + 1)
    }
}
