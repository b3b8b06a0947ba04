//! What becomes of the network when its interfaces go, come back, are replaced or lose their addresses; each node
//! in a network namespace of its own. Needs root; skipped with a reason where that is missing, unless `CI=true`
//! forbids skipping.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::sync::mpsc;
use std::thread;

use joold::net::{Destination, InterfaceEvent, Network, Place, Settings};

use common::namespaces::{connect, connect_at, two_namespaces};
use common::network::{Node, exchange, reaches, settings};
use common::{LIMIT, PAUSE, TRIES};

/// The interface of both nodes is deleted and created again with the index of before, and with
/// another one.
fn survives_deletion(settings: [Settings; 2]) {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    let [first, second] = settings;
    connect_at((&a, &b), "sync", 2, "index 70");
    let first = Node::start(&a, first);
    let second = Node::start(&b, second);
    exchange(&first, &second, "before");
    for (round, index) in [("same index", 70), ("new index", 71), ("first index", 70)] {
        // A veth goes with its other end.
        a.ip("link delete sync");
        first.expect_lost();
        second.expect_lost();

        let before = first.report().counters;
        first.send(Destination::Everyone, b"into the void");
        let after = first.report().counters;
        assert_eq!(after.sent_datagrams, before.sent_datagrams, "{after:?}");
        assert_eq!(
            after.unsent.no_route,
            before.unsent.no_route + 1,
            "{after:?}"
        );

        connect_at((&a, &b), "sync", 2, &format!("index {index}"));
        first.expect_returned();
        second.expect_returned();
        exchange(&first, &second, round);
    }
}

fn both(group: &str, interface: &str) -> [Settings; 2] {
    [(); 2].map(|()| settings(Some(group), &[], Some(interface)))
}

#[test]
fn an_ipv4_group_by_name_survives_the_deletion_of_its_interface() {
    survives_deletion(both("233.252.0.64", "sync"));
}

#[test]
fn an_ipv4_group_by_address_survives_the_deletion_of_its_interface() {
    survives_deletion(
        ["192.0.2.1", "192.0.2.2"]
            .map(|address| settings(Some("233.252.0.64"), &[], Some(address))),
    );
}

#[test]
fn an_ipv6_group_survives_the_deletion_of_its_interface() {
    survives_deletion(both("ff15::6a6f:6f6c", "sync"));
}

#[test]
fn a_link_local_group_survives_the_deletion_of_its_interface() {
    survives_deletion(both("ff02::6a6f:6f6c", "sync"));
}

#[test]
fn link_local_peers_survive_the_deletion_of_their_interface() {
    survives_deletion(["fe80::2:2", "fe80::2:1"].map(|peer| settings(None, &[peer], Some("sync"))));
}

#[test]
fn an_interface_that_was_down_is_used_as_before_and_is_no_event() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    for node in [&a, &b] {
        node.sysctl("net.ipv6.conf.sync.keep_addr_on_down=1");
    }
    for group in ["233.252.0.64", "ff15::6a6f:6f6c", "ff02::6a6f:6f6c"] {
        let [first, second] = both(group, "sync");
        let (first, second) = (Node::start(&a, first), Node::start(&b, second));
        exchange(&first, &second, "before");
        a.ip("link set sync down");
        let down = first.report().counters;
        first.send(Destination::Everyone, b"into the void");
        let unsent = first.report().counters.unsent;
        assert_eq!(unsent.no_route, down.unsent.no_route + 1, "{unsent:?}");
        a.ip("link set sync up");
        exchange(&first, &second, "after");
        for node in [&first, &second] {
            assert!(node.events.try_recv().is_err());
        }
    }
}

#[test]
fn an_interface_replaced_between_two_looks_is_joined_again() {
    for group in ["233.252.0.64", "ff15::6a6f:6f6c", "ff02::6a6f:6f6c"] {
        let Some((a, b)) = two_namespaces() else {
            return;
        };
        connect_at((&a, &b), "sync", 2, "index 70");
        let settings = settings(Some(group), &[], Some("sync"));
        let listener = settings.clone();
        let (go_on, wait) = mpsc::channel();
        let (opened_at, opened) = mpsc::channel();
        // Looks only when told to, while the interface is deleted and created behind its back.
        let looker = a.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let mut network = Network::open(&listener).unwrap();
                opened_at.send(()).unwrap();
                wait.recv().unwrap();
                tokio::time::timeout(LIMIT, network.interfaces_changed())
                    .await
                    .unwrap()
                    .unwrap();
                let events = network.refresh();
                assert!(
                    matches!(
                        events[..],
                        [
                            InterfaceEvent::Lost { reason: None, .. },
                            InterfaceEvent::Returned(_)
                        ]
                    ),
                    "{events:?}"
                );
                opened_at.send(()).unwrap();
                tokio::time::timeout(LIMIT, network.readable())
                    .await
                    .expect("nothing was heard")
                    .unwrap();
            });
        });
        opened.recv_timeout(LIMIT).unwrap();
        a.ip("link delete sync");
        connect_at((&a, &b), "sync", 2, "index 70");
        go_on.send(()).unwrap();
        opened.recv_timeout(LIMIT).unwrap();
        let sender = Node::start(&b, settings);
        for _ in 0..TRIES {
            if looker.is_finished() {
                break;
            }
            sender.send(Destination::Everyone, b"here");
            thread::sleep(PAUSE);
        }
        looker.join().unwrap();
    }
}

