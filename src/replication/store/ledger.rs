//! What this node knows of the sessions, and what is still to be told: to the other nodes, and to
//! our own Jool.
//!
//! Points in time are milliseconds on the engine's clock.

use std::hint::black_box;

use crate::replication::wire::LogKey;
use crate::session::{Entry, Identity, Key, Marks, Session, Slot, Stamp, Table, Timeouts};

use super::clock::SharedClock;
use super::queue::Queue;
use super::record::{ADOPTED, OWN, Place, Record, UNLOGGED, is_local, order};

/// Sessions that are looked up together.
pub(crate) const TOGETHER: usize = 64;

/// A lifetime that differs by less from what our own Jool has is not worth telling it, in
/// milliseconds.
pub(super) const SLIGHT: u64 = 1_000;
/// How long a record of a stock peer may have been under way, in milliseconds.
pub(crate) const STOCK_DELAY: u64 = 2_000;

/// What is known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Nothing,
    /// It ended before the lifetime that others may have of it.
    Ended(Slot),
    Live(Slot),
}

/// Up to which places every other node has the logs.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) own: u64,
    /// By our numbers of the logs.
    pub(crate) others: Vec<u64>,
}

impl Told {
    /// Whether every other node has been told what this is.
    fn has(&self, entry: &Entry) -> bool {
        match entry.log {
            OWN => entry.seq > 0 && entry.seq <= self.own,
            ADOPTED => false,
            // Nobody is known to need it.
            UNLOGGED => true,
            log => {
                let told = self.others.get(usize::from(log));
                told.is_none_or(|told| entry.seq <= *told)
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) table: Table,
    pub(super) timeouts: Timeouts,
    pub(crate) clock: SharedClock,
    /// Our own log.
    pub(super) own: LogKey,
    /// Longest time between two announcements of a session with traffic.
    refresh: u64,
    /// By how much what is later may seem earlier, in milliseconds.
    pub(super) jitter: i64,
    pub(super) announce: Queue,
    pub(super) inject: Queue,
    /// What is injected when a transfer is complete, in one order.
    pub(super) backlog: Queue,
    pub(super) backlog_released: bool,
    /// The run that is being written is of what came with a transfer.
    pub(super) from_backlog: bool,
    /// Entries per log that other nodes keep.
    per_log: Vec<u32>,
    /// How the mark of entries looks that the current comparison with our own Jool has seen. It changes from
    /// one comparison to the next, so that beginning costs nothing.
    pub(super) seen: bool,
    /// The last comparison came to its end, so that the mark of all entries looks so.
    pub(super) all_seen: bool,
    /// Where expired entries are looked for next.
    sweep: u32,
    /// Entries of sessions that have ended, which are kept because somebody may not know.
    ended: usize,
    /// Entries that were given up because the table was full.
    pub(crate) given_up: u64,
    /// Whether some of them may still be missing.
    pub(crate) lacks_given_up: bool,
    /// Since the last comparison with our own Jool began nothing was too much for the table.
    pub(super) fits: bool,
    /// Our own Jool said something that only its table can explain.
    pub(crate) is_contradicted: bool,
}

/// By how much what is later may seem earlier, in milliseconds: a record waits for the flush interval, and its
/// lifetime, by which its time is known, is as it was before; and Jool counts in jiffies, of 10 ms at most.
fn jitter(flush_interval: u64) -> i64 {
    i64::try_from(2 * flush_interval.max(10)).unwrap_or(i64::MAX)
}

impl Ledger {
    pub(crate) fn new(
        now: u64,
        own: LogKey,
        limit: usize,
        refresh: u64,
        flush_interval: u64,
    ) -> Self {
        Self {
            table: Table::new(limit),
            timeouts: Timeouts::default(),
            clock: SharedClock::new(now, own.epoch),
            own,
            refresh,
            jitter: jitter(flush_interval),
            announce: Queue::new(Marks::ANNOUNCE),
            inject: Queue::new(Marks::INJECT),
            backlog: Queue::new(Marks::BACKLOG),
            backlog_released: false,
            from_backlog: false,
            per_log: Vec::new(),
            seen: true,
            all_seen: true,
            sweep: 0,
            ended: 0,
            given_up: 0,
            is_contradicted: false,
            lacks_given_up: false,
            fits: true,
        }
    }

    /// Our own Jool keeps a record back for so long, in milliseconds.
    pub(crate) fn set_flush_interval(&mut self, flush_interval: u64) {
        self.jitter = jitter(flush_interval);
    }

    /// Our own Jool's timeouts, to which everything that is told is cut.
    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// Our own Jool has these timeouts now. It counts each from a session's last packet, so that a session
    /// lives longer, or shorter, at once. Says whether something changed.
    pub(crate) fn set_timeouts(&mut self, timeouts: Timeouts) -> bool {
        let before = std::mem::replace(&mut self.timeouts, timeouts);
        if before == timeouts {
            return false;
        }
        for slot in (0..self.table.slots()).map(Slot) {
            if let Some(entry) = self.table.get_mut(slot) {
                let of = |timeouts: Timeouts| timeouts.of(entry.id.protocol, entry.timer);
                let activity = entry.expires.saturating_sub(of(before).into());
                entry.expires = activity + u64::from(of(timeouts));
            }
        }
        true
    }

    /// The clock becomes that of a group, which says this now. What we know keeps its distance from it.
    pub(crate) fn adopt_clock(&mut self, now: u64, says: Stamp) {
        let by = self.clock.adopt(now, says);
        for slot in (0..self.table.slots()).map(Slot) {
            if let Some(entry) = self.table.get_mut(slot) {
                entry.announced = entry.announced.plus(by);
            }
        }
    }

    /// Our own log is another one from now on: what we announced is as if it had just been found in our own
    /// Jool.
    pub(crate) fn begin_again(&mut self, own: LogKey) {
        self.own = own;
        for slot in (0..self.table.slots()).map(Slot) {
            self.rehome(
                slot,
                OWN,
                Place {
                    log: ADOPTED,
                    seq: 0,
                },
            );
        }
        self.announce.clear(&mut self.table);
    }

    /// Sessions that are known, and have not ended.
    pub(crate) fn sessions(&self) -> usize {
        self.table.len().saturating_sub(self.ended)
    }

    /// Sessions that have not expired. Looks at every one.
    pub(crate) fn live_sessions(&self, now: u64) -> u64 {
        let slots = (0..self.table.slots()).map(Slot);
        let entries = slots.filter_map(|slot| self.table.get(slot));
        entries.filter(|entry| entry.expires > now).count() as u64
    }

    /// Where the index has these sessions, which are looked up next.
    #[inline]
    pub(crate) fn keys(&self, records: &[Record]) -> [Key; TOGETHER] {
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
    pub(super) fn window(&self, session: &Session) -> i64 {
        let timeout = self.timeouts.of(session.id.protocol, session.timer);
        self.refresh.min(u64::from(timeout / 6)).cast_signed()
    }

    /// When a session's latest packet was translated, as far as its lifetime tells; not later than
    /// now.
    #[inline]
    pub(crate) fn stamp(&self, now: u64, session: &Session) -> Stamp {
        let timeout = self.timeouts.of(session.id.protocol, session.timer);
        let activity = (now + u64::from(session.lifetime)).saturating_sub(u64::from(timeout));
        self.clock.at(activity.min(now))
    }

    /// The same of what a stock peer said, who does not tell when it did. In doubt it is the earlier one:
    /// what others say they know.
    #[inline]
    pub(crate) fn stock_stamp(&self, now: u64, session: &Session) -> Stamp {
        self.stamp(now, session).minus(STOCK_DELAY)
    }

    /// The last activity that is known of a session: that which was announced, or what our own Jool
    /// said since.
    #[inline]
    pub(super) fn activity(&self, now: u64, entry: &Entry) -> Stamp {
        // What has ended lives for too short.
        if !is_local(entry) || entry.expires <= now {
            return entry.announced;
        }
        let activity = self.clock.at(entry.activity(&self.timeouts).min(now));
        activity.latest(entry.announced)
    }

    /// Whether a received record is later than what all others know, or will know, if they know what
    /// we announced. All nodes that are told the same decide this alike, in whatever order they are
    /// told. `logs`: whose the logs are, by our numbers of them.
    #[inline]
    pub(super) fn is_later(&self, record: &Record, entry: &Entry, logs: &[LogKey]) -> bool {
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
            log => logs.get(usize::from(log)).copied().unwrap_or(LogKey::NONE),
        };
        order(session, *at, entry, entry.announced)
            .then_with(|| key(place.log).cmp(&key(entry.log)))
            .is_gt()
    }

    pub(super) fn count(&mut self, log: u16, more: bool) {
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
    pub(crate) fn entries_of(&self, log: u16) -> u32 {
        self.per_log.get(usize::from(log)).copied().unwrap_or(0)
    }

    /// What is known of a session. If it has expired, and nobody needs to know, it is taken out.
    #[inline]
    pub(super) fn known(&mut self, now: u64, key: Key, id: &Identity) -> Known {
        let Some(slot) = self.table.find(key, id) else {
            return Known::Nothing;
        };
        match self.table.get(slot) {
            Some(entry) if entry.expires > now => Known::Live(slot),
            Some(entry) if entry.ends_early() => Known::Ended(slot),
            _ => {
                self.remove(slot);
                Known::Nothing
            }
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        if let Some(entry) = self.table.remove(slot) {
            self.is_gone(&entry);
        }
    }

    pub(super) fn is_gone(&mut self, entry: &Entry) {
        self.count(entry.log, false);
        self.ended -= usize::from(entry.marks.has(Marks::ENDED));
    }

    /// A session has ended, and others may not know; or it is open again.
    pub(super) fn set_ended(&mut self, slot: Slot, has_ended: bool) {
        let entry = self.table.get_mut(slot);
        if entry.is_some_and(|entry| entry.marks.set(Marks::ENDED, has_ended)) {
            self.ended = if has_ended {
                self.ended + 1
            } else {
                self.ended.saturating_sub(1)
            };
        }
    }

    pub(super) fn insert(&mut self, now: u64, key: Key, record: &Record) -> Slot {
        let Record { session, at, place } = record;
        let mut marks = Marks::default();
        marks.set(Marks::SEEN, self.seen);
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
            self.is_gone(&entry);
            if entry.expires > now {
                self.given_up += 1;
                self.is_too_small();
            }
        }
        slot
    }

    /// Moves an entry to another place.
    pub(super) fn put(&mut self, slot: Slot, place: Place) {
        let Some(entry) = self.table.get_mut(slot) else {
            return;
        };
        let before = entry.log;
        entry.marks.set(Marks::LOCAL, false);
        (entry.log, entry.seq) = (place.log, place.seq);
        if before != place.log {
            self.count(before, false);
            self.count(place.log, true);
        }
    }

    /// Something has no room in the table.
    pub(super) fn is_too_small(&mut self) {
        (self.lacks_given_up, self.fits) = (true, false);
    }

    /// Moves the session in a slot from one log to a place in another.
    pub(crate) fn rehome(&mut self, slot: Slot, from: u16, to: Place) -> bool {
        let is_meant = self.table.get(slot).is_some_and(|entry| entry.log == from);
        if is_meant {
            self.put(slot, to);
        }
        is_meant
    }

    /// Whether what has ended did so at once, since somebody removed it, not some time after it was closed.
    pub(super) fn was_removed(&self, entry: &Entry) -> bool {
        let lived = self.clock.at(entry.expires).since(entry.announced);
        entry.ends_early() && lived < i64::from(self.timeouts.tcp_transitory / 2)
    }

    /// Takes out expired sessions among the next so many slots. Not those that our own Jool, if there is
    /// one, is yet to be told of; and not those that have ended while another node may think that they
    /// live.
    pub(crate) fn sweep(&mut self, now: u64, slots: u32, has_jool: bool, told: &Told) {
        let longest = u64::from(self.timeouts.longest());
        let known = u64::from(self.timeouts.tcp_transitory / 2);
        for _ in 0..slots.min(self.table.slots()) {
            if self.sweep >= self.table.slots() {
                self.sweep = 0;
            }
            let slot = Slot(self.sweep);
            self.sweep += 1;
            let Some(entry) = self.table.get(slot).filter(|entry| entry.expires <= now) else {
                continue;
            };
            let waits = entry.marks.has(Marks::INJECT) || entry.marks.has(Marks::BACKLOG);
            // What is closed lives for a while, and is known by that; what somebody removed is not.
            let is_new = self.was_removed(entry) && now < entry.expires + known;
            let is_needed = is_new || !told.has(entry);
            if entry.ends_early() && is_needed && now < entry.expires + longest {
                self.set_ended(slot, true);
            } else if !waits || !has_jool {
                self.remove(slot);
            }
        }
    }
}
