//! A demonstration that needs neither root nor Jool: three nodes with simulated Jools on loopback,
//! joined by bad cables. One translates made-up traffic, one crashes and comes back empty, and in
//! the end the first is stopped; do the others hold every session?

mod picture;
mod relay;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::jool::Version;
use crate::jool::simulated::{Handle, Simulated, traffic};
use crate::net;
use crate::replication;
use crate::service::{Control, Failure, Node, Setup, Stop};
use crate::session::Identity;
use picture::{Frame, Screen, Table};
use relay::{Relay, Tally};

/// What the nodes are called: the first translates.
const NAMES: [&str; 3] = ["nat64-a", "nat64-b", "nat64-c"];
/// When the last node crashes, is back, and when the traffic ends.
const CRASH: Duration = Duration::from_secs(3);
const RETURN: Duration = Duration::from_millis(5500);
const END: Duration = Duration::from_millis(10_000);
/// New sessions per second.
const RATE: u32 = 500;
/// How long the active node lives on without traffic.
const QUIET: Duration = Duration::from_millis(500);
/// How long the standbys may take for what is under way when the active node stops, and how long
/// anything else may take that is certain to come.
const SETTLE: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(10);
/// How often the picture changes.
const REFRESH: Duration = Duration::from_millis(250);
/// How often a session is followed from table to table, and how exactly.
const PROBE: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_millis(1);

/// Runs it, as text or as JSON, and says whether the standbys ended up with every session.
pub fn run(json: bool) -> io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, demonstrate(Screen::new(json)))
}

async fn demonstrate(mut screen: Screen) -> io::Result<bool> {
    let mut group = Group::open().await?;
    for node in group.nodes.iter_mut().flatten() {
        node.until_joined().await?;
    }
    let Some(active) = group.jool(0) else {
        return Ok(false);
    };
    // Ends with the end of the demonstration.
    let traffic = {
        let active = active.clone();
        tokio::task::spawn_local(async move { traffic(&active, RATE).await })
    };
    group.show_until(&mut screen, CRASH).await?;
    group.crash(2).await;
    screen.say(group.at(), "nat64-c crashes: killed, with its whole table")?;
    group.show_until(&mut screen, RETURN).await?;
    group.start(2)?;
    screen.say(group.at(), "nat64-c is back, and empty")?;
    group.returned = Some(Instant::now());
    group.show_until(&mut screen, END).await?;
    traffic.abort();
    group.probing = false;
    screen.say(group.at(), "the traffic ends")?;
    group.show_until(&mut screen, END + QUIET).await?;
    group.stop(0).await?;
    screen.say(group.at(), "nat64-a stops: may the standbys take over?")?;
    let stopped = Instant::now();
    while group.lacking(&active) > 0 && stopped.elapsed() < SETTLE {
        sleep(LOOK).await;
    }
    let frame = group.frame();
    screen.show(&frame)?;
    for node in 1..NAMES.len() {
        group.stop(node).await?;
    }
    screen.end(&frame)
}

/// The nodes, and what was seen of them.
struct Group {
    nodes: [Option<Running>; 3],
    /// The tables of nodes that are no more.
    remains: [Option<Handle>; 3],
    addresses: [SocketAddr; 3],
    relays: Vec<([usize; 2], Relay)>,
    tally: Tally,
    /// Whether sessions are followed.
    probing: bool,
    /// Since when the last node is back, until it has joined.
    returned: Option<Instant>,
    probes: Vec<Probe>,
    /// How long probes took to each node.
    lags: [Vec<Duration>; 3],
    began: Instant,
}

/// A session that is followed.
struct Probe {
    id: Identity,
    opened: Instant,
    /// The nodes that it has not been seen on.
    outstanding: [bool; 3],
}

/// One of the nodes.
struct Running {
    jool: Handle,
    control: Control,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Failure>>,
}

