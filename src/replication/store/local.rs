//! What becomes of what our own Jool says: in its records, and in its table.

use std::cmp::Ordering;

use crate::replication::wire::LogKey;
use crate::session::{Entry, Identity, Key, Marks, Protocol, Session, Slot, State, Timer};

use super::Ledger;
use super::ledger::{Known, SLIGHT};
use super::record::{ADOPTED, OWN, Place, Record, UNLOGGED, is_local, is_unchanged, order};

/// How long a record may have waited in our own Jool's queue, in milliseconds, at least.
const LATE: i64 = 2_000;

/// What becomes of a session that a comparison did not find in our own Jool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It was found, or is about to be given, or there is none.
    Not,
    /// Our own Jool is given it, for the little time that it has left.
    Ending,
    /// Our own Jool is given it.
    Given,
    /// Likewise, and it had been given it by the comparison before.
    NotTaken(Identity),
    /// Somebody removed it, which ends it.
    Removed,
}

impl Ledger {
    /// A record from our own Jool; says whether it is to be announced. Most are not: only what is
    /// new, what changed, and now and then what goes on.
    #[inline]
    pub(crate) fn local(&mut self, now: u64, key: Key, record: &Record) -> bool {
        let Record { session, at, .. } = record;
        let slot = match self.known(now, key, &session.id) {
            Known::Live(slot) => slot,
            Known::Ended(slot) => return self.opens_again(now, slot, record),
            Known::Nothing => {
                let slot = self.insert(now, key, record);
                self.is_in_jool(slot);
                return self.announce.push(&mut self.table, slot);
            }
        };
        let Some(entry) = self.table.get(slot) else {
            return false;
        };
        let changed = !is_unchanged(session, entry);
        let mut expires = now + u64::from(session.lifetime);
        // Our own Jool knows best of what it alone translates. Of what others told it, it may not
        // have heard yet, or not when it emitted this record; and the others would not take it.
        let waits = entry.marks.has(Marks::INJECT) || entry.marks.has(Marks::BACKLOG);
        if !waits && is_local(entry) {
            let most = if changed && entry.marks.has(Marks::READ) {
                self.jitter
            } else {
                LATE.max(self.jitter)
            };
            if self.activity(now, entry).since(*at) > most {
                // Its table, which was read, is ahead of its queue; or somebody overwrote what it had.
                self.is_contradicted |= changed;
                return false;
            }
        } else {
            let is_earlier = if changed {
                order(session, *at, entry, self.activity(now, entry)).is_lt()
            } else {
                entry.expires > expires + 2 * SLIGHT
            };
            if is_earlier {
                self.inject.push(&mut self.table, slot);
                return false;
            }
            if !changed {
                expires = expires.max(entry.expires);
            }
            // No Jool opens again what is closed: it emitted this before it was told.
            self.is_contradicted |= changed && entry.state == State::V4FinV6FinRcv;
        }
        self.is_said(now, slot, record, expires, changed)
    }

    /// Our own Jool has a session again that had ended; or it has it still.
    fn opens_again(&mut self, now: u64, slot: Slot, record: &Record) -> bool {
        let Record { session, at, .. } = record;
        let entry = self.table.get(slot);
        if entry.is_some_and(|entry| order(session, *at, entry, entry.announced).is_le()) {
            self.inject.push(&mut self.table, slot);
            return false;
        }
        self.set_ended(slot, false);
        self.is_said(now, slot, record, now + u64::from(session.lifetime), true)
    }

