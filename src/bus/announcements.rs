//! What is told to the bus unasked: changed properties, and the signals.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;
use tracing::debug;
use zbus::names::InterfaceName;
use zbus::object_server::{Interface, SignalEmitter};
use zbus::{Connection, OwnedVariant, Variant, fdo};

use super::PATH;
use super::daemon::Daemon;
use crate::replication::Peer;
use crate::service::{Counters, Snapshot};

/// A peer that was not heard for so long is lost. Long, because a node sends nothing while no
/// session changes.
const LOST: Duration = Duration::from_secs(60);
/// What changes all the time and is looked up by whoever wants it.
pub(super) const NOT_ANNOUNCED: [&str; 3] = ["Sessions", "Peers", "Counters"];

/// Tells the bus what changes, and never ends.
pub(super) async fn make(connection: &Connection, daemon: &Daemon) {
    let mut control = daemon.control();
    let mut last = control.snapshot();
    let mut properties = announced(connection, daemon).await;
    let mut present = present(&last, Instant::now());
    loop {
        let deadline = next_loss(&last, &present);
        tokio::select! {
            alive = control.changed() => if !alive { return pending().await },
            () = at(deadline) => {}
        }
        let snapshot = control.snapshot();
        let now = Instant::now();
        let result = async {
            let emitter = SignalEmitter::new(connection, PATH)?;
            if steady(&snapshot) != steady(&last) {
                let current = announced(connection, daemon).await;
                announce(&emitter, &properties, &current).await?;
                properties = current;
            }
            let state = (snapshot.state_name(), snapshot.reason());
            if state != (last.state_name(), last.reason()) {
                Daemon::entered_state(&emitter, state.0, &state.1).await?;
            }
            let here = self::present(&snapshot, now);
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
    }
}

/// The snapshot without what is not announced.
fn steady(snapshot: &Snapshot) -> Snapshot {
    let mut steady = Snapshot {
        sessions: 0,
        counters: Counters::default(),
        ..snapshot.clone()
    };
    let status = &mut steady.status;
    status.peers.clear();
    (status.sessions, status.position, status.announcing) = (0, 0, 0);
    status.transfer = None;
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

/// The peers that were heard lately.
fn present(snapshot: &Snapshot, now: Instant) -> BTreeSet<SocketAddr> {
    let heard = |peer: &&Peer| now.saturating_duration_since(peer.heard) < LOST;
    let peers = snapshot.status.peers.iter().filter(heard);
    peers.map(|peer| peer.address).collect()
}

/// When the next of the present peers is lost if none is heard again.
fn next_loss(snapshot: &Snapshot, present: &BTreeSet<SocketAddr>) -> Option<Instant> {
    let peers = snapshot.status.peers.iter();
    let present = peers.filter(|peer| present.contains(&peer.address));
    present.map(|peer| peer.heard + LOST).min()
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    use crate::replication::{self, Engine, Kind};
    use crate::service::{Addresses, Configuration, State};

    /// A node that heard these peers at these times.
    fn snapshot(peers: &[(u16, Instant)]) -> Snapshot {
        let now = Instant::now();
        let mut status = Engine::new(now, replication::Settings::default()).status(now);
        status.peers = peers
            .iter()
            .map(|&(port, heard)| Peer {
                kind: Kind::Stock,
                name: String::new(),
                address: SocketAddr::from(([192, 0, 2, 1], port)),
                present: true,
                state: None,
                jool: String::new(),
                daemon: String::new(),
                record_length: 0,
                sessions: 0,
                behind: 0,
                lag: Duration::ZERO,
                missing: 0,
                drift: Vec::new(),
                datagrams: 1,
                records: 1,
                rejected: 0,
                heard,
            })
            .collect();
        Snapshot {
            state: State::Waiting(String::new()),
            since: SystemTime::UNIX_EPOCH,
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
            },
            status,
            counters: Counters::default(),
            last_error: String::new(),
        }
    }

    #[test]
    fn a_peer_is_lost_when_it_was_not_heard_for_a_minute() {
        let start = Instant::now();
        let second = start + Duration::from_secs(1);
        let snapshot = snapshot(&[(1, start), (2, second)]);
        let ports = |now| -> Vec<u16> {
            let present = present(&snapshot, now);
            present.iter().map(SocketAddr::port).collect()
        };
        assert_eq!(ports(second), [1, 2]);
        assert_eq!(ports(start + LOST), [2]);
        assert!(ports(second + LOST).is_empty());
        let looks = |now| next_loss(&snapshot, &present(&snapshot, now));
        assert_eq!(looks(second), Some(start + LOST));
        assert_eq!(looks(start + LOST), Some(second + LOST));
        assert_eq!(looks(second + LOST), None);
    }

    #[test]
    fn traffic_alone_is_no_change() {
        let start = Instant::now();
        let quiet = snapshot(&[]);
        let mut busy = snapshot(&[(1, start)]);
        busy.sessions = 3;
        busy.counters.repairs = 1;
        assert_eq!(steady(&busy), steady(&quiet));
        busy.last_error = "something".to_owned();
        assert_ne!(steady(&busy), steady(&quiet));
    }
}
