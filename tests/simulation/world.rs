//! A cluster from a seed: its traffic, its faults, and then quiet.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use joold::jool::Version;
use joold::replication::{Kind, State as NodeState};
use joold::session::{Format, Identity, Prefix, Protocol, Session, State, Timeouts, Timer};

use super::kernel::{Rollback, Segment};
use super::network::Network;
use super::node::{Clock, Node, Pause};
use super::random::Random;

/// Lifetimes may differ by this beside the refresh window: differences too slight to tell, and the
/// time under way.
const SLACK: u64 = 1_000 + 600;
const REFRESH: u64 = 10_000;
/// What clocks are ahead of each other: nothing, somewhat, an hour, some decades.
pub(crate) const SKEWS: [u64; 8] = [0, 0, 3, 500, 1_900, 4_000, 3_600_000, 1 << 40];
/// By then everybody has heard everybody, and asked for what was missing, in virtual milliseconds.
const TO_HEAR_ALL: u64 = 1_500;
/// The same of hosts that keep time.
pub(crate) const SLIGHT_SKEWS: [u64; 4] = [0, 0, 3, 50];
/// How long the quiet may take to bring agreement, in virtual milliseconds.
const QUIET: u64 = 45_000;

/// A client that talks to a server.
#[derive(Debug)]
pub(crate) struct Flow {
    id: Identity,
    group: usize,
    /// Time between two packets.
    pace: u64,
    next: u64,
    end: u64,
    opened: bool,
}

/// A change that a packet made on a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) node: usize,
    pub(crate) at: u64,
    pub(crate) state: State,
    pub(crate) timer: Timer,
    pub(crate) expires: u64,
}

/// An operator removed a session from the Jool that translates it.
#[derive(Clone, Copy, Debug)]
struct Removal {
    node: usize,
    at: u64,
    /// Its daemon knew all about the session.
    is_known: bool,
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) random: Random,
    pub(crate) clock: Clock,
    pub(crate) now: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    /// Who translates the traffic of each group of masks.
    pub(crate) active: Vec<usize>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) most_flows: usize,
    pub(crate) opened: u32,
    pub(crate) paces: (u64, u64),
    pub(crate) changes: BTreeMap<Identity, Vec<Change>>,
    /// What operators removed from a Jool.
    removed: BTreeMap<Identity, Removal>,
    pub(crate) stock: bool,
    pub(crate) is_hostile: bool,
    pub(crate) chaos: u64,
    pub(crate) faults: Vec<(u64, u8)>,
    pub(crate) skews: &'static [u64],
    pub(crate) heals: Vec<u64>,
    /// When a daemon last started whose Jool may have what ended while it was not told, and tell of it:
    /// nothing tells that from what this Jool alone has.
    pub(crate) keeps_ended: u64,
    pub(crate) whole_since: u64,
    trace: bool,
    /// What else is done in each ms of chaos.
    pub(crate) hook: Option<fn(&mut World)>,
    /// Nodes may be degraded in the end; those that are synced have to agree. Who cannot keep what it was told
    /// does not know what is older.
    pub(crate) may_be_degraded: bool,
    /// Lifetimes may differ by this besides.
    pub(crate) tolerance: u64,
}

