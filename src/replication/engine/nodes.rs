//! What comes from the other nodes, and becoming one of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::replication::event::Event;
use crate::replication::local::{Next, Phase, Walk};
use crate::replication::repair::{
    Answers, Around, Heard, Reading, Repair, Verifier, best_donor, worth,
};
use crate::replication::runs::{Runs, Sink};
use crate::replication::store::OwnLog;
use crate::replication::wire::{
    self, Content, Data, Frame, Hello, LogKey, Request, Sender, Space, Unreadable,
};

use super::{EPOCH, Engine};

/// What a former run of this daemon sent may be under way for so long, in milliseconds.
const LATEST: u64 = 1_000;
/// A run that was there before begins again no more often than this, in milliseconds.
const BEGIN_AGAIN: u64 = 60_000;

impl Engine {
    /// A datagram from another node.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let now = self.clock(now);
        let (records, rest) = wire::split(datagram);
        if rest.is_empty() {
            self.handle_stock(now, from, datagram);
            return;
        }
        let frame = match Frame::parse(rest) {
            Ok(frame) => frame,
            Err(Unreadable::Version) => {
                self.counters.foreign_versions += 1;
                if !std::mem::replace(&mut self.foreign_version_told, true) {
                    self.events.tell(Event::ForeignVersion(from));
                }
                return;
            }
            Err(Unreadable::Malformed) => {
                self.counters.malformed_frames += 1;
                return;
            }
        };
        let own = self.group.own;
        if let Content::Hello(hello) = &frame.content
            && !self.group.is_ours(&hello.cluster)
        {
            self.handle_foreign(from, hello);
            return;
        }
        if frame.from.log.node == own.node {
            if let Content::Hello(hello) = frame.content {
                self.handle_own_hello(now, from, frame.from.log, &hello);
            }
            return;
        }
        let sender = frame.from.log;
        self.handle_content(now, from, frame, records);
        // After a hello that it is known by.
        if let Some(node) = self.group.nodes.run_mut(sender) {
            node.datagrams += 1;
        }
    }

    /// A hello in our own name. The network loops back ours, and of two daemons that were started in the same
    /// millisecond only the proofs differ.
    fn handle_own_hello(&mut self, now: u64, from: SocketAddr, log: LogKey, hello: &Hello) {
        let is_ours = log == self.group.own && hello.proof == self.answers.proof;
        let is_late = now < EPOCH + LATEST || self.is_former(now, log);
        if !is_ours && !is_late && self.group.hear_namesake(now, from) {
            self.events.tell(Event::Namesake(from));
        }
    }

    /// What another node says.
    fn handle_content(&mut self, now: u64, from: SocketAddr, frame: Frame<'_>, records: &[u8]) {
        let own = self.group.own;
        match frame.content {
            Content::Data(data) => self.handle_data(now, frame.from, data, records),
            Content::Hello(hello) => self.handle_hello(now, from, frame.from, hello),
            Content::Request(request) if request.to == own => {
                self.handle_request(from, frame.from, &request);
            }
            Content::Request(_) => {}
            Content::Sums(sums) => {
                let verifier = &mut self.repair.verifier;
                verifier.handle_sums(frame.from.log, own.node, &sums);
            }
            Content::Replay(replay) => {
                let is_known = self.group.nodes.run_mut(frame.from.log).is_some();
                if !is_known || !self.ledger.clock.is_adopted() {
                    return;
                }
                self.ledger.clock.reach(now, frame.from.clock);
                let heard = self.with_repair(|repair, around| {
                    repair.handle_replay(now, frame.from, &replay, around)
                });
                self.was_replayed(frame.from.log.node, &heard);
            }
        }
    }

    /// A node of another cluster is on this link, too. Since its hello does not count, nothing else of it does.
    fn handle_foreign(&mut self, address: SocketAddr, hello: &Hello) {
        self.counters.foreign_clusters += 1;
        if self.group.hear_foreign(hello.cluster.clone()) {
            self.events.tell(Event::ForeignCluster {
                name: hello.name.clone(),
                cluster: hello.cluster.clone(),
                address,
            });
        }
    }

    /// Another node asks this one.
    fn handle_request(&mut self, address: SocketAddr, from: Sender, request: &Request) {
        let is_known = self.group.nodes.present(from.log).is_some();
        let is_answered = is_known
            && self.answers.proof == request.proof
            && match request.space {
                Space::Sums => self.summer.handle_request(address, from, request),
                Space::Log | Space::Table => {
                    let (answers, group) = (&mut self.answers, &self.group);
                    answers.handle_request(address, from, request, group)
                }
            };
        self.counters.refused_requests += u64::from(!is_answered);
    }

    /// Whether that was this node until it began again just now.
    pub(super) fn is_former(&self, now: u64, log: LogKey) -> bool {
        let just_now = self.began_again.is_some_and(|at| now < at + LATEST);
        just_now && log.epoch < self.group.own.epoch
    }

    pub(super) fn handle_hello(
        &mut self,
        now: u64,
        address: SocketAddr,
        from: Sender,
        hello: Hello,
    ) {
        let keeps_time = worth(&hello).is_some();
        let of_ours = hello.logs.iter().map(|log| log.position);
        let of_ours = of_ours.filter(|position| position.log == self.group.own);
        let knows_more = of_ours.map(|position| position.seq).max() > Some(self.own_log.last());
        let counts = self.group.hear(
            now,
            (from, address),
            hello,
            &self.own_log,
            &self.ledger,
            &mut self.events,
        );
        if !counts {
            return;
        }
        if keeps_time && self.ledger.clock.is_adopted() {
            self.ledger.clock.reach(now, from.clock);
        } else if keeps_time {
            self.ledger.adopt_clock(now, from.clock);
        }
        if knows_more {
            self.begin_again(now, from.log.node);
        }
        if let Some(log) = self.group.take_disowned() {
            self.walks.begin(Walk::Disown(log));
        }
        self.compare_settings();
        self.judge(now);
    }

    /// Another node knows more of our log than we: this run was there before. The machine was set back to an
    /// earlier moment, or its clock was. What we announce from now on is in another log, that nobody takes for
    /// known.
    pub(super) fn begin_again(&mut self, now: u64, node: u64) {
        if self.began_again.is_some_and(|at| now < at + BEGIN_AGAIN) {
            return;
        }
        self.began_again = Some(now);
        self.group.own.epoch += 1;
        self.ledger.begin_again(self.group.own);
        self.own_log = OwnLog::default();
        self.answers = Answers::new();
        self.repair.scan = None;
        self.repair.verifier = Verifier::new();
        self.ledger.release_backlog();
        if self.join.phase != Phase::Fresh {
            self.join.begin(now);
            self.audit.wanted = true;
        }
        let name = self.group.name_of(node);
        self.events.tell(Event::BeganAgain { name });
        self.hellos.at_once(now);
    }

    /// What reads runs of records, and where it puts them; `None`, which is counted: there is no Jool by whose
    /// pool6 they could be read.
    fn reading(&mut self) -> Option<(&mut Runs, Sink<'_>)> {
        let Some(jool) = &self.local.jool else {
            self.counters.no_jool += 1;
            return None;
        };
        let sink = Sink {
            pool6: &jool.pool6,
            group: &mut self.group,
            ledger: &mut self.ledger,
            counters: &mut self.counters,
        };
        Some((&mut self.runs, sink))
    }

    /// Records that nobody vouches for.
    pub(super) fn handle_stock(&mut self, now: u64, from: SocketAddr, datagram: &[u8]) {
        let late = self.hellos.late(now);
        if let Some((runs, sink)) = self.reading() {
            runs.stock(now, late, from, datagram, sink);
        }
    }

    /// Records of another node's log.
    pub(super) fn handle_data(&mut self, now: u64, from: Sender, data: Data<'_>, records: &[u8]) {
        if self.group.nodes.find(from.log.node).is_none() {
            // It will say who it is, and what of its log there is.
            self.counters.unknown_nodes += 1;
            return;
        }
        if !self.ledger.clock.is_adopted() {
            return;
        }
        if let Some((runs, sink)) = self.reading() {
            runs.of_log(now, from, data, records, sink);
        }
    }

    /// An answer was taken.
    pub(super) fn was_replayed(&mut self, node: u64, heard: &Heard) {
        if heard.ended > 0 {
            self.counters.ended += heard.ended;
            match self.ended.iter_mut().find(|(other, _)| *other == node) {
                Some((_, sessions)) => *sessions += heard.ended,
                None => self.ended.push((node, heard.ended)),
            }
        }
        if let Some(read) = heard.read {
            self.join
                .was_transferred(Some((read.donor.node, read.records)));
        }
    }

    /// Does something about what is missing.
    pub(super) fn with_repair<T>(
        &mut self,
        act: impl FnOnce(&mut Repair, &mut Around<'_>) -> T,
    ) -> T {
        let mut around = Around {
            group: &mut self.group,
            ledger: &mut self.ledger,
            events: &mut self.events,
            counters: &mut self.counters,
            own_last: self.own_log.last(),
            is_joining: !self.join.has_joined(),
            digests: self.local.digests(),
        };
        act(&mut self.repair, &mut around)
    }

    /// Goes on with finding out what the others know.
    pub(super) fn go_on_joining(&mut self, now: u64) {
        let (nodes, digests) = (&self.group.nodes, self.local.digests());
        let donor = |least| best_donor(nodes, digests, least);
        let is_reading = self.repair.scan.is_some();
        let own = self.group.own.node;
        match self.join.next(now, is_reading, own, nodes, donor) {
            Next::Nothing => {}
            Next::Read(donor) => {
                self.with_repair(|repair, around| {
                    repair.begin_scan(now, donor, Reading::Whole, around);
                });
            }
            Next::Alone => {
                self.join.was_transferred(None);
                self.group.give_up_absent();
            }
        }
        let is_over = Phase::Joining {
            dumped: true,
            transferred: true,
        };
        if self.join.phase == is_over && self.audit.running.is_none() {
            let mut present = self.group.nodes.all_present();
            // Others that are new will ask.
            let is_heard = present.any(|node| worth(&node.hello).is_some());
            self.walks.begin(if is_heard {
                Walk::AnnounceAdopted
            } else {
                Walk::OwnAdopted
            });
            self.join.phase = Phase::Ending { queued: false };
        }
    }

    /// What only our own Jool had has left, too.
    pub(super) fn finish_join(&mut self, now: u64) {
        self.join.phase = Phase::Joined;
        // Whoever joins from now on takes it.
        self.ledger.clock.is_ours();
        self.repair.verifier.has_joined(now);
        let donor = self.join.donor.take();
        self.hellos.at_once(now);
        self.events.tell(Event::Joined {
            donor: donor.map(|(node, _)| self.group.name_of(node)),
            records: donor.map_or(0, |(_, records)| records),
            took: Duration::from_millis(now - self.join.since),
        });
        self.judge(now);
    }
}
