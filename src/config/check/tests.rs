//! What a configuration is taken for, and what is refused with which words.

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
        in_file.contains("but the default group ff15::6a6f:6f6c of") && in_file.ends_with(expected),
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
