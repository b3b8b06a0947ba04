//! A node: a machine with a Jool and a daemon, each of which may be missing, and what the daemon's
//! event loop does between them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use joold::jool::{Instance, MAX_RUN, Version};
use joold::replication::{Engine, MAX_FRAME, Settings, State, Transmit};
use joold::session::{Identity, Pool4, Prefix, Timeouts};

use super::kernel::{Kernel, Rollback};
use super::network::Network;
use super::random::Random;

/// How long the module collects records.
const FLUSH: u64 = 10;
/// Datagrams in one turn.
const BUDGET: usize = 64;
/// Datagrams that wait in a socket.
const SOCKET: usize = 2_000;

pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn at(&self, now: u64) -> Instant {
        self.0 + Duration::from_millis(now)
    }
}

/// What stands still for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// The machine, and its clock with it.
    Machine,
    /// The daemon. What it is told waits in its sockets.
    Daemon,
}

pub(crate) struct Node {
    pub(crate) index: usize,
    pub(crate) version: Version,
    pub(crate) timeouts: Timeouts,
    pub(crate) kernel: Option<Kernel>,
    pub(crate) engine: Option<Engine>,
    /// Whether the machine runs.
    pub(crate) is_up: bool,
    /// When the daemon, or the machine, or Jool, is back.
    pub(crate) daemon_back: Option<u64>,
    pub(crate) jool_back: Option<u64>,
    /// What its clock is ahead of the others'.
    pub(crate) skew: u64,
    /// When it last ran, and heard all others.
    pub(crate) informed: u64,
    /// When its daemon or its Jool last began or ended.
    pub(crate) since: u64,
    /// An operator told its Jool not to translate, or took pool4 away, until then.
    pub(crate) is_paused: Option<u64>,
    pub(crate) lacks_pool4: Option<u64>,
    /// When the operator says `jooldctl resync`.
    pub(crate) resync: Option<u64>,
    /// What stands still, since when and until when.
    pub(crate) pause: Option<(Pause, u64, u64)>,
    /// For how long its clock stood still.
    stood: u64,
    /// For how long, in all, something of it stood still.
    pub(crate) paused: u64,
    /// What waits in its sockets.
    runs: VecDeque<Vec<u8>>,
    datagrams: VecDeque<(usize, Vec<u8>)>,
    dump: Option<Option<Identity>>,
    /// Whether what was dumped so far is to be thrown away.
    pub(crate) dump_fails: bool,
    pub(crate) capacity: usize,
    pub(crate) most_sessions: usize,
    told_drops: u64,
    look_at_drops: u64,
    /// The engine was told of a loss that no audit has looked for from the beginning.
    loss: bool,
    loss_in_audit: bool,
    audits: u64,
    buffer: Vec<u8>,
    pub(crate) rollbacks: Vec<Rollback>,
    pub(crate) tolerance: u64,
    /// Whether what is meant for one reaches that one only.
    pub(crate) unicast: bool,
    /// Datagrams that wait in its socket, and that it reads in a ms.
    pub(crate) socket: usize,
    pub(crate) reads: usize,
}

pub(crate) fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, u8::try_from(index + 1).unwrap()], 6400))
}

impl Node {
    pub(crate) fn new(index: usize, version: Version, timeouts: Timeouts, capacity: usize) -> Self {
        Self {
            index,
            version,
            timeouts,
            kernel: None,
            engine: None,
            is_up: false,
            daemon_back: None,
            jool_back: None,
            skew: 0,
            informed: 0,
            since: 0,
            is_paused: None,
            lacks_pool4: None,
            resync: None,
            pause: None,
            stood: 0,
            paused: 0,
            runs: VecDeque::new(),
            datagrams: VecDeque::new(),
            dump: None,
            dump_fails: false,
            capacity,
            most_sessions: 100_000,
            told_drops: 0,
            look_at_drops: 0,
            loss: false,
            loss_in_audit: false,
            audits: 0,
            buffer: Vec::new(),
            rollbacks: Vec::new(),
            tolerance: 2_400,
            unicast: false,
            socket: SOCKET,
            reads: usize::MAX,
        }
    }

    /// What its own clock says.
    pub(crate) fn own(&self, now: u64) -> u64 {
        let stands = match self.pause {
            Some((Pause::Machine, since, _)) => now - since,
            _ => 0,
        };
        now - self.stood - stands
    }

