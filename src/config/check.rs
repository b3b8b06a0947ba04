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
                flush_interval: Duration::from_millis(10),
                queue_capacity: 65_536,
            },
            wait: Some(Duration::from_secs(60)),
            record_format: None,
            node_name: None,
            max_sessions: 4_000_000,
            statistics: None,
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
            node_name: reader.read(&keys::NODE_NAME, value::node_name).into_value(),
            max_sessions: reader.value_or(default.max_sessions, &keys::MAX_SESSIONS, |value| {
                value::integer(value, 1000..=100_000_000)
            }),
            statistics: self.statistics(),
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
mod tests {
    use super::super::{Document, Problem, parse};
    use super::*;
    use crate::session::Format;

    /// A machine with eth0, eth1 and every address.
    const MACHINE: Lookups = Lookups {
        interface: &|interface| match interface {
            Interface::Name(name) if !matches!(name.as_str(), "eth0" | "eth1") => {
                Err(format!("there is no interface {name}"))
            }
            _ => Ok(()),
        },
        service: &|name| Ok((name == "ntp").then_some(123)),
    };

    fn document(name: &str, text: &str) -> Option<Document> {
        Some(Document {
            name: name.into(),
            content: Ok(text.into()),
        })
    }

    fn one_file(text: &str) -> Input {
        Input {
            network: document("a.json", text),
            ..Input::default()
        }
    }

    fn two_files(network: &str, instance: &str) -> Input {
        Input {
            instance: document("b.json", instance),
            ..one_file(network)
        }
    }

