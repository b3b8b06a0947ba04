//! Which node this is, to the others.

use std::fs;
use std::os::linux::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::gethostname;
use tracing::warn;

use super::messages;
use crate::config::Config;
use crate::replication;

/// How a node takes part in replication.
pub(super) fn settings(config: &Config) -> replication::Settings {
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let epoch = epoch.map_or(1, |since| since.as_millis());
    replication::Settings {
        node: node(config),
        // Higher than in any run before, as long as the clock is not set back.
        epoch: u64::try_from(epoch).unwrap_or(u64::MAX),
        name: name(config),
        cluster: config.cluster().to_owned(),
        format: config.record_format,
        flush_interval: config.jool.flush_interval,
        most_sessions: usize::try_from(config.max_sessions).unwrap_or(usize::MAX),
        is_shared: config.network.is_shared(),
        policy: config.policy.clone(),
        ..replication::Settings::default()
    }
}

/// Says so if the other nodes will take this one for a new one after a restart.
pub(super) fn warn_if_unsteady(config: &Config) {
    if config.node_name.is_none() && machine(&MACHINE_IDS).is_empty() {
        warn!(
            MESSAGE_ID = messages::UNSTEADY.id,
            "this machine has no id ({} is missing or empty), so that to the other nodes this is a new node after \
             each boot, and in a container after each start; run `systemd-machine-id-setup`, or set \"node name\"",
            MACHINE_IDS.join(" and ")
        );
    }
}

/// What people call it: as configured, else after the host.
pub(super) fn name(config: &Config) -> String {
    if let Some(name) = &config.node_name {
        return name.clone();
    }
    let host = gethostname().unwrap_or_default();
    let host = host.to_string_lossy();
    match (host.as_ref(), config.jool.instance.as_str()) {
        (host, "default") => host.to_owned(),
        (host, instance) => format!("{host} {instance}"),
    }
}

/// Its number: that of its name if one was given, else of the machine, the network namespace, the
/// instance and the port, which are the same after a restart and differ between the nodes of one
/// machine.
fn node(config: &Config) -> u64 {
    if let Some(name) = &config.node_name {
        return digest(name.as_bytes());
    }
    let [own, bus] = MACHINE_IDS;
    let machine = machine(&[own, bus, BOOT]);
    let namespace = fs::metadata("/proc/thread-self/ns/net");
    let namespace = namespace.map_or((0, 0), |file| (file.st_dev(), file.st_ino()));
    let listens = config.network.listen_address();
    digest(
        format!(
            "{machine}\n{namespace:?}\n{}\n{listens}",
            config.jool.instance
        )
        .as_bytes(),
    )
}

/// What tells this machine from others: machine-id(5), and where D-Bus keeps it.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// What tells this machine from others until its next boot at least, also where there is no
/// machine-id(5), as on OpenWrt: two that had nothing of the kind would take each other for
/// themselves.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// What is in the first of these files that has an id in it.
fn machine(files: &[&str]) -> String {
    let mut ids = files.iter().map(|file| {
        let id = fs::read(file).unwrap_or_default();
        String::from_utf8_lossy(&id).trim().to_owned()
    });
    // An image's first boot finds the one or the other.
    ids.find(|id| !matches!(id.as_str(), "" | "uninitialized"))
        .unwrap_or_default()
}

/// FNV-1a, 64 bits; never 0. Not secret, but for the machine's id, which it hides well enough on a
/// link that is trusted with the sessions themselves.
fn digest(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_an_id_of_its_own_is_known_by_its_boot() {
        let boot = fs::read_to_string(BOOT).unwrap();
        assert_eq!(machine(&["/nonexistent", "/dev/null", BOOT]), boot.trim());
        let kernel = "/proc/sys/kernel/ostype";
        assert_eq!(machine(&[kernel, BOOT]), "Linux");
    }

    #[test]
    fn a_node_is_the_same_after_a_restart_and_another_with_another_instance_or_name() {
        let config = Config::default();
        assert_eq!(node(&config), node(&config));
        let mut other = config.clone();
        other.jool.instance = "other".to_owned();
        assert_ne!(node(&config), node(&other));
        assert!(name(&other).ends_with(" other"));
        other.node_name = Some("nat64-a".to_owned());
        assert_ne!(node(&config), node(&other));
        assert_eq!(name(&other), "nat64-a");
        let elsewhere = Config {
            node_name: Some("nat64-a".to_owned()),
            ..Config::default()
        };
        assert_eq!(node(&elsewhere), node(&other));
    }
}
