//! From keys to a [`Config`]: what each value means, what defaults to what, and what must fit
//! together.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

use super::problem::Problems;
use super::reader::{Given, Place, Reader, Source};
use super::{Config, Input, Lookups, keys, value};
use crate::jool;
use crate::net::{Interface, Settings};
use crate::replication::Policy;
use crate::seal;

/// The group without `multicast address` and `peers`. Of site-local scope, because a socket unit
/// can bind it without an interface; the hop limit of 1 keeps it on the link. Its last 32 bits are
/// "jool".
pub const DEFAULT_GROUP: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0x6a6f, 0x6f6c);

/// The stock daemon's port since 4.1.13.
pub const DEFAULT_PORT: u16 = 6400;

const DEFAULT_HOP_LIMIT: u8 = 1;
const MAX_PEERS: usize = 64;

impl Default for Config {
    /// What a file without any key means.
    fn default() -> Self {
        Self {
            network: Settings {
                group: Some(SocketAddr::new(DEFAULT_GROUP.into(), DEFAULT_PORT)),
                port: DEFAULT_PORT,
                peers: Vec::new(),
                receive_interface: None,
                send_interface: None,
                reuse_address: true,
                hop_limit: DEFAULT_HOP_LIMIT,
            },
            jool: jool::Settings {
                instance: "default".to_owned(),
                manage: true,
                flush_interval: Duration::from_millis(20),
                queue_capacity: 65_536,
            },
            wait: Some(Duration::from_secs(60)),
            record_format: None,
            node_name: None,
            cluster_name: None,
            max_sessions: 4_000_000,
            statistics: None,
            policy: Policy::default(),
            gate: None,
            seal: seal::Policy::Off,
            key_file: None,
        }
    }
}

/// Reads the configuration from what the files and the command line say.
pub(super) fn config(input: &Input, lookups: &Lookups) -> Result<Config, Problems> {
    let mut check = Check {
        input,
        lookups,
        reader: Reader::new(input),
    };
    let config = check.config();
    check.reader.finish().map(|()| config)
}

/// What the files and the command line say of the network.
struct Network {
    group: Given<IpAddr>,
    /// The port, the default included; `None`: not acceptable.
    port: Option<u16>,
    peers: Given<Vec<Peer>>,
    receive: Given<Interface>,
    send: Given<Interface>,
    /// The interface of the command line, where the files name none.
    argument: Given<Interface>,
}

/// A peer as it was given; without a port it has that of `multicast port`.
struct Peer {
    /// Its place in the list, from 1.
    number: usize,
    address: IpAddr,
    port: Option<u16>,
}

/// An address in use, for the comparison of families.
struct Used {
    address: IpAddr,
    /// What the address is to the operator.
    what: String,
    key: &'static str,
    /// `None`: by default.
    place: Option<Place>,
}

struct Check<'a> {
    input: &'a Input,
    lookups: &'a Lookups<'a>,
    reader: Reader,
}