    fn accepted(input: &Input) -> Config {
        parse(input, &MACHINE).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn refused(input: &Input) -> Vec<String> {
        let problems = parse(input, &MACHINE).expect_err("it was accepted");
        problems.0.iter().map(Problem::to_string).collect()
    }

    /// The one problem of a file.
    fn problem(text: &str) -> String {
        let mut problems = refused(&one_file(text));
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }

    #[test]
    fn peers_without_a_group_are_reached_by_unicast_only() {
        let text = r#"{ "peers": ["192.0.2.7", "192.0.2.8:7000"], "multicast port": 6464 }"#;
        let network = accepted(&one_file(text)).network;
        assert_eq!(network.group, None);
        assert_eq!(network.port, 6464);
        let peers = ["192.0.2.7:6464", "192.0.2.8:7000"];
        assert_eq!(network.peers, peers.map(|peer| peer.parse().unwrap()));
    }

    #[test]
    fn peers_and_a_group_are_both_reached() {
        let text = r#"{ "peers": ["2001:db8::7"], "multicast address": "ff15::1" }"#;
        let network = accepted(&one_file(text)).network;
        assert_eq!(network.group, Some("[ff15::1]:6400".parse().unwrap()));
        assert_eq!(network.peers, ["[2001:db8::7]:6400".parse().unwrap()]);
    }

    #[test]
    fn no_peers_are_as_good_as_no_list_of_peers() {
        assert_eq!(accepted(&one_file(r#"{ "peers": [] }"#)), Config::default());
    }

    #[test]
    fn a_port_may_be_a_service() {
        let network = accepted(&one_file(r#"{ "multicast port": "ntp" }"#)).network;
        assert_eq!(network.port, 123);
        assert_eq!(network.group.map(|group| group.port()), Some(123));
        assert_eq!(
            problem(r#"{ "multicast port": "npt" }"#),
            "a.json: \"multicast port\": \"npt\" is neither a number nor a UDP service of \
             /etc/services; accepted: an integer from 1 to 65535, or a string with such a number \
             or a UDP service name"
        );
    }

    #[test]
    fn each_interface_defaults_to_the_other_and_both_to_the_command_line() {
        let name = |name: &str| Some(Interface::Name(name.into()));
        for (text, argument, receive, send) in [
            ("{}", None, None, None),
            ("{}", Some("eth1"), name("eth1"), name("eth1")),
            (
                r#"{ "in interface": "eth0" }"#,
                Some("gone0"),
                name("eth0"),
                name("eth0"),
            ),
            (
                r#"{ "out interface": "eth0" }"#,
                Some("gone0"),
                name("eth0"),
                name("eth0"),
            ),
            (
                r#"{ "out interface": "eth0", "in interface": "eth1" }"#,
                Some("gone0"),
                name("eth1"),
                name("eth0"),
            ),
        ] {
            let input = Input {
                interface: argument.map(Into::into),
                ..one_file(text)
            };
            let network = accepted(&input).network;
            assert_eq!(network.receive_interface, receive, "{text}");
            assert_eq!(network.send_interface, send, "{text}");
        }
    }

    #[test]
    fn an_interface_that_is_not_there_is_refused_where_it_is_named() {
        let text = r#"{ "in interface": "eth9", "out interface": "eth8" }"#;
        assert_eq!(
            refused(&one_file(text)),
            [
                "a.json: \"in interface\": there is no interface eth9",
                "a.json: \"out interface\": there is no interface eth8",
            ]
        );
        let input = Input {
            interface: Some("eth9".into()),
            statistics_port: Some("x".into()),
            ..Input::default()
        };
        assert_eq!(
            refused(&input),
            [
                "command line: \"interface\": there is no interface eth9",
                "command line: \"statistics port\": \"x\" is neither a number nor a UDP service \
                 of /etc/services; accepted: a number from 1 to 65535 or the name of a UDP service",
            ]
        );
    }

    #[test]
    fn an_interface_of_the_command_line_that_cannot_be_one_is_refused() {
        let input = Input {
            interface: Some("eth0:1".into()),
            ..Input::default()
        };
        assert_eq!(
            refused(&input),
            [
                "command line: \"interface\": \"eth0:1\" cannot be the name of an interface, and \
                 is no address; accepted: a string with the name of an interface (1 to 15 bytes) \
                 or with one of its addresses"
            ]
        );
    }

    #[test]
    fn addresses_of_two_families_are_refused_and_both_named() {
        let text = r#"{
            "in interface": "2001:db8::1",
            "multicast address": "233.252.0.64",
            "peers": ["192.0.2.7", "2001:db8::7"]
        }"#;
        assert_eq!(
            refused(&one_file(text)),
            [
                "a.json: \"in interface\": the interface 2001:db8::1 is IPv6, but the group \
                 233.252.0.64 of \"multicast address\" is IPv4; accepted: addresses of one family",
                "a.json: \"peers\": the peer 2001:db8::7 (entry 2) is IPv6, but the group \
                 233.252.0.64 of \"multicast address\" is IPv4; accepted: addresses of one family",
            ]
        );
        assert_eq!(
            problem(r#"{ "peers": ["192.0.2.7", "2001:db8::7"] }"#),
            "a.json: \"peers\": the peer 2001:db8::7 (entry 2) is IPv6, but the peer 192.0.2.7 \
             (entry 1) of \"peers\" is IPv4; accepted: addresses of one family"
        );
    }

    #[test]
    fn an_ipv4_interface_does_not_go_with_the_default_group() {
        let expected = "\"multicast address\" is IPv6; accepted: addresses of one family";
        let in_file = problem(r#"{ "out interface": "192.0.2.1" }"#);
        assert!(
            in_file.contains("but the default group ff15::6a6f:6f6c of")
                && in_file.ends_with(expected),
            "{in_file}"
        );
        let argument = Input {
            interface: Some("192.0.2.1".into()),
            ..Input::default()
        };
        let problems = refused(&argument);
        assert!(
            problems.len() == 1 && problems[0].starts_with("command line: \"interface\": "),
            "{problems:?}"
        );
    }

    #[test]
    fn a_group_that_is_not_acceptable_is_not_replaced_by_the_default_in_comparisons() {
        let text = r#"{ "multicast address": "192.0.2.300", "in interface": "192.0.2.1" }"#;
        assert!(problem(text).contains("is not an IP address"));
    }

    #[test]
    fn link_local_addresses_need_an_interface() {
        assert_eq!(
            problem(r#"{ "multicast address": "ff02::1" }"#),
            "a.json: \"multicast address\": the group ff02::1 means nothing without an \
             interface, being valid on one link only; name it with \"out interface\""
        );
        assert_eq!(
            problem(r#"{ "peers": ["2001:db8::7", "fe80::1", "fe80::2"] }"#),
            "a.json: \"peers\": the peer fe80::1 (entry 2) means nothing without an \
             interface, being valid on one link only; name it with \"out interface\""
        );
        for key in ["in interface", "out interface"] {
            let text = format!(r#"{{ "peers": ["fe80::1"], "{key}": "eth0" }}"#);
            let network = accepted(&one_file(&text)).network;
            assert_eq!(network.peers, ["[fe80::1]:6400".parse().unwrap()]);
        }
        let argument = Input {
            interface: Some("eth0".into()),
            ..one_file(r#"{ "multicast address": "ff02::1" }"#)
        };
        accepted(&argument);
    }

    #[test]
    fn an_interface_that_is_refused_is_not_said_to_be_missing() {
        let text = r#"{ "multicast address": "ff02::1", "out interface": 1 }"#;
        assert!(problem(text).contains("the number 1 is of the wrong type"));
    }

    #[test]
    fn a_peer_that_is_given_twice_is_refused() {
        assert_eq!(
            problem(r#"{ "peers": ["192.0.2.7", "192.0.2.7:6401", "192.0.2.7:6400"] }"#),
            "a.json: \"peers\": entry 3, 192.0.2.7:6400, is given twice; keep it once"
        );
        let unknown_port = r#"{ "peers": ["192.0.2.7", "192.0.2.7:6400"], "multicast port": 0 }"#;
        assert!(problem(unknown_port).contains("0 is out of range"));
    }

    #[test]
    fn more_than_64_peers_are_refused() {
        let peers = |count: usize| {
            let peers: Vec<String> = (1..=count).map(|n| format!("\"192.0.2.{n}\"")).collect();
            format!("{{ \"peers\": [{}] }}", peers.join(","))
        };
        assert_eq!(accepted(&one_file(&peers(64))).network.peers.len(), 64);
        assert!(problem(&peers(65)).contains("an array of 65 is too long; accepted: an array of"));
    }

    #[test]
    fn every_peer_that_is_not_acceptable_is_told_with_its_place() {
        let problems = refused(&one_file(r#"{ "peers": ["::", "2001:db8::7", null] }"#));
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("\"peers\": entry 1: \"::\" is the unspecified address; acc"));
        assert!(problems[1].contains("\"peers\": entry 3: null is of the wrong type; accepted: "));
    }

    #[test]
    fn every_key_refuses_null() {
        for key in keys::KEYS {
            assert_eq!(
                problem(&format!("{{ {:?}: null }}", key.name)),
                format!(
                    "a.json: {:?}: null is of the wrong type; accepted: {}",
                    key.name, key.accepts
                )
            );
        }
    }

    #[test]
    fn the_statistics_port_of_the_command_line_is_the_strongest() {
        for (text, port, address) in [
            ("{}", None, None),
            ("{}", Some("45678"), Some("[::]:45678")),
            ("{}", Some("ntp"), Some("[::]:123")),
            (
                r#"{ "statistics address": "127.0.0.1" }"#,
                None,
                Some("127.0.0.1:6401"),
            ),
            (
                r#"{ "statistics address": "127.0.0.1:7" }"#,
                None,
                Some("127.0.0.1:7"),
            ),
            (
                r#"{ "statistics address": "127.0.0.1:7" }"#,
                Some("8"),
                Some("127.0.0.1:8"),
            ),
        ] {
            let input = Input {
                statistics_port: port.map(Into::into),
                ..one_file(text)
            };
            let expected = address.map(|address: &str| address.parse().unwrap());
            assert_eq!(accepted(&input).statistics, expected, "{text}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once_in_the_order_of_the_files() {
        let network = r#"{
            "statistics address": "nowhere",
            "ttl": 256,
            "speed": "high",
            "multicast port": 1.5,
            "queue capacity": 1,
            "ttl": 3
        }"#;
        let input = Input {
            interface: Some("eth9".into()),
            ..two_files(network, r#"{ "instance": "" }"#)
        };
        let problems = refused(&input);
        let beginnings = [
            "a.json: \"statistics address\": \"nowhere\" is not an IP address",
            "a.json: \"ttl\": 256 is out of range; accepted: an integer from 0 to 255",
            "a.json: \"speed\": unknown key",
            "a.json: \"multicast port\": 1.5 is not an integer; accepted: an integer from 1",
            "a.json: \"queue capacity\": 1 is out of range; accepted: an integer from 512",
            "a.json: \"ttl\": the key was already given",
            "b.json: \"instance\": \"\" is empty; accepted: a string of 1 to 15",
            "command line: \"interface\": there is no interface eth9",
        ];
        assert_eq!(problems.len(), beginnings.len(), "{problems:#?}");
        for (problem, beginning) in problems.iter().zip(beginnings) {
            assert!(problem.starts_with(beginning), "{problem}");
        }
    }

    #[test]
    fn limits_are_accepted_and_what_is_past_them_is_not() {
        for (key, low, high) in [
            ("multicast port", 1, 65_535),
            ("ttl", 0, 255),
            ("flush interval", 1, 2_000),
            ("queue capacity", 512, 16_777_216),
            ("jool wait", 0, 86_400),
        ] {
            let text = |number: i64| format!("{{ {key:?}: {number} }}");
            accepted(&one_file(&text(low)));
            accepted(&one_file(&text(high)));
            for number in [low - 1, high + 1] {
                assert!(problem(&text(number)).contains(&format!("{number} is out of range")));
            }
        }
    }

    #[test]
    fn a_record_format_can_be_fixed() {
        let config = accepted(&one_file(r#"{ "record format": "140" }"#));
        assert_eq!(config.record_format, Some(Format::Tlv140));
    }
}
