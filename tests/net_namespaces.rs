//! The network between two nodes, each in a network namespace of its own, joined by a veth pair.
//! Needs root; skipped with a reason where that is missing, unless `CI=true` forbids skipping.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::net::UdpSocket;

use joold::net::{Destination, Network, Settings};

use common::LIMIT;
use common::namespaces::{connect, two_namespaces};
use common::network::{Node, PORT, exchange, reaches, settings};

/// Two nodes exchange datagrams through a group, with this interface each.
fn group_works(group: &str, first: Option<&str>, second: Option<&str>) {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    for node in [&a, &b] {
        node.ip("route add 224.0.0.0/4 dev sync");
    }
    let a = Node::start(&a, settings(Some(group), &[], first));
    let b = Node::start(&b, settings(Some(group), &[], second));
    exchange(&a, &b, "round");
    // Nothing of this needed a second try.
    assert_eq!(a.report().counters.sent_datagrams, 1);
    assert_eq!(b.report().counters.sent_datagrams, 1);
}

#[test]
fn an_ipv4_group_works_with_interfaces_given_by_address() {
    group_works("233.252.0.64", Some("192.0.2.1"), Some("192.0.2.2"));
}

#[test]
fn an_ipv4_group_works_with_interfaces_given_by_name() {
    group_works("233.252.0.64", Some("sync"), Some("sync"));
}

#[test]
fn an_ipv6_group_works_with_interfaces_given_by_name() {
    group_works("ff15::6a6f:6f6c", Some("sync"), Some("sync"));
}

#[test]
fn an_ipv6_group_works_with_interfaces_given_by_address() {
    group_works("ff08::db8:64:64", Some("2001:db8:2::1"), Some("fe80::2:2"));
}

#[test]
fn a_link_local_group_works() {
    group_works("ff02::6a6f:6f6c", Some("sync"), Some("sync"));
}

#[test]
fn without_interfaces_the_kernel_chooses_by_the_route() {
    group_works("233.252.0.64", None, None);
    group_works("ff15::6a6f:6f6c", None, None);
}

#[test]
fn the_interface_of_the_kernels_choice_may_be_named_and_be_left_to_it_again() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    for node in [&a, &b] {
        node.ip("route add 224.0.0.0/4 dev sync");
    }
    for group in ["233.252.0.64", "ff15::6a6f:6f6c"] {
        let first = Node::start(&a, settings(Some(group), &[], None));
        let second = Node::start(&b, settings(Some(group), &[], None));
        exchange(&first, &second, "chosen");
        first
            .reopen(settings(Some(group), &[], Some("sync")))
            .unwrap();
        exchange(&first, &second, "named");
        first.reopen(settings(Some(group), &[], None)).unwrap();
        exchange(&first, &second, "chosen again");
        let bad = settings(Some(group), &[], Some("no-such-eth0"));
        assert!(first.reopen(bad).is_err());
        exchange(&first, &second, "as before");
    }
}

#[test]
fn with_other_interfaces_a_group_is_heard_and_sent_to_there_and_not_here() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "here", 2);
    connect((&a, &b), "there", 3);
    for node in [&a, &b] {
        node.ip("route add 224.0.0.0/4 dev here");
        node.ip("route add multicast ff15::/16 dev here table local metric 1");
    }
    // Link-local groups take another socket, which the first is not in the way of.
    for group in ["233.252.0.64", "ff15::6a6f:6f6c", "ff02::6a6f:6f6c"] {
        let at = |interface| Settings {
            reuse_address: false,
            ..settings(Some(group), &[], Some(interface))
        };
        let first = Node::start(&a, at("here"));
        let second = Node::start(&b, at("here"));
        exchange(&first, &second, "here");
        first.reopen(at("there")).unwrap();
        second.reopen(at("there")).unwrap();
        exchange(&first, &second, "there");
        // It is a member there no more.
        assert!(!a.ip("maddress show dev here").contains("6a6f:6f6c"));
        if group != "ff02::6a6f:6f6c" {
            first.reopen(settings(Some(group), &[], None)).unwrap();
            second.reopen(settings(Some(group), &[], None)).unwrap();
            exchange(&first, &second, "where the route says");
        }
    }
}

