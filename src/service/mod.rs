//! The running daemon: one loop around this node's Jool, the network and the engine between them.

mod counters;
mod journal;
mod statistics;

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep_until;
use tracing::{debug, error, info, warn};

use crate::config::Config;
use crate::jool::{Instance, Jool, Received, Refusal, Unavailable};
use crate::net::{Destination, InterfaceEvent, Network, OpenError, Outbox};
use crate::replication::Engine;

pub use counters::Counters;
pub use journal::log_to_stderr;
use statistics::Statistics;

/// How often the instance is looked for, and its settings are looked at. Nothing tells when they
/// change.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long after the last record the module is still asked for more, every flush interval: longer
/// than its own timer of 2 s, which finds what came later.
const BUSY: Duration = Duration::from_secs(3);
/// Packets read from Jool, and batches of datagrams from the network, before the other side gets
/// its turn. Generous, because what is read together is sorted together: the module inserts a
/// session by walking from the one that expires last, so 50,000 sessions in the order of its own
/// table cost it seconds and in the order of expiry a fraction of one.
const JOOL_BUDGET: usize = 2048;
const NETWORK_BUDGET: usize = 64;
/// How often dropped records are reported, if there are any.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Why the daemon ended by itself. Each has an exit status of sysexits(3).
#[derive(Debug)]
pub enum Failure {
    /// There was no Jool instance to work with in time.
    Jool(Unavailable),
    /// The UDP socket could not be opened.
    Network(OpenError),
    /// The statistics address cannot be listened on.
    Statistics(std::net::SocketAddr, io::Error),
    /// The system refused something that the daemon cannot do without.
    System(&'static str, io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jool(reason) => reason.fmt(f),
            Self::Network(reason) => reason.fmt(f),
            Self::Statistics(address, reason) => write!(
                f,
                "the statistics address {address} cannot be listened on: {reason}; change or \
                 remove \"statistics address\""
            ),
            Self::System(what, reason) => write!(f, "{what} failed: {reason}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Jool(reason) => Some(reason),
            Self::Network(reason) => Some(reason),
            Self::Statistics(_, reason) | Self::System(_, reason) => Some(reason),
        }
    }
}

impl Failure {
    /// The exit status: 69 no Jool, 77 not permitted, 71 anything else.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Jool(Unavailable::Permission) => 77,
            Self::Jool(_) => 69,
            Self::Network(_) | Self::Statistics(..) | Self::System(..) => 71,
        }
    }
}

/// What the daemon is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no Jool instance to work with, for this reason. Nothing is synchronised.
    Waiting(String),
    /// Sessions go both ways.
    Running(Instance),
}

/// The daemon as others may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What it is about.
    pub state: State,
    /// What it counted.
    pub counters: Counters,
}

/// One node: its Jool, its network, and what is between them.
pub struct Node<J> {
    jool: J,
    network: Network,
    statistics: Option<Statistics>,
    engine: Engine,
    outbox: Outbox,
    /// The datagram or the run of records under construction.
    buffer: Vec<u8>,
    flush_interval: Duration,
    /// When a first attachment is given up; `None`: never, or it happened.
    give_up: Option<Instant>,
    attached: bool,
    /// Until when Jool is asked for more records.
    busy_until: Instant,
    next_acknowledgement: Instant,
    next_check: Instant,
    counters: Counters,
    reported: Counters,
    last_refusal: Option<String>,
    next_report: Instant,
    snapshot: watch::Sender<Snapshot>,
}

impl<J: Jool> Node<J> {
    /// Opens the sockets of a node. Needs a tokio runtime.
    pub fn open(config: &Config, jool: J) -> Result<Self, Failure> {
        let network = Network::open(&config.network).map_err(Failure::Network)?;
        let statistics = match config.statistics {
            Some(address) => Some(
                Statistics::open(address).map_err(|error| Failure::Statistics(address, error))?,
            ),
            None => None,
        };
        let now = Instant::now();
        let starting = State::Waiting("starting".to_owned());
        Ok(Self {
            jool,
            network,
            statistics,
            engine: Engine::new(config.record_format),
            outbox: Outbox::new(),
            buffer: Vec::with_capacity(crate::jool::MAX_RUN),
            flush_interval: config.jool.flush_interval,
            give_up: config.wait.map(|wait| now + wait),
            attached: false,
            busy_until: now,
            next_acknowledgement: now,
            next_check: now,
            counters: Counters::default(),
            reported: Counters::default(),
            last_refusal: None,
            next_report: now,
            snapshot: watch::Sender::new(Snapshot {
                state: starting,
                counters: Counters::default(),
            }),
        })
    }

