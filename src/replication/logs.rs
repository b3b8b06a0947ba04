//! What this node has of the other nodes' logs.

use crate::session::Stamp;

use super::frame::{LogKey, Position};
use super::ranges::Ranges;

/// Logs that are followed at a time, each of a node in one run.
const MOST: usize = 64;

/// No hello is later than this, in milliseconds.
const LATEST: u64 = 1_000;

/// Records that a node can find again by their places in its log.
pub(super) const RING: u64 = 1 << 16;

/// That somebody had everything of a log, and knew what of it had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Complete {
    /// Up to here.
    pub(super) place: u64,
    /// When there was no more.
    pub(super) at: Stamp,
}

/// Another node's log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) key: LogKey,
    /// When its node, or a longer end of it, was last heard of.
    pub(super) news: u64,
    /// The highest place that is known of.
    pub(super) last: u64,
    /// What we do not have below that.
    pub(super) missing: Ranges,
    /// When we last had all of it, on the table's clock; `None`: never.
    pub(super) complete: Option<Complete>,
    /// What somebody had that has not come here yet.
    told: Option<Complete>,
    /// When, in milliseconds on the engine's clock, something is next done about that.
    pub(super) due: Option<u64>,
    /// Questions since the last answer.
    pub(super) tries: u32,
    /// The token of the last question.
    pub(super) token: u32,
    /// Since when nobody was known to have it.
    pub(super) hopeless_since: Option<u64>,
    /// Whose tables were read for what is missing, as it is now.
    pub(super) read: Vec<LogKey>,
    /// Its node was heard itself, and not only what others have of it.
    pub(super) heard: bool,
    /// A place beyond what the log's own node says, and since when it was known, in milliseconds on the
    /// engine's clock.
    beyond: Option<(u64, u64)>,
    /// What is missing is not waited for. It is still asked for should somebody come who has it.
    pub(super) given_up: bool,
}

impl Log {
    fn new(key: LogKey) -> Self {
        Self {
            key,
            news: 0,
            last: 0,
            missing: Ranges::default(),
            complete: None,
            told: None,
            due: None,
            tries: 0,
            token: 0,
            hopeless_since: None,
            read: Vec::new(),
            heard: false,
            beyond: None,
            given_up: false,
        }
    }

    /// Everything up to here is known.
    pub(super) fn have(&self) -> u64 {
        self.missing.first().map_or(self.last, |first| first - 1)
    }

    /// The log reaches up to here. Says whether that leaves something missing that was not known
    /// to be.
    pub(super) fn reaches(&mut self, last: u64) -> bool {
        if last <= self.last {
            return false;
        }
        self.missing.insert(self.last + 1, last);
        self.last = last;
        self.read.clear();
        self.given_up = false;
        true
    }

    /// The log's own node says that it reaches up to here. If that is less than was known of it long ago,
    /// whoever told more was wrong.
    pub(super) fn ends(&mut self, now: u64, last: u64) {
        self.beyond = match self.beyond {
            Some((beyond, since)) if last < beyond => Some((beyond, since)),
            _ => (last < self.last).then_some((self.last, now)),
        };
        if self.beyond.is_some_and(|(_, since)| now >= since + LATEST) {
            self.beyond = None;
            self.missing.remove(last + 1, u64::MAX);
            self.last = last;
        }
        self.reaches(last);
    }

    /// These records have come.
    pub(super) fn came(&mut self, first: u64, count: u64) {
        let Some(last) = first.checked_add(count).map(|end| end - 1) else {
            return;
        };
        if count == 0 {
            return;
        }
        if first == self.last + 1 {
            self.last = last;
            return;
        }
        self.reaches(last);
        self.missing.remove(first, last);
    }

