//! The network between two nodes, each in a network namespace of its own, joined by a veth pair.
//! Needs root; skipped with a reason where that is missing, unless `CI=true` forbids skipping.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::net::{self, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use joold::net::{Counters, Destination, Interface, InterfaceEvent, Network, Outbox, Settings};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use common::namespaces::{Namespace, connect, connect_at, two_namespaces};
use common::{LIMIT, PAUSE, TRIES};

const PORT: u16 = 6400;

fn settings(group: Option<&str>, peers: &[&str], interface: Option<&str>) -> Settings {
    Settings {
        group: group.map(|group| SocketAddr::new(group.parse().unwrap(), PORT)),
        port: PORT,
        peers: peers
            .iter()
            .map(|peer| SocketAddr::new(peer.parse().unwrap(), PORT))
            .collect(),
        receive_interface: interface.map(Interface::from),
        send_interface: interface.map(Interface::from),
        reuse_address: true,
        hop_limit: 1,
    }
}

enum Order {
    Send(Destination, Vec<u8>),
    Reopen(Settings, mpsc::Sender<Result<(), String>>),
    Report(mpsc::Sender<Report>),
    CheckMembership(mpsc::Sender<Option<InterfaceEvent>>),
}

struct Report {
    counters: Counters,
    waiting: usize,
    local: SocketAddr,
}

/// A network at work in a namespace.
struct Node {
    orders: Option<UnboundedSender<Order>>,
    heard: mpsc::Receiver<(SocketAddr, Vec<u8>)>,
    events: mpsc::Receiver<InterfaceEvent>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    fn start(namespace: &Namespace, settings: Settings) -> Self {
        Self::start_with(namespace, move || Network::open(&settings).unwrap())
    }

    /// Starts with a socket that somebody else opened, with a large receive buffer.
    fn inherit(namespace: &Namespace, bound: &str, settings: Settings) -> Self {
        let bound: SocketAddr = bound.parse().unwrap();
        Self::start_with(namespace, move || {
            let socket = OwnedFd::from(net::UdpSocket::bind(bound).unwrap());
            setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).unwrap();
            Network::from_socket(socket, &settings).unwrap()
        })
    }

    /// Returns when the network is open.
    fn start_with(namespace: &Namespace, open: impl FnOnce() -> Network + Send + 'static) -> Self {
        let (orders, inbox) = unbounded_channel();
        let (heard_at, heard) = mpsc::channel();
        let (events_at, events) = mpsc::channel();
        let (opened_at, opened) = mpsc::channel();
        let thread = namespace.spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                let network = open();
                opened_at.send(()).unwrap();
                serve(network, inbox, &heard_at, &events_at).await;
            });
        });
        opened
            .recv_timeout(LIMIT)
            .expect("the network did not open");
        Self {
            orders: Some(orders),
            heard,
            events,
            thread: Some(thread),
        }
    }

    fn order(&self, order: Order) {
        self.orders.as_ref().unwrap().send(order).ok().unwrap();
    }

    fn send(&self, to: Destination, bytes: &[u8]) {
        self.order(Order::Send(to, bytes.to_vec()));
    }

    /// Goes on with other settings.
    fn reopen(&self, settings: Settings) -> Result<(), String> {
        let (outcome_at, outcome) = mpsc::channel();
        self.order(Order::Reopen(settings, outcome_at));
        outcome.recv_timeout(LIMIT).unwrap()
    }

    /// What became of the group, if the kernel had forgotten it.
    fn check_membership(&self) -> Option<InterfaceEvent> {
        let (event_at, event) = mpsc::channel();
        self.order(Order::CheckMembership(event_at));
        event.recv_timeout(LIMIT).unwrap()
    }

    fn report(&self) -> Report {
        let (report_at, report) = mpsc::channel();
        self.order(Order::Report(report_at));
        report.recv_timeout(LIMIT).unwrap()
    }

    /// The next datagram.
    #[track_caller]
    fn hear(&self) -> (SocketAddr, String) {
        let (from, bytes) = self
            .heard
            .recv_timeout(LIMIT)
            .unwrap_or_else(|_| panic!("nothing was heard; {:?}", self.report().counters));
        (from, String::from_utf8(bytes).unwrap())
    }

    /// The next event, which is certain to come.
    fn event(&self) -> InterfaceEvent {
        self.events.recv_timeout(LIMIT).expect("no event came")
    }

    fn expect_lost(&self) {
        let event = self.event();
        assert!(matches!(event, InterfaceEvent::Lost { .. }), "{event}");
    }

    fn expect_returned(&self) {
        let event = self.event();
        assert!(matches!(event, InterfaceEvent::Returned(_)), "{event}");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.orders = None;
        let ended = self.thread.take().unwrap().join();
        assert!(thread::panicking() || ended.is_ok());
    }
}

