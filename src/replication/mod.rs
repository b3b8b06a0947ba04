//! What is sent to other nodes and what is applied from them. No sockets, no clock, no threads:
//! input is handed in, output is taken out.
//!
//! So far it does what the stock daemon does, with every record checked: what our own Jool emits is
//! sent once, what arrives is applied. Neither is remembered.

use crate::jool::{Instance, MAX_RUN};
use crate::session::{Batch, Format, Prefix, Rejects, Session, Timeouts, parse_run};

/// UDP payload that fits an Ethernet frame over IPv6, in bytes. A stock daemon reads no more than
/// 2,048.
pub const MAX_DATAGRAM: usize = 1452;

/// Sessions that may wait, in one direction, before they have to be taken out: some 8 MiB.
const MAX_WAITING: usize = 65_536;

/// The state machine between our own Jool and the other nodes.
#[derive(Debug, Default)]
pub struct Engine {
    /// Format on the wire when it is not to be our own Jool's.
    fixed_format: Option<Format>,
    jool: Option<Attached>,
    outgoing: Batch,
    incoming: Batch,
    counters: Counters,
}

/// What the engine has to know of our own Jool.
#[derive(Clone, Copy, Debug)]
struct Attached {
    format: Format,
    pool6: Prefix,
    timeouts: Timeouts,
}

/// What the engine counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records from our own Jool.
    pub local_records: u64,
    /// Records from our own Jool that were not understood.
    pub local_rejects: Rejects,
    /// Records from our own Jool that were replaced by a later one of the same session before they
    /// left.
    pub local_superseded: u64,
    /// Records that could not leave, for other nodes or for our own Jool, because 52-byte records
    /// need a pool6 of /96.
    pub inexpressible: u64,
    /// Records sent.
    pub sent_records: u64,
    /// Records from other nodes.
    pub received_records: u64,
    /// Records from other nodes that were not taken.
    pub received_rejects: Rejects,
    /// Records from other nodes that were replaced by a later one of the same session before they
    /// were applied.
    pub received_superseded: u64,
    /// Records from other nodes whose lifetime was cut to our own timeouts.
    pub clamped: u64,
    /// Datagrams from other nodes that found no Jool attached.
    pub no_jool: u64,
    /// Records handed to our own Jool.
    pub injected_records: u64,
}

impl Engine {
    /// An engine that sends records in this format, or in that of its own Jool.
    pub fn new(fixed_format: Option<Format>) -> Self {
        Self {
            fixed_format,
            ..Self::default()
        }
    }

    /// What has been counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Our own Jool is there, with these settings.
    pub fn handle_attached(&mut self, instance: &Instance) {
        let Instance {
            format,
            pool6,
            timeouts,
            ..
        } = *instance;
        self.jool = Some(Attached {
            format,
            pool6,
            timeouts,
        });
    }

    /// Our own Jool is gone, and what was meant for it with it.
    pub fn handle_detached(&mut self) {
        self.jool = None;
        self.incoming.clear();
    }

    /// A run of records that our own Jool emitted.
    pub fn handle_local(&mut self, run: &[u8]) {
        let Some(jool) = self.jool else { return };
        let Self {
            outgoing, counters, ..
        } = self;
        parse_run(run, &jool.pool6, |record| {
            counters.local_records += 1;
            match record {
                Ok(session) => {
                    if !outgoing.push(session) {
                        counters.local_superseded += 1;
                    }
                }
                Err(reason) => counters.local_rejects.count(reason),
            }
        });
    }

    /// A datagram from another node.
    pub fn handle_datagram(&mut self, datagram: &[u8]) {
        let Some(jool) = self.jool else {
            self.counters.no_jool += 1;
            return;
        };
        let Self {
            incoming, counters, ..
        } = self;
        parse_run(datagram, &jool.pool6, |record| {
            counters.received_records += 1;
            match record {
                Ok(session) => {
                    let clamped = session.clamped(&jool.timeouts);
                    counters.clamped += u64::from(clamped != session);
                    if !incoming.push(clamped) {
                        counters.received_superseded += 1;
                    }
                }
                Err(reason) => counters.received_rejects.count(reason),
            }
        });
    }

    /// Whether what waits has to be taken out before more is handed in.
    pub fn is_full(&self) -> bool {
        self.incoming.len().max(self.outgoing.len()) >= MAX_WAITING
    }

    /// Writes the next datagram for the other nodes; `false` when there is none.
    pub fn poll_transmit(&mut self, datagram: &mut Vec<u8>) -> bool {
        datagram.clear();
        let Some(jool) = self.jool else { return false };
        let format = self.fixed_format.unwrap_or(jool.format);
        self.counters.inexpressible += drop_inexpressible(&mut self.outgoing, format, &jool);
        let sessions = self.outgoing.take(MAX_DATAGRAM / format.length());
        self.counters.sent_records += sessions.len() as u64;
        write(sessions, format, &jool.pool6, datagram)
    }

    /// Writes the next run of records for our own Jool, at most [`MAX_RUN`] bytes; `false` when
    /// there is none.
    pub fn poll_inject(&mut self, run: &mut Vec<u8>) -> bool {
        run.clear();
        let Some(jool) = self.jool else { return false };
        self.counters.inexpressible += drop_inexpressible(&mut self.incoming, jool.format, &jool);
        let sessions = self.incoming.take(MAX_RUN / jool.format.length());
        self.counters.injected_records += sessions.len() as u64;
        write(sessions, jool.format, &jool.pool6, run)
    }
}

/// Empties the batch if the format cannot tell its sessions; says how many those were.
fn drop_inexpressible(batch: &mut Batch, format: Format, jool: &Attached) -> u64 {
    if format.can_express(&jool.pool6) {
        return 0;
    }
    let dropped = batch.len() as u64;
    batch.clear();
    dropped
}

fn write(sessions: &[Session], format: Format, pool6: &Prefix, run: &mut Vec<u8>) -> bool {
    for session in sessions {
        format.write(session, pool6, run);
    }
    !sessions.is_empty()
}