    /// Somebody had all of it then. What was announced since we had all of it, less than `soon`
    /// milliseconds ago, cannot have ended before it came here. Says whether something else may have: that
    /// is found out by a comparison with who said this.
    pub(super) fn was_complete(&mut self, now: Stamp, told: Complete, soon: i64) -> bool {
        if let Some(before) = self.told
            && self.have() >= before.place
        {
            self.told = None;
            self.goes_on(now, before, soon);
        }
        if self.have() >= told.place {
            self.goes_on(now, told, soon);
        } else if self.told.is_none_or(|held| now.since(held.at) >= soon) {
            self.told = Some(told);
        }
        self.is_behind(told) && self.is_stale(now, soon)
    }

    fn goes_on(&mut self, now: Stamp, told: Complete, soon: i64) {
        let (place, at) = self
            .complete
            .map_or((0, None), |ours| (ours.place, Some(ours.at)));
        if told.place <= place || !self.is_stale(now, soon) {
            self.complete = Some(Complete {
                place: told.place.max(place),
                at: at.map_or(told.at, |at| at.latest(told.at)),
            });
        }
    }

    fn is_behind(&self, told: Complete) -> bool {
        self.complete.map_or(told.place > 0, |ours| {
            told.place > ours.place && told.at.since(ours.at) > 0
        })
    }

    fn is_stale(&self, now: Stamp, soon: i64) -> bool {
        self.complete.is_none_or(|ours| now.since(ours.at) >= soon)
    }

    /// We know whatever somebody knew of it then.
    pub(super) fn is_complete(&mut self, known: Complete) {
        if self.complete.is_none_or(|ours| known.at.since(ours.at) > 0) {
            let place = self.complete.map_or(0, |ours| ours.place);
            self.complete = Some(Complete {
                place: known.place.max(place),
                at: known.at,
            });
        }
    }

    /// When we had all of it, if there is nothing here of which we do not know whether it has ended.
    pub(super) fn complete_at(&self, now: Stamp, soon: i64) -> Option<Stamp> {
        let ours = self.complete?;
        (self.have() <= ours.place || !self.is_stale(now, soon)).then_some(ours.at)
    }

    /// Some node's table has been read, with whatever it had of this.
    pub(super) fn was_read(&mut self, donor: LogKey) {
        if self.missing.is_empty() || self.read.contains(&donor) {
            return;
        }
        if self.read.len() == MOST {
            self.read.clear();
        }
        self.read.push(donor);
    }

    /// Whether something is missing that may come.
    pub(super) fn lacks(&self) -> bool {
        !self.missing.is_empty() && !self.given_up
    }

    /// Whether the node itself can still find the first of what is missing by its place.
    pub(super) fn is_recent(&self) -> bool {
        self.missing
            .first()
            .is_some_and(|first| first + RING > self.last)
    }
}

/// The logs that are followed; an entry's `log` is the place in the list.
#[derive(Debug, Default)]
pub(super) struct Logs(Vec<Log>);

impl Logs {
    pub(super) fn find(&self, key: LogKey) -> Option<u16> {
        let found = self.0.iter().position(|log| log.key == key)?;
        u16::try_from(found).ok()
    }

    /// The log of that key, from now on if need be; `None`: there are too many.
    pub(super) fn find_or_add(&mut self, key: LogKey) -> Option<u16> {
        if let Some(found) = self.find(key) {
            return Some(found);
        }
        if self.0.len() < MOST {
            self.0.push(Log::new(key));
            return u16::try_from(self.0.len() - 1).ok();
        }
        None
    }

    /// Puts a log in the place of another one.
    pub(super) fn replace(&mut self, index: u16, key: LogKey) {
        if let Some(log) = self.get_mut(index) {
            *log = Log::new(key);
        }
    }

    pub(super) fn get(&self, index: u16) -> Option<&Log> {
        self.0.get(usize::from(index))
    }

    pub(super) fn get_mut(&mut self, index: u16) -> Option<&mut Log> {
        self.0.get_mut(usize::from(index))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &Log)> {
        (0..).zip(&self.0)
    }

    pub(super) fn indexes(&self) -> impl Iterator<Item = u16> + use<> {
        0..u16::try_from(self.0.len()).unwrap_or(u16::MAX)
    }

    /// Up to where everything of each log is known.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> + '_ {
        self.0.iter().map(|log| Position {
            log: log.key,
            seq: log.have(),
        })
    }
}

