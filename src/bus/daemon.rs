//! `mx.jool.Joold1`. What its members mean is told in `docs/dbus.md`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch::Ref;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{BoxDBusError, Connection, DBusError, SerializeDict, Type, interface};

use super::access::{self, Action};
use super::counters;
use crate::jool::Instance;
use crate::replication::{self, Audit, Fitness, Peer, TableReading, Transfer};
use crate::service::{Control, Snapshot, State};

/// What can go wrong with a method, for programs.
#[derive(Debug, DBusError)]
#[zbus(prefix = "mx.jool.Joold1.Error")]
enum Error {
    /// The configuration has these problems, a line each.
    Configuration(String),
    /// It is not possible now, for this reason.
    Unavailable(String),
}

/// A node that datagrams come from.
#[derive(SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
struct PeerEntry {
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
    fn new(peer: &Peer) -> Self {
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
struct TransferEntry {
    donor: Option<String>,
    records: Option<u64>,
    percent: Option<u8>,
}

impl TransferEntry {
    fn new(transfer: Transfer) -> Self {
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
struct AuditEntry {
    ended: Option<u64>,
    took: Option<u64>,
    sessions: Option<u64>,
    announced: Option<u64>,
    injected: Option<u64>,
}

impl AuditEntry {
    fn new(audit: Audit) -> Self {
        Self {
            ended: Some(microseconds(wall_clock(audit.at))),
            took: Some(whole_microseconds(audit.took)),
            sessions: Some(audit.sessions),
            announced: Some(audit.announced),
            injected: Some(audit.injected),
        }
    }
}

/// A reading of another node's whole table; of none there is nothing.
#[derive(Default, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
struct ReadingEntry {
    donor: Option<String>,
    ended: Option<u64>,
    took: Option<u64>,
    records: Option<u64>,
    taken: Option<u64>,
}

impl ReadingEntry {
    fn new(reading: TableReading) -> Self {
        Self {
            donor: Some(reading.donor),
            ended: Some(microseconds(wall_clock(reading.at))),
            took: Some(whole_microseconds(reading.took)),
            records: Some(reading.records),
            taken: Some(reading.taken),
        }
    }
}

/// The daemon as an object on the bus.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    control: Control,
    name: String,
}

impl Daemon {
    pub(super) fn new(control: Control, name: &str) -> Self {
        Self {
            control,
            name: name.to_owned(),
        }
    }

    pub(super) fn control(&self) -> Control {
        self.control.clone()
    }

    fn snapshot(&self) -> Ref<'_, Snapshot> {
        self.control.look()
    }

    /// Something of the Jool that it works with; empty without one.
    fn of_jool(&self, part: impl FnOnce(&Instance) -> String) -> String {
        match &self.snapshot().state {
            State::Waiting(_) => String::new(),
            State::Running(instance) => part(instance),
        }
    }
}

#[interface(name = "mx.jool.Joold1", introspection_docs = false)]
impl Daemon {
    async fn reload(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<(), BoxDBusError> {
        access::check(connection, &header, Action::Reload).await?;
        let result = self.control.reload().await;
        result.map_err(|problems| Box::new(Error::Configuration(problems)) as _)
    }

    #[zbus(out_args("sessions"))]
    async fn advertise(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<u64, BoxDBusError> {
        access::check(connection, &header, Action::Advertise).await?;
        let result = self.control.advertise().await;
        result.map_err(|reason| Box::new(Error::Unavailable(reason)) as _)
    }

    async fn resync(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<(), BoxDBusError> {
        access::check(connection, &header, Action::Resync).await?;
        let result = self.control.resync().await;
        result.map_err(|reason| Box::new(Error::Unavailable(reason)) as _)
    }

    async fn verify(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<(), BoxDBusError> {
        access::check(connection, &header, Action::Verify).await?;
        let result = self.control.verify().await;
        result.map_err(|reason| Box::new(Error::Unavailable(reason)) as _)
    }

    async fn drain(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
        anyway: bool,
    ) -> Result<(), BoxDBusError> {
        access::check(connection, &header, Action::Drain).await?;
        let result = self.control.drain(anyway).await;
        result.map_err(|reason| Box::new(Error::Unavailable(reason)) as _)
    }

    async fn undrain(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<(), BoxDBusError> {
        access::check(connection, &header, Action::Drain).await?;
        let result = self.control.undrain().await;
        result.map_err(|reason| Box::new(Error::Unavailable(reason)) as _)
    }

    /// Not `state_changed`, which is the announcement of the property.
    #[zbus(signal, name = "StateChanged")]
    pub(super) async fn entered_state(
        emitter: &SignalEmitter<'_>,
        state: &str,
        reason: &str,
    ) -> zbus::Result<()>;

    /// Not `fitness_changed`, likewise.
    #[zbus(signal, name = "FitnessChanged")]
    pub(super) async fn entered_fitness(
        emitter: &SignalEmitter<'_>,
        fit: bool,
        fitness: &str,
        reason: &str,
    ) -> zbus::Result<()>;

    /// Not `failover_safe_changed`, likewise.
    #[zbus(signal, name = "FailoverChanged")]
    pub(super) async fn entered_failover(
        emitter: &SignalEmitter<'_>,
        safe: bool,
        to: &str,
        reason: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn peer_appeared(
        emitter: &SignalEmitter<'_>,
        address: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn peer_lost(emitter: &SignalEmitter<'_>, address: &str) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> &str {
        &self.name
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(property)]
    fn state(&self) -> String {
        self.snapshot().state_name().to_owned()
    }

    #[zbus(property)]
    fn state_reason(&self) -> String {
        self.snapshot().reason()
    }

    #[zbus(property)]
    fn state_since(&self) -> u64 {
        microseconds(self.snapshot().since)
    }

    #[zbus(property)]
    fn node_name(&self) -> String {
        self.snapshot().status.name.clone()
    }

    #[zbus(property)]
    fn cluster_name(&self) -> String {
        self.snapshot().status.cluster.clone()
    }

    #[zbus(property)]
    fn node_id(&self) -> String {
        format!("{:016x}", self.snapshot().status.node)
    }

    #[zbus(property)]
    fn namesake(&self) -> String {
        let namesake = self.snapshot().status.namesake;
        namesake
            .as_ref()
            .map(SocketAddr::to_string)
            .unwrap_or_default()
    }

    #[zbus(property)]
    fn failover_safe(&self) -> bool {
        self.snapshot().status.failover.is_ok()
    }

    #[zbus(property)]
    fn failover_to(&self) -> String {
        self.snapshot().failover_to()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn failover_reason(&self) -> String {
        self.snapshot().failover_reason()
    }

    /// Names and lags.
    #[zbus(property(emits_changed_signal = "false"))]
    fn successors(&self) -> Vec<(String, u64)> {
        let successors = self.snapshot().status.failover.clone();
        let successors = successors.unwrap_or_default().into_iter();
        successors
            .map(|who| (who.name, whole_microseconds(who.lag)))
            .collect()
    }

    #[zbus(property)]
    fn fit(&self) -> bool {
        self.snapshot().status.fitness.is_fit()
    }

    #[zbus(property)]
    fn fitness(&self) -> String {
        self.snapshot().status.fitness.name().to_owned()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn fitness_reason(&self) -> String {
        self.snapshot().status.fitness_reason.clone()
    }

    #[zbus(property)]
    fn fitness_since(&self) -> u64 {
        microseconds(self.snapshot().fitness_since)
    }

    #[zbus(property)]
    fn outlet_problems(&self) -> Vec<String> {
        self.snapshot().outlet_problems.clone()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn missing(&self) -> u64 {
        self.snapshot().status.missing
    }

    #[zbus(property)]
    fn instance(&self) -> String {
        self.snapshot().instance.clone()
    }

    #[zbus(property)]
    fn jool_version(&self) -> String {
        self.of_jool(|instance| instance.version.to_string())
    }

    #[zbus(property)]
    fn pool6(&self) -> String {
        self.of_jool(|instance| instance.pool6.to_string())
    }

    #[zbus(property)]
    fn record_format(&self) -> String {
        self.of_jool(|instance| instance.format.length().to_string())
    }

    #[zbus(property)]
    fn configuration_files(&self) -> Vec<String> {
        let files = self.snapshot().configuration.files.clone();
        let names = files.iter().map(|file| file.display().to_string());
        names.collect()
    }

    #[zbus(property)]
    fn configuration_loaded(&self) -> u64 {
        microseconds(self.snapshot().configuration.loaded)
    }

    #[zbus(property)]
    fn configuration_problems(&self) -> Vec<String> {
        let problems = self.snapshot().configuration.problems.clone();
        problems.lines().map(str::to_owned).collect()
    }

    #[zbus(property)]
    fn configuration_changes(&self) -> Vec<&'static str> {
        self.snapshot().configuration.changes.clone()
    }

    #[zbus(property)]
    fn configuration_pending(&self) -> Vec<&'static str> {
        self.snapshot().configuration.pending.clone()
    }

    #[zbus(property)]
    fn local_address(&self) -> String {
        self.snapshot().addresses.local.to_string()
    }

    #[zbus(property)]
    fn group(&self) -> String {
        let group = self.snapshot().addresses.group;
        group
            .as_ref()
            .map(SocketAddr::to_string)
            .unwrap_or_default()
    }

    #[zbus(property)]
    fn configured_peers(&self) -> Vec<String> {
        let peers = self.snapshot().addresses.peers.clone();
        peers.iter().map(SocketAddr::to_string).collect()
    }

    #[zbus(property)]
    fn receive_interface(&self) -> String {
        self.snapshot().addresses.receive_interface.clone()
    }

    #[zbus(property)]
    fn send_interface(&self) -> String {
        self.snapshot().addresses.send_interface.clone()
    }

    #[zbus(property)]
    fn last_error(&self) -> String {
        self.snapshot().last_error.clone()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn last_error_time(&self) -> u64 {
        self.snapshot().last_error_at.map_or(0, microseconds)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn last_drop_time(&self) -> u64 {
        self.snapshot().last_drop_at.map_or(0, microseconds)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn sessions(&self) -> u64 {
        self.snapshot().sessions
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn known_sessions(&self) -> u64 {
        self.snapshot().status.sessions
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn position(&self) -> u64 {
        self.snapshot().status.position
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn announcing(&self) -> u64 {
        self.snapshot().status.announcing
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn transfer(&self) -> TransferEntry {
        let transfer = self.snapshot().status.transfer.clone();
        transfer.map(TransferEntry::new).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn last_audit(&self) -> AuditEntry {
        let audit = self.snapshot().status.audit;
        audit.map(AuditEntry::new).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn last_reading(&self) -> ReadingEntry {
        let reading = self.snapshot().status.reading.clone();
        reading.map(ReadingEntry::new).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn peers(&self) -> Vec<PeerEntry> {
        self.snapshot()
            .status
            .peers
            .iter()
            .map(PeerEntry::new)
            .collect()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn counters(&self) -> BTreeMap<String, u64> {
        counters::all(&self.snapshot().counters).collect()
    }
}

/// As systemd gives times: microseconds since 1970.
fn microseconds(time: SystemTime) -> u64 {
    whole_microseconds(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO))
}

fn whole_microseconds(duration: Duration) -> u64 {
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

    #[test]
    fn a_peer_is_told_with_its_lag_in_microseconds_its_drift_by_name_and_its_comparisons() {
        let entry = PeerEntry::new(&Peer {
            kind: Kind::Joold,
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
        });
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
