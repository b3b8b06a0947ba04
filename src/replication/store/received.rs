//! What becomes of a record from another node.

use crate::replication::wire::LogKey;
use crate::session::{Entry, Key, Marks, Slot};

use super::Ledger;
use super::ledger::{Known, SLIGHT};
use super::record::{ADOPTED, OWN, Record, UNLOGGED, is_local, is_unchanged, order};

/// What became of a received record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is the latest of its session now.
    Taken,
    /// It was known, and lives longer than was known.
    Renewed,
    /// It was known.
    Known,
    /// Something later was known.
    Older,
    /// Its session had expired.
    Expired,
    /// Its session lived here, and has ended.
    Ended,
}

/// When a record from another node is given to our own Jool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    AtOnce,
    /// With the rest of a table, when all of it is here.
    Transferred,
}

impl Ledger {
    /// A record from another node. `logs`: whose the logs are, by our numbers of them.
    #[inline]
    pub(crate) fn received(
        &mut self,
        now: u64,
        key: Key,
        record: &Record,
        way: Way,
        logs: &[LogKey],
    ) -> Outcome {
        let Record { session, place, .. } = record;
        let slot = match self.known(now, key, &session.id) {
            Known::Live(slot) => slot,
            Known::Ended(slot) => return self.received_of_ended(now, slot, record, way, logs),
            Known::Nothing => {
                let slot = if session.lifetime > 0 {
                    let slot = self.insert(now, key, record);
                    self.tell(slot, way);
                    slot
                } else if session.ends_early() && self.table.len() < self.table.limit() {
                    // Only for those who have missed it, too.
                    self.insert(now, key, record)
                } else {
                    return Outcome::Expired;
                };
                return self.is_taken(now, slot);
            }
        };
        let Some(entry) = self.table.get(slot).copied() else {
            return Outcome::Older;
        };
        let unchanged = is_unchanged(session, &entry);
        let expires = now + u64::from(session.lifetime);
        let is_same = (place.log, place.seq) == (entry.log, entry.seq) && place.log != UNLOGGED;
        if is_same && unchanged && !is_local(&entry) && expires > entry.expires + SLIGHT {
            // It was cut to a timeout that is longer by now, here or on its way.
            if let Some(entry) = self.table.get_mut(slot) {
                entry.expires = expires;
            }
            self.tell(slot, way);
            return Outcome::Renewed;
        }
        // What we said ourselves is never later than what we say now.
        let is_ours = place.log == OWN && entry.log == OWN;
        if is_ours || !self.is_later(record, &entry, logs) {
            return if unchanged {
                Outcome::Known
            } else {
                Outcome::Older
            };
        }
        self.take_later(now, slot, record, &entry, way)
    }

    /// A record is later than what is known of its session.
    #[inline]
    fn take_later(
        &mut self,
        now: u64,
        slot: Slot,
        record: &Record,
        entry: &Entry,
        way: Way,
    ) -> Outcome {
        let Record { session, at, place } = record;
        let unchanged = is_unchanged(session, entry);
        let expires = now + u64::from(session.lifetime);
        let activity = self.activity(now, entry);
        let was_local = is_local(entry);
        if was_local && !unchanged && order(session, *at, entry, activity).is_lt() {
            self.take_as_known_to_others(slot, record, entry.log == ADOPTED);
            return Outcome::Older;
        }
        self.put(slot, *place);
        let longer = expires > entry.expires;
        // Slight differences add up.
        let untold = u64::from(entry.untold) + expires.saturating_sub(entry.expires);
        let slight = u16::try_from(untold)
            .ok()
            .filter(|_| unchanged && untold <= SLIGHT);
        if let Some(entry) = self.table.get_mut(slot) {
            (entry.state, entry.timer) = (session.state, session.timer);
            entry.announced = *at;
            entry.marks.set(Marks::ANNOUNCE, false);
            entry.untold = slight.unwrap_or(0);
            if longer || !unchanged {
                entry.expires = expires;
            }
        }
        let ahead = activity.since(*at);
        if was_local && unchanged && ahead > 0 {
            if let Some(entry) = self.table.get_mut(slot) {
                entry.marks.set(Marks::LOCAL, true);
            }
            if ahead >= self.window(session) {
                self.announce_again(slot);
            }
        }
        if slight.is_none() {
            self.tell(slot, way);
        }
        if expires <= now && !unchanged {
            self.is_taken(now, slot);
            return Outcome::Ended;
        }
        match (unchanged, longer) {
            (true, true) => Outcome::Renewed,
            (true, false) => Outcome::Known,
            (false, _) => Outcome::Taken,
        }
    }

    /// The others take for the latest what is older than what our own Jool said, which was not announced: it
    /// is now.
    fn take_as_known_to_others(&mut self, slot: Slot, record: &Record, was_adopted: bool) {
        if was_adopted {
            self.put(slot, record.place);
            if let Some(entry) = self.table.get_mut(slot) {
                entry.marks.set(Marks::LOCAL, true);
                entry.announced = record.at;
            }
        }
        self.announce_again(slot);
    }

    /// A record of a session that has ended here, as far as is known.
    fn received_of_ended(
        &mut self,
        now: u64,
        slot: Slot,
        record: &Record,
        way: Way,
        logs: &[LogKey],
    ) -> Outcome {
        let Record { session, at, place } = record;
        let entry = self.table.get(slot).copied();
        if entry.is_none_or(|entry| !self.is_later(record, &entry, logs)) {
            return Outcome::Older;
        }
        self.put(slot, *place);
        if let Some(entry) = self.table.get_mut(slot) {
            (entry.state, entry.timer) = (session.state, session.timer);
            entry.announced = *at;
            entry.marks.set(Marks::ANNOUNCE, false);
            entry.untold = 0;
            entry.expires = now + u64::from(session.lifetime);
        }
        if session.lifetime > 0 {
            self.set_ended(slot, false);
            self.tell(slot, way);
        }
        self.is_taken(now, slot)
    }

    /// Keeps the end of a session for those who may have missed it.
    fn is_taken(&mut self, now: u64, slot: Slot) -> Outcome {
        match self.table.get(slot) {
            Some(entry) if entry.expires > now => Outcome::Taken,
            Some(entry) if entry.ends_early() => {
                self.set_ended(slot, true);
                Outcome::Taken
            }
            // It is taken out when it is its turn.
            _ => Outcome::Expired,
        }
    }

    /// Has our own Jool told about a session.
    fn tell(&mut self, slot: Slot, way: Way) {
        let queue = if way == Way::Transferred {
            &mut self.backlog
        } else {
            &mut self.inject
        };
        queue.push(&mut self.table, slot);
    }
}
