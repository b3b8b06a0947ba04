//! What is told to the bus unasked: changed properties, and the signals.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::sleep;
use tracing::debug;
use zbus::names::InterfaceName;
use zbus::object_server::{Interface, SignalEmitter};
use zbus::{Connection, OwnedVariant, Variant, fdo};

use super::PATH;
use super::daemon::Daemon;
use crate::replication::State;
use crate::service::{Counters, Snapshot};

/// Between two announcements. While datagrams are lost the state changes with each and is back when it
/// is repaired, which nobody wants to be woken for.
const PAUSE: Duration = Duration::from_millis(250);
/// What changes all the time and is looked up by whoever wants it.
pub(super) const NOT_ANNOUNCED: [&str; 17] = [
    "Sessions",
    "KnownSessions",
    "Position",
    "Announcing",
    "Transfer",
    "LastAudit",
    "LastReading",
    "LastErrorTime",
    "LastDropTime",
    "FailoverReason",
    "Successors",
    "FitnessReason",
    "Missing",
    "Peers",
    "Counters",
    "SealKeys",
    "SealSteps",
];

/// Tells the bus what changes, and never ends.
pub(super) async fn make(connection: &Connection, daemon: &Daemon) {
    let mut control = daemon.control();
    let mut last = control.snapshot();
    let mut properties = announced(connection, daemon).await;
    let mut present = present(&last);
    while control.changed().await {
        let snapshot = control.snapshot();
        let result = async {
            let emitter = SignalEmitter::new(connection, PATH)?;
            if steady(&snapshot) != steady(&last) {
                let current = announced(connection, daemon).await;
                announce(&emitter, &properties, &current).await?;
                properties = current;
            }
            if snapshot.state_name() != last.state_name() {
                let state = snapshot.state_name();
                Daemon::entered_state(&emitter, state, &snapshot.reason()).await?;
            }
            let status = &snapshot.status;
            if status.fitness != last.status.fitness {
                let (fitness, reason) = (status.fitness, &status.fitness_reason);
                Daemon::entered_fitness(&emitter, fitness.is_fit(), fitness.name(), reason).await?;
            }
            if snapshot.failover_to() != last.failover_to() {
                let (to, reason) = (snapshot.failover_to(), snapshot.failover_reason());
                Daemon::entered_failover(&emitter, !to.is_empty(), &to, &reason).await?;
            }
            let here = self::present(&snapshot);
            for appeared in here.difference(&present) {
                Daemon::peer_appeared(&emitter, &appeared.to_string()).await?;
            }
            for lost in present.difference(&here) {
                Daemon::peer_lost(&emitter, &lost.to_string()).await?;
            }
            present = here;
            zbus::Result::Ok(())
        };
        // Whoever listens finds the same in the properties; a closed connection is noticed elsewhere.
        if let Err(error) = result.await {
            debug!("telling the bus failed: {error}");
        }
        last = snapshot;
        sleep(PAUSE).await;
    }
    pending::<()>().await;
}

/// The snapshot without what is not announced.
fn steady(snapshot: &Snapshot) -> Snapshot {
    let mut steady = Snapshot {
        sessions: 0,
        counters: Counters::default(),
        last_error_at: None,
        last_drop_at: None,
        ..snapshot.clone()
    };
    steady.seal.peers.clear();
    let status = &mut steady.status;
    status.peers.clear();
    (status.sessions, status.position, status.announcing) = (0, 0, 0);
    (status.transfer, status.audit, status.reading) = (None, None, None);
    status.missing = 0;
    status.fitness_reason.clear();
    if status.state != State::Degraded {
        status.reasons.clear();
    }
    match &mut status.failover {
        Ok(successors) => {
            successors.truncate(1);
            for who in successors {
                who.lag = Duration::ZERO;
            }
        }
        Err(reason) => reason.clear(),
    }
    steady
}