#[test]
fn a_group_that_the_kernel_has_forgotten_is_joined_again() {
    for group in ["ff15::6a6f:6f6c", "ff02::6a6f:6f6c"] {
        let Some((a, b)) = two_namespaces() else {
            return;
        };
        connect((&a, &b), "sync", 2);
        let listener = Node::start(&a, settings(Some(group), &[], Some("sync")));
        let sender = Node::start(&b, settings(Some(group), &[], Some("sync")));
        reaches(&sender, &listener, "before", "");
        assert!(listener.check_membership().is_none());

        // The kernel keeps the group.
        a.sysctl("net.ipv6.conf.sync.disable_ipv6=1");
        a.sysctl("net.ipv6.conf.sync.disable_ipv6=0");
        reaches(&sender, &listener, "without IPv6 for a while", "");
        assert!(listener.check_membership().is_none());

        // It has less than IPv6 wants, so all of IPv6 is taken from it.
        a.ip("link set sync mtu 1000");
        a.ip("link set sync mtu 1500");
        let rejoined = (0..TRIES).find_map(|_| {
            thread::sleep(PAUSE);
            listener.check_membership()
        });
        let rejoined = rejoined.expect("nobody noticed");
        assert!(
            matches!(rejoined, InterfaceEvent::Rejoined(_)),
            "{rejoined}"
        );
        assert!(listener.check_membership().is_none());
        reaches(&sender, &listener, "afterwards", "");
    }
}

#[test]
fn an_interface_that_was_never_named_is_replaced_in_silence() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    for group in ["233.252.0.64", "ff15::6a6f:6f6c"] {
        connect_at((&a, &b), "sync", 2, "index 70");
        for node in [&a, &b] {
            node.ip("route add 224.0.0.0/4 dev sync");
        }
        let first = Node::start(&a, settings(Some(group), &[], None));
        let second = Node::start(&b, settings(Some(group), &[], Some("sync")));
        exchange(&first, &second, "before");
        a.ip("link delete sync");
        second.expect_lost();
        connect_at((&a, &b), "sync", 2, "index 70");
        for node in [&a, &b] {
            node.ip("route add 224.0.0.0/4 dev sync");
        }
        second.expect_returned();
        exchange(&first, &second, "after");
        a.ip("link delete sync");
    }
}

#[test]
fn unicast_goes_on_while_the_interface_of_the_group_is_gone() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    connect((&a, &b), "other", 3);
    let group = Some("233.252.0.64");
    let first = Node::start(&a, settings(group, &["192.0.3.2"], Some("sync")));
    let second = Node::start(&b, settings(group, &["192.0.3.1"], Some("sync")));
    a.ip("link delete sync");
    first.expect_lost();
    second.expect_lost();
    exchange(&first, &second, "round");
    let counters = first.report().counters;
    assert!(counters.unsent.no_route > 0, "{counters:?}");
    assert!(
        counters
            .last_failure
            .unwrap()
            .to_string()
            .contains("233.252.0.64")
    );
}

#[test]
fn an_inherited_socket_joins_the_group_and_survives_the_deletion_of_its_interface() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect_at((&a, &b), "sync", 2, "index 70");
    let settings = settings(Some("ff15::6a6f:6f6c"), &[], Some("sync"));
    let first = Node::inherit(&a, "[ff15::6a6f:6f6c]:6400", settings.clone());
    let second = Node::start(&b, settings);
    exchange(&first, &second, "before");
    a.ip("link delete sync");
    first.expect_lost();
    connect_at((&a, &b), "sync", 2, "index 71");
    first.expect_returned();
    exchange(&first, &second, "after");
}

#[test]
fn an_inherited_socket_that_is_bound_to_a_deleted_interface_is_replaced() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect_at((&a, &b), "sync", 2, "index 70");
    let settings = settings(Some("ff02::6a6f:6f6c"), &[], Some("sync"));
    let node = Node::inherit(&a, "[ff02::6a6f:6f6c%70]:6400", settings.clone());
    let other = Node::start(&b, settings);
    exchange(&node, &other, "before");
    a.ip("link delete sync");
    node.expect_lost();
    connect_at((&a, &b), "sync", 2, "index 71");
    node.expect_returned();
    node.expect_replaced();
    exchange(&node, &other, "after");
}

