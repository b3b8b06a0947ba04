//! What this node knows of the sessions, and what is still to be told: to the other nodes, and to
//! our own Jool.
//!
//! Points in time are milliseconds on the engine's clock.

use std::cmp::Ordering;
use std::hint::black_box;

use crate::session::{
    Entry, Identity, Key, Marks, Protocol, Session, Slot, Stamp, State, Table, Timeouts, Timer,
};

use super::clock::SharedClock;
use super::frame::LogKey;
use super::logs::Logs;
use super::queue::Queue;
use super::record::{ADOPTED, OWN, Place, Record, UNLOGGED, is_local, is_unchanged, order};

/// Sessions that are looked up together.
pub(super) const TOGETHER: usize = 64;

/// A lifetime that differs by less from what our own Jool has is not worth telling it, in
/// milliseconds.
const SLIGHT: u64 = 1_000;
/// How long a record may have waited in our own Jool's queue, in milliseconds.
const LATE: i64 = 2_000;
/// By how much what is later may seem earlier, since the lifetimes that Jool tells are not exact, in
/// milliseconds.
const JITTER: i64 = 20;
/// How long a record of a stock peer may have been under way, in milliseconds.
const STOCK_DELAY: u64 = 2_000;

/// How long a session lasts that is known to have ended elsewhere, in milliseconds: what says otherwise
/// has come by then.
const ENDING: u64 = 10_000;

/// What became of a received record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is the latest of its session now.
    Taken,
    /// It was known.
    Known,
    /// Something later was known.
    Older,
    /// Its session had expired.
    Expired,
}

/// When a record from another node is given to our own Jool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    AtOnce,
    /// With the rest of a table, when all of it is here.
    Transferred,
}

/// Which entries something was found out of since it was last begun, told by one of their marks. How
/// the mark looks changes from one round to the next, so that beginning costs nothing.
#[derive(Debug)]
struct Round {
    mark: Marks,
    /// How it looks in those of which it was.
    look: bool,
    /// The last one came to its end, so that all entries look so.
    is_over: bool,
}

impl Round {
    fn new(mark: Marks) -> Self {
        Self {
            mark,
            look: true,
            is_over: true,
        }
    }

    fn begin(&mut self, table: &mut Table) {
        if !std::mem::replace(&mut self.is_over, false) {
            for slot in (0..table.slots()).map(Slot) {
                if let Some(entry) = table.get_mut(slot) {
                    entry.marks.set(self.mark, self.look);
                }
            }
        }
        self.look = !self.look;
    }

    #[inline]
    fn mark(&self, marks: &mut Marks) {
        marks.set(self.mark, self.look);
    }

    /// Whether it was not found out of this one. From now on it counts as such.
    fn lacks(&self, marks: &mut Marks) -> bool {
        marks.set(self.mark, self.look)
    }

    /// It is over for all.
    fn end(&mut self) {
        self.is_over = true;
    }
}

/// How far another node is in each log.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) own: u64,
    /// By our numbers of the logs.
    pub(super) others: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) table: Table,
    timeouts: Timeouts,
    pub(super) clock: SharedClock,
    /// Our own log.
    own: LogKey,
    /// Longest time between two announcements of a session with traffic.
    refresh: u64,
    announce: Queue,
    inject: Queue,
    /// What is injected when a transfer is complete, in one order.
    backlog: Queue,
    backlog_released: bool,
    /// The run that is being written is of what came with a transfer.
    from_backlog: bool,
    /// Entries per log that other nodes keep.
    per_log: Vec<u32>,
    /// Which entries the current audit has seen.
    seen: Round,
    /// Of which entries the node whose whole table is being read has told.
    told: Round,
    /// Where expired entries are looked for next.
    sweep: u32,
    /// Entries that were given up because the table was full.
    pub(super) given_up: u64,
    /// Whether some of them may still be missing.
    pub(super) lacks_given_up: bool,
    /// Our own Jool said something that only its table can explain.
    pub(super) is_contradicted: bool,
}

impl Ledger {
    pub(super) fn new(own: LogKey, limit: usize, refresh: u64) -> Self {
        Self {
            table: Table::new(limit),
            timeouts: Timeouts::default(),
            clock: SharedClock::new(own.epoch),
            own,
            refresh,
            announce: Queue::new(Marks::ANNOUNCE),
            inject: Queue::new(Marks::INJECT),
            backlog: Queue::new(Marks::BACKLOG),
            backlog_released: false,
            from_backlog: false,
            per_log: Vec::new(),
            seen: Round::new(Marks::SEEN),
            told: Round::new(Marks::TOLD),
            sweep: 0,
            given_up: 0,
            is_contradicted: false,
            lacks_given_up: false,
        }
    }