impl Check<'_> {
    /// The configuration that the entries mean; where they are not acceptable, a problem and
    /// anything.
    fn config(&mut self) -> Config {
        let default = Config::default();
        let network = self.network();
        self.check_network(&network);
        let network = self.settings(network, &default.network);
        self.ask_for_one_interface(&network);
        let (settings, reader) = (default.jool, &mut self.reader);
        let jool = jool::Settings {
            instance: reader.value_or(settings.instance, &keys::INSTANCE, value::instance),
            manage: reader.value_or(settings.manage, &keys::MANAGE_JOOL, value::boolean),
            flush_interval: reader.value_or(
                settings.flush_interval,
                &keys::FLUSH_INTERVAL,
                |value| value::milliseconds(value, 1..=2000),
            ),
            queue_capacity: reader.value_or(
                settings.queue_capacity,
                &keys::QUEUE_CAPACITY,
                |value| value::integer(value, 512..=1 << 24),
            ),
        };
        Config {
            network,
            jool,
            wait: reader.value_or(default.wait, &keys::JOOL_WAIT, value::wait),
            record_format: reader.value_or(
                default.record_format,
                &keys::RECORD_FORMAT,
                value::record_format,
            ),
            node_name: reader
                .read(&keys::NODE_NAME, |value| value::shown_name(value, 64))
                .into_value(),
            cluster_name: reader
                .read(&keys::CLUSTER_NAME, |value| value::shown_name(value, 32))
                .into_value(),
            max_sessions: reader.value_or(default.max_sessions, &keys::MAX_SESSIONS, |value| {
                value::integer(value, 1000..=100_000_000)
            }),
            statistics: self.statistics(),
            policy: self.policy(default.policy),
            gate: self
                .reader
                .read(&keys::GATE_INTERFACE, value::interface_name)
                .into_value(),
            seal: self.reader.value_or(default.seal, &keys::SEAL, value::seal),
            key_file: self.reader.read(&keys::KEY_FILE, value::path).into_value(),
        }
    }

    fn policy(&mut self, default: Policy) -> Policy {
        let reader = &mut self.reader;
        Policy {
            failback: reader.value_or(default.failback, &keys::FAILBACK, value::failback),
            alone_wait: reader.value_or(default.alone_wait, &keys::ALONE_WAIT, |value| {
                value::seconds(value, 0..=86_400)
            }),
            accepted: reader.value_or(
                default.accepted,
                &keys::ACCEPT_DIFFERENCES,
                value::differences,
            ),
        }
    }

    /// The stock daemon's third argument sets the port and asks for statistics by being there.
    fn statistics(&mut self) -> Option<SocketAddr> {
        let address = self
            .reader
            .read(&keys::STATISTICS_ADDRESS, value::statistics_address)
            .into_value();
        let Some(argument) = &self.input.statistics_port else {
            return address;
        };
        match value::port_text(argument, self.lookups.service) {
            Ok(port) => {
                let address = address.map_or(Ipv6Addr::UNSPECIFIED.into(), |given| given.ip());
                Some(SocketAddr::new(address, port))
            }
            Err(reason) => {
                let message = format!(
                    "{reason}; accepted: a number from 1 to 65535 or the name of a UDP service"
                );
                let place = (Source::CommandLine, 0);
                self.reader.find(place, Some("statistics port"), message);
                None
            }
        }
    }

    fn network(&mut self) -> Network {
        let service = self.lookups.service;
        let group = self
            .reader
            .read(&keys::MULTICAST_ADDRESS, value::multicast_address);
        let port = match self
            .reader
            .read(&keys::MULTICAST_PORT, |value| value::port(value, service))
        {
            Given::Absent => Some(DEFAULT_PORT),
            given => given.into_value(),
        };
        let peers = self.peers(port);
        let receive = self.reader.read(&keys::IN_INTERFACE, value::interface);
        let send = self.reader.read(&keys::OUT_INTERFACE, value::interface);
        let argument = match &self.input.interface {
            Some(text) if receive.is_absent() && send.is_absent() => self.argument(text),
            _ => Given::Absent,
        };
        Network {
            group,
            port,
            peers,
            receive,
            send,
            argument,
        }
    }

    fn settings(&mut self, network: Network, default: &Settings) -> Settings {
        let port = network.port.unwrap_or(default.port);
        let peers_only = network.group.is_absent() && !network.peers.is_absent();
        let group = match network.group.into_value() {
            None if peers_only => None,
            address => Some(address.unwrap_or(DEFAULT_GROUP.into())),
        };
        let peers = network.peers.into_value().unwrap_or_default();
        let argument = network.argument.into_value();
        let (receive, send) = (network.receive.into_value(), network.send.into_value());
        // Of a group everybody who listens gets a copy; of a unicast only one does.
        let reuse = default.reuse_address && group.is_some();
        Settings {
            group: group.map(|address| SocketAddr::new(address, port)),
            port,
            peers: peers
                .iter()
                .map(|peer| SocketAddr::new(peer.address, peer.port.unwrap_or(port)))
                .collect(),
            receive_interface: receive.clone().or(send.clone()).or(argument.clone()),
            send_interface: send.or(receive).or(argument),
            reuse_address: self.reader.value_or(reuse, &keys::REUSEADDR, value::flag),
            hop_limit: self
                .reader
                .value_or(default.hop_limit, &keys::TTL, value::ttl),
        }
    }

    /// The interface of the command line.
    fn argument(&mut self, text: &str) -> Given<Interface> {
        let place = (Source::CommandLine, 0);
        match value::interface_text(text) {
            Ok(interface) => Given::Good(interface, place),
            Err(reason) => {
                let message = format!("{reason}; accepted: {}", keys::OUT_INTERFACE.accepts);
                self.reader.find(place, Some(ARGUMENT), message);
                Given::Bad
            }
        }
    }

    /// The peers without those that are not acceptable. An empty list is as good as none.
    ///
    /// A default port that is not known is equal to no other, so that no peer is called a duplicate
    /// by mistake.
    fn peers(&mut self, default_port: Option<u16>) -> Given<Vec<Peer>> {
        let array = self.reader.read(&keys::PEERS, |value| match value {
            Value::Array(entries) => Ok(entries.clone()),
            value => Err(value::wrong_type(value)),
        });
        let (entries, place) = match array {
            Given::Good(entries, _) if entries.is_empty() => return Given::Absent,
            Given::Good(entries, place) => (entries, place),
            Given::Absent => return Given::Absent,
            Given::Bad => return Given::Bad,
        };
        if entries.len() > MAX_PEERS {
            let reason = format!("an array of {} is too long", entries.len());
            self.reader.refuse(place, &keys::PEERS, &reason);
        }
        let mut known = BTreeSet::new();
        let mut peers = Vec::new();
        for (entry, number) in entries.iter().zip(1..=MAX_PEERS) {
            let (address, port) = match value::peer(entry) {
                Ok(peer) => peer,
                Err(reason) => {
                    let reason = format!("entry {number}: {reason}");
                    self.reader.refuse(place, &keys::PEERS, &reason);
                    continue;
                }
            };
            if known.insert((address, port.or(default_port))) {
                peers.push(Peer {
                    number,
                    address,
                    port,
                });
            } else {
                let shown = match port {
                    Some(port) => SocketAddr::new(address, port).to_string(),
                    None => address.to_string(),
                };
                let message = format!("entry {number}, {shown}, is given twice; keep it once");
                self.reader.find(place, Some(keys::PEERS.name), message);
            }
        }
        Given::Good(peers, place)
    }

    /// What must fit together, and the interfaces that must be there.
    fn check_network(&mut self, network: &Network) {
        let mut used = Vec::new();
        match &network.group {
            Given::Good(address, place) => used.push(Used {
                address: *address,
                what: format!("the group {address}"),
                key: keys::MULTICAST_ADDRESS.name,
                place: Some(*place),
            }),
            Given::Absent if network.peers.is_absent() => used.push(Used {
                address: DEFAULT_GROUP.into(),
                what: format!("the default group {DEFAULT_GROUP}"),
                key: keys::MULTICAST_ADDRESS.name,
                place: None,
            }),
            _ => {}
        }
        if let Given::Good(peers, place) = &network.peers {
            used.extend(peers.iter().map(|peer| Used {
                address: peer.address,
                what: format!("the peer {} (entry {})", peer.address, peer.number),
                key: keys::PEERS.name,
                place: Some(*place),
            }));
        }
        let interfaces = [
            (keys::IN_INTERFACE.name, &network.receive),
            (keys::OUT_INTERFACE.name, &network.send),
            (ARGUMENT, &network.argument),
        ];
        for (key, given) in interfaces {
            let Given::Good(interface, place) = given else {
                continue;
            };
            if let Interface::Address(address) = *interface {
                used.push(Used {
                    address,
                    what: format!("the interface {address}"),
                    key,
                    place: Some(*place),
                });
            }
            if let Err(reason) = (self.lookups.interface)(interface) {
                self.reader.find(*place, Some(key), reason);
            }
        }
        self.compare_families(&used);
        if interfaces.iter().all(|(_, given)| given.is_absent()) {
            self.ask_for_scopes(&used);
        }
    }

    /// One socket has one family: everything must be of that of the first address, the group's if
    /// there is one.
    fn compare_families(&mut self, used: &[Used]) {
        let Some((first, others)) = used.split_first() else {
            return;
        };
        for other in others {
            let Some(place) = other.place else { continue };
            if other.address.is_ipv4() == first.address.is_ipv4() {
                continue;
            }
            let message = format!(
                "{} is {}, but {} of {:?} is {}; accepted: addresses of one family",
                other.what,
                family(other.address),
                first.what,
                first.key,
                family(first.address),
            );
            self.reader.find(place, Some(other.key), message);
        }
    }

    /// A socket that is bound to a link-local group belongs to one interface for both directions.
    fn ask_for_one_interface(&mut self, settings: &Settings) {
        let listens = settings.listen_address().ip();
        let (Some(Interface::Name(receive)), Some(Interface::Name(send))) =
            (&settings.receive_interface, &settings.send_interface)
        else {
            return;
        };
        if !value::needs_scope(listens) || receive == send {
            return;
        }
        let message = format!(
            "{listens} is valid on one link only, but {send:?} is another interface than {:?} of \
             {receive:?}; accepted: the same interface",
            keys::IN_INTERFACE.name,
        );
        if let Some(place) = self.reader.place(&keys::OUT_INTERFACE) {
            self.reader
                .find(place, Some(keys::OUT_INTERFACE.name), message);
        }
    }

    /// Called when no interface is given: one problem for each key with an address that needs one.
    fn ask_for_scopes(&mut self, used: &[Used]) {
        let mut told = "";
        for used in used {
            let Some(place) = used.place else { continue };
            if used.key != told && value::needs_scope(used.address) {
                told = used.key;
                let message = format!(
                    "{} means nothing without an interface, being valid on one link only; name it \
                     with {:?}",
                    used.what,
                    keys::OUT_INTERFACE.name
                );
                self.reader.find(place, Some(used.key), message);
            }
        }
    }
}

/// What the interface of the command line is called in problems.
const ARGUMENT: &str = "interface";

fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    }
}

#[cfg(test)]
mod tests;
