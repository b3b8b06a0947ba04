//! What this node has of another one's log.

use crate::replication::store::RING;
use crate::replication::wire::LogKey;

use super::question::Question;
use super::ranges::Ranges;

/// A hole younger than this may be filled by what is only late, in milliseconds.
const TOLERANCE: u64 = 10;
/// No hello is later than this, in milliseconds.
const LATEST: u64 = 1_000;
/// Nodes whose tables are remembered to have been read for what is missing.
const MOST_READ: usize = 64;

/// Another node's log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) key: LogKey,
    /// When its node, or a longer end of it, was last heard of.
    pub(super) news: u64,
    /// The highest place that is known of.
    pub(crate) last: u64,
    /// When its own node last said how far it goes, and nothing of it was missing, in milliseconds on the
    /// engine's clock; 0: never.
    pub(crate) whole_at: u64,
    /// What we do not have below that.
    pub(crate) missing: Ranges,
    /// When, in milliseconds on the engine's clock, something is next done about that.
    pub(crate) due: Option<u64>,
    /// Questions by place since the last answer.
    pub(crate) tries: u32,
    /// The token of the last question.
    pub(crate) token: u32,
    pub(crate) question: Question,
    /// Since when nobody was known to have it.
    pub(crate) hopeless_since: Option<u64>,
    /// Whose tables were read for what is missing, as it is now.
    read: Vec<LogKey>,
    /// Its node was heard itself, and not only what others have of it.
    pub(crate) heard: bool,
    /// A place beyond what the log's own node says, and since when it was known, in milliseconds on the
    /// engine's clock.
    beyond: Option<(u64, u64)>,
    /// What is missing is not waited for. It is still asked for should somebody come who has it.
    pub(crate) given_up: bool,
    /// A place up to which something is missing, and since when it has been, in milliseconds on the
    /// engine's clock.
    behind: Option<(u64, u64)>,
    /// Up to here something was told while nobody who told it was heard.
    apart: Option<u64>,
}

impl Log {
    pub(super) fn new(key: LogKey, now: u64) -> Self {
        Self {
            key,
            news: now,
            last: 0,
            whole_at: 0,
            missing: Ranges::default(),
            due: None,
            tries: 0,
            token: 0,
            question: Question::default(),
            hopeless_since: None,
            read: Vec::new(),
            heard: false,
            beyond: None,
            given_up: false,
            behind: None,
            apart: None,
        }
    }

    /// Everything up to here is known.
    pub(crate) fn have(&self) -> u64 {
        self.missing.first().map_or(self.last, |first| first - 1)
    }

    /// The log reaches up to here. Says whether that leaves something missing that was not known
    /// to be.
    pub(crate) fn reaches(&mut self, now: u64, last: u64) -> bool {
        if last <= self.last {
            return false;
        }
        self.missing.insert(self.last + 1, last);
        self.last = last;
        self.news = now;
        self.read.clear();
        self.given_up = false;
        true
    }

    /// The log's own node says that it reaches up to here. If that is less than was known of it long ago,
    /// whoever told more was wrong.
    pub(super) fn ends(&mut self, now: u64, last: u64) {
        self.heard = true;
        self.news = now;
        if std::mem::take(&mut self.given_up) {
            // Its own node has it all.
            self.due = Some(now);
        }
        self.beyond = match self.beyond {
            Some((beyond, since)) if last < beyond => Some((beyond, since)),
            _ => (last < self.last).then_some((self.last, now)),
        };
        if self.beyond.is_some_and(|(_, since)| now >= since + LATEST) {
            self.beyond = None;
            self.missing.remove(last + 1, u64::MAX);
            self.last = last;
        }
        if !self.reaches(now, last) && self.missing.is_empty() {
            self.whole_at = now;
        }
        self.schedule(now);
    }

    /// These records have come.
    pub(crate) fn came(&mut self, now: u64, first: u64, count: u64) {
        let Some(last) = first.checked_add(count).map(|end| end - 1) else {
            return;
        };
        if count == 0 {
            return;
        }
        if first == self.last + 1 {
            self.last = last;
        } else {
            self.reaches(now, last);
            self.missing.remove(first, last);
        }
    }