    /// Our own Jool's timeouts, to which everything that is told is cut.
    pub(super) fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// Our own Jool has these timeouts now. What lives longer than they allow is cut to them, or its
    /// last activity would seem to be later than it was.
    pub(super) fn set_timeouts(&mut self, now: u64, timeouts: Timeouts) {
        if std::mem::replace(&mut self.timeouts, timeouts) == timeouts {
            return;
        }
        for slot in (0..self.table.slots()).map(Slot) {
            if let Some(entry) = self.table.get_mut(slot) {
                let most = now + u64::from(timeouts.of(entry.id.protocol, entry.timer));
                entry.expires = entry.expires.min(most);
            }
        }
    }

    /// Where the index has these sessions, which are looked up next.
    #[inline]
    pub(super) fn keys(&self, records: &[Record]) -> [Key; TOGETHER] {
        let mut keys = [Key::default(); TOGETHER];
        for (key, record) in keys.iter_mut().zip(records) {
            *key = self.table.key(&record.session.id);
        }
        let keys_of_these = keys.get(..records.len()).unwrap_or_default();
        // Whatever comes of it: the compiler must not find that nothing does.
        black_box(self.table.fetch(keys_of_these));
        keys
    }

    /// How long an announcement of such a session stays good enough.
    #[inline]
    fn window(&self, session: &Session) -> u64 {
        let timeout = self.timeouts.of(session.id.protocol, session.timer);
        self.refresh.min(u64::from(timeout / 6))
    }

    /// When a session's latest packet was translated, as far as its lifetime tells; not later than
    /// now.
    #[inline]
    pub(super) fn stamp(&self, now: u64, session: &Session) -> Stamp {
        let timeout = self.timeouts.of(session.id.protocol, session.timer);
        let activity = (now + u64::from(session.lifetime)).saturating_sub(u64::from(timeout));
        self.clock.at(activity.min(now))
    }

    /// The same of what a stock peer said, who does not tell when it did. In doubt it is the earlier one:
    /// what others say they know.
    #[inline]
    pub(super) fn stock_stamp(&self, now: u64, session: &Session) -> Stamp {
        self.stamp(now, session).minus(STOCK_DELAY)
    }

    /// The last activity that is known of a session: that which was announced, or what our own Jool
    /// said since.
    #[inline]
    fn activity(&self, now: u64, entry: &Entry) -> Stamp {
        // What is about to end lives for too short.
        if !is_local(entry) || entry.marks.has(Marks::ENDED) {
            return entry.announced;
        }
        let activity = self.clock.at(entry.activity(&self.timeouts).min(now));
        activity.latest(entry.announced)
    }

    /// Whether a received record is later than what all others know, or will know, if they know what
    /// we announced. All nodes that are told the same decide this alike, in whatever order they are
    /// told.
    #[inline]
    fn is_later(&self, record: &Record, entry: &Entry, logs: &Logs) -> bool {
        let Record { session, at, place } = record;
        if entry.log == ADOPTED {
            // Nobody was told of what we found at the start.
            return true;
        }
        if place.log == entry.log && place.log != UNLOGGED {
            return place.seq > entry.seq;
        }
        let key = |log: u16| match log {
            OWN => self.own,
            log => logs.get(log).map_or(LogKey::NONE, |log| log.key),
        };
        order(session, *at, entry, entry.announced)
            .then_with(|| key(place.log).cmp(&key(entry.log)))
            .is_gt()
    }

    fn count(&mut self, log: u16, more: bool) {
        if log >= UNLOGGED {
            return;
        }
        let log = usize::from(log);
        if self.per_log.len() <= log {
            self.per_log.resize(log + 1, 0);
        }
        if let Some(entries) = self.per_log.get_mut(log) {
            *entries = if more {
                *entries + 1
            } else {
                entries.saturating_sub(1)
            };
        }
    }

    /// How many sessions have their latest record in a log.
    pub(super) fn entries_of(&self, log: u16) -> u32 {
        self.per_log.get(usize::from(log)).copied().unwrap_or(0)
    }

    /// The entry of a session that has not expired. One that has is taken out.
    #[inline]
    fn live(&mut self, now: u64, key: Key, id: &Identity) -> Option<Slot> {
        let slot = self.table.find(key, id)?;
        if self.table.get(slot)?.expires > now {
            return Some(slot);
        }
        self.remove(slot);
        None
    }

