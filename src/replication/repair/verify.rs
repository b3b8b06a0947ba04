//! Whether another node has the same as we: its sums and ours are compared, and where they differ, what it has
//! is read.

use std::net::SocketAddr;
use std::time::Duration;

use crate::replication::event::Event;
use crate::replication::group::{Node, Verified};
use crate::replication::store::{Buckets, Digest, Ledger};
use crate::replication::wire::{BUCKETS, LogKey, Request, Sender, Space, Sums};

use super::donor::{is_alike, worth};
use super::{Around, Reading, Repair, TRIES};

/// How often one of the other nodes is compared with, in milliseconds.
const INTERVAL: u64 = 300_000;
/// What was active later is left out, in milliseconds: it may not have come everywhere, and what goes on is
/// announced again while the sums are made. Longer than the refresh window.
const UNDER_WAY: u64 = 15_000;
/// How long all other nodes are looked for that an operator wants to know of, since the last one of them, in
/// milliseconds.
const PATIENCE: u64 = 60_000;
/// How often it is then looked whether one of them can be compared with, in milliseconds.
const LOOK: u64 = 1_000;

/// A comparison with another node.
#[derive(Debug)]
struct Verification {
    peer: LogKey,
    token: u32,
    began: u64,
    ours: Digest,
    /// Sums of the other one that have come.
    theirs: Vec<Option<u32>>,
    /// When it is next asked.
    due: u64,
    tries: u32,
    /// What differs is being read.
    reads: bool,
}

/// Comparisons with other nodes.
#[derive(Debug)]
pub(crate) struct Verifier {
    running: Option<Verification>,
    /// When the next one begins.
    due: u64,
    asked: Option<Asked>,
    /// Nodes that could not be compared with when that was last tried, the latest last.
    silent: Vec<LogKey>,
}

/// An operator wants to know of all other nodes.
#[derive(Clone, Copy, Debug)]
struct Asked {
    since: u64,
    until: u64,
}

impl Asked {
    /// Whether a node has not been compared with since then.
    fn is_about(&self, node: &Node) -> bool {
        node.verified
            .is_none_or(|verified| verified.at < self.since)
    }
}

/// Sums that another node wants.
#[derive(Debug)]
struct Wanted {
    to: LogKey,
    address: SocketAddr,
    token: u32,
    length: usize,
    digest: Digest,
    /// The next bucket to be told.
    next: usize,
}

/// Sums for other nodes: one at a time, since each is a look at everything.
#[derive(Debug, Default)]
pub(crate) struct Summer(Option<Wanted>);

impl Summer {
    /// A node asks for our sums. Says whether it will get them.
    pub(crate) fn handle_request(
        &mut self,
        address: SocketAddr,
        from: Sender,
        request: &Request,
    ) -> bool {
        if let Some(wanted) = &mut self.0 {
            if wanted.to != from.log {
                return false;
            }
            if wanted.token == request.token && wanted.digest.before == request.after {
                // Some were lost.
                wanted.next = 0;
                return true;
            }
        }
        self.0 = Some(Wanted {
            to: from.log,
            address,
            token: request.token,
            length: usize::from(request.length),
            digest: Digest::new(request.after),
            next: 0,
        });
        true
    }

    /// Whether there is more to do than to write.
    pub(crate) fn is_working(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|wanted| !wanted.digest.is_complete())
    }

    pub(crate) fn step(&mut self, now: u64, ledger: &Ledger) {
        if let Some(wanted) = self
            .0
            .as_mut()
            .filter(|wanted| !wanted.digest.is_complete())
        {
            wanted.digest.step(now, ledger);
        }
    }

    /// Writes the next frame, and says where it goes. `overhead`: by how much it becomes longer on its way.
    pub(crate) fn write(
        &mut self,
        sender: Sender,
        overhead: usize,
        datagram: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        let wanted = self
            .0
            .as_mut()
            .filter(|wanted| wanted.digest.is_complete())?;
        let end = (wanted.next + Sums::most(wanted.length - overhead)).min(BUCKETS);
        let sums = wanted.digest.sums.get(wanted.next..end)?;
        let first = u16::try_from(wanted.next).unwrap_or(0);
        let to = (wanted.to.node, wanted.token);
        Sums::write(sender, to, wanted.digest.before, first, sums, datagram);
        wanted.next = end;
        let address = wanted.address;
        if end == BUCKETS {
            self.0 = None;
        }
        Some(address)
    }
}