    /// Has something done about what is missing.
    pub(crate) fn schedule(&mut self, now: u64) {
        if self.missing.is_empty() {
            self.due = None;
            self.tries = 0;
            self.hopeless_since = None;
            self.given_up = false;
        } else if self.due.is_none() {
            self.due = Some(now + TOLERANCE);
        }
    }

    /// What is missing is not waited for any more.
    pub(crate) fn give_up(&mut self) {
        self.given_up = true;
        self.hopeless_since = None;
    }

    /// Some node's table has been read, with whatever it had of this.
    pub(crate) fn was_read(&mut self, donor: LogKey) {
        if self.missing.is_empty() || self.read.contains(&donor) {
            return;
        }
        if self.read.len() == MOST_READ {
            self.read.clear();
        }
        self.read.push(donor);
    }

    /// Whether the table of this node was read for what is missing.
    pub(crate) fn has_read(&self, donor: LogKey) -> bool {
        self.read.contains(&donor)
    }

    /// Follows for how long something has been missing.
    pub(super) fn keep_lag(&mut self, now: u64) {
        let have = self.have();
        self.behind = match self.behind {
            _ if !self.lacks() => None,
            Some((place, since)) if have < place.min(self.last) => Some((place, since)),
            _ => Some((self.last, now)),
        };
        self.apart = self.apart.filter(|place| self.lacks() && have < *place);
    }

    /// Who told of it was not heard for long: what is missing is of unknown age.
    pub(super) fn was_apart(&mut self) {
        if self.lacks() {
            self.apart = Some(self.last);
        }
    }

    /// Whether something that was told meanwhile is missing.
    pub(super) fn is_apart(&self) -> bool {
        self.apart.is_some()
    }

    /// For how long the first of what is missing has been, in milliseconds, as of the last
    /// [`keep_lag`](Self::keep_lag).
    pub(super) fn lag(&self, now: u64) -> u64 {
        self.behind
            .map_or(0, |(_, since)| now.saturating_sub(since))
    }

    /// Whether something is missing that may come.
    pub(crate) fn lacks(&self) -> bool {
        !self.missing.is_empty() && !self.given_up
    }

    /// Whether the node itself can still find the first of what is missing by its place.
    pub(crate) fn is_recent(&self) -> bool {
        self.missing
            .first()
            .is_some_and(|first| first + RING > self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: LogKey = LogKey { node: 1, epoch: 1 };

    #[test]
    fn what_comes_out_of_order_leaves_nothing_missing() {
        let mut log = Log::new(KEY, 0);
        log.came(0, 1, 10);
        log.came(0, 21, 10);
        assert_eq!((log.have(), log.missing.len()), (10, 10));
        log.came(0, 11, 5);
        assert_eq!((log.have(), log.missing.len()), (15, 5));
        log.came(0, 1, 18);
        log.came(0, 19, 2);
        assert_eq!((log.have(), log.last), (30, 30));
        assert!(log.missing.is_empty());
    }

    #[test]
    fn a_lost_tail_is_missing_as_soon_as_somebody_tells() {
        let mut log = Log::new(KEY, 0);
        assert!(log.reaches(0, 5));
        assert!(!log.reaches(0, 4));
        assert_eq!((log.have(), log.missing.len()), (0, 5));
        assert!(log.is_recent());
        log.reaches(0, RING + 1);
        assert!(!log.is_recent());
    }

    #[test]
    fn what_a_node_does_not_know_of_its_own_log_is_not_missing() {
        let mut log = Log::new(KEY, 0);
        log.came(0, 1, 10);
        // Late hellos of a log that goes on.
        for second in 1..=10 {
            log.came(0, log.last + 1, 10);
            log.ends(second * 1_000, log.last - 5);
        }
        assert_eq!((log.have(), log.last), (110, 110));
        log.reaches(10_400, 1 << 40);
        log.ends(10_500, 112);
        log.ends(11_000, 116);
        assert_eq!(log.last, 1 << 40);
        log.ends(11_500, 118);
        assert_eq!((log.have(), log.last, log.missing.len()), (110, 118, 8));
    }
}
