//! Two nodes with simulated Jools, each in a network namespace of its own, joined by a veth pair:
//! the program with the stock daemon's files, and the library's node with a Jool that the test
//! holds in its hands. Needs root; skipped with a reason where that is missing, unless `CI=true`
//! forbids skipping.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use joold::config::Config;
use joold::jool::Version;
use joold::jool::simulated::{Handle, Simulated};
use joold::net::{Interface, Settings};
use joold::service::{self, Control, Setup, State, Stop};
use joold::session::{
    Format, Identity, Prefix, Protocol, Reject, Session, State as TcpState, Timer,
};
use tokio::sync::oneshot;

use common::daemon::{Daemon, Folder, statistics};
use common::namespaces::{Namespace, connect, two_namespaces};
use common::{LIMIT, wait_until};

const STOCK_IPV4: &str = include_str!("samples/stock-ipv4.json");
const STOCK_IPV6: &str = include_str!("samples/stock-ipv6.json");
const STOCK_INSTANCE: &str = include_str!("samples/stock-instance.json");

const GROUPS: [&str; 2] = ["233.252.0.64", "ff15::6a6f:6f6c"];
const PORT: u16 = 6400;

/// Two namespaces joined by interfaces called eth0: 192.0.2.1 and 192.0.2.2.
fn joined() -> Option<(Namespace, Namespace)> {
    let (a, b) = two_namespaces()?;
    connect((&a, &b), "eth0", 2);
    Some((a, b))
}

/// A daemon in a namespace with the stock daemon's three arguments.
fn stock_daemon(namespace: &Namespace, folder: &Folder, file: &str, rate: u32) -> Daemon {
    let mut command = Daemon::command();
    command
        .arg(folder.file("netsocket.json", file))
        .arg(folder.file("modsocket.json", STOCK_INSTANCE))
        .arg("45678")
        .args(["--simulated-jool", &rate.to_string()]);
    // A child is in the namespace of the thread that started it.
    let daemon = namespace.spawn(move || Daemon::start(&mut command));
    daemon.join().unwrap()
}

/// `[KERNEL_SENT_PKTS, KERNEL_SENT_BYTES, NET_RCVD_PKTS, NET_RCVD_BYTES, NET_SENT_PKTS, …_BYTES]`.
fn statistics_in(namespace: &Namespace) -> [u64; 6] {
    let asked = namespace.spawn(|| statistics("[::1]:45678".parse().unwrap()));
    asked.join().unwrap()
}

