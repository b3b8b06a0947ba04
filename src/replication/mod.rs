//! What is sent to other nodes and what is applied from them. No sockets, no clock, no threads:
//! input is handed in, output is taken out.
//!
//! So far it does what the stock daemon does, with every record checked: what our own Jool emits is
//! sent once, what arrives is applied. Neither is remembered.

mod peers;

use std::net::SocketAddr;
use std::time::Instant;

use crate::jool::{Instance, MAX_RUN};
use crate::session::{Batch, Format, Pool4, Prefix, Reject, Rejects, Session, Timeouts, parse_run};

pub use peers::Peer;
use peers::Peers;

/// UDP payload that fits an Ethernet frame over IPv6, in bytes. A stock daemon reads no more than
/// 2,048.
pub const MAX_DATAGRAM: usize = 1452;

/// Sessions that may wait, in one direction, before they have to be taken out: some 8 MiB.
const MAX_WAITING: usize = 65_536;

/// Records that may wait for another look at pool4.
const MAX_DOUBTFUL: usize = 4096;

/// The state machine between our own Jool and the other nodes.
#[derive(Debug, Default)]
pub struct Engine {
    /// Format on the wire when it is not to be our own Jool's.
    fixed_format: Option<Format>,
    jool: Option<Attached>,
    outgoing: Batch,
    /// Sessions of an advertisement, and whether they are leaving.
    advertised: Batch,
    releasing: bool,
    incoming: Batch,
    /// Records from other nodes whose mask is not in pool4 as it was when we last looked.
    doubtful: Vec<Session>,
    peers: Peers,
    counters: Counters,
}

/// What the engine has to know of our own Jool.
#[derive(Clone, Debug)]
struct Attached {
    format: Format,
    pool6: Prefix,
    pool4: Pool4,
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
    /// Datagrams from other nodes with bytes after the records that are meant for another version.
    pub received_trailers: u64,
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
        self.jool = Some(Attached {
            format: instance.format,
            pool6: instance.pool6,
            pool4: instance.pool4.clone(),
            timeouts: instance.timeouts,
        });
    }

    /// Our own Jool is gone, and with it what was meant for it and what it said: when it is back,
    /// that is of another time.
    pub fn handle_detached(&mut self) {
        self.jool = None;
        self.incoming.clear();
        self.doubtful.clear();
        self.outgoing.clear();
        self.advertised.clear();
    }

    /// A run of records that our own Jool emitted.
    pub fn handle_local(&mut self, run: &[u8]) {
        let Some(jool) = &self.jool else { return };
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

    /// Sends in this format from now on, or in that of our own Jool.
    pub fn set_format(&mut self, fixed_format: Option<Format>) {
        self.fixed_format = fixed_format;
    }

    /// A session of our own Jool's table that is to be sent, whether or not it changed.
    ///
    /// It waits for the others of the table, because what leaves together leaves in order of expiry,
    /// which is what costs the receivers' Jools least; see [`Engine::release_advertised`].
    pub fn handle_advertised(&mut self, session: Session) {
        self.advertised.push(session);
        self.releasing |= self.advertised.len() >= MAX_WAITING;
    }

    /// The table is complete, or has waited for long enough.
    pub fn release_advertised(&mut self) {
        self.releasing = true;
    }

    /// The nodes that datagrams came from, by address.
    pub fn peers(&self) -> Vec<Peer> {
        self.peers.list()
    }

    /// A datagram from another node.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Some(jool) = &self.jool else {
            self.counters.no_jool += 1;
            return;
        };
        let Self {
            incoming,
            doubtful,
            counters,
            ..
        } = self;
        let (mut taken, mut rejected) = (0, 0);
        let trailing = parse_run(datagram, &jool.pool6, |record| match record {
            Ok(session) if !jool.pool4.masks(&session.id) => {
                rejected += 1;
                if doubtful.len() < MAX_DOUBTFUL {
                    doubtful.push(session);
                } else {
                    counters.received_rejects.count(Reject::Pool4);
                }
            }
            Ok(session) => {
                taken += 1;
                let clamped = session.clamped(&jool.timeouts);
                counters.clamped += u64::from(clamped != session);
                if !incoming.push(clamped) {
                    counters.received_superseded += 1;
                }
            }
            Err(reason) => {
                rejected += 1;
                counters.received_rejects.count(reason);
            }
        });
        counters.received_records += taken + rejected;
        counters.received_trailers += u64::from(!trailing.is_empty());
        self.peers.heard(now, from, taken, rejected);
    }

    /// Whether records wait for another look at pool4: it may have been changed just now.
    pub fn has_doubts(&self) -> bool {
        !self.doubtful.is_empty()
    }

    /// Pool4 has been looked at again, and [`Engine::handle_attached`] knows it: what waited for
    /// that is taken, or refused.
    pub fn settle_doubts(&mut self) {
        let Some(jool) = &self.jool else { return };
        for session in self.doubtful.drain(..) {
            if jool.pool4.masks(&session.id) {
                self.incoming.push(session.clamped(&jool.timeouts));
            } else {
                self.counters.received_rejects.count(Reject::Pool4);
            }
        }
    }

    /// Whether what waits has to be taken out before more is handed in.
    pub fn is_full(&self) -> bool {
        self.incoming.len().max(self.outgoing.len()) >= MAX_WAITING
    }

    /// Writes the next datagram for the other nodes; `false` when there is none.
    pub fn poll_transmit(&mut self, datagram: &mut Vec<u8>) -> bool {
        datagram.clear();
        let Some(jool) = &self.jool else { return false };
        let format = self.fixed_format.unwrap_or(jool.format);
        let most = MAX_DATAGRAM / format.length();
        for batch in [&mut self.outgoing, &mut self.advertised] {
            self.counters.inexpressible += drop_inexpressible(batch, format, &jool.pool6);
        }
        let mut sessions = self.outgoing.take(most);
        if sessions.is_empty() && self.releasing {
            sessions = self.advertised.take(most);
            self.releasing = !sessions.is_empty();
        }
        self.counters.sent_records += sessions.len() as u64;
        write(sessions, format, &jool.pool6, datagram)
    }

    /// Writes the next run of records for our own Jool, at most [`MAX_RUN`] bytes; `false` when
    /// there is none.
    pub fn poll_inject(&mut self, run: &mut Vec<u8>) -> bool {
        run.clear();
        let Some(jool) = &self.jool else { return false };
        self.counters.inexpressible +=
            drop_inexpressible(&mut self.incoming, jool.format, &jool.pool6);
        let sessions = self.incoming.take(MAX_RUN / jool.format.length());
        self.counters.injected_records += sessions.len() as u64;
        write(sessions, jool.format, &jool.pool6, run)
    }
}