    /// Whether it translates what comes.
    pub(crate) fn translates(&self) -> bool {
        let is_free = self.is_paused.is_none() && self.lacks_pool4.is_none();
        self.kernel.is_some() && is_free && !matches!(self.pause, Some((Pause::Machine, ..)))
    }

    /// Something of it stands still no longer.
    fn go_on(&mut self, now: u64) {
        if let Some((pause, since, _)) = self.pause.take() {
            self.paused += now - since;
            self.tolerance += now - since;
            if pause == Pause::Machine {
                self.stood += now - since;
            }
        }
    }

    /// A datagram has come.
    pub(crate) fn receive(&mut self, from: usize, bytes: Vec<u8>) {
        if self.engine.is_some() && self.datagrams.len() < self.socket {
            self.datagrams.push_back((from, bytes));
        }
    }

    fn instance(&self) -> Instance {
        Instance {
            name: "default".to_owned(),
            version: self.version,
            format: self.version.format(),
            pool6: Prefix::WELL_KNOWN,
            is_paused: self.is_paused.is_some(),
            pool4: if self.lacks_pool4.is_some() {
                Pool4::default()
            } else {
                Pool4::everything()
            },
            settings: Vec::new(),
            timeouts: self.timeouts,
            repairs: Vec::new(),
            unrepaired: None,
        }
    }

    pub(crate) fn start_daemon(&mut self, clock: &Clock, now: u64) {
        self.daemon_back = None;
        self.since = now;
        self.runs.clear();
        self.datagrams.clear();
        let own = self.own(now);
        let mut engine = Engine::new(
            clock.at(own),
            Settings {
                node: self.index as u64 + 1,
                // It is an age since zero, and no clock is so wrong.
                epoch: (1 << 41) + self.skew + now,
                name: format!("n{}", self.index),
                most_sessions: self.most_sessions,
                is_shared: !self.unicast,
                ..Settings::default()
            },
        );
        if self.kernel.is_some() {
            engine.handle_attached(clock.at(own), &self.instance());
        }
        self.engine = Some(engine);
        self.dump = None;
        self.audits = 0;
        (self.loss, self.loss_in_audit) = (false, false);
        self.told_drops = self.kernel.as_ref().map_or(0, |kernel| kernel.dropped);
    }

    /// The daemon dies. Its module's queue may go on or be lost.
    pub(crate) fn stop_daemon(&mut self, now: u64, random: &mut Random) {
        self.engine = None;
        self.since = now;
        if let Some(kernel) = &mut self.kernel
            && random.permille(500)
        {
            kernel.unheard();
        }
    }

    pub(crate) fn add_jool(&mut self, clock: &Clock, now: u64) {
        self.jool_back = None;
        self.since = now;
        self.told_drops = 0;
        let format = self.version.format();
        self.kernel = Some(Kernel::new(format, self.timeouts, self.capacity));
        let (instance, own) = (self.instance(), self.own(now));
        if let Some(engine) = &mut self.engine {
            engine.handle_attached(clock.at(own), &instance);
        }
    }

    pub(crate) fn remove_jool(&mut self, clock: &Clock, now: u64) {
        self.kernel = None;
        self.since = now;
        self.dump = None;
        self.runs.clear();
        let own = self.own(now);
        if let Some(engine) = &mut self.engine {
            engine.handle_detached(clock.at(own));
        }
    }

