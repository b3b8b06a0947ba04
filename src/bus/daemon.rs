//! `mx.jool.Joold1`. What its members mean is told in `docs/dbus.md`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::sync::watch::Ref;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{BoxDBusError, Connection, DBusError, interface};

use super::access::{self, Action};
use super::counters;
use super::entries::{
    AuditEntry, KeyEntry, PeerEntry, ReadingEntry, TransferEntry, microseconds, whole_microseconds,
};
use crate::jool::Instance;
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
        let snapshot = self.snapshot();
        let peers = snapshot.status.peers.iter();
        let entry = |peer| PeerEntry::new(peer, &snapshot.seal);
        peers.map(entry).collect()
    }

    #[zbus(property)]
    fn seal(&self) -> String {
        self.snapshot().seal.policy.name().to_owned()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn seal_keys(&self) -> Vec<KeyEntry> {
        let keys = self.snapshot().seal_advice().keys;
        keys.into_iter().map(KeyEntry::new).collect()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn seal_steps(&self) -> Vec<String> {
        self.snapshot().seal_advice().steps
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn counters(&self) -> BTreeMap<String, u64> {
        counters::all(&self.snapshot().counters).collect()
    }
}