    fn remove(&mut self, slot: Slot) {
        if let Some(entry) = self.table.remove(slot) {
            self.count(entry.log, false);
        }
    }

    fn insert(&mut self, now: u64, key: Key, record: &Record) -> Slot {
        let Record { session, at, place } = record;
        let mut marks = Marks::default();
        self.seen.mark(&mut marks);
        self.told.mark(&mut marks);
        let entry = Entry {
            id: session.id,
            state: session.state,
            timer: session.timer,
            marks,
            log: place.log,
            untold: 0,
            seq: place.seq,
            expires: now + u64::from(session.lifetime),
            announced: *at,
        };
        let (slot, given_up) = self.table.insert(key, entry);
        self.count(place.log, true);
        if let Some(entry) = given_up {
            self.count(entry.log, false);
            self.given_up += 1;
            self.lacks_given_up = true;
        }
        slot
    }

    /// Moves an entry to another place.
    fn put(&mut self, slot: Slot, place: Place) {
        let Some(entry) = self.table.get_mut(slot) else {
            return;
        };
        let before = entry.log;
        entry.marks.set(Marks::LOCAL, false);
        entry.marks.set(Marks::ENDED, false);
        (entry.log, entry.seq) = (place.log, place.seq);
        if before != place.log {
            self.count(before, false);
            self.count(place.log, true);
        }
    }