#[test]
fn another_group_is_heard_in_place_of_the_first() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    for (group, other, peer) in [
        ("233.252.0.64", "233.252.0.65", "192.0.2.1"),
        ("ff15::6a6f:6f6c", "ff15::6a6f:6f6d", "2001:db8:2::1"),
    ] {
        let to = |group| settings(Some(group), &[], Some("sync"));
        let first = Node::start(&a, to(group));
        let stranger = Node::start(&a, to(other));
        // Peers beside the group: one socket hears every group that it has joined.
        let node = Node::start(&b, settings(Some(group), &[peer], Some("sync")));
        reaches(&first, &node, "before", "");
        node.reopen(settings(Some(other), &[peer], Some("sync")))
            .unwrap();
        assert!(
            !b.ip("maddress show dev sync")
                .contains(&format!("{group}\n"))
        );
        reaches(&stranger, &node, "after", "");
    }
}

#[test]
fn another_place_to_listen_at_on_the_same_port_is_not_taken_by_the_node_itself() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    let alone = |settings: Settings| Settings {
        reuse_address: false,
        ..settings
    };
    let peer = ["192.0.2.2"];
    let node = Node::start(&a, alone(settings(None, &peer, Some("sync"))));
    let other = Node::start(&b, alone(settings(None, &["192.0.2.1"], Some("sync"))));
    exchange(&node, &other, "on every address");
    let sent = node.report().counters.sent_datagrams;
    let at_one = alone(settings(None, &peer, Some("192.0.2.1")));
    node.reopen(at_one.clone()).unwrap();
    assert_eq!(node.report().local, "192.0.2.1:6400".parse().unwrap());
    exchange(&node, &other, "on one address");
    assert!(node.report().counters.sent_datagrams > sent);
    // Others are kept away as before.
    let taken = a.spawn(|| UdpSocket::bind(("192.0.2.1", PORT)).is_err());
    assert!(taken.join().unwrap());
    node.reopen(alone(settings(None, &peer, Some("sync"))))
        .unwrap();
    assert_eq!(node.report().local, "0.0.0.0:6400".parse().unwrap());
}

#[test]
fn a_group_is_heard_on_its_interface_only() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    connect((&a, &b), "other", 3);
    for group in ["233.252.0.64", "ff15::6a6f:6f6c"] {
        let near = Node::start(&a, settings(Some(group), &[], Some("sync")));
        let astray = Node::start(&a, settings(Some(group), &[], Some("other")));
        let node = Node::start(&b, settings(Some(group), &[], Some("sync")));
        // Another program of the node, which makes the kernel accept the group on "other", too.
        let witness = Node::start(&b, settings(Some(group), &[], Some("other")));
        astray.send(Destination::Everyone, b"astray");
        assert_eq!(witness.hear().1, "astray");
        near.send(Destination::Everyone, b"near");
        assert_eq!(node.hear().1, "near");
        assert_eq!(node.report().counters.received_datagrams, 1);
    }
}

#[test]
fn a_group_may_be_received_on_one_interface_and_sent_to_on_another() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "there", 2);
    connect((&a, &b), "back", 3);
    for group in ["233.252.0.64", "ff15::6a6f:6f6c"] {
        let mut first = settings(Some(group), &[], Some("there"));
        first.receive_interface = Some("back".into());
        let mut second = settings(Some(group), &[], Some("back"));
        second.receive_interface = Some("there".into());
        exchange(&Node::start(&a, first), &Node::start(&b, second), group);
    }
}

#[test]
fn a_link_local_group_on_two_interfaces_is_refused() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "there", 2);
    connect((&a, &b), "back", 3);
    let mut settings = settings(Some("ff02::6a6f:6f6c"), &[], Some("there"));
    settings.receive_interface = Some("back".into());
    let sentence = a.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let opened = runtime
            .unwrap()
            .block_on(async { Network::open(&settings) });
        opened.unwrap_err().to_string()
    });
    let sentence = sentence.join().unwrap();
    assert!(
        sentence.contains("there") && sentence.contains("back"),
        "{sentence}"
    );
}