/// The properties that are announced.
async fn announced(connection: &Connection, daemon: &Daemon) -> HashMap<String, OwnedVariant> {
    let Ok(emitter) = SignalEmitter::new(connection, PATH) else {
        return HashMap::new();
    };
    let server = connection.object_server();
    let properties = daemon.get_all(server, connection, None, &emitter).await;
    let mut properties = properties.unwrap_or_default();
    properties.retain(|name, _| !NOT_ANNOUNCED.contains(&name.as_str()));
    properties
}

/// All changes in one signal, so that nobody sees half of them.
async fn announce(
    emitter: &SignalEmitter<'_>,
    before: &HashMap<String, OwnedVariant>,
    now: &HashMap<String, OwnedVariant>,
) -> zbus::Result<()> {
    let changed: HashMap<&str, Variant<'_>> = now
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value))
        .map(|(name, value)| (name.as_str(), Variant::from(value.clone())))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let interface: InterfaceName<'_> = Daemon::name();
    fdo::Properties::properties_changed(emitter, interface, changed, Cow::Borrowed(&[])).await
}

/// The peers that are there.
fn present(snapshot: &Snapshot) -> BTreeSet<SocketAddr> {
    let peers = snapshot.status.peers.iter();
    let present = peers.filter(|peer| peer.present);
    present.map(|peer| peer.address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Instant, SystemTime};

    use crate::replication::{self, Engine, Peer, Successor};
    use crate::seal;
    use crate::service::{self, Addresses, Configuration};

    /// A node that heard peers at these ports, of which some are still there.
    fn snapshot(peers: &[(u16, bool)]) -> Snapshot {
        let now = Instant::now();
        let mut status = Engine::new(now, replication::Settings::default()).status(now);
        status.peers = peers
            .iter()
            .map(|&(port, present)| Peer {
                present,
                ..Peer::stock(SocketAddr::from(([192, 0, 2, 1], port)), now)
            })
            .collect();
        Snapshot {
            state: service::State::Waiting(String::new()),
            since: SystemTime::UNIX_EPOCH,
            fitness_since: SystemTime::UNIX_EPOCH,
            instance: String::new(),
            sessions: 0,
            addresses: Addresses {
                local: SocketAddr::from(([192, 0, 2, 2], 1)),
                group: None,
                peers: Vec::new(),
                receive_interface: String::new(),
                send_interface: String::new(),
            },
            configuration: Configuration {
                files: Vec::new(),
                loaded: SystemTime::UNIX_EPOCH,
                problems: String::new(),
                changes: Vec::new(),
                pending: Vec::new(),
            },
            status,
            seal: seal::Status::default(),
            counters: Counters::default(),
            last_error: String::new(),
            last_error_at: None,
            last_drop_at: None,
            obstacle: String::new(),
            outlet_problems: Vec::new(),
        }
    }

    #[test]
    fn the_peers_that_are_there_are_those_that_the_engine_takes_for_there() {
        let present = present(&snapshot(&[(1, true), (2, false), (3, true)]));
        let ports: Vec<u16> = present.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [1, 3]);
    }

    #[test]
    fn traffic_alone_is_no_change() {
        let quiet = snapshot(&[]);
        let mut busy = snapshot(&[(1, true)]);
        busy.sessions = 3;
        busy.counters.repairs = 1;
        let status = &mut busy.status;
        (status.sessions, status.position, status.announcing) = (3, 4, 1);
        status.failover = Err("b is 7 records behind".to_owned());
        assert_eq!(steady(&busy), steady(&quiet));
        busy.status.reasons = vec!["7 records of b are not here yet".to_owned()];
        assert_eq!(steady(&busy), steady(&quiet));
        let successor = |lag| Successor {
            name: "b".to_owned(),
            lag: Duration::from_millis(lag),
        };
        busy.status.failover = Ok(vec![successor(7)]);
        assert_ne!(steady(&busy), steady(&quiet));
        let mut later = busy.clone();
        later.status.failover = Ok(vec![successor(9)]);
        assert_eq!(steady(&busy), steady(&later));
        let mut failed = quiet.clone();
        failed.last_error = "something".to_owned();
        assert_ne!(steady(&failed), steady(&quiet));
    }
}