    /// A record from our own Jool; says whether it is to be announced. Most are not: only what is
    /// new, what changed, and now and then what goes on.
    #[inline]
    pub(super) fn local(&mut self, now: u64, key: Key, record: &Record) -> bool {
        let Record { session, at, .. } = record;
        let Some(slot) = self.live(now, key, &session.id) else {
            let slot = self.insert(now, key, record);
            return self.announce.push(&mut self.table, slot);
        };
        let window = self.window(session).cast_signed();
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
                JITTER
            } else {
                LATE
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
        let Some(entry) = self.table.get_mut(slot) else {
            return false;
        };
        (entry.state, entry.timer) = (session.state, session.timer);
        entry.expires = expires;
        entry.marks.set(Marks::READ, false);
        self.seen.mark(&mut entry.marks);
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

    /// A session that an audit found in our own Jool.
    pub(super) fn dumped(&mut self, now: u64, session: &Session, joining: bool) {
        let log = if joining { ADOPTED } else { OWN };
        let record = Record {
            session: *session,
            at: self.stamp(now, session),
            place: Place { log, seq: 0 },
        };
        let key = self.table.key(&session.id);
        let Some(slot) = self.live(now, key, &session.id) else {
            if !joining && u64::from(session.lifetime) <= SLIGHT {
                // What is known of it ended that little sooner.
                return;
            }
            let slot = self.insert(now, key, &record);
            self.was_read(slot);
            if !joining {
                self.announce.push(&mut self.table, slot);
            }
            return;
        };
        let Some(entry) = self.table.get_mut(slot) else {
            return;
        };
        self.seen.mark(&mut entry.marks);
        let entry = *entry;
        let expires = now + u64::from(session.lifetime);
        let order = if entry.marks.has(Marks::ENDED) {
            // It may not have been told yet.
            record
                .at
                .since(entry.announced)
                .cmp(&self.window(session).cast_signed())
        } else if is_unchanged(session, &entry) {
            // The module's clock is a coarse one, and it is not told of what is slight.
            match expires.abs_diff(entry.expires) {
                0..=SLIGHT => Ordering::Equal,
                _ => expires.cmp(&entry.expires),
            }
        } else {
            let known = self.activity(now, &entry);
            if is_local(&entry) && record.at.since(known).abs() <= JITTER {
                // It told us what we know, and its table has what came after that.
                Ordering::Greater
            } else {
                order(session, record.at, &entry, known)
            }
        };
        match order {
            Ordering::Greater => {
                self.is_told(slot);
                self.local(now, key, &record);
                self.was_read(slot);
            }
            Ordering::Less => {
                self.inject.push(&mut self.table, slot);
            }
            Ordering::Equal => {}
        }
    }

    /// What is known of a session was read in our own Jool's table: what its queue still has is older.
    fn was_read(&mut self, slot: Slot) {
        if let Some(entry) = self.table.get_mut(slot) {
            entry.marks.set(Marks::READ, true);
        }
    }

    /// Whether a session is known that has not expired.
    pub(super) fn has(&mut self, now: u64, key: Key, id: &Identity) -> bool {
        self.live(now, key, id).is_some()
    }

    /// Our own Jool knows more of a session than what it was to be told.
    fn is_told(&mut self, slot: Slot) {
        if let Some(entry) = self.table.get_mut(slot) {
            entry.marks.set(Marks::INJECT, false);
            entry.marks.set(Marks::BACKLOG, false);
        }
    }

    /// A record from another node.
    #[inline]
    pub(super) fn received(
        &mut self,
        now: u64,
        key: Key,
        record: &Record,
        way: Way,
        logs: &Logs,
    ) -> Outcome {
        let Record { session, at, place } = record;
        if session.lifetime == 0 {
            return Outcome::Expired;
        }
        let Some(slot) = self.live(now, key, &session.id) else {
            let slot = self.insert(now, key, record);
            self.tell(slot, way);
            return Outcome::Taken;
        };
        let Some(entry) = self.table.get_mut(slot) else {
            return Outcome::Older;
        };
        self.told.mark(&mut entry.marks);
        let entry = *entry;
        let unchanged = is_unchanged(session, &entry);
        // What we said ourselves is never later than what we say now.
        let is_ours = place.log == OWN && entry.log == OWN;
        if is_ours || !self.is_later(record, &entry, logs) {
            return if unchanged {
                Outcome::Known
            } else {
                Outcome::Older
            };
        }
        let activity = self.activity(now, &entry);
        let was_local = is_local(&entry);
        if was_local && !unchanged && order(session, *at, &entry, activity).is_lt() {
            // The others take it for the latest: what our own Jool said since was not announced.
            if entry.log == ADOPTED {
                self.put(slot, *place);
                if let Some(entry) = self.table.get_mut(slot) {
                    entry.marks.set(Marks::LOCAL, true);
                    entry.announced = *at;
                }
            }
            self.announce.push(&mut self.table, slot);
            return Outcome::Older;
        }
        self.put(slot, *place);
        let expires = now + u64::from(session.lifetime);
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
            if ahead >= self.window(session).cast_signed() {
                self.announce.push(&mut self.table, slot);
            }
        }
        if slight.is_none() {
            self.tell(slot, way);
        }
        if unchanged && !longer {
            Outcome::Known
        } else {
            Outcome::Taken
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

    /// The transfer is complete: what came with it may leave.
    pub(super) fn release_backlog(&mut self) {
        self.backlog_released = self.backlog.len() > 0;
    }

    /// Whether there is room again for what was given up.
    pub(super) fn has_room(&self) -> bool {
        self.table.len() < self.table.limit() - self.table.limit() / 16
    }

    /// The next session to announce, now at a place in our own log, and when it was last active.
    #[inline]
    pub(super) fn next_announcement(
        &mut self,
        now: u64,
        seq: u64,
    ) -> Option<(Slot, Session, Stamp)> {
        loop {
            let slot = self.announce.pop(&mut self.table)?;
            let entry = self.table.get(slot)?;
            let (session, activity) = (entry.session(now), self.activity(now, entry));
            if session.lifetime == 0 {
                continue;
            }
            self.put(slot, Place { log: OWN, seq });
            if let Some(entry) = self.table.get_mut(slot) {
                entry.announced = activity;
            }
            return Some((slot, session, activity));
        }
    }

    /// Sessions that wait to be announced.
    pub(super) fn announcements(&self) -> usize {
        self.announce.len()
    }

    /// The next session for our own Jool. None of a run expires before the one that left before it:
    /// `None` also when the next one would, and is for another run.
    #[inline]
    pub(super) fn next_injection(&mut self, now: u64, begins: bool) -> Option<(Slot, Session)> {
        loop {
            let slot = if begins {
                self.first_injection()?
            } else if self.from_backlog {
                self.backlog.pop_sorted(&mut self.table)?
            } else {
                self.inject.pop_sorted(&mut self.table)?
            };
            let Some(entry) = self.table.get_mut(slot) else {
                continue;
            };
            entry.marks.set(Marks::INJECT, false);
            entry.marks.set(Marks::BACKLOG, false);
            let session = entry.session(now).clamped(&self.timeouts);
            if session.lifetime > 0 {
                return Some((slot, session));
            }
        }
    }

    fn first_injection(&mut self) -> Option<Slot> {
        self.from_backlog = false;
        let slot = self.inject.pop(&mut self.table);
        if slot.is_some() || !self.backlog_released {
            return slot;
        }
        self.from_backlog = true;
        let slot = self.backlog.pop(&mut self.table);
        self.backlog_released = slot.is_some();
        slot
    }

    /// Has our own Jool told about a session once more.
    pub(super) fn inject_again(&mut self, slot: Slot) {
        self.inject.push(&mut self.table, slot);
    }

    /// Sessions that wait for our own Jool.
    pub(super) fn injections(&self) -> usize {
        let backlog = if self.backlog_released {
            self.backlog.len()
        } else {
            0
        };
        self.inject.len() + backlog
    }

    /// Our own Jool is gone: it will be told everything when it is back.
    pub(super) fn forget_injections(&mut self) {
        self.inject.clear(&mut self.table);
        self.backlog.clear(&mut self.table);
    }

    /// An audit begins: nothing has been seen in our own Jool.
    pub(super) fn begin_audit(&mut self) {
        self.seen.begin(&mut self.table);
    }

    /// An audit is over for all slots.
    pub(super) fn end_audit(&mut self) {
        self.seen.end();
    }

    /// An audit is over, as far as this slot is concerned: if its session was not seen, our own Jool
    /// is told. Says whether it was.
    pub(super) fn audit(&mut self, now: u64, slot: Slot) -> bool {
        let Some(entry) = self.table.get_mut(slot) else {
            return false;
        };
        if !self.seen.lacks(&mut entry.marks) || entry.expires <= now {
            return false;
        }
        self.inject.push(&mut self.table, slot)
    }

    /// The reading of another node's whole table begins: it has told of nothing.
    pub(super) fn begin_comparison(&mut self) {
        self.told.begin(&mut self.table);
    }

    /// Such a reading is over for all slots.
    pub(super) fn end_comparison(&mut self) {
        self.told.end();
    }

    /// Such a reading is over, as far as this slot is concerned. That node had everything of each log up
    /// to these places, by our numbers of the logs, and what it has no longer has ended: it does so
    /// here, soon. Says whether it had.
    ///
    /// Not at once: something later may be under way. And as one that is in its last state, since Jool
    /// asks the client after an established one that expires.
    pub(super) fn compare(&mut self, now: u64, slot: Slot, reached: &Reached) -> bool {
        let Some(entry) = self.table.get_mut(slot) else {
            return false;
        };
        let was_told = !self.told.lacks(&mut entry.marks);
        let entry = *entry;
        let reached = match entry.log {
            OWN => Some(reached.own),
            // What is in no log may be known to us alone.
            log => reached.others.get(usize::from(log)).copied(),
        };
        let was_known = entry.seq > 0 && reached.is_some_and(|reached| entry.seq <= reached);
        // What went on here for longer has been announced.
        let went_on = self.activity(now, &entry).since(entry.announced);
        let is_announced = !entry.marks.has(Marks::ANNOUNCE)
            && went_on < self.window(&entry.session(now)).cast_signed();
        let timer = if entry.id.protocol == Protocol::Tcp {
            Timer::Transitory
        } else {
            entry.timer
        };
        let end = now + ENDING.min(u64::from(self.timeouts.of(entry.id.protocol, timer)));
        if was_told || !is_announced || !was_known || entry.expires <= end {
            return false;
        }
        let Some(entry) = self.table.get_mut(slot) else {
            return false;
        };
        entry.expires = end;
        entry.marks.set(Marks::ENDED, true);
        if entry.id.protocol == Protocol::Tcp {
            (entry.state, entry.timer) = (State::Trans, timer);
        }
        self.inject.push(&mut self.table, slot);
        true
    }

    /// Announces the session in a slot, if there is one.
    pub(super) fn announce(&mut self, now: u64, slot: Slot, only: Option<u16>) -> bool {
        let entry = self.table.get(slot);
        let is_meant = |entry: &Entry| {
            entry.expires > now
                && only.map_or(!entry.marks.has(Marks::ENDED), |log| entry.log == log)
        };
        entry.is_some_and(is_meant) && self.announce.push(&mut self.table, slot)
    }

    /// Moves the session in a slot from one log to a place in another.
    pub(super) fn rehome(&mut self, slot: Slot, from: u16, to: Place) -> bool {
        let is_meant = self.table.get(slot).is_some_and(|entry| entry.log == from);
        if is_meant {
            self.put(slot, to);
        }
        is_meant
    }

    /// Takes out expired sessions among the next so many slots.
    pub(super) fn sweep(&mut self, now: u64, slots: u32) {
        for _ in 0..slots.min(self.table.slots()) {
            if self.sweep >= self.table.slots() {
                self.sweep = 0;
            }
            let slot = Slot(self.sweep);
            self.sweep += 1;
            if self
                .table
                .get(slot)
                .is_some_and(|entry| entry.expires <= now)
            {
                self.remove(slot);
            }
        }
    }
}