/// Which slots the latest records of our own log are in, and when they were announced.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// By place in the log, modulo [`RING`].
    slots: Vec<(u32, u32)>,
    last: u64,
}

impl Ring {
    fn index(seq: u64) -> usize {
        usize::try_from(seq % RING).unwrap_or(0)
    }

    /// The next record of the log: the session in this slot, at this time.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "differences of up to 49 days are enough"
    )]
    pub(super) fn push(&mut self, slot: u32, now: u64) {
        self.last += 1;
        let index = Self::index(self.last);
        let item = (slot, now as u32);
        if self.slots.is_empty() {
            // All at once, since growing would copy it. Memory that is not used yet costs nothing.
            self.slots.reserve_exact(usize::try_from(RING).unwrap_or(0));
        }
        if let Some(place) = self.slots.get_mut(index) {
            *place = item;
        } else {
            // The log begins at 1.
            self.slots.resize(index, (u32::MAX, 0));
            self.slots.push(item);
        }
    }

    /// The last place of the log.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The slot that the record at this place was in.
    pub(super) fn slot(&self, seq: u64) -> Option<u32> {
        self.item(seq).map(|(slot, _)| slot)
    }

    /// How long ago, in milliseconds, the record at this place was announced.
    #[allow(clippy::cast_possible_truncation, reason = "as in push")]
    pub(super) fn age(&self, seq: u64, now: u64) -> Option<u32> {
        self.item(seq)
            .map(|(_, then)| (now as u32).wrapping_sub(then))
    }

    fn item(&self, seq: u64) -> Option<(u32, u32)> {
        let is_kept = seq >= 1 && seq <= self.last && seq + RING > self.last;
        is_kept.then(|| self.slots.get(Self::index(seq)).copied())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: LogKey = LogKey { node: 1, epoch: 1 };

    #[test]
    fn what_comes_out_of_order_leaves_nothing_missing() {
        let mut log = Log::new(KEY);
        log.came(1, 10);
        log.came(21, 10);
        assert_eq!((log.have(), log.missing.len()), (10, 10));
        log.came(11, 5);
        assert_eq!((log.have(), log.missing.len()), (15, 5));
        log.came(1, 18);
        log.came(19, 2);
        assert_eq!((log.have(), log.last), (30, 30));
        assert!(log.missing.is_empty());
    }

    #[test]
    fn a_lost_tail_is_missing_as_soon_as_somebody_tells() {
        let mut log = Log::new(KEY);
        assert!(log.reaches(5));
        assert!(!log.reaches(4));
        assert_eq!((log.have(), log.missing.len()), (0, 5));
        assert!(log.is_recent());
        log.reaches(RING + 1);
        assert!(!log.is_recent());
    }

    #[test]
    fn what_a_node_does_not_know_of_its_own_log_is_not_missing() {
        let mut log = Log::new(KEY);
        log.came(1, 10);
        // Late hellos of a log that goes on.
        for second in 1..=10 {
            log.came(log.last + 1, 10);
            log.ends(second * 1_000, log.last - 5);
        }
        assert_eq!((log.have(), log.last), (110, 110));
        log.reaches(1 << 40);
        log.ends(10_500, 112);
        log.ends(11_000, 116);
        assert_eq!(log.last, 1 << 40);
        log.ends(11_500, 118);
        assert_eq!((log.have(), log.last, log.missing.len()), (110, 118, 8));
    }

    #[test]
    fn the_ring_forgets_what_is_too_old() {
        let mut ring = Ring::default();
        for number in 0..RING + 5 {
            ring.push(u32::try_from(number).unwrap(), number);
        }
        assert_eq!(ring.slot(5), None);
        assert_eq!(ring.slot(6), Some(5));
        assert_eq!(ring.slot(RING + 5), Some(u32::try_from(RING).unwrap() + 4));
        assert_eq!(ring.slot(RING + 6), None);
        assert_eq!(ring.age(6, 25), Some(20));
    }
}
