//! Runs of records: from our own Jool, from stock peers, from other nodes, and to them.

use std::net::SocketAddr;

use crate::session::{Format, Prefix, Session, parse_run};

use super::counters::Counters;
use super::group::Group;
use super::store::{Ledger, OwnLog, Place, Record, TOGETHER, Way};
use super::wire::{AGE, Data, LogKey, Sender, TRAILER, age};

/// Where received records go.
pub(crate) struct Sink<'a> {
    /// Our own Jool's, which the records have to be of.
    pub(crate) pool6: &'a Prefix,
    pub(crate) group: &'a mut Group,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) counters: &'a mut Counters,
}

/// How a run is written.
pub(crate) struct Run<'a> {
    pub(crate) format: Format,
    pub(crate) pool6: &'a Prefix,
    /// Length of the frame, at most.
    pub(crate) room: usize,
    pub(crate) sender: Sender,
}

/// Reads and writes runs, in memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// Records that were read and are looked up next.
    read: Vec<Record>,
    /// Of the records that are being written: how long ago their sessions were active.
    ages: Vec<u32>,
}

impl Runs {
    /// What our own Jool emitted, and what waited for so many milliseconds. Says whether there was any.
    pub(crate) fn local(
        &mut self,
        now: u64,
        late: u32,
        run: &[u8],
        pool6: &Prefix,
        ledger: &mut Ledger,
        counters: &mut Counters,
    ) -> bool {
        let Self { read, .. } = self;
        read.clear();
        parse_run(run, pool6, |record| {
            counters.local_records += 1;
            match record {
                Ok(session) => {
                    // A timeout that was raised just now will be known soon.
                    let session = session.after(late).clamped(ledger.timeouts());
                    read.push(Record {
                        session,
                        at: ledger.stamp(now, &session),
                        place: Place::NEXT,
                    });
                }
                Err(reason) => counters.local_rejects.count(reason),
            }
        });
        for records in read.chunks(TOGETHER) {
            for (record, key) in records.iter().zip(ledger.keys(records)) {
                if !ledger.local(now, key, record) {
                    counters.coalesced += 1;
                }
            }
        }
        !read.is_empty()
    }

    /// What a stock peer sent, and what waited for so many milliseconds.
    pub(crate) fn stock(
        &mut self,
        now: u64,
        late: u32,
        from: SocketAddr,
        datagram: &[u8],
        sink: Sink<'_>,
    ) {
        let Sink {
            pool6,
            group,
            ledger,
            counters,
        } = sink;
        let Self { read, .. } = self;
        let (mut rejected, mut understood) = (0, false);
        read.clear();
        parse_run(datagram, pool6, |record| match record {
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
                understood |= reason.is_understood();
                counters.received_rejects.count(reason);
            }
        });
        let taken = read.len() as u64;
        understood |= taken > 0;
        counters.stock_records += taken;
        receive(now, read, ledger, group.logs.keys(), counters);
        counters.received_records += taken + rejected;
        counters.malformed_frames += u64::from(!understood && rejected == 0);
        group.stock.heard(now, from, taken, rejected, understood);
    }

    /// Records of the log of another node, which is known.
    pub(crate) fn of_log(
        &mut self,
        now: u64,
        from: Sender,
        data: Data<'_>,
        records: &[u8],
        sink: Sink<'_>,
    ) {
        let Sink {
            pool6,
            group,
            ledger,
            counters,
        } = sink;
        let Self { read, .. } = self;
        let Group { nodes, logs, .. } = group;
        let Some(node) = nodes.run_mut(from.log) else {
            return;
        };
        let Some(index) = logs.find(from.log) else {
            return;
        };
        ledger.clock.reach(now, from.clock);
        let mut seq = data.first;
        let mut ages = data.ages();
        let (mut count, mut rejected) = (0, 0);
        read.clear();
        parse_run(records, pool6, |record| {
            count += 1;
            let place = Place { log: index, seq };
            seq += 1;
            let age = u64::from(ages.next().unwrap_or(0));
            match record {
                Ok(session) => read.push(Record {
                    session: clamp(&session, ledger, counters),
                    at: from.clock.minus(age),
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
        receive(now, read, ledger, logs.keys(), counters);
        counters.received_records += count;
        node.records += count - rejected;
        node.rejected += rejected;
        if let Some(log) = logs.get_mut(index) {
            log.came(now, data.first, count);
            log.schedule(now);
        }
    }

    /// Writes what is to be announced, and the trailer. Says how many records that are: if none, nothing is
    /// written.
    pub(crate) fn write(
        &mut self,
        now: u64,
        run: &Run<'_>,
        ledger: &mut Ledger,
        own_log: &mut OwnLog,
        datagram: &mut Vec<u8>,
    ) -> usize {
        let most = (run.room - TRAILER) / (run.format.length() + AGE);
        let first = own_log.last() + 1;
        self.ages.clear();
        while self.ages.len() < most {
            let seq = own_log.last() + 1;
            let Some((slot, session, at)) = ledger.next_announcement(now, seq) else {
                break;
            };
            own_log.push(slot.0, now);
            run.format.write(&session, run.pool6, datagram);
            self.ages.push(age(run.sender.clock, at));
        }
        if !self.ages.is_empty() {
            Data::write(run.sender, first, &self.ages, datagram);
        }
        self.ages.len()
    }
}

/// Takes what came in one datagram.
fn receive(
    now: u64,
    records: &[Record],
    ledger: &mut Ledger,
    logs: &[LogKey],
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
fn clamp(session: &Session, ledger: &Ledger, counters: &mut Counters) -> Session {
    let clamped = session.clamped(ledger.timeouts());
    counters.clamped += u64::from(clamped != *session);
    clamped
}