impl Verifier {
    pub(crate) fn new() -> Self {
        Self {
            running: None,
            due: u64::MAX,
            asked: None,
            silent: Vec::new(),
        }
    }

    /// This node has joined.
    pub(crate) fn has_joined(&mut self, now: u64) {
        self.running = None;
        self.due = now + if self.asked.is_some() { 0 } else { INTERVAL };
    }

    /// All other nodes are compared with, one after the other.
    pub(crate) fn ask(&mut self, now: u64) {
        self.asked = Some(Asked {
            since: now,
            until: now + PATIENCE,
        });
        self.due = now;
    }

    /// Leaves off with a node: others come before it from now on.
    fn leave_off(&mut self, now: u64) {
        let Some(running) = self.running.take() else {
            return;
        };
        self.silent.retain(|silent| *silent != running.peer);
        self.silent.push(running.peer);
        if self.asked.is_some() {
            self.due = now + super::missing::LATER;
        }
    }

    /// Whether our sums are being made.
    pub(crate) fn is_working(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| !running.ours.is_complete())
    }

    pub(crate) fn step(&mut self, now: u64, ledger: &Ledger) {
        if let Some(running) = &mut self.running
            && !running.ours.is_complete()
        {
            running.ours.step(now, ledger);
        }
    }

    pub(crate) fn handle_sums(&mut self, from: LogKey, own: u64, sums: &Sums<'_>) {
        let running = self.running.as_mut().filter(|running| {
            (running.peer, own, running.token) == (from, sums.to, sums.token)
                && running.ours.before == sums.before
        });
        let Some(running) = running else { return };
        let theirs = running.theirs.iter_mut().skip(usize::from(sums.first));
        for (known, sum) in theirs.zip(sums.iter()) {
            *known = Some(sum);
        }
    }

    /// When something is next due.
    pub(super) fn due(&self) -> u64 {
        self.running
            .as_ref()
            .map_or(self.due, |running| running.due)
    }
}

impl Repair {
    /// Goes on with comparing.
    pub(super) fn verify(&mut self, now: u64, around: &mut Around<'_>) {
        if now < self.verifier.due() {
            return;
        }
        if around.is_joining {
            // It goes on when this node has joined.
            self.verifier.running = None;
            self.verifier.due = u64::MAX;
            return;
        }
        match &self.verifier.running {
            None => self.begin_verification(now, around),
            Some(running) if running.reads => self.finish_reading(now, around),
            Some(_) => self.go_on_verifying(now, around),
        }
    }

    /// Compares with the node that was compared with longest ago.
    fn begin_verification(&mut self, now: u64, around: &mut Around<'_>) {
        let Verifier {
            due, asked, silent, ..
        } = &mut self.verifier;
        let nodes = &around.group.nodes;
        silent.retain(|silent| nodes.present(*silent).is_some());
        *due = now + INTERVAL;
        if let Some(request) = asked {
            let mut left = nodes.all_present().filter(|node| request.is_about(node));
            if left.next().is_none() || now >= request.until {
                *asked = None;
                return;
            }
            *due = now + LOOK;
        }
        if around.ledger.lacks_given_up {
            return;
        }
        let nodes = nodes.all_present().filter(|node| {
            // Who takes other sessions than we has others.
            let is_alike = is_alike(node, around.digests);
            let is_meant = asked.is_none_or(|asked| asked.is_about(node));
            is_alike && worth(&node.hello) == Some(3) && is_meant
        });
        let next = nodes.min_by_key(|node| {
            let silent = silent.iter().position(|silent| *silent == node.key);
            (silent, node.verified.map(|verified| verified.at))
        });
        let Some(peer) = next.map(|node| node.key) else {
            return;
        };
        let before = around.ledger.clock.at(now).minus(UNDER_WAY);
        self.verifier.running = Some(Verification {
            peer,
            token: self.questions.token(),
            began: now,
            ours: Digest::new(before),
            theirs: vec![None; BUCKETS],
            due: now,
            tries: 0,
            reads: false,
        });
        self.go_on_verifying(now, around);
    }