    /// The node as it is now, and as it changes.
    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    /// The network, for what it found when it was opened.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Runs until `stop` is done, or until there is no point in going on.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Failure> {
        tokio::pin!(stop);
        loop {
            self.check_if_due()?;
            self.pass();
            match self.wait(&mut stop).await? {
                Turn::Stop => break,
                Turn::Jool => self.read_jool(),
                Turn::Network => self.read_network(),
                Turn::Writable => {}
                Turn::Acknowledge => self.acknowledge(),
                Turn::Check => self.next_check = Instant::now(),
                Turn::Interfaces => self.refresh_interfaces(),
                Turn::Statistics => self.answer_statistics(),
            }
        }
        self.pass();
        self.count();
        info!("stops; {}", self.counters);
        Ok(())
    }

    /// Brings the counters up to date with those that others keep.
    fn count(&mut self) {
        self.counters.engine = *self.engine.counters();
        self.counters.network = self.network.counters();
    }

    /// Waits for the next thing to do.
    async fn wait(
        &mut self,
        stop: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Turn, Failure> {
        let Self {
            jool,
            network,
            statistics,
            outbox,
            ..
        } = self;
        // What Jool emits stays in its queue while the network takes nothing.
        let sending = !outbox.is_empty();
        let busy = self.attached && self.next_acknowledgement <= self.busy_until;
        let turn = tokio::select! {
            () = stop => Turn::Stop,
            ready = jool.readable(), if !sending => {
                ready.map_err(|error| Failure::System("waiting for Jool", error))?;
                Turn::Jool
            }
            ready = network.readable() => {
                ready.map_err(|error| Failure::System("waiting for datagrams", error))?;
                Turn::Network
            }
            ready = network.writable(), if sending => {
                ready.map_err(|error| Failure::System("waiting to send", error))?;
                Turn::Writable
            }
            () = sleep_until(self.next_acknowledgement.into()), if busy => Turn::Acknowledge,
            () = sleep_until(self.next_check.into()) => Turn::Check,
            changed = network.interfaces_changed() => {
                changed.map_err(|error| Failure::System("watching the interfaces", error))?;
                Turn::Interfaces
            }
            () = statistics::asked(statistics.as_ref()) => Turn::Statistics,
        };
        Ok(turn)
    }

    fn read_jool(&mut self) {
        let now = Instant::now();
        for _ in 0..JOOL_BUDGET {
            if self.engine.is_full() {
                break;
            }
            let engine = &mut self.engine;
            match self.jool.receive(|run| engine.handle_local(run)) {
                Received::Nothing => break,
                Received::Records(bytes) => {
                    self.counters.jool_packets += 1;
                    self.counters.jool_bytes += bytes as u64;
                    self.busy_until = now + BUSY;
                    self.next_acknowledgement = now + self.flush_interval;
                }
                Received::Other => {}
                Received::Overflow => self.counters.jool_overflows += 1,
                Received::Malformed => self.counters.jool_malformed += 1,
                Received::ModuleChanged => self.next_check = now,
                Received::Failed(kind) => {
                    self.counters.jool_failures += 1;
                    debug!("reading from Jool failed: {kind}");
                    break;
                }
            }
        }
    }

    fn read_network(&mut self) {
        let now = Instant::now();
        for _ in 0..NETWORK_BUDGET {
            let engine = &mut self.engine;
            match self.network.receive(|datagram| {
                engine.handle_datagram(now, datagram.from, datagram.bytes);
            }) {
                Ok(0) => break,
                Ok(_) if self.engine.is_full() => break,
                Ok(_) => {}
                Err(error) => {
                    debug!("receiving failed: {error}");
                    break;
                }
            }
        }
    }

    /// Sends and applies everything that is ready.
    fn pass(&mut self) {
        while self.engine.poll_transmit(&mut self.buffer) {
            self.outbox.push(Destination::Everyone, &self.buffer);
        }
        if !self.outbox.is_empty() {
            self.network.send(&mut self.outbox);
        }
        while self.engine.poll_inject(&mut self.buffer) {
            let bytes = self.buffer.len() as u64;
            match self.jool.add(&self.buffer) {
                Ok(()) => {
                    self.counters.added_packets += 1;
                    self.counters.added_bytes += bytes;
                }
                Err(refusal) => {
                    self.counters.add_refusals += 1;
                    self.refused(&refusal);
                }
            }
        }
    }

    fn acknowledge(&mut self) {
        self.next_acknowledgement = Instant::now() + self.flush_interval;
        if let Err(refusal) = self.jool.acknowledge() {
            self.counters.acknowledge_refusals += 1;
            self.refused(&refusal);
        }
    }

    /// Keeps what Jool said for the report of drops. If the instance may be gone, that is checked at
    /// once, since the module logs each request to an instance that is not there.
    fn refused(&mut self, refusal: &Refusal) {
        if self.attached && refusal.is_absence() {
            self.next_check = Instant::now();
        } else {
            self.last_refusal = Some(refusal.to_string());
        }
    }

    fn check_if_due(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if now < self.next_check {
            return Ok(());
        }
        self.next_check = now + CHECK_INTERVAL;
        match self.jool.attach() {
            Ok(instance) => self.attached_to(instance, now),
            Err(reason) => self.detached_from(reason, now)?,
        }
        self.count();
        self.report_drops(now);
        let counters = &self.counters;
        self.snapshot.send_if_modified(|snapshot| {
            let changed = snapshot.counters != *counters;
            snapshot.counters.clone_from(counters);
            changed
        });
        Ok(())
    }

    fn attached_to(&mut self, mut instance: Instance, now: Instant) {
        let repairs = std::mem::take(&mut instance.repairs);
        let name = journal::instance(&instance);
        if !self.attached {
            self.attached = true;
            self.give_up = None;
            // Something may wait in the module's queue for somebody to ask.
            self.busy_until = now + BUSY;
            self.next_acknowledgement = now;
            info!("attached to {name}");
            if !repairs.is_empty() {
                info!("set in Jool: {}", journal::list(&repairs));
            }
        } else if !repairs.is_empty() {
            self.counters.repairs += 1;
            warn!(
                "somebody changed settings of the Jool instance that session synchronisation \
                 needs; set again: {}. Sessions translated meanwhile may be missing on the other \
                 nodes until their next packet",
                journal::list(&repairs)
            );
        }
        let state = State::Running(instance);
        if self.snapshot.borrow().state != state {
            if let State::Running(instance) = &state {
                self.engine.handle_attached(instance);
            }
            self.snapshot.send_modify(|snapshot| snapshot.state = state);
        }
    }

    fn detached_from(&mut self, reason: Unavailable, now: Instant) -> Result<(), Failure> {
        let lost = self.attached;
        if lost {
            self.attached = false;
            self.engine.handle_detached();
            error!("Jool is lost, no sessions are synchronised until it is back: {reason}");
        } else if !reason.may_pass() || self.give_up.is_some_and(|give_up| give_up <= now) {
            return Err(Failure::Jool(reason));
        }
        if let Some(give_up) = self.give_up {
            self.next_check = self.next_check.min(give_up);
        }
        let text = reason.to_string();
        let state = State::Waiting(text.clone());
        if self.snapshot.borrow().state != state {
            if !lost {
                let limit = self
                    .give_up
                    .map(|give_up| give_up.saturating_duration_since(now));
                warn!("waiting for Jool{}: {text}", journal::limit(limit));
            }
            self.snapshot.send_modify(|snapshot| snapshot.state = state);
        }
        Ok(())
    }

    /// Tells what was dropped since the last time, at the first drop at once and then every minute.
    fn report_drops(&mut self, now: Instant) {
        if now < self.next_report {
            return;
        }
        if let Some(drops) = self.counters.drops_since(&self.reported) {
            warn!("dropped: {drops}");
            if let Some(refusal) = self.last_refusal.take() {
                warn!("{refusal}");
            }
            if let Some(failure) = self.counters.network.last_failure {
                warn!("{failure}");
            }
            self.reported = self.counters;
            self.next_report = now + REPORT_INTERVAL;
        }
    }

    fn refresh_interfaces(&mut self) {
        for event in self.network.refresh() {
            match event {
                InterfaceEvent::Returned(_) => info!("{event}"),
                InterfaceEvent::Lost { .. } | InterfaceEvent::Failed(_) => error!("{event}"),
            }
        }
    }

    fn answer_statistics(&mut self) {
        self.count();
        if let Some(statistics) = &mut self.statistics {
            statistics.answer(&self.counters);
        }
    }
}

enum Turn {
    Stop,
    Jool,
    Network,
    Writable,
    Acknowledge,
    Check,
    Interfaces,
    Statistics,
}
