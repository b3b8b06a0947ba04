//! Engines with made-up Jools on a network of which everything can be set, link by link.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use joold::jool::{Instance, Version};
use joold::replication::{Engine, MAX_FRAME, Settings, State, Transmit};
use joold::session::{
    Format, Identity, Pool4, Prefix, Protocol, Session, State as TcpState, Timeouts, Timer,
};

use super::kernel::{Kernel, Segment};
use super::random::Random;

/// When it arrives, which one it is, from whom, to whom, and what.
type UnderWay = (u64, u64, usize, usize, Vec<u8>);

pub(crate) type Link = Box<dyn FnMut(&Sent<'_>, &mut Random) -> Option<u64>>;

pub(crate) struct Sent<'a> {
    pub(crate) now: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) frames: [u64; 4],
    pub(crate) bytes: [u64; 4],
}

pub(crate) const DATA: usize = 0;
pub(crate) const HELLO: usize = 1;
pub(crate) const REQUEST: usize = 2;
pub(crate) const REPLAY: usize = 3;

pub(crate) fn kind(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"\xff\xffjd") {
        usize::from(bytes[5]).min(3)
    } else {
        DATA
    }
}

pub(crate) struct Member {
    pub(crate) settings: Settings,
    pub(crate) engine: Option<Engine>,
    pub(crate) kernel: Kernel,
    pub(crate) instance: Instance,
    /// For how long its machine stood still.
    pub(crate) stood: u64,
    pub(crate) suspended: bool,
    inbox: VecDeque<(usize, Vec<u8>)>,
    pub(crate) inbox_limit: usize,
    /// Datagrams it can read in a millisecond.
    pub(crate) per_ms: usize,
    pub(crate) overflowed: u64,
    dump: Option<Option<Identity>>,
    pub(crate) sent: Traffic,
    /// What its hellos say that has to come back with questions.
    pub(crate) proof: u32,
}

pub(crate) struct Lab {
    base: Instant,
    pub(crate) now: u64,
    pub(crate) members: Vec<Member>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    number: u64,
    pub(crate) random: Random,
    pub(crate) link: Link,
    /// Whether what is meant for one reaches that one only.
    pub(crate) unicast: bool,
    pub(crate) delivered: Traffic,
    /// What was translated last, by whom.
    pub(crate) truth: BTreeMap<Identity, (usize, TcpState, Timer)>,
}

pub(crate) fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, u8::try_from(index + 1).unwrap()], 6400))
}

pub(crate) fn id(number: u32, protocol: Protocol) -> Identity {
    let port = 1024 + (number % 60_000) as u16;
    Identity {
        src6: Ipv6Addr::from((0x2001_0db8_u128 << 96) | u128::from(number)),
        src6_port: port,
        src4: Ipv4Addr::from(0xc633_6400 + number / 60_000),
        src4_port: port,
        dst4: Ipv4Addr::new(192, 0, 2, 8),
        dst4_port: if protocol == Protocol::Icmp {
            port
        } else {
            443
        },
        protocol,
    }
}