    fn go_on_verifying(&mut self, now: u64, around: &mut Around<'_>) {
        let Some(running) = &mut self.verifier.running else {
            return;
        };
        let node = around.group.nodes.run_mut(running.peer);
        let node = node.filter(|node| node.present && running.tries < TRIES);
        let Some(node) = node else {
            self.verifier.leave_off(now);
            return;
        };
        let is_here = running.ours.is_complete() && running.theirs.iter().all(Option::is_some);
        if is_here {
            self.compare(now, around);
            return;
        }
        // It makes them as long as we make ours.
        running.due = now + node.retry(running.tries).max(super::missing::LATER);
        if running.tries > 0 && running.theirs.iter().any(Option::is_some) {
            running.tries = 0;
        }
        running.tries += 1;
        let request = Request {
            to: running.peer,
            token: running.token,
            proof: node.hello.proof,
            space: Space::Sums,
            length: u16::try_from(node.takes()).unwrap_or(u16::MAX),
            frames: node.frames(),
            ranges: Vec::new(),
            since: Vec::new(),
            after: running.ours.before,
            buckets: None,
        };
        let address = node.address;
        self.questions.ask(address, request);
    }

    /// All sums are here.
    fn compare(&mut self, now: u64, around: &mut Around<'_>) {
        let Some(running) = &mut self.verifier.running else {
            return;
        };
        let mut differing = Buckets::none(running.ours.before);
        let pairs = running.ours.sums.iter().zip(&running.theirs);
        for (bucket, (ours, theirs)) in pairs.enumerate() {
            if Some(*ours) != *theirs {
                differing.insert(bucket);
            }
        }
        let peer = running.peer;
        if differing.len() == 0 {
            self.finish_verification(now, 0, around);
        } else if self.scan.is_some() {
            running.due = now + super::missing::LATER;
        } else {
            running.reads = true;
            self.differed = None;
            running.due = now + super::missing::LATER;
            let what = Reading::Differing(Box::new(differing));
            self.begin_scan(now, peer, what, around);
        }
    }

    /// What differs has been read, or cannot be.
    fn finish_reading(&mut self, now: u64, around: &mut Around<'_>) {
        let is_reading = self.scan.as_ref().is_some_and(super::Scan::is_of_some);
        let Some(running) = &mut self.verifier.running else {
            return;
        };
        if is_reading {
            running.due = now + super::missing::LATER;
            return;
        }
        match self.differed.take() {
            Some(differed) => self.finish_verification(now, differed, around),
            // Its table could not be read: it is compared again later.
            None => self.verifier.leave_off(now),
        }
    }

    fn finish_verification(&mut self, now: u64, differed: u64, around: &mut Around<'_>) {
        let Some(running) = self.verifier.running.take() else {
            return;
        };
        let silent = &mut self.verifier.silent;
        silent.retain(|silent| *silent != running.peer);
        if let Some(asked) = &mut self.verifier.asked {
            asked.until = now + PATIENCE;
            self.verifier.due = now;
        }
        let Some(node) = around.group.nodes.run_mut(running.peer) else {
            return;
        };
        let verified = Verified {
            count: node.verified.map_or(0, |verified| verified.count) + 1,
            at: now,
            sessions: running.ours.sessions,
            differed,
        };
        node.verified = Some(verified);
        around.counters.verifications += 1;
        around.counters.differing += differed;
        if differed > 0 {
            let name = around.group.name_of(running.peer.node);
            around.events.tell(Event::Differed {
                name,
                sessions: differed,
                took: Duration::from_millis(now - running.began),
            });
        }
    }
}