    /// What our own Jool says of a session is what is known of it from now on.
    fn is_said(
        &mut self,
        now: u64,
        slot: Slot,
        Record { session, at, .. }: &Record,
        expires: u64,
        changed: bool,
    ) -> bool {
        let window = self.window(session);
        let seen = self.seen;
        let Some(entry) = self.table.get_mut(slot) else {
            return false;
        };
        (entry.state, entry.timer) = (session.state, session.timer);
        entry.expires = expires;
        entry.marks.set(Marks::READ, false);
        entry.marks.set(Marks::SEEN, seen);
        entry.marks.set(Marks::IN_JOOL, true);
        entry.marks.set(Marks::GIVEN, false);
        entry
            .marks
            .set(Marks::LOCAL, !matches!(entry.log, OWN | ADOPTED));
        entry.untold = 0;
        // Nobody vouches for it that others heard what a stock peer told.
        if changed || entry.log == UNLOGGED || at.since(entry.announced) >= window {
            // Later than what it replaces, even if the clock did not go on meanwhile; then it does now.
            let least = entry.announced.plus(u64::from(changed));
            entry.announced = at.latest(least);
            self.clock.reach(now, entry.announced);
            return self.announce.push(&mut self.table, slot);
        }
        false
    }

    /// A session that a comparison found in our own Jool.
    pub(crate) fn dumped(&mut self, now: u64, session: &Session, joining: bool) {
        let log = if joining { ADOPTED } else { OWN };
        let record = Record {
            session: *session,
            at: self.stamp(now, session),
            place: Place { log, seq: 0 },
        };
        let key = self.table.key(&session.id);
        let slot = match self.known(now, key, &session.id) {
            Known::Live(slot) | Known::Ended(slot) => slot,
            Known::Nothing => return self.found(now, key, &record, joining),
        };
        let Some(entry) = self.table.get_mut(slot) else {
            return;
        };
        entry.marks.set(Marks::SEEN, self.seen);
        let entry = *entry;
        self.is_in_jool(slot);
        match self.compare(now, &record, &entry) {
            Ordering::Greater => {
                self.is_told(slot);
                self.local(now, key, &record);
                self.was_read(slot);
            }
            Ordering::Less => {
                self.inject.push(&mut self.table, slot);
            }
            // It has what it was to be told: the same once more would cost it a walk past all that expire
            // later.
            Ordering::Equal => self.is_told(slot),
        }
    }

    /// Our own Jool has a session of which nothing is known.
    fn found(&mut self, now: u64, key: Key, record: &Record, joining: bool) {
        if !joining && u64::from(record.session.lifetime) <= SLIGHT {
            // What is known of it ended that little sooner.
            return;
        }
        if self.table.len() >= self.table.limit() {
            // Another would have to go for it, and be found by the next comparison.
            self.is_too_small();
            return;
        }
        let slot = self.insert(now, key, record);
        self.was_read(slot);
        if !joining {
            self.announce.push(&mut self.table, slot);
        }
    }

    /// Whether what our own Jool's table has of a session is later than what is known of it.
    fn compare(&self, now: u64, record: &Record, entry: &Entry) -> Ordering {
        let Record { session, at, .. } = record;
        let expires = now + u64::from(session.lifetime);
        if entry.expires <= now {
            // It ended a moment later there, or was opened again, or was never told that it ended.
            let was_removed = self.was_removed(entry);
            return match order(session, *at, entry, entry.announced) {
                Ordering::Greater if was_removed => Ordering::Greater,
                Ordering::Greater if at.since(entry.announced) > LATE => Ordering::Greater,
                _ if is_unchanged(session, entry) && u64::from(session.lifetime) <= SLIGHT => {
                    Ordering::Equal
                }
                _ => Ordering::Less,
            };
        }
        if is_unchanged(session, entry) {
            // The module's clock is a coarse one, and it is not told of what is slight.
            return match expires.abs_diff(entry.expires) {
                0..=SLIGHT => Ordering::Equal,
                _ => expires.cmp(&entry.expires),
            };
        }
        let known = self.activity(now, entry);
        if is_local(entry) && at.since(known).abs() <= self.jitter {
            // It told us what we know, and its table has what came after that.
            return Ordering::Greater;
        }
        order(session, *at, entry, known)
    }

    /// What is known of a session was read in our own Jool's table: what its queue still has is older.
    fn was_read(&mut self, slot: Slot) {
        if let Some(entry) = self.table.get_mut(slot) {
            entry.marks.set(Marks::READ, true);
        }
        self.is_in_jool(slot);
    }