/// Empties the batch if the format cannot tell its sessions; says how many those were.
fn drop_inexpressible(batch: &mut Batch, format: Format, pool6: &Prefix) -> u64 {
    if format.can_express(pool6) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    use crate::jool::Version;
    use crate::session::tests::udp;
    use crate::session::{Protocol, Reject, State, Timer};

    const FROM: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6400);

    fn instance(version: &str) -> Instance {
        let version = Version::supported(version).unwrap();
        Instance {
            name: "default".to_owned(),
            version,
            format: version.format(),
            pool6: Prefix::WELL_KNOWN,
            timeouts: Timeouts::default(),
            repairs: Vec::new(),
            pool4: Pool4::default(),
            unrepaired: None,
        }
    }

    fn engine(version: &str) -> Engine {
        let mut engine = Engine::new(None);
        engine.handle_attached(&instance(version));
        engine
    }

    fn run(format: Format, sessions: &[Session]) -> Vec<u8> {
        let mut run = Vec::new();
        for session in sessions {
            format.write(session, &Prefix::WELL_KNOWN, &mut run);
        }
        run
    }

    /// Everything that polling gives.
    fn drain(mut poll: impl FnMut(&mut Vec<u8>) -> bool) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut buffer = Vec::new();
        while poll(&mut buffer) {
            all.push(buffer.clone());
        }
        all
    }

    #[test]
    fn records_of_any_version_reach_a_jool_of_any_version() {
        let sessions = [udp(1), udp(2), udp(3)];
        for from in ["4.1.9", "4.1.12", "4.1.13"] {
            for to in ["4.1.9", "4.1.12", "4.1.13"] {
                let (mut sender, mut receiver) = (engine(from), engine(to));
                sender.handle_local(&run(instance(from).format, &sessions));
                for datagram in drain(|datagram| sender.poll_transmit(datagram)) {
                    receiver.handle_datagram(Instant::now(), FROM, &datagram);
                }
                let injected = drain(|injected| receiver.poll_inject(injected));
                assert_eq!(
                    injected,
                    [run(instance(to).format, &sessions)],
                    "{from} to {to}"
                );
            }
        }
    }

    #[test]
    fn a_fixed_format_is_sent_whatever_our_own_jool_speaks() {
        for format in Format::ALL {
            let mut engine = Engine::new(Some(format));
            engine.handle_attached(&instance("4.1.13"));
            engine.handle_local(&run(Format::Flat40, &[udp(1)]));
            assert_eq!(drain(|d| engine.poll_transmit(d)), [run(format, &[udp(1)])]);
        }
    }

    #[test]
    fn datagrams_fit_an_ethernet_frame_and_a_stock_daemon() {
        for (version, most) in [("4.1.9", 10), ("4.1.12", 27), ("4.1.13", 36)] {
            let mut engine = engine(version);
            let sessions: Vec<_> = (0..100).map(udp).collect();
            let format = instance(version).format;
            engine.handle_local(&run(format, &sessions));
            let datagrams = drain(|datagram| engine.poll_transmit(datagram));
            assert!(
                datagrams
                    .iter()
                    .all(|datagram| datagram.len() <= MAX_DATAGRAM)
            );
            assert_eq!(datagrams[0].len(), most * format.length(), "{version}");
            assert_eq!(datagrams.concat().len(), 100 * format.length());
        }
    }

    #[test]
    fn many_datagrams_become_one_run_in_ascending_order_of_expiry() {
        let mut engine = engine("4.1.13");
        for port in 0..100_u16 {
            let session = Session {
                lifetime: u32::from(port) * 7919 % 1000,
                ..udp(port)
            };
            engine.handle_datagram(Instant::now(), FROM, &run(Format::Flat40, &[session]));
        }
        let runs = drain(|injected| engine.poll_inject(injected));
        assert_eq!(runs.len(), 1);
        let mut lifetimes = Vec::new();
        parse_run(&runs[0], &Prefix::WELL_KNOWN, |s| {
            lifetimes.push(s.unwrap().lifetime);
        });
        assert_eq!(lifetimes.len(), 100);
        assert!(lifetimes.is_sorted());
        assert_eq!(engine.counters().injected_records, 100);
    }

    #[test]
    fn no_run_is_longer_than_the_module_takes() {
        for version in ["4.1.9", "4.1.13"] {
            let mut engine = engine(version);
            let sessions: Vec<_> = (0..5000).map(udp).collect();
            engine.handle_datagram(Instant::now(), FROM, &run(Format::Flat40, &sessions));
            let runs = drain(|injected| engine.poll_inject(injected));
            assert!(runs.len() > 1);
            assert!(runs.iter().all(|injected| injected.len() <= MAX_RUN));
        }
    }

    #[test]
    fn what_is_not_a_session_goes_nowhere_and_is_counted_by_reason() {
        let mut engine = engine("4.1.13");
        let mut bad = run(Format::Flat40, &[udp(1), udp(2)]);
        bad[39] = 0xff;
        bad.extend_from_slice(&[1, 2, 3]);
        engine.handle_datagram(Instant::now(), FROM, &bad);
        assert_eq!(
            drain(|r| engine.poll_inject(r)),
            [run(Format::Flat40, &[udp(2)])]
        );
        let rejects = engine.counters().received_rejects;
        assert_eq!(
            (rejects.of(Reject::Protocol), rejects.of(Reject::Malformed)),
            (1, 1)
        );
        assert_eq!(rejects.total(), 2);
        // The same from our own Jool.
        engine.handle_local(&bad);
        assert_eq!(
            drain(|d| engine.poll_transmit(d)),
            [run(Format::Flat40, &[udp(2)])]
        );
        assert_eq!(engine.counters().local_rejects.total(), 2);
    }

    #[test]
    fn lifetimes_beyond_our_own_timeouts_are_cut() {
        let mut engine = engine("4.1.13");
        engine.handle_datagram(
            Instant::now(),
            FROM,
            &run(
                Format::Flat40,
                &[Session {
                    lifetime: u32::MAX,
                    ..udp(1)
                }],
            ),
        );
        assert_eq!(
            drain(|r| engine.poll_inject(r)),
            [run(Format::Flat40, &[udp(1)])]
        );
        assert_eq!(engine.counters().clamped, 1);
    }

    #[test]
    fn of_a_session_only_the_latest_record_leaves() {
        let mut engine = engine("4.1.13");
        let mut open = udp(1);
        open.id.protocol = Protocol::Tcp;
        open.lifetime = 7_200_000;
        let closed = Session {
            state: State::Trans,
            timer: Timer::Transitory,
            lifetime: 240_000,
            ..open
        };
        let records = run(Format::Flat40, &[open, closed]);
        engine.handle_local(&records);
        engine.handle_datagram(Instant::now(), FROM, &records);
        assert_eq!(
            drain(|d| engine.poll_transmit(d)),
            [run(Format::Flat40, &[closed])]
        );
        assert_eq!(
            drain(|r| engine.poll_inject(r)),
            [run(Format::Flat40, &[closed])]
        );
    }

    #[test]
    fn without_a_jool_nothing_is_kept() {
        let mut engine = engine("4.1.13");
        engine.handle_datagram(Instant::now(), FROM, &run(Format::Flat40, &[udp(1)]));
        engine.handle_detached();
        engine.handle_datagram(Instant::now(), FROM, &run(Format::Flat40, &[udp(2)]));
        assert_eq!(engine.counters().no_jool, 1);
        engine.handle_attached(&instance("4.1.9"));
        assert!(!engine.poll_inject(&mut Vec::new()));
    }

    #[test]
    fn what_a_jool_said_before_it_was_lost_is_not_sent_when_it_is_back() {
        let mut engine = engine("4.1.13");
        engine.handle_local(&run(Format::Flat40, &[udp(1)]));
        engine.handle_detached();
        engine.handle_attached(&instance("4.1.13"));
        assert!(!engine.poll_transmit(&mut Vec::new()));
    }

    #[test]
    fn a_mask_of_another_pool4_is_refused_from_others_only() {
        let mut pool4 = Pool4::default();
        pool4.add(Protocol::Udp, Ipv4Addr::new(203, 0, 113, 1), 32, (0, 65535));
        let mut engine = Engine::new(None);
        let other = Instance {
            pool4,
            ..instance("4.1.13")
        };
        engine.handle_attached(&other);
        let record = run(Format::Flat40, &[udp(1)]);
        engine.handle_datagram(Instant::now(), FROM, &record);
        assert!(!engine.poll_inject(&mut Vec::new()));
        engine.settle_doubts();
        assert!(!engine.poll_inject(&mut Vec::new()));
        assert_eq!(engine.counters().received_rejects.of(Reject::Pool4), 1);
        // Had pool4 been changed meanwhile, nothing would have been lost.
        engine.handle_datagram(Instant::now(), FROM, &record);
        assert!(engine.has_doubts());
        engine.handle_attached(&instance("4.1.13"));
        engine.settle_doubts();
        assert!(!engine.has_doubts());
        assert_eq!(drain(|r| engine.poll_inject(r)).concat(), record);
        engine.handle_attached(&other);
        engine.handle_local(&record);
        assert_eq!(drain(|d| engine.poll_transmit(d)), [record]);
    }

    #[test]
    fn an_advertised_table_leaves_when_it_is_complete_and_in_order_of_expiry() {
        let mut engine = engine("4.1.13");
        for port in 0..50_u16 {
            let lifetime = u32::from(port) * 7919 % 1000;
            engine.handle_advertised(Session {
                lifetime,
                ..udp(port)
            });
        }
        assert!(!engine.poll_transmit(&mut Vec::new()));
        engine.release_advertised();
        let datagrams = drain(|datagram| engine.poll_transmit(datagram)).concat();
        let mut lifetimes = Vec::new();
        parse_run(&datagrams, &Prefix::WELL_KNOWN, |s| {
            lifetimes.push(s.unwrap().lifetime);
        });
        assert_eq!(lifetimes.len(), 50);
        assert!(lifetimes.is_sorted());
    }

    #[test]
    fn fifty_two_bytes_and_another_prefix_length_do_not_go_together() {
        let mut engine = Engine::new(None);
        let pool6 = Prefix::new("2001:db8:64::".parse().unwrap(), 64).unwrap();
        engine.handle_attached(&Instance {
            pool6,
            ..instance("4.1.12")
        });
        let mut record = Vec::new();
        Format::Tlv140.write(&udp(1), &pool6, &mut record);
        engine.handle_datagram(Instant::now(), FROM, &record);
        engine.handle_local(&record);
        assert!(!engine.poll_inject(&mut Vec::new()));
        assert!(!engine.poll_transmit(&mut Vec::new()));
        assert_eq!(engine.counters().inexpressible, 2);
    }
}
