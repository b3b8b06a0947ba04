//! What differs between two configurations, by the keys of the file.

use super::{Config, keys};
use crate::replication::Policy;
use crate::{jool, net};

/// Keys of which another value takes effect with the next restart.
const AT_RESTART: [&str; 3] = [
    keys::NODE_NAME.name,
    keys::CLUSTER_NAME.name,
    keys::MAX_SESSIONS.name,
];

impl Config {
    /// The keys whose values, given or by default, are others in another configuration.
    pub fn changes(&self, other: &Self) -> Vec<&'static str> {
        // Taken apart to the last field, so that a new one does not compile without its key.
        let Self {
            network,
            jool,
            wait,
            record_format,
            node_name,
            cluster_name: _,
            max_sessions,
            statistics,
            policy,
            gate,
            seal,
            key_file,
        } = self;
        let net::Settings {
            group,
            port,
            peers,
            receive_interface,
            send_interface,
            reuse_address,
            hop_limit,
        } = network;
        let jool::Settings {
            instance,
            manage,
            flush_interval,
            queue_capacity,
        } = jool;
        let Policy {
            failback,
            alone_wait,
            accepted,
        } = policy;
        let address = |group: &Option<std::net::SocketAddr>| group.map(|group| group.ip());
        let (net, own, policy) = (&other.network, &other.jool, &other.policy);
        [
            (
                keys::MULTICAST_ADDRESS,
                address(group) != address(&net.group),
            ),
            (keys::MULTICAST_PORT, *port != net.port),
            (keys::PEERS, *peers != net.peers),
            (
                keys::IN_INTERFACE,
                *receive_interface != net.receive_interface,
            ),
            (keys::OUT_INTERFACE, *send_interface != net.send_interface),
            (keys::REUSEADDR, *reuse_address != net.reuse_address),
            (keys::TTL, *hop_limit != net.hop_limit),
            (keys::INSTANCE, *instance != own.instance),
            (keys::MANAGE_JOOL, *manage != own.manage),
            (keys::FLUSH_INTERVAL, *flush_interval != own.flush_interval),
            (keys::QUEUE_CAPACITY, *queue_capacity != own.queue_capacity),
            (keys::JOOL_WAIT, *wait != other.wait),
            (keys::RECORD_FORMAT, *record_format != other.record_format),
            (keys::NODE_NAME, *node_name != other.node_name),
            (keys::SEAL, *seal != other.seal),
            (keys::KEY_FILE, *key_file != other.key_file),
            (keys::CLUSTER_NAME, self.cluster() != other.cluster()),
            (keys::MAX_SESSIONS, *max_sessions != other.max_sessions),
            (keys::STATISTICS_ADDRESS, *statistics != other.statistics),
            (keys::FAILBACK, *failback != policy.failback),
            (keys::ALONE_WAIT, *alone_wait != policy.alone_wait),
            (keys::ACCEPT_DIFFERENCES, *accepted != policy.accepted),
            (keys::GATE_INTERFACE, *gate != other.gate),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key.name))
        .collect()
    }

    /// Those of them whose other values take effect with the next restart.
    pub fn pending(&self, other: &Self) -> Vec<&'static str> {
        let mut changes = self.changes(other);
        changes.retain(|key| AT_RESTART.contains(key));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KEYS;

    #[test]
    fn every_key_of_the_complete_sample_is_a_change() {
        let sample = include_str!("../../tests/samples/complete.json");
        let input = crate::config::Input {
            network: Some(crate::config::Document {
                name: "a.json".to_owned(),
                content: Ok(sample.into()),
            }),
            ..Default::default()
        };
        let lookups = crate::config::Lookups {
            interface: &|_| Ok(()),
            service: &|_| Ok(None),
        };
        let complete = crate::config::parse(&input, &lookups).unwrap();
        let mut changes = Config::default().changes(&complete);
        let mut all: Vec<_> = KEYS.iter().map(|key| key.name).collect();
        changes.sort_unstable();
        all.sort_unstable();
        assert_eq!(changes, all);
        let pending = Config::default().pending(&complete);
        assert_eq!(pending, ["node name", "cluster name", "max sessions"]);
        assert!(complete.changes(&complete).is_empty());
    }

    #[test]
    fn the_keys_that_wait_for_a_restart_say_so() {
        for key in KEYS {
            let says = key.meaning.contains("takes effect with the next restart");
            assert_eq!(says, AT_RESTART.contains(&key.name), "{}", key.name);
        }
    }
}
