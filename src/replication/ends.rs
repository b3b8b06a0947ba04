//! What ended unseen: what a node has no longer that it once had. Who kept all that it was told can tell;
//! who may lack something says so, and nothing is concluded from it.

use crate::session::Stamp;

use super::frame::{LogKey, Position};
use super::ledger::Reached;
use super::logs::Complete;
use super::nodes::Node;
use super::record::{OWN, Place};
use super::recovery::worth;
use super::walk::Walk;
use super::{Engine, Event};

/// What a reading of another node's whole table tells by what was not in it.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) donor: LogKey,
    /// How far it was before the reading began.
    pub(super) reached: Reached,
    pub(super) reaches: Vec<Reach>,
    /// When the reading was over, on the table's clock.
    pub(super) over: Stamp,
    /// It has said since then that it lacks nothing.
    pub(super) is_confirmed: bool,
    /// Sessions that it has no longer.
    pub(super) ended: u64,
}

/// How far a donor was in a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) position: Position,
    /// When it had all of it, on the table's clock; `None`: not known.
    pub(super) complete: Option<Stamp>,
}

impl Engine {
    /// A node that knows of ends that we do not, and lacks nothing.
    pub(super) fn who_knows_ends(&self) -> Option<LogKey> {
        let knows = |node: &&Node| node.knows_ends && self.is_like_ours(node) && self.helps(node);
        self.nodes.all_present().find(knows).map(|node| node.key)
    }

    /// Who lacks something, or takes other sessions than we, tells nothing by what it has not.
    pub(super) fn is_like_ours(&self, node: &Node) -> bool {
        worth(node) == Some(3) && self.kept_all(node)
    }

    /// Whether a node has kept, as we would have, all that it was told.
    pub(super) fn kept_all(&self, node: &Node) -> bool {
        self.has_our_settings(node) && node.hello.lacks == 0
    }

    pub(super) fn has_our_settings(&self, node: &Node) -> bool {
        let digests = self.jool.as_ref().map(|jool| jool.digests);
        digests == Some(node.hello.digests)
    }

    /// Whether what is at a place came here once.
    pub(super) fn had(&self, Place { log, seq }: Place) -> bool {
        match log {
            OWN => true,
            log => self.logs.get(log).is_some_and(|log| seq <= log.have()),
        }
    }

    /// Something is missing here from now on that may be alive and come from nowhere, for as long as it
    /// may live.
    pub(super) fn now_lacks(&mut self, now: u64) {
        self.may_lack_for(now, u32::MAX);
    }

    /// The same for so long, in milliseconds, but no longer than anything may live.
    pub(super) fn may_lack_for(&mut self, now: u64, time: u32) {
        let until = now + u64::from(time.min(self.ledger.timeouts().longest()));
        self.may_lack_until = self.may_lack_until.max(until);
    }

    /// There is room again for what was given up.
    pub(super) fn gave_up(&mut self, now: u64) {
        self.now_lacks(now);
        self.gave_up_until = self.may_lack_until;
    }

    /// For how long yet something that was given up here may be alive, in milliseconds.
    pub(super) fn gave_up_for(&self, now: u64) -> u32 {
        if self.ledger.lacks_given_up {
            return self.ledger.timeouts().longest();
        }
        u32::try_from(self.gave_up_until.saturating_sub(now)).unwrap_or(u32::MAX)
    }

    /// For how long yet something may be missing here so, in milliseconds.
    pub(super) fn lacks_for(&self, now: u64) -> u32 {
        let left = u32::try_from(self.may_lack_until.saturating_sub(now)).unwrap_or(u32::MAX);
        left.max(self.gave_up_for(now))
    }

    /// Whether something may be missing here so.
    pub(super) fn may_lack(&self, now: u64) -> bool {
        self.lacks_for(now) > 0
    }

    /// How far a donor was in each log, by our numbers of them.
    pub(super) fn reached(&self, reaches: &[Reach]) -> Reached {
        let reached = |key| {
            let reach = reaches.iter().find(|reach| reach.position.log == key);
            reach.map_or(0, |reach| reach.position.seq)
        };
        let own = reached(self.own);
        Reached {
            // Nobody has what was not announced.
            own: if own <= self.ring.last() { own } else { 0 },
            others: self.logs.iter().map(|(_, log)| reached(log.key)).collect(),
        }
    }

    /// A node said hello: if its table was read, and it lacked nothing until the end, what it has no
    /// longer has ended.
    pub(super) fn confirm_comparison(&mut self, from: LogKey, sent: Stamp) {
        let is_meant = |comparison: &&mut Comparison| {
            let is_later = sent.since(comparison.over) >= 0;
            comparison.donor == from && !comparison.is_confirmed && is_later
        };
        let donor = self.nodes.present(from);
        let is_good = donor.is_some_and(|donor| self.is_like_ours(donor));
        let Some(comparison) = self.comparison.as_mut().filter(is_meant) else {
            return;
        };
        if !is_good {
            self.comparison = None;
            return;
        }
        comparison.is_confirmed = true;
        let reaches = std::mem::take(&mut comparison.reaches);
        self.knows_ends_of(&reaches);
        self.walks.push_back((Walk::Compare, 0));
    }

    /// Whatever a node knew of each log is known here.
    pub(super) fn knows_ends_of(&mut self, reaches: &[Reach]) {
        for Reach { position, complete } in reaches {
            let index = self.logs.find(position.log);
            let log = index.and_then(|index| self.logs.get_mut(index));
            if let Some((log, at)) = log.zip(*complete) {
                log.is_complete(Complete {
                    place: position.seq,
                    at,
                });
            }
        }
    }

    /// What another node has no longer has ended here, too.
    pub(super) fn finish_comparison(&mut self) {
        self.ledger.end_comparison();
        let Some(comparison) = self.comparison.take() else {
            return;
        };
        self.counters.ended += comparison.ended;
        if comparison.ended > 0 {
            self.tell(Event::Ended {
                name: self.name_of(comparison.donor.node),
                sessions: comparison.ended,
            });
        }
    }
}
