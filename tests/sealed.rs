//! Two nodes with simulated Jools on loopback, and between them somebody who has no key, but hears and records
//! everything, and sends what he likes to either.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::fs::{self, Permissions};
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use joold::config::{self, Sources};
use joold::jool::Version;
use joold::jool::simulated::{Handle, Simulated};
use joold::replication;
use joold::service::{self, Control, Setup, Stop};
use serde_json::json;
use tokio::sync::oneshot;

use common::daemon::{Folder, free_port};
use common::{LIMIT, wait_until};

/// Keys of the group, and one that it had before.
const ONE: &str = "1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const TWO: &str = "2 IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What goes from one node to another goes through it.
struct Link {
    address: SocketAddr,
    socket: UdpSocket,
    ends: [SocketAddr; 2],
    recorded: Arc<Mutex<Vec<Vec<u8>>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let ends = [free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let thread = {
            let (socket, recorded) = (socket.try_clone().unwrap(), Arc::clone(&recorded));
            let is_over = Arc::clone(&is_over);
            let pause = Some(Duration::from_millis(50));
            socket.set_read_timeout(pause).unwrap();
            thread::spawn(move || {
                let mut buffer = [0; 2048];
                while !is_over.load(Ordering::Relaxed) {
                    let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                        continue;
                    };
                    let datagram = &buffer[..length];
                    recorded.lock().unwrap().push(datagram.to_vec());
                    let to = if from == ends[0] { ends[1] } else { ends[0] };
                    // Nobody may be there.
                    let _ = socket.send_to(datagram, to);
                }
            })
        };
        Self {
            address: socket.local_addr().unwrap(),
            socket,
            ends,
            recorded,
            is_over,
            thread: Some(thread),
        }
    }

    fn recorded(&self) -> Vec<Vec<u8>> {
        self.recorded.lock().unwrap().clone()
    }

    /// Sends a datagram to both ends.
    fn inject(&self, datagram: &[u8]) {
        for end in self.ends {
            let _ = self.socket.send_to(datagram, end);
        }
    }

    /// Sends all of them, with pauses in which the sockets are read.
    fn inject_all(&self, datagrams: &[Vec<u8>]) {
        for some in datagrams.chunks(500) {
            for datagram in some {
                self.inject(datagram);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(thread::panicking() || ended.is_ok());
    }
}

/// A node of the library at work, whose Jool is the test's.
struct Node {
    folder: Folder,
    name: &'static str,
    port: u16,
    peer: SocketAddr,
    jool: Handle,
    control: Control,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    fn start(link: &Link, end: usize, seal: &str, keys: &str) -> Self {
        let folder = Folder::create();
        let (name, port) = (["a", "b"][end], link.ends[end].port());
        let file = write(&folder, (name, port, link.address), seal, keys);
        let sources = Sources {
            network: Some(file),
            ..Sources::default()
        };
        let config = config::load(&sources).unwrap();
        let (simulated, jool) = Simulated::new(config.jool.clone(), Version::NEWEST);
        let (stop, stopped) = oneshot::channel();
        let (opened_at, opened) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let setup = Setup {
                    config,
                    sources: Some(sources),
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
        Self {
            folder,
            name,
            port,
            peer: link.address,
            jool,
            control: opened.recv_timeout(LIMIT).expect("the node did not open"),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Has it read its configuration again, with other settings.
    fn reload(&self, seal: &str, keys: &str) {
        write(&self.folder, (self.name, self.port, self.peer), seal, keys);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let reloaded = runtime.unwrap().block_on(self.control.reload());
        assert_eq!(reloaded, Ok(()));
    }

    fn translate(&self, clients: u16) {
        for port in 0..300 {
            let src6 = Ipv6Addr::new(0x2001, 0xdb8, clients, 0, 0, 0, 0, 8);
            let udp = self.jool.open_udp(src6, port);
            self.jool.translate(udp);
        }
    }

    fn counters(&self) -> service::Counters {
        self.control.snapshot().counters
    }

    fn is_synced(&self) -> bool {
        self.control.snapshot().status.state == replication::State::Synced
    }

    /// Whether the other node has proved itself, and says that it is in this policy and has so many keys.
    fn knows(&self, policy: &str, keys: usize) -> bool {
        let seal = self.control.snapshot().seal;
        let mut peers = seal.peers.iter();
        peers.any(|peer| peer.policy.name() == policy && peer.keys.len() == keys)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop = None;
        let ended = self.thread.take().unwrap().join();
        assert!(thread::panicking() || ended.is_ok());
    }
}

fn write(
    folder: &Folder,
    (name, port, peer): (&str, u16, SocketAddr),
    seal: &str,
    keys: &str,
) -> PathBuf {
    let key_file = folder.file("keys", keys);
    fs::set_permissions(&key_file, Permissions::from_mode(0o600)).unwrap();
    let configuration = json!({
        "multicast port": port,
        "peers": [peer.to_string()],
        "in interface": "127.0.0.1",
        "node name": name,
        "seal": seal,
        "key file": key_file.to_str().unwrap(),
    });
    folder.file("joold.json", configuration.to_string())
}

/// Waits until each of the two tables has what the other has.
#[track_caller]
fn become_equal(first: &Node, second: &Node, sessions: usize) {
    wait_until("equal tables", || {
        first.jool.lacks_of(&second.jool) == 0
            && second.jool.lacks_of(&first.jool) == 0
            && first.is_synced()
            && second.is_synced()
    });
    assert_eq!(first.jool.len(), sessions);
}

#[test]
fn an_open_pair_becomes_sealed_changes_its_key_and_goes_back_under_traffic() {
    let link = Link::new();
    let [one, two] = [ONE, TWO].map(|key| format!("{key} send\n"));
    let first_of_two = format!("{one}{TWO}\n");
    let second_of_two = format!("{ONE}\n{two}");
    let nodes = [
        Node::start(&link, 0, "off", &one),
        Node::start(&link, 1, "off", &one),
    ];
    become_equal(&nodes[0], &nodes[1], 0);
    let mut clients = 0;
    for (seal, keys, count) in [
        ("accept", &one, 1),
        ("send", &one, 1),
        ("require", &one, 1),
        ("require", &first_of_two, 2),
        ("require", &second_of_two, 2),
        ("require", &two, 1),
        ("send", &two, 1),
        ("accept", &two, 1),
        ("off", &two, 0),
    ] {
        for index in 0..2 {
            let (node, other) = (&nodes[index], &nodes[1 - index]);
            node.translate(2 * clients);
            node.reload(seal, keys);
            other.translate(2 * clients + 1);
            clients += 1;
            become_equal(node, other, 600 * usize::from(clients));
        }
        for node in &nodes {
            // As `jooldctl key list` tells before the next step.
            wait_until(&format!("{seal} at the other"), || {
                seal == "off" || node.knows(seal, count)
            });
        }
    }
    for node in &nodes {
        let counters = node.counters();
        assert_eq!(counters.engine.lost_records, 0);
        assert!(counters.seal.sealed > 0 && counters.seal.opened > 0);
        assert_eq!((counters.seal.forged, counters.seal.malformed), (0, 0));
    }
    let longest = link.recorded().iter().map(Vec::len).max();
    assert!(longest.unwrap() <= 1452);
}

/// What of a node an attacker would like to change.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    sessions: usize,
    known: u64,
    received: u64,
    recovered: u64,
    stock: u64,
    malformed: u64,
    state: replication::State,
    fitness: replication::Fitness,
    peers: Vec<String>,
    epoch: u64,
    namesake: Option<SocketAddr>,
}

fn standing(node: &Node) -> Standing {
    let snapshot = node.control.snapshot();
    let (engine, status) = (snapshot.counters.engine, snapshot.status);
    Standing {
        sessions: node.jool.len(),
        known: status.sessions,
        received: engine.received_records,
        recovered: engine.recovered_records,
        stock: engine.stock_records,
        malformed: engine.malformed_frames + engine.foreign_versions,
        state: status.state,
        fitness: status.fitness,
        peers: status.peers.into_iter().map(|peer| peer.name).collect(),
        epoch: status.epoch,
        namesake: status.namesake,
    }
}

/// Datagrams that somebody without the key makes of recorded ones.
fn made_up(recorded: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut made = Vec::new();
    for (number, datagram) in recorded.iter().enumerate().take(400) {
        let length = datagram.len();
        made.push(datagram[..number % length].to_vec());
        made.push([datagram.as_slice(), &[0; 7]].concat());
        for place in [5, 6, 8, 23, 31, 40, 48 + number % (length - 48), length - 1] {
            let mut wrong = datagram.clone();
            wrong[place.min(length - 1)] ^= 1 << (number % 8);
            made.push(wrong);
        }
        // As an open frame, and one without a tag.
        let mut open = datagram.clone();
        open[6..8].copy_from_slice(&[0, 0]);
        made.push(open);
    }
    made
}

/// Waits until a node has counted, and been shown, what was injected before.
#[track_caller]
fn settle(link: &Link, nodes: [&Node; 2]) {
    // What is refused as soon as it is seen comes after all that was sent before.
    let before = nodes.map(|node| node.counters().seal.open_refused);
    wait_until("all that was injected to be read", || {
        link.inject(b"open");
        let after = nodes.map(|node| node.counters().seal.open_refused);
        after[0] > before[0] && after[1] > before[1]
    });
    wait_until("both synced", || nodes.iter().all(|node| node.is_synced()));
}

#[track_caller]
fn changes_nothing(link: &Link, nodes: [&Node; 2], what: &str, datagrams: &[Vec<u8>]) {
    let before = nodes.map(standing);
    link.inject_all(datagrams);
    settle(link, nodes);
    assert_eq!(nodes.map(standing), before, "{what}");
}

#[test]
fn somebody_without_the_key_changes_nothing_whatever_he_recorded() {
    let link = Link::new();
    let old = format!("{ONE}\n{TWO} send\n");
    let keys = format!("{ONE} send\n");
    let start = |end| Node::start(&link, end, "require", &keys);
    // Somebody who had a key before it was removed, and has recorded what it was used for.
    let mut recorded = {
        let nodes = [0, 1].map(|end| Node::start(&link, end, "require", &old));
        nodes[0].translate(9);
        become_equal(&nodes[0], &nodes[1], 300);
        link.recorded()
    };
    let (mut a, mut b) = (start(0), start(1));
    a.translate(1);
    b.translate(2);
    become_equal(&a, &b, 600);
    settle(&link, [&a, &b]);
    changes_nothing(&link, [&a, &b], "of an old key", &recorded);
    recorded = link.recorded();
    changes_nothing(&link, [&a, &b], "in the same run", &recorded);
    let mut reversed = recorded.clone();
    reversed.reverse();
    changes_nothing(&link, [&a, &b], "in another order", &reversed);
    changes_nothing(&link, [&a, &b], "made up", &made_up(&recorded));
    let flood: Vec<_> = (0..20_000_usize)
        .map(|number| {
            let mut wrong = recorded[number % recorded.len()].clone();
            let end = wrong.len() - 1;
            wrong[end] ^= 1;
            wrong[40..44].copy_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
            wrong
        })
        .collect();
    changes_nothing(&link, [&a, &b], "a flood", &flood);

    // After a restart of either, and of both.
    drop(b);
    link.inject_all(&link.recorded());
    b = start(1);
    link.inject_all(&link.recorded());
    become_equal(&a, &b, 600);
    settle(&link, [&a, &b]);
    let recorded = link.recorded();
    changes_nothing(&link, [&a, &b], "after a restart of b", &recorded);
    drop(a);
    a = start(0);
    become_equal(&a, &b, 600);
    settle(&link, [&a, &b]);
    let recorded = link.recorded();
    changes_nothing(&link, [&a, &b], "after a restart of a", &recorded);
    drop((a, b));
    let (a, b) = (start(0), start(1));
    let recorded = link.recorded();
    link.inject_all(&recorded);
    a.translate(3);
    become_equal(&a, &b, 300);
    settle(&link, [&a, &b]);
    changes_nothing(&link, [&a, &b], "after a restart of both", &recorded);
    b.translate(4);
    become_equal(&a, &b, 600);
    for node in [a, b] {
        let seal = node.counters().seal;
        assert!(seal.unproven > 0 && seal.unknown_keys > 0, "{seal:?}");
        assert_eq!(node.counters().engine.lost_records, 0);
    }
}