#[test]
fn a_datagram_of_64_kib_arrives_whole_over_an_ordinary_mtu() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    for group in ["233.252.0.64", "ff15::6a6f:6f6c"] {
        let first = Node::start(&a, settings(Some(group), &[], Some("sync")));
        let second = Node::start(&b, settings(Some(group), &[], Some("sync")));
        reaches(&first, &second, &"x".repeat(65_000), "");
    }
}

#[test]
fn link_local_peers_take_the_scope_of_the_interface() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    let a = Node::start(&a, settings(None, &["fe80::2:2"], Some("sync")));
    let b = Node::start(&b, settings(None, &["fe80::2:1"], Some("sync")));
    exchange(&a, &b, "round");
}

#[test]
fn with_a_group_and_peers_both_are_used_and_an_answer_finds_its_way() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    for (group, peers) in [
        ("233.252.0.64", ["192.0.2.1", "192.0.2.2"]),
        ("ff15::6a6f:6f6c", ["2001:db8:2::1", "2001:db8:2::2"]),
        ("ff02::6a6f:6f6c", ["fe80::2:1", "fe80::2:2"]),
    ] {
        let first = Node::start(&a, settings(Some(group), &peers[1..], Some("sync")));
        let second = Node::start(&b, settings(Some(group), &peers[..1], Some("sync")));
        first.send(Destination::Everyone, b"question");
        let (from, text) = second.hear();
        assert_eq!(text, "question");
        assert_eq!(second.hear().1, "question");
        second.send(Destination::One(from), b"answer");
        assert_eq!(first.hear().1, "answer");
    }
}

#[test]
fn what_policy_or_routing_forbids_is_told_apart() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    a.ip("route add prohibit 198.51.100.0/24");
    let node = Node::start(&a, settings(None, &["192.0.2.2"], None));
    for lost in ["198.51.100.1:6400", "203.0.113.1:6400"] {
        node.send(Destination::One(lost.parse().unwrap()), b"lost");
    }
    let unsent = node.report().counters.unsent;
    assert_eq!((unsent.refused, unsent.no_route), (1, 1), "{unsent:?}");
}

#[test]
fn what_the_socket_cannot_take_waits_in_order_until_it_can() {
    const LENGTH: usize = 60_000;
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    for node in [&a, &b] {
        node.ip("link set sync mtu 65000");
    }
    // Nobody answers for the peer's address, and the kernel keeps asking, with all datagrams
    // waiting at the socket's expense.
    b.ip("address delete 192.0.2.2/24 dev sync");
    a.sysctl("net.ipv4.neigh.sync.unres_qlen_bytes=1000000000");
    a.sysctl("net.ipv4.neigh.sync.mcast_solicit=1000");
    let first = Node::start(&a, settings(None, &["192.0.2.2"], None));
    let listener = settings(None, &["192.0.2.1"], None);
    let second = Node::inherit(&b, "0.0.0.0:6400", listener);
    let mut datagram = vec![0; LENGTH];
    let mut pushed = 0_u32;
    while first.report().waiting < 3 {
        datagram[..4].copy_from_slice(&pushed.to_be_bytes());
        first.send(Destination::Everyone, &datagram);
        pushed += 1;
        assert!(pushed < 10_000, "the socket takes everything");
    }
    b.ip("address add 192.0.2.2/24 dev sync");
    for number in 0..pushed {
        let (_, bytes) = second.heard.recv_timeout(LIMIT).expect("lost");
        assert_eq!(bytes[..4], number.to_be_bytes());
    }
    let report = first.report();
    assert_eq!(report.waiting, 0);
    assert_eq!(report.counters.sent_datagrams, u64::from(pushed));
    assert_eq!(report.local.port(), PORT);
}
