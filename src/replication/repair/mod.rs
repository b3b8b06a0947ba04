//! Getting what is missing: records that a datagram took with it, the time of a partition, or
//! everything.
//!
//! What is missing of the log of a node that is there, and was announced not too long ago, is asked
//! for by its places in that log (`missing.rs`). For everything else some node's table is read, slot by
//! slot, without what we have (`scan.rs`). A node that is new misses everything.

mod answers;
mod donor;
mod missing;
mod replayed;
mod scan;
mod verify;

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::counters::Counters;
use super::event::{Digests, Events};
use super::group::Group;
use super::store::Ledger;
use super::wire::Request;

pub(crate) use answers::{Answers, Source};
pub(crate) use donor::{best_donor, worth};
pub(crate) use replayed::Heard;
pub(crate) use scan::{LastWhole, Reading, Scan};
pub(crate) use verify::{Summer, Verifier};

/// How many questions may stay without an answer before another node is asked.
pub(crate) const TRIES: u32 = 8;
/// A hole of an answer younger than this may be filled by what is only late, in milliseconds.
const TOLERANCE: u64 = 10;
/// Questions that wait to be sent.
const MOST_QUESTIONS: usize = 64;
/// Nodes whose lost records are told of one by one.
const MOST_LOST: usize = 32;

/// Questions that wait to be sent.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    waiting: VecDeque<(SocketAddr, Request)>,
    last_token: u32,
}

impl Questions {
    /// Asks a node, unless too many questions wait to be sent: they are asked again all the same.
    fn ask(&mut self, address: SocketAddr, request: Request) {
        if self.waiting.len() < MOST_QUESTIONS {
            self.waiting.push_back((address, request));
        }
    }

    pub(crate) fn next(&mut self) -> Option<(SocketAddr, Request)> {
        self.waiting.pop_front()
    }

    /// Never 0.
    fn token(&mut self) -> u32 {
        self.last_token = self.last_token.wrapping_add(1).max(1);
        self.last_token
    }
}

/// What getting what is missing needs to know of everything else.
pub(crate) struct Around<'a> {
    pub(crate) group: &'a mut Group,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) events: &'a mut Events,
    pub(crate) counters: &'a mut Counters,
    /// The last place in our own log.
    pub(crate) own_last: u64,
    /// This node has not joined yet.
    pub(crate) is_joining: bool,
    /// Of what should be the same everywhere; `None`: there is no Jool.
    pub(crate) digests: Option<Digests>,
}

/// What is being done about what is missing.
#[derive(Debug)]
pub(crate) struct Repair {
    pub(crate) scan: Option<Scan>,
    pub(crate) questions: Questions,
    pub(crate) verifier: Verifier,
    /// Sessions that were not here, or in another state, of what was read because it differs.
    differed: Option<u64>,
    /// The last whole table that was read.
    pub(crate) last_whole: Option<LastWhole>,
    /// Another node's whole table is to be read.
    pub(crate) resync_wanted: bool,
    /// Records that nobody has any more: whose, and how many.
    lost: Vec<(u64, u64)>,
    /// Since when the last of them is missing.
    lost_since: u64,
}

impl Repair {
    pub(crate) fn new() -> Self {
        Self {
            scan: None,
            questions: Questions::default(),
            verifier: Verifier::new(),
            differed: None,
            last_whole: None,
            resync_wanted: false,
            lost: Vec::new(),
            lost_since: 0,
        }
    }

    /// Does what is due about everything that is missing.
    pub(crate) fn recover(&mut self, now: u64, around: &mut Around<'_>) {
        for index in around.group.logs.indexes() {
            let log = around.group.logs.get(index);
            if log.is_some_and(|log| log.due.is_some_and(|due| due <= now)) {
                self.recover_log(now, index, around);
            }
        }
        self.go_on_with_scan(now, around);
        let wants_all = self.resync_wanted || !self.lost.is_empty();
        if self.scan.is_none() && !around.is_joining && wants_all {
            // What is lost may be with somebody who is back.
            if let Some(donor) = best_donor(&around.group.nodes, around.digests, 2) {
                self.resync_wanted = false;
                self.begin_scan(now, donor, Reading::Whole, around);
            }
        }
        self.verify(now, around);
    }

    /// When something is next due.
    pub(crate) fn due(&self, group: &Group) -> Option<u64> {
        let scan = self.scan.as_ref().map(Scan::due);
        let verifier = Some(self.verifier.due());
        [group.logs.due(), scan, verifier]
            .into_iter()
            .flatten()
            .min()
    }

    /// Records that nobody has any more: whose, and how many.
    pub(crate) fn lost(&self) -> &[(u64, u64)] {
        &self.lost
    }

    /// Records of a node are lost.
    fn lose(&mut self, now: u64, node: u64, records: u64) {
        self.lost_since = now;
        let others = self.lost.len();
        match self.lost.iter_mut().find(|(other, _)| *other == node) {
            Some((_, lost)) => *lost += records,
            None if others < MOST_LOST => self.lost.push((node, records)),
            None => {}
        }
    }

    /// No session lives for longer than this without a packet, in milliseconds.
    pub(crate) fn forget_lost(&mut self, now: u64, longest: u64) {
        if now >= self.lost_since + longest {
            self.lost.clear();
        }
    }
}
