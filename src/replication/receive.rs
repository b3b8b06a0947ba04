//! What becomes of a datagram.

use std::net::SocketAddr;
use std::time::Instant;

use crate::session::{Session, parse_run};

use super::frame::{self, Content, Data, Frame, Sender, Unreadable};
use super::ledger::{Ledger, Outcome, TOGETHER, Way};
use super::logs::Logs;
use super::record::{Place, Record};
use super::{Counters, EPOCH, Engine, Event, recovery};

/// How often a node of the same identity is told of, and for how long after it was heard, in
/// milliseconds.
pub(super) const NAMESAKE_INTERVAL: u64 = 60_000;

/// Another node that says that it is this one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Namesake {
    pub(super) address: SocketAddr,
    pub(super) heard: u64,
    pub(super) told: u64,
}

impl Engine {
    /// A datagram from another node.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let now = self.clock(now);
        let (records, rest) = frame::split(datagram);
        if rest.is_empty() {
            self.handle_stock(now, from, datagram);
            return;
        }
        let frame = match Frame::parse(rest) {
            Ok(frame) => frame,
            Err(unreadable) => {
                self.handle_unreadable(unreadable, from);
                return;
            }
        };
        if frame.from.log == self.own {
            return;
        }
        if frame.from.log.node == self.own.node {
            self.handle_namesake(now, from, &frame);
            return;
        }
        match frame.content {
            Content::Data(data) => self.handle_data(now, frame.from, data, records),
            Content::Hello(hello) => self.handle_hello(now, from, frame.from, hello),
            Content::Request(request) => self.handle_request(from, frame.from.log, request),
            Content::Replay(replay) => self.handle_replay(now, frame.from, &replay),
        }
    }

    fn handle_unreadable(&mut self, unreadable: Unreadable, from: SocketAddr) {
        match unreadable {
            Unreadable::Version => {
                self.counters.foreign_versions += 1;
                if !std::mem::replace(&mut self.foreign_version_told, true) {
                    self.tell(Event::ForeignVersion(from));
                }
            }
            Unreadable::Malformed => self.counters.malformed_frames += 1,
        }
    }

    /// A frame in our own name that is not ours.
    fn handle_namesake(&mut self, now: u64, from: SocketAddr, frame: &Frame<'_>) {
        // What a former run of this daemon sent may still be under way.
        if !matches!(frame.content, Content::Hello(_)) || now < EPOCH + 1000 {
            return;
        }
        let told = self.namesake.map(|namesake| namesake.told);
        let is_told = told.is_some_and(|told| now < told + NAMESAKE_INTERVAL);
        self.namesake = Some(Namesake {
            address: from,
            heard: now,
            told: told.filter(|_| is_told).unwrap_or(now),
        });
        if !is_told {
            self.tell(Event::Namesake(from));
        }
    }

    /// Records that nobody vouches for.
    fn handle_stock(&mut self, now: u64, from: SocketAddr, datagram: &[u8]) {
        let Some(jool) = &self.jool else {
            self.counters.no_jool += 1;
            return;
        };
        let Self {
            ledger,
            counters,
            stock,
            read,
            ..
        } = self;
        let mut rejected = 0;
        let late = self.hello.late(now);
        read.clear();
        parse_run(datagram, &jool.pool6, |record| match record {
            Ok(session) => {
                let session = clamp(&session.after(late), ledger, counters);
                read.push(Record {
                    session,
                    at: ledger.stock_stamp(now, &session),
                    place: Place::UNLOGGED,
                });
            }
            Err(reason) => {
                rejected += 1;
                counters.received_rejects.count(reason);
            }
        });
        let taken = read.len() as u64;
        counters.stock_records += taken;
        receive(now, read, ledger, &self.logs, counters);
        counters.received_records += taken + rejected;
        stock.heard(now, from, taken, rejected);
    }

    /// Records of another node's log.
    fn handle_data(&mut self, now: u64, from: Sender, data: Data<'_>, records: &[u8]) {
        let Some(node) = self.nodes.find_mut(from.log.node) else {
            // It will say who it is, and what of its log there is.
            self.counters.unknown_nodes += 1;
            return;
        };
        if node.key != from.log {
            return;
        }
        node.datagrams += 1;
        let Some(index) = self.logs.find(from.log) else {
            return;
        };
        let Some(jool) = &self.jool else {
            self.counters.no_jool += 1;
            return;
        };
        let Self {
            ledger,
            counters,
            read,
            ..
        } = self;
        let waited = self.hello.late(now);
        let clock = ledger.clock.hear(now, from.clock, waited, &mut node.met);
        let mut seq = data.first;
        let mut ages = data.ages();
        let (mut count, mut rejected) = (0, 0);
        let changed = counters.changed();
        read.clear();
        parse_run(records, &jool.pool6, |record| {
            count += 1;
            let place = Place { log: index, seq };
            seq += 1;
            let age = u64::from(ages.next().unwrap_or(0));
            match record {
                Ok(session) => read.push(Record {
                    session: clamp(&session, ledger, counters),
                    at: clock.minus(age),
                    place,
                }),
                Err(reason) => {
                    rejected += 1;
                    counters.received_rejects.count(reason);
                }
            }
        });
        if count != data.count() {
            // What of it is really there is asked for again.
            counters.malformed_frames += 1;
            return;
        }
        let count = count as u64;
        let took_all = counters.changed() == changed;
        receive(now, read, ledger, &self.logs, counters);
        counters.received_records += count;
        node.records += count - rejected;
        node.rejected += rejected;
        if !took_all {
            self.now_lacks(now);
        }
        if let Some(log) = self.logs.get_mut(index) {
            log.came(data.first, count);
            recovery::schedule(log, now);
        }
    }
}

/// Takes what came in one datagram.
fn receive(
    now: u64,
    records: &[Record],
    ledger: &mut Ledger,
    logs: &Logs,
    counters: &mut Counters,
) {
    for records in records.chunks(TOGETHER) {
        for (record, key) in records.iter().zip(ledger.keys(records)) {
            counters.count(ledger.received(now, key, record, Way::AtOnce, logs));
        }
    }
}

/// Cuts a lifetime to our own timeouts, and counts that.
#[inline]
pub(super) fn clamp(session: &Session, ledger: &Ledger, counters: &mut Counters) -> Session {
    let clamped = session.clamped(ledger.timeouts());
    counters.clamped += u64::from(clamped != *session);
    clamped
}

impl Counters {
    /// Records from other nodes that were not taken as they were told.
    pub(super) fn changed(&self) -> u64 {
        self.received_rejects.total() + self.clamped
    }

    #[inline]
    pub(super) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Taken => {}
            Outcome::Known => self.known_records += 1,
            Outcome::Older => self.older_records += 1,
            Outcome::Expired => self.expired_records += 1,
        }
    }
}