impl Group {
    async fn open() -> io::Result<Self> {
        let addresses = free_addresses()?;
        let [a, b, c] = addresses;
        let tally = Tally::default();
        let mut relays = Vec::new();
        for (pair, ends) in [([0, 1], [a, b]), ([0, 2], [a, c]), ([1, 2], [b, c])] {
            relays.push((pair, Relay::open(ends, &tally).await?));
        }
        let mut group = Self {
            nodes: [const { None }; 3],
            remains: [const { None }; 3],
            addresses,
            relays,
            tally,
            probing: true,
            returned: None,
            probes: Vec::new(),
            lags: [const { Vec::new() }; 3],
            began: Instant::now(),
        };
        for node in 0..NAMES.len() {
            group.start(node)?;
        }
        Ok(group)
    }

    /// Starts a node with an empty Jool.
    fn start(&mut self, number: usize) -> io::Result<()> {
        let others = self.relays.iter().flat_map(|(pair, relay)| {
            let ends = pair.iter().zip(relay.facing);
            ends.filter_map(|(end, address)| (*end == number).then_some(address))
        });
        let (Some(name), Some(address)) = (NAMES.get(number), self.addresses.get(number)) else {
            return Ok(());
        };
        let node = Running::start(name, *address, others.collect())?;
        if let Some(place) = self.nodes.get_mut(number) {
            *place = Some(node);
        }
        Ok(())
    }

    /// The table of a node, or what was in it.
    fn jool(&self, number: usize) -> Option<Handle> {
        let running = self.nodes.get(number)?.as_ref();
        running
            .map(|node| node.jool.clone())
            .or_else(|| self.remains.get(number)?.clone())
    }

    fn take(&mut self, number: usize) -> Option<Running> {
        for probe in &mut self.probes {
            if let Some(outstanding) = probe.outstanding.get_mut(number) {
                *outstanding = false;
            }
        }
        self.nodes.get_mut(number)?.take()
    }

    /// Ends a node in the middle of whatever it does.
    async fn crash(&mut self, number: usize) {
        if let Some(node) = self.take(number) {
            node.task.abort();
            // With the task go its sockets.
            let _ = node.task.await;
        }
    }

    /// Ends a node as systemd does, and keeps its table.
    async fn stop(&mut self, number: usize) -> io::Result<()> {
        let Some(node) = self.take(number) else {
            return Ok(());
        };
        if let Some(remains) = self.remains.get_mut(number) {
            *remains = Some(node.jool.clone());
        }
        node.stop().await
    }

    fn at(&self) -> Duration {
        self.began.elapsed()
    }