fn sessions_flow_between_daemons(files: [&str; 2], listens: &str) {
    let Some((a, b)) = joined() else {
        return;
    };
    let folders = [Folder::create(), Folder::create()];
    let standby = stock_daemon(&b, &folders[1], files[1], 0);
    standby.logs("attached to Jool");
    let active = stock_daemon(&a, &folders[0], files[0], 200);
    for sessions in [100, 300] {
        wait_until("sessions applied by the standby", || {
            let [packets, bytes, received, received_bytes, ..] = statistics_in(&b);
            packets > 0 && received > 0 && bytes >= 40 * sessions && received_bytes >= bytes
        });
    }
    let [applied, _, _, _, sent, sent_bytes] = statistics_in(&a);
    assert!(sent > 0 && sent_bytes > 0);
    assert_eq!(applied, 0, "a node applied what it sent");

    let (status, log) = active.stop("TERM");
    assert_eq!(status, Some(0), "{log}");
    for part in [
        "uses a simulated Jool, not the kernel's, with 200 new sessions per second",
        &format!("listens on {listens}"),
        "attached to Jool 4.1.15, instance \"nat64\", pool6 64:ff9b::/96, 40-byte records",
        "set in Jool: ss-flush-deadline from 2000 to 20, ss-capacity from 512 to 65536, ss-enabled \
         from 0 to 1",
        "INFO stops; ",
        ", 0 received in ",
        ", 0 given to Jool, dropped: nothing",
    ] {
        assert!(log.contains(part), "{part} is missing:\n{log}");
    }
    let (status, log) = standby.stop("INT");
    assert_eq!(status, Some(0), "{log}");
    assert!(
        log.contains("INFO stops; 0 records from Jool, 0 sent in "),
        "{log}"
    );
    assert!(log.ends_with(" given to Jool, dropped: nothing\n"), "{log}");
    let mut warnings = log.lines().filter(|line| line.contains("WARN"));
    // On a busy machine the other daemon may be silent for a second, and what it said then is late. Both are of
    // one machine, and called after it.
    let expected = [
        "uses a simulated Jool",
        "it lacks what the other nodes have told",
        "is not the only one that is called",
    ];
    let is_expected = |line: &str| expected.iter().any(|part| line.contains(part));
    assert!(warnings.all(is_expected), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn sessions_flow_between_daemons_with_the_stock_ipv4_files() {
    let other = STOCK_IPV4.replace("192.0.2.1", "192.0.2.2");
    sessions_flow_between_daemons([STOCK_IPV4, &other], "233.252.0.64:6464");
}

#[test]
fn sessions_flow_between_daemons_with_the_stock_ipv6_files() {
    sessions_flow_between_daemons([STOCK_IPV6; 2], "[ff08::db8:64:64]:6464");
}

#[test]
fn who_is_alone_since_its_link_is_down_says_so() {
    let Some((a, b)) = joined() else {
        return;
    };
    let folder = Folder::create();
    let daemon = stock_daemon(&a, &folder, STOCK_IPV6, 0);
    daemon.logs("alone: no other joold is heard; no node can take over\n");
    drop(daemon);
    b.ip("link set eth0 down");
    let daemon = stock_daemon(&a, &folder, STOCK_IPV6, 0);
    daemon.logs(
        "alone: no other joold is heard, since the interface eth0 has no carrier; no node can",
    );
}

/// A node of the library at work in a namespace, whose Jool is the test's.
struct Node {
    jool: Handle,
    control: Control,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    /// Returns when sessions go both ways.
    fn start(namespace: &Namespace, group: &str, version: Version) -> Self {
        let interface = Some(Interface::from("eth0"));
        let config = Config {
            network: Settings {
                group: Some(SocketAddr::new(group.parse().unwrap(), PORT)),
                port: PORT,
                receive_interface: interface.clone(),
                send_interface: interface,
                ..Config::default().network
            },
            ..Config::default()
        };
        let (simulated, jool) = Simulated::new(config.jool.clone(), version);
        let (stop, stopped) = oneshot::channel();
        let (opened_at, opened) = mpsc::channel();
        let thread = namespace.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let setup = Setup {
                    config,
                    ..Setup::default()
                };
                let node = service::Node::open(setup, simulated).unwrap();
                opened_at.send(node.control()).unwrap();
                let stop = async {
                    drop(stopped.await);
                    Stop::Perhaps
                };
                node.run(stop).await.unwrap();
            });
        });
        let node = Self {
            jool,
            control: opened.recv_timeout(LIMIT).expect("the node did not open"),
            stop: Some(stop),
            thread: Some(thread),
        };
        wait_until("a node that runs", || node.runs());
        node
    }

    fn runs(&self) -> bool {
        matches!(self.control.snapshot().state, State::Running(_))
    }

    /// As of the last second.
    fn counters(&self) -> service::Counters {
        self.control.snapshot().counters
    }

    /// Translates traffic of clients that only this node has: new UDP and TCP sessions, some of
    /// which come to an end.
    fn translate(&self, clients: u16) {
        for port in 0..300 {
            let src6 = Ipv6Addr::new(0x2001, 0xdb8, clients, 0, 0, 0, 0, 8);
            let udp = self.jool.open_udp(src6, port);
            self.jool.translate(udp);
            for (state, timer, lifetime) in [
                (TcpState::V6Init, Timer::Transitory, 240_000),
                (TcpState::Established, Timer::Established, 7_200_000),
                (TcpState::V4FinV6FinRcv, Timer::Transitory, 240_000),
            ]
            .into_iter()
            .take(1 + usize::from(port % 3))
            {
                let id = Identity {
                    protocol: Protocol::Tcp,
                    ..udp.id
                };
                self.jool.translate(Session {
                    id,
                    state,
                    timer,
                    lifetime,
                });
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop = None;
        let ended = self.thread.take().unwrap().join();
        assert!(thread::panicking() || ended.is_ok());
    }
}

/// Waits until each of the two tables has what the other has, and looks that neither Jool was given
/// anything that it would have to refuse.
#[track_caller]
fn become_equal(first: &Node, second: &Node) {
    wait_until("equal tables", || {
        first.jool.lacks_of(&second.jool) == 0 && second.jool.lacks_of(&first.jool) == 0
    });
    for node in [first, second] {
        let counters = node.jool.counters();
        assert_eq!((counters.refused, counters.dropped), (0, 0), "{counters:?}");
    }
}

#[test]
fn tables_become_equal_with_traffic_on_both_nodes() {
    let Some((a, b)) = joined() else {
        return;
    };
    for group in GROUPS {
        let first = Node::start(&a, group, Version::NEWEST);
        let second = Node::start(&b, group, Version::NEWEST);
        for round in 0..3 {
            first.translate(round);
            second.translate(100 + round);
        }
        become_equal(&first, &second);
        assert_eq!(first.jool.len(), 2 * 3 * 600);
        assert_eq!(second.jool.len(), 2 * 3 * 600);
    }
}

#[test]
fn nodes_of_any_two_versions_understand_each_other() {
    let Some((a, b)) = joined() else {
        return;
    };
    let versions = ["4.1.9", "4.1.12", "4.1.13"].map(|text| Version::supported(text).unwrap());
    for one in versions {
        for other in versions {
            let first = Node::start(&a, GROUPS[1], one);
            let second = Node::start(&b, GROUPS[1], other);
            first.translate(1);
            second.translate(2);
            become_equal(&first, &second);
            assert_eq!(first.jool.len(), 2 * 600, "{one} and {other}");
        }
    }
}

#[test]
fn an_instance_that_was_removed_and_added_again_is_synchronised_again() {
    let Some((a, b)) = joined() else {
        return;
    };
    let first = Node::start(&a, GROUPS[1], Version::NEWEST);
    let second = Node::start(&b, GROUPS[1], Version::NEWEST);
    first.translate(1);
    become_equal(&first, &second);

    first.jool.remove_instance();
    wait_until("a node that waits for its Jool", || !first.runs());
    match &first.control.snapshot().state {
        State::Waiting(reason) => assert!(reason.contains("instance add"), "{reason}"),
        State::Running(instance) => panic!("{instance:?}"),
    }
    second.translate(2);
    wait_until("everything remembered of the traffic in between", || {
        first.control.snapshot().status.sessions == 2 * 600
    });
    assert!(first.jool.is_empty());
    assert!(second.runs());

    first.jool.add_instance();
    become_equal(&second, &first);
    assert_eq!(
        first.jool.len(),
        2 * 600,
        "what it had, and what came meanwhile"
    );
    first.translate(3);
    second.translate(4);
    become_equal(&first, &second);
    assert_eq!(first.jool.len(), 4 * 600);
    assert_eq!(first.jool.counters().refused, 0);
}

#[test]
fn an_instance_that_was_replaced_between_two_looks_gets_its_sessions_back() {
    let Some((a, b)) = joined() else {
        return;
    };
    let first = Node::start(&a, GROUPS[1], Version::NEWEST);
    let second = Node::start(&b, GROUPS[1], Version::NEWEST);
    first.translate(1);
    become_equal(&first, &second);
    wait_until("a look at the sessions", || {
        first.control.snapshot().sessions == 600
    });
    first.jool.replace_instance();
    become_equal(&second, &first);
    assert_eq!(first.jool.len(), 600);
    assert!(first.runs());
}

#[test]
fn session_sync_that_somebody_disabled_is_enabled_again() {
    let Some((a, b)) = joined() else {
        return;
    };
    let first = Node::start(&a, GROUPS[0], Version::NEWEST);
    let second = Node::start(&b, GROUPS[0], Version::NEWEST);
    for round in 1..=2 {
        first.jool.disable_session_sync();
        wait_until("a repair", || first.counters().repairs == round);
        first.translate(1);
        second.translate(2);
        become_equal(&first, &second);
    }
    assert!(first.runs());
    assert_eq!(second.counters().repairs, 0);
}

#[test]
fn garbage_is_counted_and_never_reaches_a_jool() {
    let Some((a, b)) = joined() else {
        return;
    };
    for group in GROUPS {
        let first = Node::start(&a, group, Version::NEWEST);
        let second = Node::start(&b, group, Version::supported("4.1.9").unwrap());
        let group = SocketAddr::new(group.parse().unwrap(), PORT);
        // Looped back, so that both nodes get it.
        a.spawn(move || send_garbage(group)).join().unwrap();
        for node in [&first, &second] {
            wait_until("garbage counted by reason", || {
                let counters = node.counters();
                let rejected =
                    Reject::ALL.map(|reason| counters.engine.received_rejects.of(reason));
                counters.engine.clamped > 0 && rejected.iter().all(|count| *count > 0)
            });
            let counters = node.counters();
            assert!(counters.engine.received_rejects.total() > 0);
            assert_eq!(counters.add_refusals, 0, "{counters:?}");
        }
        first.translate(1);
        second.translate(2);
        become_equal(&first, &second);
    }
}

/// Sends to the group what no node sends.
fn send_garbage(group: SocketAddr) {
    let (any, interface) = match group {
        SocketAddr::V4(_) => ("192.0.2.1:0", None),
        SocketAddr::V6(_) => ("[::]:0", Some("eth0")),
    };
    let socket = UdpSocket::bind(any).unwrap();
    let socket = socket2::Socket::from(socket);
    match interface {
        Some(name) => {
            let index = Interface::from(name).index().unwrap();
            socket.set_multicast_if_v6(index).unwrap();
        }
        None => socket
            .set_multicast_if_v4(&"192.0.2.1".parse().unwrap())
            .unwrap(),
    }
    let socket = UdpSocket::from(socket);
    let send = |bytes: &[u8]| assert_eq!(socket.send_to(bytes, group).unwrap(), bytes.len());

    let session = |protocol, port| Session {
        id: Identity {
            src6: "2001:db8:bad::8".parse().unwrap(),
            src6_port: port,
            src4: "198.51.100.9".parse().unwrap(),
            src4_port: port,
            dst4: "192.0.2.8".parse().unwrap(),
            dst4_port: port,
            protocol,
        },
        state: TcpState::Established,
        timer: Timer::Established,
        lifetime: u32::MAX,
    };
    let mut random = Random(6400);
    for format in Format::ALL {
        let mut records: Vec<Vec<u8>> = Vec::new();
        for protocol in Protocol::ALL {
            let mut record = Vec::new();
            format.write(&session(protocol, 7), &Prefix::WELL_KNOWN, &mut record);
            records.push(record);
        }
        for record in &records {
            // A lifetime beyond any timeout, then every cut, then every byte wrong in turn.
            send(record);
            for length in 0..record.len() {
                send(&record[..length]);
                for wrong in [0, 1, 0x7f, 0xff, record[length] ^ 1 << random.below(8)] {
                    let mut garbled = record.clone();
                    garbled[length] = wrong;
                    send(&garbled);
                }
            }
        }
        // Several, of which one is garbled; the others are in descending order of lifetime.
        for _ in 0..50 {
            let mut run = records.concat();
            let place = random.below(run.len());
            run[place] = u8::try_from(random.below(256)).unwrap();
            send(&run);
        }
    }
    for _ in 0..200 {
        let length = random.below(1_400);
        let noise: Vec<u8> = (0..length)
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect();
        send(&noise);
    }
    send(&[0xff; 65_000]);
    send(&[0; 65_000]);
}

/// The same sequence every time (Knuth's MMIX generator, upper half).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 32).unwrap() % limit
    }
}