    /// One turn of the event loop.
    pub(crate) fn turn(
        &mut self,
        clock: &Clock,
        world_now: u64,
        random: &mut Random,
        network: &mut Network,
    ) {
        self.is_paused = self.is_paused.filter(|until| *until > world_now);
        self.lacks_pool4 = self.lacks_pool4.filter(|until| *until > world_now);
        let instance = self.instance();
        if self.pause.is_some_and(|(_, _, until)| until <= world_now) {
            self.go_on(world_now);
        }
        if let Some((Pause::Machine, ..)) = self.pause {
            return;
        }
        let now = self.own(world_now);
        let Some(engine) = &mut self.engine else {
            if let Some(kernel) = &mut self.kernel
                && now.is_multiple_of(500)
                && random.permille(500)
            {
                kernel.unheard();
            }
            return;
        };
        let instant = clock.at(now);
        if self.pause.is_none() && self.resync.is_some_and(|at| at <= world_now) {
            self.resync = None;
            engine.resync();
        }
        if let Some(kernel) = &mut self.kernel
            && now.is_multiple_of(FLUSH)
        {
            while kernel.packet(now, &mut self.buffer) {
                self.runs.push_back(self.buffer.clone());
            }
        }
        if self.pause.is_some() {
            return;
        }
        // Whatever waited longer: nobody says what is read first.
        let jool_first = random.permille(500);
        if jool_first {
            for run in self.runs.drain(..) {
                engine.handle_local(instant, &run);
            }
        }
        let reads = self.datagrams.len().min(self.reads);
        for (from, bytes) in self.datagrams.drain(..reads) {
            engine.handle_datagram(instant, address(from), &bytes);
        }
        for run in self.runs.drain(..) {
            engine.handle_local(instant, &run);
        }
        if let Some(kernel) = &mut self.kernel {
            if kernel.dropped > self.told_drops && self.look_at_drops == 0 {
                self.look_at_drops = now + random.within(1, 1000);
            }
            if self.look_at_drops != 0 && now >= self.look_at_drops {
                self.look_at_drops = 0;
                if kernel.dropped > self.told_drops && self.version.counts_drops() {
                    engine.handle_loss();
                    self.loss = true;
                }
                self.told_drops = kernel.dropped;
            }
            if engine.wants_audit() {
                engine.begin_audit(instant);
                self.loss_in_audit = std::mem::take(&mut self.loss);
                self.audits = engine.counters().audits;
                self.dump = Some(None);
            }
            if let Some(after) = self.dump
                && random.permille(700)
            {
                let next = kernel.dump(now, after, |session| {
                    engine.handle_dumped(instant, session);
                });
                self.dump = next.map(Some);
                if next.is_none() {
                    engine.end_audit(true);
                } else if std::mem::take(&mut self.dump_fails) {
                    self.dump = None;
                    engine.end_audit(false);
                    self.loss |= self.loss_in_audit;
                }
            }
        }
        while engine.poll_timeout().is_none_or(|at| at <= instant) {
            let before = engine.poll_timeout();
            engine.handle_timeout(instant);
            Self::transmit(
                engine,
                &mut self.buffer,
                self.index,
                clock,
                (now, world_now),
                random,
                network,
            );
            if before.is_some() && engine.poll_timeout().is_some() {
                break;
            }
        }
        if now.is_multiple_of(1000) && self.kernel.is_some() {
            engine.handle_attached(instant, &instance);
            engine.settle_doubts();
        }
        Self::transmit(
            engine,
            &mut self.buffer,
            self.index,
            clock,
            (now, world_now),
            random,
            network,
        );
        while engine.poll_inject(instant, &mut self.buffer) {
            assert!(self.buffer.len() <= MAX_RUN);
            if let Some(kernel) = &mut self.kernel {
                let rollbacks = kernel.add(now, &self.buffer, self.tolerance);
                self.rollbacks.extend(rollbacks);
            }
        }
        let mut events = 0;
        while engine.poll_event().is_some() {
            events += 1;
        }
        assert!(events <= 256, "events are bounded");
        if engine.counters().audits > self.audits {
            self.audits = engine.counters().audits;
            self.loss_in_audit = false;
        }
        if now.is_multiple_of(7) {
            let state = engine.state();
            if matches!(state, State::Synced | State::Alone) {
                assert!(
                    !self.loss && !self.loss_in_audit,
                    "node {} is {state} at {now} while its Jool's records were lost",
                    self.index
                );
            }
        }
    }

    fn transmit(
        engine: &mut Engine,
        buffer: &mut Vec<u8>,
        index: usize,
        clock: &Clock,
        (now, world_now): (u64, u64),
        random: &mut Random,
        network: &mut Network,
    ) {
        for _ in 0..BUDGET {
            let Some(transmit) = engine.poll_transmit(clock.at(now), buffer) else {
                break;
            };
            assert!(!buffer.is_empty() && buffer.len() <= MAX_FRAME);
            let only = match transmit {
                Transmit::Everyone => None,
                Transmit::One(to) => (0..32).find(|index| address(*index) == to),
            };
            network.send(random, world_now, index, only, buffer);
        }
    }

    pub(crate) fn state(&self) -> Option<State> {
        self.engine.as_ref().map(Engine::state)
    }
}