    /// Shows everything, and follows sessions, until this long after the beginning.
    async fn show_until(&mut self, screen: &mut Screen, end: Duration) -> io::Result<()> {
        let (mut next_frame, mut next_probe) = (Instant::now(), Instant::now());
        while self.at() < end {
            let now = Instant::now();
            if now >= next_probe && self.probing {
                next_probe = now + PROBE;
                self.send_probe();
            }
            self.look_for_probes(now);
            if let (Some(since), [.., Some(node)]) = (self.returned, &self.nodes)
                && let Some(sessions) = node.joined()
            {
                self.returned = None;
                let took = since.elapsed().as_millis();
                let event = format!("nat64-c has joined: {sessions} sessions in {took} ms");
                screen.say(self.at(), &event)?;
            }
            if now >= next_frame {
                next_frame = now + REFRESH;
                screen.show(&self.frame())?;
            }
            if let Some(node) = self
                .nodes
                .iter_mut()
                .flatten()
                .find(|node| node.has_ended())
            {
                node.failure().await?;
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn send_probe(&mut self) {
        let [Some(active), standbys @ ..] = &self.nodes else {
            return;
        };
        let [b, c] = standbys.each_ref().map(Option::is_some);
        self.probes.push(Probe {
            id: active
                .jool
                .open_udp([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(), 7)
                .id,
            opened: Instant::now(),
            outstanding: [false, b, c],
        });
    }

    fn look_for_probes(&mut self, now: Instant) {
        for probe in &mut self.probes {
            let places = probe.outstanding.iter_mut().zip(&self.nodes);
            for ((outstanding, node), lags) in places.zip(&mut self.lags) {
                let here = node
                    .as_ref()
                    .is_some_and(|node| node.jool.contains(&probe.id));
                if *outstanding && here {
                    *outstanding = false;
                    lags.push(now - probe.opened);
                }
            }
        }
        self.probes
            .retain(|probe| probe.outstanding.contains(&true));
    }

    /// Sessions of one table that some standby lacks.
    fn lacking(&self, of: &Handle) -> usize {
        let standbys = self.nodes.iter().skip(1);
        let lacks = standbys.map(|node| node.as_ref().map_or(of.len(), |it| it.jool.lacks_of(of)));
        lacks.max().unwrap_or(0)
    }

    fn frame(&self) -> Frame {
        let active = self.jool(0);
        let tables = [0, 1, 2].map(|number| {
            let node = self.nodes.get(number).and_then(Option::as_ref);
            let jool = self.jool(number);
            let status = node.map(|node| node.control.snapshot().status);
            let state = match (&status, number) {
                (Some(status), _) => status.state.name().to_owned(),
                (None, 0) => "stopped".to_owned(),
                (None, _) => "down".to_owned(),
            };
            let counters = jool.as_ref().map(Handle::counters).unwrap_or_default();
            let repaired = node.map(|node| node.control.snapshot().counters.engine);
            Table {
                state,
                percent: status.and_then(|status| status.transfer.map(|transfer| transfer.percent)),
                sessions: jool.as_ref().map_or(0, Handle::len),
                records: if number == 0 {
                    counters.sent
                } else {
                    counters.added
                },
                repaired: repaired.map_or(0, |counters| counters.repaired_records),
                lacking: match (&jool, &active) {
                    (Some(jool), Some(active)) => jool.lacks_of(active),
                    (None, Some(active)) => active.len(),
                    (_, None) => 0,
                },
                lag: self.lags.get(number).and_then(|lags| summary(lags)),
            }
        });
        Frame {
            at: self.at(),
            tables,
            translated: active.map_or(0, |jool| jool.counters().translated),
            datagrams: self.tally.get(),
        }
    }
}

/// Median and longest.
fn summary(lags: &[Duration]) -> Option<(Duration, Duration)> {
    let mut sorted = lags.to_vec();
    sorted.sort_unstable();
    Some((*sorted.get(sorted.len() / 2)?, *sorted.last()?))
}

/// UDP addresses that were free a moment ago.
fn free_addresses() -> io::Result<[SocketAddr; 3]> {
    let socket = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let [a, b, c] = [socket()?, socket()?, socket()?];
    Ok([a.local_addr()?, b.local_addr()?, c.local_addr()?])
}

impl Running {
    fn start(name: &str, address: SocketAddr, peers: Vec<SocketAddr>) -> io::Result<Self> {
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let config = Config {
            network: net::Settings {
                group: None,
                port: address.port(),
                peers,
                receive_interface: Some(net::Interface::Address(localhost)),
                ..Config::default().network
            },
            // All are on one machine, which would make them one node.
            node_name: Some(name.to_owned()),
            ..Config::default()
        };
        let (simulated, jool) = Simulated::new(config.jool.clone(), Version::NEWEST);
        let setup = Setup {
            config,
            ..Setup::default()
        };
        let node = Node::open(setup, simulated).map_err(io::Error::other)?;
        let control = node.control();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::task::spawn_local(node.run(async {
            drop(stopped.await);
            Stop::Perhaps
        }));
        Ok(Self {
            jool,
            control,
            stop,
            task,
        })
    }

    /// Waits until the node has what the others have.
    async fn until_joined(&mut self) -> io::Result<()> {
        let control = &mut self.control;
        let joined = async {
            while control.snapshot().status.state != replication::State::Synced {
                if !control.changed().await {
                    return;
                }
            }
        };
        let waited = timeout(LIMIT, joined).await;
        waited.map_err(|_| io::Error::other("the nodes do not find each other"))
    }

    /// How many sessions it knows if it has what the others have.
    fn joined(&self) -> Option<u64> {
        let status = self.control.snapshot().status;
        let outside = [replication::State::Waiting, replication::State::Joining];
        (!outside.contains(&status.state)).then_some(status.sessions)
    }

    fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Why it ended, which it should not have.
    async fn failure(&mut self) -> io::Result<()> {
        (&mut self.task)
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)
    }

    async fn stop(mut self) -> io::Result<()> {
        // A node that ended by itself says why below.
        let (stop, _) = oneshot::channel();
        let _ = std::mem::replace(&mut self.stop, stop).send(());
        self.failure().await
    }
}