    /// Our own Jool was seen to have a session.
    fn is_in_jool(&mut self, slot: Slot) {
        if let Some(entry) = self.table.get_mut(slot) {
            entry.marks.set(Marks::IN_JOOL, true);
            entry.marks.set(Marks::GIVEN, false);
        }
    }

    /// A session that our own Jool lacks could not be given to it.
    pub(crate) fn was_not_given(&mut self, slot: Slot) {
        if let Some(entry) = self.table.get_mut(slot) {
            entry.marks.set(Marks::GIVEN, false);
        }
    }

    /// Our own Jool knows more of a session than what it was to be told.
    fn is_told(&mut self, slot: Slot) {
        if let Some(entry) = self.table.get_mut(slot) {
            entry.marks.set(Marks::INJECT, false);
            entry.marks.set(Marks::BACKLOG, false);
        }
    }

    /// A comparison begins: nothing has been seen in our own Jool.
    pub(crate) fn begin_audit(&mut self) {
        if !std::mem::replace(&mut self.all_seen, false) {
            for slot in (0..self.table.slots()).map(Slot) {
                if let Some(entry) = self.table.get_mut(slot) {
                    entry.marks.set(Marks::SEEN, self.seen);
                }
            }
        }
        self.seen = !self.seen;
        self.fits = true;
    }

    /// A comparison is over for all slots. Says whether there is room again for what was given up.
    pub(crate) fn end_audit(&mut self) -> bool {
        self.all_seen = true;
        let has_room = self.table.len() < self.table.limit() - self.table.limit() / 16;
        self.lacks_given_up && self.fits && has_room
    }

    /// A comparison is over, as far as this slot is concerned. `logs`: whose the logs are, by our numbers of
    /// them. `began`: when it began, if our own Jool is the instance that it was at the one before.
    pub(crate) fn audit(
        &mut self,
        now: u64,
        slot: Slot,
        logs: &[LogKey],
        began: Option<u64>,
    ) -> Missing {
        let (seen, own) = (self.seen, self.own.node);
        let Some(entry) = self.table.get_mut(slot) else {
            return Missing::Not;
        };
        if !entry.marks.set(Marks::SEEN, seen) || entry.expires <= now {
            return Missing::Not;
        }
        let was_there = entry.marks.set(Marks::IN_JOOL, false);
        let waits = entry.marks.has(Marks::INJECT) || entry.marks.has(Marks::BACKLOG);
        let log = logs.get(usize::from(entry.log));
        let is_own = is_local(entry) || log.is_some_and(|log| log.node == own);
        if waits {
            return Missing::Not;
        }
        // Jool itself may be quicker by what a record waited, or what slight differences add up to.
        let late = LATE.max(self.jitter).cast_unsigned();
        let missing = if entry.expires <= now + late {
            Missing::Ending
        } else if let (Some(began), true) = (began, was_there && is_own) {
            self.end(now, began, slot);
            return Missing::Removed;
        } else if entry.marks.set(Marks::GIVEN, true) || began.is_none() {
            Missing::Given
        } else {
            Missing::NotTaken(entry.id)
        };
        self.inject.push(&mut self.table, slot);
        missing
    }

    /// A session that our own Jool translated was removed from it: so it has ended, for all.
    /// `began`: when it was found that it was there no more, at the latest.
    fn end(&mut self, now: u64, began: u64, slot: Slot) {
        let at = self.clock.at(began);
        let Some(entry) = self.table.get_mut(slot) else {
            return;
        };
        entry.timer = Timer::Transitory;
        // Another state in any case: in the same one, what lives for longer is later.
        entry.state = match (entry.id.protocol, entry.state) {
            (Protocol::Tcp, State::V4FinV6FinRcv) => State::Trans,
            (Protocol::Tcp, _) => State::V4FinV6FinRcv,
            (_, state) => state,
        };
        entry.expires = now;
        entry.announced = at.latest(entry.announced.plus(1));
        let announced = entry.announced;
        self.clock.reach(now, announced);
        self.put(slot, Place::NEXT);
        self.set_ended(slot, true);
        self.announce.push(&mut self.table, slot);
    }
}