async fn serve(
    mut network: Network,
    mut inbox: UnboundedReceiver<Order>,
    heard: &mpsc::Sender<(SocketAddr, Vec<u8>)>,
    events: &mpsc::Sender<InterfaceEvent>,
) {
    let mut outbox = Outbox::new();
    loop {
        tokio::select! {
            readable = network.readable() => {
                readable.unwrap();
                network
                    .receive(|datagram| {
                        let _ = heard.send((datagram.from, datagram.bytes.to_vec()));
                    })
                    .unwrap();
            }
            writable = network.writable(), if !outbox.is_empty() => {
                writable.unwrap();
                network.send(&mut outbox);
            }
            changed = network.interfaces_changed() => {
                changed.unwrap();
                for event in network.refresh() {
                    let _ = events.send(event);
                }
            }
            order = inbox.recv() => match order {
                Some(Order::Send(to, bytes)) => {
                    outbox.push(to, &bytes);
                    network.send(&mut outbox);
                }
                Some(Order::Reopen(settings, outcome)) => {
                    let reopened = network.reopen(&settings).map(|mut reopened| {
                        reopened.take_over(&network);
                        network = reopened;
                    });
                    outcome.send(reopened.map_err(|error| error.to_string())).unwrap();
                }
                Some(Order::Report(report)) => {
                    let _ = report.send(Report {
                        counters: network.counters(),
                        waiting: outbox.len(),
                        local: network.local_addr(),
                    });
                }
                Some(Order::CheckMembership(event)) => {
                    event.send(network.check_membership()).unwrap();
                }
                None => return,
            }
        }
    }
}

/// Sends `text` to everyone until the other node hears it: right after an interface came up, the
/// first ones may go astray. What was heard before is skipped, but must not be the node's own.
fn reaches(from: &Node, to: &Node, text: &str, own: &str) {
    for _ in 0..TRIES {
        from.send(Destination::Everyone, text.as_bytes());
        while let Ok((_, bytes)) = to.heard.recv_timeout(PAUSE) {
            assert_ne!(bytes, own.as_bytes(), "a node heard itself");
            if bytes == text.as_bytes() {
                return;
            }
        }
    }
    panic!("{text} never arrived; {:?}", from.report().counters);
}

/// Both directions. The own datagram would have been heard before that of the other.
fn exchange(first: &Node, second: &Node, round: &str) {
    let (one, two) = (format!("first {round}"), format!("second {round}"));
    reaches(first, second, &one, &two);
    reaches(second, first, &two, &one);
}

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
    let taken = a.spawn(|| net::UdpSocket::bind(("192.0.2.1", PORT)).is_err());
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
fn an_inherited_socket_that_is_bound_to_a_deleted_interface_is_reported() {
    let Some((a, b)) = two_namespaces() else {
        return;
    };
    connect_at((&a, &b), "sync", 2, "index 70");
    let settings = settings(Some("ff02::6a6f:6f6c"), &[], Some("sync"));
    let node = Node::inherit(&a, "[ff02::6a6f:6f6c%70]:6400", settings);
    a.ip("link delete sync");
    node.expect_lost();
    connect_at((&a, &b), "sync", 2, "index 71");
    let event = node.event();
    assert!(matches!(event, InterfaceEvent::Failed(_)), "{event}");
    assert!(
        event.to_string().contains("restart the socket unit"),
        "{event}"
    );
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