impl Lab {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            base: Instant::now(),
            now: 0,
            members: Vec::new(),
            under_way: BinaryHeap::new(),
            number: 0,
            random: Random::new(seed),
            link: Box::new(|_, _| Some(0)),
            unicast: false,
            delivered: Traffic::default(),
            truth: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, tweak: impl FnOnce(&mut Settings, &mut Instance)) -> usize {
        let version = Version::supported("4.1.13").unwrap();
        let index = self.members.len();
        let mut settings = Settings {
            node: index as u64 + 1,
            epoch: (1 << 41) + self.now,
            name: format!("n{index}"),
            ..Settings::default()
        };
        let mut instance = Instance {
            name: "default".to_owned(),
            version,
            format: version.format(),
            pool6: Prefix::WELL_KNOWN,
            is_paused: false,
            pool4: Pool4::everything(),
            settings: Vec::new(),
            timeouts: Timeouts::default(),
            repairs: Vec::new(),
            unrepaired: None,
        };
        tweak(&mut settings, &mut instance);
        let kernel = Kernel::new(instance.format, instance.timeouts, 1_000_000);
        self.members.push(Member {
            settings,
            engine: None,
            kernel,
            instance,
            stood: 0,
            suspended: false,
            inbox: VecDeque::new(),
            inbox_limit: usize::MAX,
            per_ms: usize::MAX,
            overflowed: 0,
            dump: None,
            sent: Traffic::default(),
            proof: 0,
        });
        self.start(index);
        index
    }

    pub(crate) fn group(&mut self, count: usize) {
        for _ in 0..count {
            self.add(|_, _| ());
        }
    }

    pub(crate) fn at(&self, index: usize) -> Instant {
        self.base + Duration::from_millis(self.now - self.members[index].stood)
    }

    /// The daemon starts; its Jool goes on.
    pub(crate) fn start(&mut self, index: usize) {
        let at = self.at(index);
        let member = &mut self.members[index];
        let mut engine = Engine::new(at, member.settings.clone());
        engine.handle_attached(at, &member.instance);
        member.engine = Some(engine);
        member.inbox.clear();
        member.dump = None;
    }

    pub(crate) fn engine(&mut self, index: usize) -> &mut Engine {
        self.members[index].engine.as_mut().unwrap()
    }

    pub(crate) fn state(&self, index: usize) -> State {
        self.members[index].engine.as_ref().unwrap().state()
    }

    pub(crate) fn status(&self, index: usize) -> joold::replication::Status {
        self.members[index]
            .engine
            .as_ref()
            .unwrap()
            .status(self.at(index))
    }

    /// A packet of a session.
    pub(crate) fn translate(&mut self, index: usize, id: Identity, segment: Segment) {
        let now = self.now - self.members[index].stood;
        if let Some(known) = self.members[index].kernel.translate(now, id, segment) {
            self.truth.insert(id, (index, known.state, known.timer));
        }
    }

    pub(crate) fn open(&mut self, index: usize, numbers: std::ops::Range<u32>, protocol: Protocol) {
        for number in numbers {
            let id = id(number, protocol);
            self.translate(index, id, Segment::Syn6);
            if protocol == Protocol::Tcp {
                self.translate(index, id, Segment::Syn4);
            }
        }
    }

    /// What a Jool has of a session.
    pub(crate) fn jool(&self, index: usize, id: &Identity) -> Option<(TcpState, Timer, u64)> {
        let now = self.now - self.members[index].stood;
        let known = self.members[index].kernel.find(now, id)?;
        Some((known.state, known.timer, known.expires - now))
    }

    pub(crate) fn count(&self, index: usize) -> usize {
        let now = self.now - self.members[index].stood;
        self.members[index]
            .kernel
            .table
            .values()
            .filter(|known| known.expires > now)
            .count()
    }

    pub(crate) fn push(&mut self, delay: u64, from: usize, to: usize, bytes: Vec<u8>) {
        self.number += 1;
        self.under_way
            .push(Reverse((self.now + delay, self.number, from, to, bytes)));
    }

    pub(crate) fn reset_traffic(&mut self) {
        self.delivered = Traffic::default();
        for member in &mut self.members {
            member.sent = Traffic::default();
        }
    }

    pub(crate) fn total(&self) -> Traffic {
        let mut total = Traffic::default();
        for member in &self.members {
            for kind in 0..4 {
                total.frames[kind] += member.sent.frames[kind];
                total.bytes[kind] += member.sent.bytes[kind];
            }
        }
        total
    }

    /// Until it is so, but no longer than that; says how long it took.
    pub(crate) fn until(&mut self, most: u64, mut what: impl FnMut(&Self) -> bool) -> Option<u64> {
        let begin = self.now;
        while self.now < begin + most {
            if what(self) {
                return Some(self.now - begin);
            }
            self.turn();
        }
        what(self).then_some(self.now - begin)
    }

    pub(crate) fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.turn();
        }
    }

    pub(crate) fn turn(&mut self) {
        while self
            .under_way
            .peek()
            .is_some_and(|next| next.0.0 <= self.now)
        {
            let (_, _, from, to, bytes) = self.under_way.pop().unwrap().0;
            let member = &mut self.members[to];
            if member.inbox.len() >= member.inbox_limit {
                member.overflowed += 1;
            } else if member.engine.is_some() {
                self.delivered.frames[kind(&bytes)] += 1;
                self.delivered.bytes[kind(&bytes)] += bytes.len() as u64;
                member.inbox.push_back((from, bytes));
            }
        }
        let mut buffer = Vec::new();
        let mut out = Vec::new();
        for index in 0..self.members.len() {
            let at = self.at(index);
            let now = self.now - self.members[index].stood;
            let member = &mut self.members[index];
            if member.suspended {
                member.stood += 1;
                continue;
            }
            let Some(engine) = &mut member.engine else {
                continue;
            };
            let count = member.inbox.len().min(member.per_ms);
            for (from, bytes) in member.inbox.drain(..count) {
                engine.handle_datagram(at, address(from), &bytes);
            }
            if now.is_multiple_of(10) {
                while member.kernel.packet(now, &mut buffer) {
                    engine.handle_local(at, &buffer);
                }
            }
            if engine.wants_audit() {
                engine.begin_audit(at);
                member.dump = Some(None);
            }
            // A page of 26 each ms would take long: 40 of them.
            for _ in 0..40 {
                let Some(after) = member.dump else { break };
                let next = member
                    .kernel
                    .dump(now, after, |session| engine.handle_dumped(at, session));
                member.dump = next.map(Some);
                if next.is_none() {
                    engine.end_audit(true);
                }
            }
            for _ in 0..64 {
                if engine.poll_timeout().is_none_or(|due| due <= at) {
                    engine.handle_timeout(at);
                } else {
                    break;
                }
                if engine.poll_timeout().is_some() {
                    break;
                }
            }
            for _ in 0..512 {
                let Some(to) = engine.poll_transmit(at, &mut buffer) else {
                    break;
                };
                assert!(buffer.len() <= MAX_FRAME);
                if kind(&buffer) == HELLO {
                    member.proof = u32::from_be_bytes(*buffer[45..].first_chunk().unwrap());
                }
                member.sent.frames[kind(&buffer)] += 1;
                member.sent.bytes[kind(&buffer)] += buffer.len() as u64;
                out.push((index, to, buffer.clone()));
            }
            while engine.poll_inject(at, &mut buffer) {
                member.kernel.add(now, &buffer, u64::MAX / 4);
            }
            while engine.poll_event().is_some() {}
        }
        for (from, to, bytes) in out {
            let only = match to {
                Transmit::Everyone => None,
                Transmit::One(to) => (0..self.members.len()).find(|index| address(*index) == to),
            };
            for to in 0..self.members.len() {
                if to == from || self.unicast && only.is_some_and(|only| only != to) {
                    continue;
                }
                let sent = Sent {
                    now: self.now,
                    from,
                    to,
                    bytes: &bytes,
                };
                if let Some(delay) = (self.link)(&sent, &mut self.random) {
                    self.push(delay, from, to, bytes.clone());
                }
            }
        }
        self.now += 1;
    }

    /// A run of records as a stock peer sends it.
    pub(crate) fn stock(&mut self, to: usize, sessions: &[Session]) {
        let mut run = Vec::new();
        for session in sessions {
            Format::Flat40.write(session, &Prefix::WELL_KNOWN, &mut run);
        }
        let at = self.at(to);
        self.engine(to)
            .handle_datagram(at, SocketAddr::from(([192, 0, 2, 250], 6400)), &run);
    }
}