impl World {
    pub(crate) fn sized(seed: u64, nodes: (u64, u64)) -> Self {
        let mut random = Random::new(seed);
        let count = random.within(nodes.0, nodes.1) as usize;
        let timeouts = random.one(&[
            Timeouts::default(),
            Timeouts {
                tcp_established: 120_000,
                tcp_transitory: 30_000,
                udp: 60_000,
                icmp: 20_000,
            },
            Timeouts {
                tcp_established: 20_000,
                tcp_transitory: 8_000,
                udp: 15_000,
                icmp: 5_000,
            },
            // Much ends before it is over.
            Timeouts {
                tcp_established: 7_200_000,
                tcp_transitory: 9_000,
                udp: 12_000,
                icmp: 5_000,
            },
        ]);
        let versions = ["4.1.9", "4.1.12", "4.1.13"].map(|text| Version::supported(text).unwrap());
        let same = random.permille(600);
        let capacity = random.one(&[20_000, 20_000, 100]);
        let nodes = (0..count)
            .map(|index| {
                let version = if same {
                    versions[2]
                } else {
                    random.one(&versions)
                };
                Node::new(index, version, timeouts, capacity)
            })
            .collect();
        let mut network = Network::new(count, &mut random);
        let is_hostile = seed % 16 == 15;
        if is_hostile {
            network.corruption = random.one(&[20, 200, 500]);
        }
        let chaos = random.within(8_000, 40_000);
        let groups = random.one(&[1, 1, 2, 3]);
        // Who was cut off with a clock that is far from that of the others does not know what was later.
        let (kinds, skews): (&[u8], &[u64]) = if random.permille(500) {
            (&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], &SLIGHT_SKEWS)
        } else {
            (&[0, 1, 2, 5, 6, 7, 7, 8, 9], &SKEWS)
        };
        let mut faults: Vec<_> = (0..random.within(0, 8))
            .map(|_| (random.within(1_000, chaos), random.one(kinds)))
            .collect();
        faults.sort_unstable();
        let active = (0..groups).map(|_| random.index(count)).collect();
        Self {
            seed,
            clock: Clock::new(),
            now: 0,
            nodes,
            network,
            active,
            flows: Vec::new(),
            most_flows: random.one(&[3, 20, 100, 400]),
            opened: 0,
            paces: random.one(&[(5, 50), (20, 2_000), (200, 12_000)]),
            changes: BTreeMap::new(),
            removed: BTreeMap::new(),
            stock: random.permille(200),
            is_hostile,
            chaos,
            faults,
            skews,
            heals: Vec::new(),
            keeps_ended: 0,
            whole_since: 0,
            trace: std::env::var_os("JOOLD_TRACE").is_some(),
            hook: None,
            may_be_degraded: false,
            tolerance: 0,
            random,
        }
    }

    /// Lives through it all, and checks what has to be true in the end.
    pub(crate) fn run(&mut self) {
        self.note(format_args!(
            "loss {} of 1,000, delay {:?}",
            self.network.loss, self.network.delay
        ));
        for index in 0..self.nodes.len() {
            self.nodes[index].unicast = self.network.unicast;
            let version = self.nodes[index].version;
            let skew = self.random.one(self.skews);
            self.nodes[index].skew = skew;
            self.note(format_args!(
                "node {index} has {version}, its clock is {skew} ms ahead"
            ));
            let late = self.random.permille(250);
            self.nodes[index].daemon_back = Some(if late {
                self.random.within(0, self.chaos)
            } else {
                self.random.within(0, 50)
            });
        }
        while self.now < self.chaos {
            self.inflict();
            if let Some(hook) = self.hook {
                hook(self);
            }
            self.translate();
            self.speak_stock();
            self.turn();
        }
        self.end_faults();
        // What is under way arrives, and who is down comes back.
        let begin = self.now;
        while self.now < begin + 10_000 {
            self.turn();
        }
        if self.is_hostile {
            return;
        }
        loop {
            match self.disagreement() {
                None => break,
                Some(what) => {
                    assert!(self.now < begin + QUIET, "seed {}: {what}", self.seed);
                }
            }
            let until = self.now + 500;
            while self.now < until {
                self.turn();
            }
        }
        // A Jool that does not count what it drops is compared every 30 s.
        if self.nodes.iter().any(|node| !node.version.counts_drops()) {
            while self.now < begin + QUIET {
                self.turn();
            }
        }
        let sent = self.sent();
        let until = self.now + 5_000;
        while self.now < until {
            self.turn();
        }
        for (node, before) in self.nodes.iter().zip(sent) {
            let Some(engine) = &node.engine else { continue };
            let announced = engine.counters().sent_records - before;
            // Where not everything has room, what goes makes room for what is found in Jool.
            let most = if self.may_be_degraded {
                node.most_sessions
            } else {
                0
            };
            assert!(
                announced <= most as u64,
                "seed {}: {announced} announced although all is quiet",
                self.seed
            );
        }
        if let Some(what) = self.disagreement() {
            panic!("seed {}: agreement did not last: {what}", self.seed);
        }
        if let Some(what) = self.undone() {
            panic!(
                "seed {}: what an operator removed is back: {what}",
                self.seed
            );
        }
        if !self.may_be_degraded {
            self.verify();
        }
    }

    /// Whether every node has compared what it has with every other one.
    fn has_verified(&self, now: u64) -> bool {
        now.is_multiple_of(50)
            && self.nodes.iter().all(|node| {
                let engine = node.engine.as_ref();
                let status = engine.map(|engine| engine.status(self.clock.at(node.own(now))));
                let mut peers = status.iter().flat_map(|status| &status.peers);
                peers.all(|peer| peer.kind == Kind::Stock || peer.verified.is_some())
            })
    }

    /// The nodes compare what they have with one another, and nothing differs.
    fn verify(&mut self) {
        for node in &mut self.nodes {
            let at = self.clock.at(node.own(self.now));
            if let Some(engine) = &mut node.engine {
                engine.verify(at);
            }
        }
        let until = self.now + 30_000;
        while self.now < until && !self.has_verified(self.now) {
            self.turn();
        }
        for node in &self.nodes {
            let Some(engine) = &node.engine else { continue };
            let (seed, index) = (self.seed, node.index);
            let status = engine.status(self.clock.at(node.own(self.now)));
            let ours = status.peers.iter().filter(|peer| peer.kind == Kind::Joold);
            for peer in ours {
                let verified = peer.verified.unwrap_or_else(|| {
                    panic!(
                        "seed {seed}: node {index} has not compared with {}",
                        peer.name
                    )
                });
                assert_eq!(
                    verified.differed, 0,
                    "seed {seed}: node {index} lacked what {} has",
                    peer.name
                );
            }
        }
    }

    fn turn(&mut self) {
        let now = self.now;
        if self.trace && now.is_multiple_of(250) {
            for node in &self.nodes {
                let status = node
                    .engine
                    .as_ref()
                    .map(|engine| engine.status(self.clock.at(node.own(now))));
                let Some(status) = status else { continue };
                let dropped = node.kernel.as_ref().map(|kernel| kernel.dropped);
                let (index, state) = (node.index, status.state);
                let reasons = status.reasons;
                self.note(format_args!(
                    "node {index}: {state} {} dropped {dropped:?} {reasons:?}",
                    status.sessions
                ));
            }
        }
        while let Some(datagram) = self.network.arrival(now) {
            let Some(node) = self.nodes.get_mut(datagram.to) else {
                continue;
            };
            node.receive(datagram.from, datagram.bytes);
        }
        if !self.network.is_whole() {
            self.whole_since = now + 1;
        }
        for node in &mut self.nodes {
            if node.jool_back.is_some_and(|at| at <= now) && node.pause.is_none() {
                node.add_jool(&self.clock, now);
            }
            if node.daemon_back.is_some_and(|at| at <= now) {
                if !node.is_up {
                    node.is_up = true;
                    node.add_jool(&self.clock, now);
                } else if now >= node.informed + u64::from(node.timeouts.tcp_transitory / 2) {
                    self.keeps_ended = now;
                }
                node.start_daemon(&self.clock, now);
            }
            node.turn(&self.clock, now, &mut self.random, &mut self.network);
            if node.state() == Some(NodeState::Synced) && now >= self.whole_since + TO_HEAR_ALL {
                node.informed = now;
            }
        }
        if !self.is_hostile {
            self.check_rollbacks();
            if now.is_multiple_of(101) {
                self.check_states();
            }
        }
        self.now += 1;
    }

    fn sent(&self) -> Vec<u64> {
        let engines = self.nodes.iter().filter_map(|node| node.engine.as_ref());
        engines
            .map(|engine| engine.counters().sent_records)
            .collect()
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        if self.trace {
            eprintln!("{:>6} {what}", self.now);
        }
    }

    fn inflict(&mut self) {
        if self.heals.first().is_some_and(|at| *at <= self.now) {
            self.heals.remove(0);
            self.network.parts.fill(0);
            self.note(format_args!("the network is whole"));
        }
        while self.faults.first().is_some_and(|(at, _)| *at <= self.now) {
            let (_, kind) = self.faults.remove(0);
            let victim = self.random.index(self.nodes.len());
            let node = &self.nodes[victim];
            let is_up = node.is_up && node.daemon_back.is_none() && node.pause.is_none();
            let now = self.now;
            match kind {
                0 if is_up => {
                    self.note(format_args!("daemon {victim} crashes"));
                    self.nodes[victim].stop_daemon(now, &mut self.random);
                    let back = now + self.random.within(5, 5_000);
                    self.nodes[victim].daemon_back = Some(back);
                }
                1 if is_up => {
                    self.note(format_args!("machine {victim} crashes"));
                    let node = &mut self.nodes[victim];
                    (node.engine, node.kernel, node.is_up) = (None, None, false);
                    node.jool_back = None;
                    if self.random.permille(200) {
                        // Its clock is not what it was.
                        node.skew = self.random.one(self.skews);
                    }
                    node.daemon_back = Some(now + self.random.within(200, 8_000));
                    for group in 0..self.active.len() {
                        if self.active[group] == victim {
                            self.fail_over(group);
                        }
                    }
                }
                2 if is_up && self.nodes[victim].jool_back.is_none() => {
                    self.note(format_args!("instance {victim} goes"));
                    let node = &mut self.nodes[victim];
                    node.remove_jool(&self.clock, now);
                    node.jool_back = Some(now + self.random.within(1, 4_000));
                    for group in 0..self.active.len() {
                        if self.active[group] == victim && self.random.permille(700) {
                            self.fail_over(group);
                        }
                    }
                }
                3 | 4 => {
                    let count = self.random.within(2, 3) as u8;
                    for part in &mut self.network.parts {
                        *part = self.random.next() as u8 % count;
                    }
                    let longest = self.random.one(&[2_000, 8_000, 20_000]);
                    self.heals.push(now + self.random.within(100, longest));
                    self.heals.sort_unstable();
                    self.note(format_args!("parts {:?}", self.network.parts));
                }
                5 => {
                    // More at once than the module's queue may hold.
                    for flow in &mut self.flows {
                        flow.next = flow.next.min(now + 1);
                    }
                    self.nodes[victim].dump_fails = self.random.permille(300);
                }
                6 => {
                    if let Some(engine) = &mut self.nodes[victim].engine {
                        engine.resync();
                    }
                }
                8 if is_up => {
                    let until = now + self.random.within(20, 5_000);
                    self.nodes[victim].pause = Some((Pause::Machine, now, until));
                    self.note(format_args!("machine {victim} is suspended until {until}"));
                    for group in 0..self.active.len() {
                        if self.active[group] == victim {
                            self.fail_over(group);
                        }
                    }
                }
                9 if is_up => {
                    let until = now + self.random.within(20, 3_000);
                    self.nodes[victim].pause = Some((Pause::Daemon, now, until));
                    self.note(format_args!("daemon {victim} stands still until {until}"));
                    if self.random.permille(500) {
                        let group = self.random.index(self.active.len());
                        self.fail_over(group);
                    }
                }
                _ => {
                    let group = self.random.index(self.active.len());
                    self.fail_over(group);
                }
            }
        }
    }

    /// An operator does something to the Jool of a node.
    pub(crate) fn operate(&mut self) {
        if !self.now.is_multiple_of(700) || self.now < 3_000 {
            return;
        }
        let index = self.random.index(self.nodes.len());
        let (now, node) = (self.now, &mut self.nodes[index]);
        let (None, Some(kernel), Some(_)) = (node.pause, &mut node.kernel, &node.engine) else {
            return;
        };
        let until = now + self.random.within(50, 3_000);
        match self.random.within(0, 9) {
            0 => node.is_paused = Some(until),
            kind => {
                // Now and then with all of pool4.
                let share = if kind == 1 { 1_000 } else { 100 };
                if kind == 1 {
                    node.lacks_pool4 = Some(until);
                }
                // What was translated just before is told by then.
                node.resync = Some(now + 1_000);
                let (since, random, over) = (node.since, &mut self.random, &mut self.changes);
                let removed = &mut self.removed;
                kernel.table.retain(|id, known| {
                    if !random.permille(share) {
                        return true;
                    }
                    // That of another node might be the latest that was announced.
                    let changes = over.get(id).map_or(&[][..], Vec::as_slice);
                    let is_own = !changes.is_empty()
                        && changes
                            .iter()
                            .all(|change| change.node == index && change.at > since);
                    let is_known = is_own && !known.unheard;
                    let removal = Removal {
                        node: index,
                        at: now,
                        is_known,
                    };
                    removed.insert(*id, removal);
                    for change in over.entry(*id).or_default() {
                        change.expires = change.expires.min(now);
                    }
                    false
                });
            }
        }
    }

    /// What was removed for good, and is somewhere.
    fn undone(&self) -> Option<String> {
        let undisturbed =
            |removal: &&Removal| removal.is_known && self.nodes[removal.node].since < removal.at;
        for (id, removal) in &self.removed {
            let Some(removal) = Some(removal).filter(undisturbed) else {
                continue;
            };
            let changes = self.changes.get(id).map_or(&[][..], Vec::as_slice);
            if changes.iter().any(|change| change.at >= removal.at) {
                continue;
            }
            for node in &self.nodes {
                let now = node.own(self.now);
                let here = node.kernel.as_ref().and_then(|kernel| kernel.find(now, id));
                if let Some(here) = here
                    && here.expires > now + SLACK
                {
                    let index = node.index;
                    return Some(format!(
                        "{id:?}, {removal:?}, is on node {index}: {here:?} {changes:?}"
                    ));
                }
            }
        }
        None
    }

    fn fail_over(&mut self, group: usize) {
        let able: Vec<_> = (0..self.nodes.len())
            .filter(|index| self.nodes[*index].translates())
            .collect();
        if !able.is_empty() {
            self.active[group] = self.random.one(&able);
            self.note(format_args!(
                "group {group} is node {}'s",
                self.active[group]
            ));
        }
    }

    fn end_faults(&mut self) {
        self.note(format_args!("quiet"));
        self.network.heal();
        let now = self.now;
        for node in &mut self.nodes {
            node.daemon_back = node.daemon_back.map(|_| now);
            node.jool_back = node.jool_back.map(|_| now);
            node.dump_fails = false;
            if let Some((_, _, until)) = &mut node.pause {
                *until = now;
            }
        }
    }

    fn open(&mut self) {
        let group = self.random.index(self.active.len());
        self.opened += 1;
        let number = self.opened;
        let protocol = self.random.one(&Protocol::ALL);
        let port = 1024 + (number % 60_000) as u16;
        let id = Identity {
            src6: Ipv6Addr::from((0x2001_0db8_u128 << 96) | u128::from(number)),
            src6_port: port,
            src4: Ipv4Addr::new(198, 51, 100, 1 + group as u8),
            src4_port: port,
            dst4: Ipv4Addr::new(192, 0, 2, 8),
            dst4_port: if protocol == Protocol::Icmp {
                port
            } else {
                443
            },
            protocol,
        };
        let length = self.random.one(&[1, 200, 3_000, 30_000, 60_000]);
        self.flows.push(Flow {
            id,
            group,
            pace: self.random.within(self.paces.0, self.paces.1),
            next: self.now,
            end: self.now + length,
            opened: false,
        });
    }

    fn translate(&mut self) {
        if self.flows.len() < self.most_flows && self.random.permille(100) {
            self.open();
        }
        let mut flows = std::mem::take(&mut self.flows);
        flows.retain_mut(|flow| {
            if flow.next > self.now {
                return true;
            }
            flow.next = self.now + 1 + self.random.within(0, 2 * flow.pace);
            let node = self.active[flow.group];
            let own = self.nodes[node].own(self.now);
            let translates = self.nodes[node].translates();
            let kernel = self.nodes[node].kernel.as_mut().filter(|_| translates);
            let Some(kernel) = kernel else {
                return flow.end > self.now;
            };
            let segment = if flow.opened {
                match self.random.within(0, 39) {
                    0 => Segment::Fin6,
                    1 => Segment::Fin4,
                    2 => Segment::Reset,
                    3..12 => Segment::Syn4,
                    12 => Segment::Syn6,
                    _ => Segment::Data,
                }
            } else {
                self.random
                    .one(&[Segment::Syn6, Segment::Syn6, Segment::Syn4])
            };
            flow.opened = true;
            let Some(known) = kernel.translate(own, flow.id, segment) else {
                return false;
            };
            let changes = self.changes.entry(flow.id).or_default();
            changes.retain(|change| change.node != node || change.state != known.state);
            changes.push(Change {
                node,
                at: self.now,
                state: known.state,
                timer: known.timer,
                expires: self.now + known.expires - own,
            });
            flow.end > self.now
        });
        self.flows = flows;
    }

    /// A stock peer tells of a session of its own, in one format or another.
    fn speak_stock(&mut self) {
        if !self.stock || !self.random.permille(20) {
            return;
        }
        let number = self.random.within(1, 20) as u16;
        let session = Session {
            id: Identity {
                src6: Ipv6Addr::from((0x2001_0db8_0001_u128 << 80) | u128::from(number)),
                src6_port: number,
                src4: Ipv4Addr::new(198, 51, 100, 200),
                src4_port: number,
                dst4: Ipv4Addr::new(192, 0, 2, 8),
                dst4_port: 53,
                protocol: Protocol::Udp,
            },
            state: State::Established,
            timer: Timer::Established,
            lifetime: self.nodes[0].timeouts.udp,
        };
        let mut run = Vec::new();
        let format = self.random.one(&Format::ALL);
        format.write(&session, &Prefix::WELL_KNOWN, &mut run);
        let from = self.nodes.len();
        self.network
            .send(&mut self.random, self.now, from, None, &run);
    }

    /// Whether a session had ended by then.
    fn was_over(changes: &[Change], then: u64) -> bool {
        changes.last().is_some_and(|last| last.expires < then)
    }

    fn check_rollbacks(&mut self) {
        let keeps_ended = self.keeps_ended;
        if self.may_be_degraded {
            return;
        }
        for node in &mut self.nodes {
            // Another state that the Jool that translates said last is news, even if it expires sooner
            // than what it said before: a Jool that came back empty, and translated before it was told of the
            // session, does that.
            let (changes, removed) = (&self.changes, &self.removed);
            let is_news = |rollback: &Rollback| {
                let all = changes.get(&rollback.id).map_or(&[][..], Vec::as_slice);
                if Self::was_over(all, keeps_ended) || removed.contains_key(&rollback.id) {
                    return true;
                }
                let last = changes.get(&rollback.id).and_then(|changes| changes.last());
                let (had, got) = (&rollback.had, &rollback.got);
                (had.state, had.timer) != (got.state, got.timer)
                    && last.is_some_and(|last| (last.state, last.timer) == (got.state, got.timer))
            };
            if let Some(rollback) = node.rollbacks.iter().find(|it| !is_news(it)) {
                panic!(
                    "seed {}: at {} node {} lost what it had: {rollback:?} {:?}",
                    self.seed,
                    self.now,
                    node.index,
                    self.changes.get(&rollback.id)
                );
            }
            node.rollbacks.clear();
        }
    }

    /// Nobody says that all is here who knows better.
    fn check_states(&self) {
        for node in self.nodes.iter().filter(|node| node.pause.is_none()) {
            let Some(engine) = &node.engine else { continue };
            let status = engine.status(self.clock.at(node.own(self.now)));
            if matches!(engine.state(), NodeState::Synced | NodeState::Alone) {
                let present = status.peers.iter().filter(|peer| peer.present);
                let missing: u64 = present.map(|peer| peer.missing).sum();
                assert!(missing == 0 && status.reasons.is_empty(), "{status:?}");
            }
        }
    }

    /// What the nodes do not agree about.
    fn disagreement(&self) -> Option<String> {
        for node in &self.nodes {
            if node.state() != Some(NodeState::Synced) && !self.may_be_degraded {
                let status = node
                    .engine
                    .as_ref()
                    .map(|e| e.status(self.clock.at(node.own(self.now))));
                return Some(format!(
                    "node {} is {:?}: {status:?}",
                    node.index,
                    node.state()
                ));
            }
        }
        let kernels = || {
            self.nodes
                .iter()
                .filter(|node| node.state() == Some(NodeState::Synced))
                .filter_map(|node| Some((node, node.kernel.as_ref()?)))
        };
        let timeouts = self.nodes[0].timeouts;
        let paused: u64 = self.nodes.iter().map(|node| node.paused).sum();
        for (node, kernel) in kernels() {
            let index = node.index;
            let now = node.own(self.now);
            for (id, here) in &kernel.table {
                let timeout = timeouts.of(id.protocol, here.timer);
                // Lifetimes stand still with a machine.
                let tolerance =
                    self.tolerance + SLACK + paused + REFRESH.min(u64::from(timeout / 6));
                if here.expires <= now + tolerance || id.src4.octets()[3] == 200 {
                    continue;
                }
                let changes = self.changes.get(id).map_or(&[][..], Vec::as_slice);
                if Self::was_over(changes, self.keeps_ended) {
                    continue;
                }
                for (other, kernel) in kernels() {
                    let there_now = other.own(self.now);
                    let there = kernel.find(there_now, id);
                    let agrees = there.is_some_and(|there| {
                        (there.state, there.timer) == (here.state, here.timer)
                            && (there.expires + now).abs_diff(here.expires + there_now) <= tolerance
                    });
                    if !agrees {
                        return Some(format!(
                            "at {} of {id:?} node {index} has {here:?}, node {} {there:?}; {:?}",
                            self.now,
                            other.index,
                            self.changes.get(id)
                        ));
                    }
                }
            }
        }
        None
    }
}
