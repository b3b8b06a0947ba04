//! What properties of `mx.jool.Joold1` are made of: dictionaries, and times.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use zbus::{SerializeDict, Type};

use crate::replication::{self, Audit, Fitness, Peer, TableReading, Transfer};
use crate::seal;

/// A node that datagrams come from.
#[derive(SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub(super) struct PeerEntry {
    kind: &'static str,
    name: String,
    address: String,
    present: bool,
    state: &'static str,
    fit: bool,
    fitness: &'static str,
    fitness_words: &'static str,
    version: String,
    jool_version: String,
    record_format: String,
    seal: &'static str,
    keys: Vec<u64>,
    sessions: u64,
    behind: u64,
    lag: u64,
    missing: u64,
    drift: Vec<&'static str>,
    hears_us: bool,
    shares_name: bool,
    verifications: u64,
    last_verified: u64,
    verified_sessions: u64,
    differing_sessions: u64,
    datagrams: u64,
    records: u64,
    rejected: u64,
    last_heard: u64,
}

impl PeerEntry {
    pub(super) fn new(peer: &Peer, seal: &seal::Status) -> Self {
        let sealed = seal.of(peer.node);
        let keys = sealed.map(|peer| peer.keys.as_slice()).unwrap_or_default();
        Self {
            kind: peer.kind.name(),
            name: peer.name.clone(),
            address: peer.address.to_string(),
            present: peer.present,
            state: peer.state.map_or("", replication::State::name),
            fit: peer.fitness.is_some_and(Fitness::is_fit),
            fitness: peer.fitness.map_or("", Fitness::name),
            fitness_words: peer.fitness.map_or("", Fitness::words),
            version: peer.daemon.clone(),
            jool_version: peer.jool.clone(),
            record_format: match peer.record_length {
                0 => String::new(),
                length => length.to_string(),
            },
            seal: match sealed {
                _ if seal.policy == seal::Policy::Off => "",
                Some(peer) if peer.policy.sends() => "sealed",
                _ => "open",
            },
            keys: keys.iter().map(|key| key.number.get().into()).collect(),
            sessions: peer.sessions,
            behind: peer.behind,
            lag: whole_microseconds(peer.lag),
            missing: peer.missing,
            drift: peer.drift.iter().map(|what| what.name()).collect(),
            hears_us: peer.hears_us,
            shares_name: peer.shares_name,
            verifications: peer.verified.map_or(0, |verified| verified.count),
            last_verified: peer
                .verified
                .map_or(0, |verified| microseconds(wall_clock(verified.at))),
            verified_sessions: peer.verified.map_or(0, |verified| verified.sessions),
            differing_sessions: peer.verified.map_or(0, |verified| verified.differed),
            datagrams: peer.datagrams,
            records: peer.records,
            rejected: peer.rejected,
            last_heard: microseconds(wall_clock(peer.heard)),
        }
    }
}

/// A table on its way from another node; of none there is nothing.
#[derive(Default, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub(super) struct TransferEntry {
    donor: Option<String>,
    records: Option<u64>,
    percent: Option<u8>,
}

impl TransferEntry {
    pub(super) fn new(transfer: Transfer) -> Self {
        Self {
            donor: Some(transfer.donor),
            records: Some(transfer.records),
            percent: Some(transfer.percent),
        }
    }
}

/// A comparison of tables; of none there is nothing.
#[derive(Default, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub(super) struct AuditEntry {
    ended: Option<u64>,
    took: Option<u64>,
    sessions: Option<u64>,
    announced: Option<u64>,
    injected: Option<u64>,
}

impl AuditEntry {
    pub(super) fn new(audit: Audit) -> Self {
        Self {
            ended: Some(microseconds(wall_clock(audit.at))),
            took: Some(whole_microseconds(audit.took)),
            sessions: Some(audit.sessions),
            announced: Some(audit.announced),
            injected: Some(audit.injected),
        }
    }
}

/// A key, and who has it.
#[derive(SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub(super) struct KeyEntry {
    id: u64,
    fingerprint: String,
    sends: bool,
    held: Vec<String>,
    lacking: Vec<String>,
    differing: Vec<String>,
    sealing: Vec<String>,
}

impl KeyEntry {
    pub(super) fn new(key: seal::Holders) -> Self {
        Self {
            id: key.key.number.get().into(),
            fingerprint: key.key.fingerprint.to_string(),
            sends: key.sends,
            held: key.held,
            lacking: key.lacking,
            differing: key.differing,
            sealing: key.sealing,
        }
    }
}

/// A reading of another node's whole table; of none there is nothing.
#[derive(Default, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub(super) struct ReadingEntry {
    donor: Option<String>,
    ended: Option<u64>,
    took: Option<u64>,
    records: Option<u64>,
    taken: Option<u64>,
}

impl ReadingEntry {
    pub(super) fn new(reading: TableReading) -> Self {
        Self {
            donor: Some(reading.donor),
            ended: Some(microseconds(wall_clock(reading.at))),
            took: Some(whole_microseconds(reading.took)),
            records: Some(reading.records),
            taken: Some(reading.taken),
        }
    }
}

/// As systemd gives times: microseconds since 1970.
pub(super) fn microseconds(time: SystemTime) -> u64 {
    whole_microseconds(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO))
}

pub(super) fn whole_microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The wall clock's time at a moment that has passed.
fn wall_clock(moment: Instant) -> SystemTime {
    let now = SystemTime::now();
    now.checked_sub(moment.elapsed()).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::{Difference, Kind, Verified};
    use std::net::SocketAddr;

    #[test]
    fn a_peer_is_told_with_its_lag_in_microseconds_its_drift_by_name_and_its_comparisons() {
        let peer = Peer {
            kind: Kind::Joold,
            node: 2,
            name: "b".to_owned(),
            address: SocketAddr::from(([192, 0, 2, 1], 6400)),
            present: false,
            state: Some(replication::State::Degraded),
            fitness: Some(Fitness::Behind),
            jool: "4.1.13".to_owned(),
            daemon: "0.1.0".to_owned(),
            record_length: 140,
            sessions: 5,
            behind: 7,
            lag: Duration::from_millis(20),
            missing: 3,
            drift: vec![Difference::Pool4, Difference::Timeouts],
            hears_us: false,
            shares_name: true,
            verified: Some(Verified {
                count: 2,
                at: Instant::now(),
                sessions: 9,
                differed: 1,
            }),
            datagrams: 0,
            records: 0,
            rejected: 0,
            heard: Instant::now(),
        };
        let mut seal = seal::Status::default();
        assert_eq!(PeerEntry::new(&peer, &seal).seal, "");
        seal.policy = seal::Policy::Send;
        let entry = PeerEntry::new(&peer, &seal);
        assert_eq!((entry.seal, entry.keys.len()), ("open", 0));
        assert_eq!((entry.behind, entry.lag, entry.missing), (7, 20_000, 3));
        assert_eq!((entry.state, entry.present), ("degraded", false));
        assert_eq!((entry.fitness, entry.fit), ("behind", false));
        assert_eq!(entry.record_format, "140");
        assert_eq!(entry.drift, ["pool4", "timeouts"]);
        assert!(entry.shares_name && !entry.hears_us);
        assert_eq!(entry.verifications, 2);
        assert_eq!((entry.verified_sessions, entry.differing_sessions), (9, 1));
        assert!(entry.last_verified > 0);
    }

    #[test]
    fn times_are_microseconds_since_1970() {
        let time = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        assert_eq!(microseconds(time), 1_700_000_000_123_456);
        assert_eq!(microseconds(UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert!(wall_clock(Instant::now()) <= SystemTime::now());
    }
}