#[test]
fn an_inherited_socket_may_be_bound_to_the_interface_and_not_to_another() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    connect((&a, &b), "other", 3);
    for (group, peers, any) in [
        (None, ["192.0.2.1", "192.0.2.2"], "0.0.0.0:6400"),
        (
            Some("233.252.0.64"),
            ["192.0.2.1", "192.0.2.2"],
            "0.0.0.0:6400",
        ),
        (
            Some("ff15::6a6f:6f6c"),
            ["2001:db8:2::1", "2001:db8:2::2"],
            "[::]:6400",
        ),
        (None, ["fe80::2:1", "fe80::2:2"], "[::]:6400"),
    ] {
        let alone = |peer| Settings {
            reuse_address: false,
            ..settings(group, &[peer], Some("sync"))
        };
        let second = Node::start(&b, settings(group, &peers[..1], Some("sync")));
        let first = Node::inherit_on(&a, any, Some("sync"), alone(peers[1]));
        exchange(&first, &second, "bound to it");
        assert!(first.events.try_recv().is_err());
        drop(first);
        let first = Node::inherit_on(&a, any, Some("other"), alone(peers[1]));
        first.expect_replaced();
        exchange(&first, &second, "bound to another");
    }
}

#[test]
fn other_interfaces_take_another_socket_where_the_inherited_one_is_bound() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "here", 2);
    connect((&a, &b), "there", 3);
    for (group, any) in [
        ("233.252.0.64", "0.0.0.0:6400"),
        ("ff15::6a6f:6f6c", "[::]:6400"),
    ] {
        let at = |receive: &str, send: &str| Settings {
            receive_interface: Some(receive.into()),
            ..settings(Some(group), &[], Some(send))
        };
        let first = Node::inherit_on(&a, any, Some("here"), at("here", "here"));
        let second = Node::start(&b, at("here", "here"));
        exchange(&first, &second, "here");
        first.reopen(at("there", "there")).unwrap();
        second.reopen(at("there", "there")).unwrap();
        exchange(&first, &second, "there");

        // A socket that is bound to the interface to receive on cannot send on another.
        drop(first);
        let first = Node::inherit_on(&a, any, Some("here"), at("here", "there"));
        second.reopen(at("there", "here")).unwrap();
        first.expect_replaced();
        exchange(&first, &second, "here and there");
    }
}

#[test]
fn a_port_of_a_bridge_is_told_of_as_long_as_it_is_one() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    a.ip("link add name lan type bridge mcast_snooping 0");
    a.ip("link set lan up");
    for group in ["233.252.0.64", "ff15::6a6f:6f6c"] {
        let [first, second] = both(group, "sync");
        let (first, second) = (Node::start(&a, first), Node::start(&b, second));
        exchange(&first, &second, "before");
        a.ip("link set sync master lan");
        let event = first.event().to_string();
        assert!(event.contains("a port of the bridge lan"), "{event}");
        drop(first);
        let first = Node::start(&a, both(group, "sync")[0].clone());
        assert_eq!(first.event().to_string(), event);
        a.ip("link set sync nomaster");
        let event = first.event();
        assert!(
            matches!(event, InterfaceEvent::Moved(_, Place::Itself)),
            "{event}"
        );
        exchange(&first, &second, "after");
    }
}

#[test]
fn the_group_goes_with_the_name_of_its_interface() {
    for group in ["233.252.0.64", "ff15::6a6f:6f6c"] {
        let Some((a, b)) = two_namespaces() else {
            return;
        };
        connect((&a, &b), "sync", 2);
        connect((&a, &b), "other", 3);
        for name in ["sync", "other"] {
            a.sysctl(&format!("net.ipv6.conf.{name}.keep_addr_on_down=1"));
        }
        let first = Node::start(&a, both(group, "sync")[0].clone());
        let second = Node::start(&b, both(group, "sync")[0].clone());
        let third = Node::start(&b, both(group, "other")[0].clone());
        exchange(&first, &second, "before");
        a.ip("link set sync down");
        a.ip("link set sync name spare");
        first.expect_lost();
        a.ip("link set spare name sync");
        a.ip("link set sync up");
        first.expect_returned();
        exchange(&first, &second, "renamed and back");

        a.ip("link set sync down");
        a.ip("link set sync name spare");
        first.expect_lost();
        a.ip("link set other down");
        a.ip("link set other name sync");
        a.ip("link set sync up");
        first.expect_returned();
        exchange(&first, &third, "another one of that name");
    }
}

#[test]
fn an_address_that_moves_to_another_interface_takes_the_group_along() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect((&a, &b), "sync", 2);
    connect((&a, &b), "other", 3);
    let group = Some("233.252.0.64");
    let first = Node::start(&a, settings(group, &[], Some("192.0.2.1")));
    let second = Node::start(&b, settings(group, &[], Some("other")));
    a.ip("address delete 192.0.2.1/24 dev sync");
    first.expect_lost();
    a.ip("address add 192.0.2.1/24 dev other");
    first.expect_returned();
    // The source address is the one that was configured, which the receiver's subnet lacks.
    b.ip("route add 192.0.2.1/32 dev other");
    exchange(&first, &second, "round");
}
