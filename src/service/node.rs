//! The running daemon: one loop around this node's Jool, the network and the engine between them.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info, warn};

use super::alarm::Alarm;
use super::attachment::{ASKS, REFUSAL_CHECK};
use super::audit::Reading;
use super::control::{Command, Control, Request};
use super::events::{FailoverTold, Told};
use super::outlets::{Files, Outlets};
use super::snapshot::{Addresses, Configuration, Snapshot, State};
use super::statistics::{self, Statistics};
use super::systemd::Systemd;
use super::{Counters, Failure, identity, journal, messages};
use crate::config::{Config, Sources};
use crate::jool::{Jool, Received};
use crate::net::{self, Destination, InterfaceEvent, Network, OpenError, Outbox};
use crate::replication::{self, Engine, Transmit};

/// Packets read from Jool, and bytes from the network, before the other side gets its turn. Generous, because what is read together is sorted together: the module inserts a
/// session by walking from the one that expires last, so 50,000 sessions in the order of its own
/// table cost it seconds and in the order of expiry a fraction of one.
const JOOL_BUDGET: usize = 2048;
const NETWORK_BUDGET: usize = 3 << 20;
/// A timer that is late by more: the daemon, or the machine, stood still.
const STOOD_STILL: Duration = Duration::from_millis(100);
/// So many times the budgets are what can have waited then.
const CATCH_UP: usize = 4;
/// How much longer systemd is asked to wait while Jool is waited for; asked anew every second.
const START_EXTENSION: Duration = Duration::from_secs(10);
/// Datagrams that wait to be sent, and runs for our own Jool, before others get their turn.
const OUTBOX_BUDGET: usize = 512;
const INJECT_BUDGET: usize = 8;
/// A change of state that did not last so long is not shown.
const STATE_INTERVAL: Duration = Duration::from_millis(100);
/// How long a stop may take for what is under way.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);
/// How long a stop waits for questions about the last records: what is missing is asked for after
/// 10 ms.
const LAST_WORDS: Duration = Duration::from_millis(40);
/// How often dropped records are reported, if there are any.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// What a node is made of.
#[derive(Debug, Default)]
pub struct Setup {
    /// Its settings.
    pub config: Config,
    /// Where they came from and can be read again; `None`: they cannot.
    pub sources: Option<Sources>,
    /// A UDP socket to use in place of an own one, if it listens at the right place.
    pub socket: Option<OwnedFd>,
    /// Where it is kept and told whether the node is fit; `None`: nowhere.
    pub files: Option<Files>,
}

/// One node: its Jool, its network, and what is between them.
pub struct Node<J> {
    pub(super) config: Config,
    pub(super) sources: Option<Sources>,
    pub(super) jool: J,
    pub(super) network: Network,
    pub(super) statistics: Option<Statistics>,
    pub(super) engine: Engine,
    pub(super) outbox: Outbox,
    alarm: Alarm,
    /// The datagram or the run of records under construction.
    pub(super) buffer: Vec<u8>,
    /// When a first attachment is given up; `None`: never, or it happened.
    pub(super) give_up: Option<Instant>,
    pub(super) attached: bool,
    /// Whether it ever was.
    pub(super) was_attached: bool,
    /// Until when Jool is asked for more records, and when next.
    pub(super) asks_until: Instant,
    pub(super) next_acknowledgement: Instant,
    pub(super) next_check: Instant,
    /// Our own Jool's table is being read.
    pub(super) reading: Option<Reading>,
    pub(super) audit_not_before: Instant,
    /// Something is left to be done that waits for nothing.
    pub(super) unfinished: bool,
    /// Sessions that our own Jool had, and records that it had dropped, by the last check.
    pub(super) jool_sessions: u64,
    pub(super) jool_dropped: Option<u64>,
    /// The state that was last written to the log, and the one that was seen since when.
    pub(super) told_state: replication::State,
    pub(super) seen_state: (replication::State, Instant),
    pub(super) state_shown: Instant,
    pub(super) events: Told,
    pub(super) counters: Counters,
    pub(super) reported: Counters,
    pub(super) last_refusal: Option<String>,
    pub(super) next_report: Instant,
    pub(super) outlets: Outlets,
    /// Whether a failover was safe when that was last written to the log; and another answer, since when.
    pub(super) told_failover: Option<FailoverTold>,
    pub(super) systemd: Systemd,
    pub(super) snapshot: watch::Sender<Snapshot>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) control: Control,
}

impl<J: Jool> Node<J> {
    /// Opens the sockets of a node. Needs a tokio runtime.
    pub fn open(setup: Setup, jool: J) -> Result<Self, Failure> {
        let Setup {
            config,
            sources,
            socket,
            files,
        } = setup;
        let network = open_network(&config.network, socket).map_err(Failure::Network)?;
        let statistics = open_statistics(config.statistics, None)?;
        let now = Instant::now();
        let (commands, requests) = mpsc::channel(16);
        let engine = Engine::new(
            now,
            replication::Settings {
                is_drained: files.as_ref().is_some_and(Files::is_drained),
                resumes: files.as_ref().is_some_and(Files::was_fit),
                ..identity::settings(&config)
            },
        );
        let outlets = Outlets::new(files, config.gate.clone(), !Systemd::is_there());
        let snapshot = watch::Sender::new(Snapshot {
            state: State::Waiting("starting".to_owned()),
            since: SystemTime::now(),
            fitness_since: SystemTime::now(),
            instance: config.jool.instance.clone(),
            sessions: 0,
            addresses: addresses(&network, &config),
            configuration: Configuration {
                files: sources.iter().flat_map(Sources::files).collect(),
                loaded: SystemTime::now(),
                problems: String::new(),
            },
            status: engine.status(now),
            counters: Counters::default(),
            last_error: String::new(),
            outlet_problems: Vec::new(),
        });
        Ok(Self {
            jool,
            network,
            statistics,
            engine,
            outbox: Outbox::new(),
            alarm: Alarm::new().map_err(|error| Failure::System("setting up a timer", error))?,
            buffer: Vec::with_capacity(crate::jool::MAX_RUN),
            give_up: config.wait.map(|wait| now + wait),
            config,
            sources,
            attached: false,
            was_attached: false,
            asks_until: now,
            next_acknowledgement: now,
            next_check: now,
            reading: None,
            audit_not_before: now,
            unfinished: false,
            jool_sessions: 0,
            jool_dropped: None,
            told_state: replication::State::Waiting,
            seen_state: (replication::State::Waiting, now),
            state_shown: now,
            events: Told::new(now),
            counters: Counters::default(),
            reported: Counters::default(),
            last_refusal: None,
            next_report: now,
            outlets,
            told_failover: None,
            systemd: Systemd::default(),
            control: Control {
                commands,
                snapshot: snapshot.subscribe(),
            },
            snapshot,
            requests,
        })
    }

    /// A handle on the node, for while it runs.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// The network, for what it found when it was opened.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Runs until `stop` is done, or until there is no point in going on.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Failure> {
        tokio::pin!(stop);
        loop {
            self.catch_up();
            self.check_if_due()?;
            self.acknowledge_if_due();
            self.audit_more();
            self.pass();
            self.tell_events();
            self.publish_state();
            let turn = self.wait(&mut stop).await?;
            self.read_both();
            match turn {
                Turn::Stop => break,
                Turn::Interfaces => self.refresh_interfaces(),
                Turn::Statistics => self.answer_statistics(),
                Turn::Request((Command::Reload, outcome)) => {
                    // Whoever asked may be gone.
                    let _ = outcome.send(self.reload().map(|()| 0));
                }
                Turn::Request((Command::Advertise, outcome)) => self.advertise(outcome),
                Turn::Request((Command::Resync, outcome)) => self.resync(outcome),
                Turn::Request((Command::Verify, outcome)) => {
                    let _ = outcome.send(self.verify().map(|()| 0));
                }
                Turn::Request((Command::Drain { anyway }, outcome)) => {
                    let _ = outcome.send(self.drain_traffic(anyway).map(|()| 0));
                }
                Turn::Request((Command::Undrain, outcome)) => {
                    let _ = outcome.send(self.undrain_traffic().map(|()| 0));
                }
                Turn::Continue => {}
            }
        }
        self.systemd.stopping();
        self.drain().await;
        self.count();
        info!(
            MESSAGE_ID = messages::STOPPED.id,
            "stops; {}", self.counters
        );
        Ok(())
    }

    /// Announces what Jool has handed over already, as far as the network takes it, and answers those
    /// who lack something of it.
    async fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN_LIMIT;
        loop {
            self.read_jool();
            self.pass();
            let sending = !self.outbox.is_empty();
            if !(sending || self.unfinished) || Instant::now() >= deadline {
                break;
            }
            if sending {
                let writable = self.network.writable();
                let _ = tokio::time::timeout_at(deadline.into(), writable).await;
            }
        }
        self.engine.handle_stopping();
        self.pass();
        let deadline = Instant::now() + LAST_WORDS;
        // A socket that always has something is ready whatever the time is.
        while Instant::now() < deadline
            && let Ok(Ok(())) =
                tokio::time::timeout_at(deadline.into(), self.network.readable()).await
        {
            self.read_network();
            self.pass();
            tokio::task::yield_now().await;
        }
    }

    /// Brings the counters up to date with those that others keep.
    pub(super) fn count(&mut self) {
        self.counters.engine = *self.engine.counters();
        self.counters.network = self.network.counters();
    }

    /// Waits for the next thing to do.
    async fn wait(
        &mut self,
        stop: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Turn, Failure> {
        let asks = self.asks();
        let Self {
            jool,
            network,
            statistics,
            outbox,
            alarm,
            requests,
            ..
        } = self;
        let sending = !outbox.is_empty();
        let engine_timer = self.engine.poll_timeout();
        let at_once = engine_timer.is_none()
            || self.reading.is_some()
            || self.engine.has_injections()
            || self.unfinished && !sending;
        let timers = [
            engine_timer,
            Some(self.next_check),
            asks.then_some(self.next_acknowledgement),
        ];
        let due = timers
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.next_check);
        let mut next = pin!(async {
            Ok(tokio::select! {
                () = stop => Turn::Stop,
                ready = jool.readable(), if self.attached => {
                    ready.map_err(|error| Failure::System("waiting for Jool", error))?;
                    Turn::Continue
                }
                ready = network.readable() => {
                    ready.map_err(|error| Failure::System("waiting for datagrams", error))?;
                    Turn::Continue
                }
                ready = network.writable(), if sending => {
                    ready.map_err(|error| Failure::System("waiting to send", error))?;
                    Turn::Continue
                }
                changed = network.interfaces_changed() => {
                    changed.map_err(|error| Failure::System("watching the interfaces", error))?;
                    Turn::Interfaces
                }
                () = statistics::asked(statistics.as_ref()) => Turn::Statistics,
                Some(request) = requests.recv() => Turn::Request(request),
                due = alarm.at(due) => {
                    due.map_err(|error| Failure::System("setting a timer", error))?;
                    Turn::Continue
                }
                () = std::future::ready(()), if at_once => Turn::Continue,
            })
        });
        let mut waited = false;
        let turn = poll_fn(|context| {
            let turn = next.as_mut().poll(context);
            waited |= turn.is_pending();
            turn
        })
        .await;
        if !waited {
            // Waiting for a socket that is ready takes none of tokio's budget: without this a flood would
            // keep it from looking at signals, timers and the other sockets. It costs two system calls.
            tokio::task::yield_now().await;
        }
        turn
    }

    /// If we stood still, what waited meanwhile is read before the engine's clock goes on: what does not
    /// say when it was sent counts as that old.
    fn catch_up(&mut self) {
        let now = Instant::now();
        let due = self.engine.poll_timeout();
        if due.is_some_and(|due| now > due + STOOD_STILL) {
            for _ in 0..CATCH_UP {
                if self.attached {
                    self.read_jool();
                }
                self.read_network();
            }
        }
    }

    /// Reads what waits in either socket. That nothing does is known without a system call.
    fn read_both(&mut self) {
        if self.attached {
            self.read_jool();
        }
        self.read_network();
    }

    fn read_jool(&mut self) {
        let now = Instant::now();
        for _ in 0..JOOL_BUDGET {
            let engine = &mut self.engine;
            match self.jool.receive(|run| engine.handle_local(now, run)) {
                Received::Nothing => break,
                Received::Records(bytes) => {
                    self.counters.jool_packets += 1;
                    self.counters.jool_bytes += bytes as u64;
                    self.asks_until = now + ASKS * self.config.jool.flush_interval;
                    self.next_acknowledgement = now + self.config.jool.flush_interval;
                }
                Received::Other => {}
                Received::Overflow => {
                    self.counters.jool_overflows += 1;
                    engine.handle_loss();
                }
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

    pub(super) fn read_network(&mut self) {
        let now = Instant::now();
        let mut bytes = 0;
        while bytes < NETWORK_BUDGET {
            let engine = &mut self.engine;
            match self.network.receive(|datagram| {
                // An empty one costs time, too.
                bytes += datagram.bytes.len().max(64);
                engine.handle_datagram(now, datagram.from, datagram.bytes);
            }) {
                Ok(false) => break,
                // Whatever was dropped before it got here.
                Ok(true) => bytes += 64,
                Err(error) => {
                    debug!("receiving failed: {error}");
                    break;
                }
            }
        }
    }

    /// Sends and applies what is ready, within the budgets.
    fn pass(&mut self) {
        let now = Instant::now();
        if self.engine.poll_timeout().is_none_or(|due| due <= now) {
            self.engine.handle_timeout(now);
        }
        self.unfinished = true;
        while self.outbox.len() < OUTBOX_BUDGET {
            let Some(to) = self.engine.poll_transmit(now, &mut self.buffer) else {
                self.unfinished = false;
                break;
            };
            let to = match to {
                // A socket that is bound to the group hears nothing else.
                Transmit::One(address) if self.config.network.is_peer(address) => {
                    Destination::One(address)
                }
                _ => Destination::Everyone,
            };
            self.outbox.push(to, &self.buffer);
        }
        if !self.outbox.is_empty() {
            self.network.send(&mut self.outbox);
        }
        for _ in 0..INJECT_BUDGET {
            if !self.engine.poll_inject(now, &mut self.buffer) {
                break;
            }
            self.add();
        }
        if self.engine.has_doubts() {
            self.next_check = self.next_check.min(now + REFUSAL_CHECK);
        }
    }

    /// Gives our own Jool the run of records in the buffer.
    fn add(&mut self) {
        self.counters.added_packets += 1;
        self.counters.added_bytes += self.buffer.len() as u64;
        let Err(refusal) = self.jool.add(&self.buffer) else {
            return;
        };
        // Session sync may just have been switched off; looking at that switches it on again.
        if self.attached
            && let Ok(instance) = self.jool.attach()
            && !instance.repairs.is_empty()
        {
            self.attached_to(instance, Instant::now());
            if self.jool.add(&self.buffer).is_ok() {
                return;
            }
        }
        self.counters.add_refusals += 1;
        self.engine.handle_refusal(Instant::now());
        self.refused(&refusal);
    }

    /// Whether Jool may have records that wait for somebody to ask.
    fn asks(&self) -> bool {
        self.attached && self.next_acknowledgement <= self.asks_until
    }

    /// Asks Jool for more records, if that is due.
    fn acknowledge_if_due(&mut self) {
        let now = Instant::now();
        if !self.asks() || now < self.next_acknowledgement {
            return;
        }
        self.next_acknowledgement = now + self.config.jool.flush_interval;
        if let Err(refusal) = self.jool.acknowledge() {
            self.counters.acknowledge_refusals += 1;
            self.refused(&refusal);
        }
        self.read_jool();
    }

    /// Shows the daemon as it is now to whoever looks, and to systemd.
    pub(super) fn publish(&mut self) {
        let status = self.engine.status(Instant::now());
        let (counters, jool_sessions) = (self.counters, self.jool_sessions);
        self.snapshot.send_if_modified(|snapshot| {
            let before = snapshot.clone();
            snapshot.sessions = jool_sessions;
            snapshot.status = status;
            snapshot.counters = counters;
            if snapshot.state_name() != before.state_name() {
                snapshot.since = SystemTime::now();
            }
            if snapshot.status.fitness != before.status.fitness {
                snapshot.fitness_since = SystemTime::now();
            }
            *snapshot != before
        });
        let status = journal::status(&self.snapshot.borrow());
        self.systemd.status(status);
        self.systemd.alive();
        self.show_fitness();
        self.tell_state(Instant::now());
        self.tell_failover(Instant::now());
        if self.attached {
            self.systemd.ready();
        } else {
            self.systemd.extend_start(START_EXTENSION);
        }
    }

    /// Shows another verdict at once, and another state soon, not only with the next check.
    fn publish_state(&mut self) {
        let now = Instant::now();
        let (state, fitness) = {
            let status = &self.snapshot.borrow().status;
            (status.state, status.fitness)
        };
        let is_another = self.engine.shown_state() != state;
        if self.engine.fitness() != fitness
            || is_another && now >= self.state_shown + STATE_INTERVAL
        {
            self.state_shown = now;
            self.count();
            self.publish();
        }
    }

    /// Tells what acts on it whether this node is fit.
    fn show_fitness(&mut self) {
        // One that nothing shows to be right is not renewed, should this daemon not get further than the last.
        if !self.engine.is_inherited()
            && self.outlets.show(self.engine.fitness(), SystemTime::now())
        {
            for problem in &self.outlets.problems {
                error!(MESSAGE_ID = messages::OUTLET_FAILED.id, "{problem}");
            }
        }
        let problems = &self.outlets.problems;
        self.snapshot.send_if_modified(|snapshot| {
            let is_another = snapshot.outlet_problems != *problems;
            snapshot.outlet_problems.clone_from(problems);
            is_another
        });
    }

    /// Keeps what went wrong for whoever looks.
    pub(super) fn went_wrong(&mut self, text: String) {
        self.snapshot
            .send_modify(|snapshot| snapshot.last_error = text);
    }

    /// Tells what was dropped since the last time, at the first drop at once and then every minute.
    pub(super) fn report_drops(&mut self, now: Instant) {
        if now < self.next_report {
            return;
        }
        if let Some(drops) = self.counters.drops_since(&self.reported) {
            warn!(MESSAGE_ID = messages::DROPPED.id, "dropped: {drops}");
            if let Some(refusal) = self.last_refusal.take() {
                warn!("{refusal}");
                self.went_wrong(refusal);
            }
            let network = self.counters.network;
            if let (Some(failure), true) = (
                network.last_failure,
                self.counters.unsent() > self.reported.unsent(),
            ) {
                warn!("{failure}");
                self.went_wrong(failure.to_string());
            }
            if let (Some(errno), true) = (
                network.last_receive_error,
                network.receive_errors > self.reported.network.receive_errors,
            ) {
                let failure = format!("receiving failed: {}", errno.desc());
                warn!("{failure}");
                self.went_wrong(failure);
            }
            self.reported = self.counters;
            self.next_report = now + REPORT_INTERVAL;
        }
    }

    fn refresh_interfaces(&mut self) {
        for event in self.network.refresh() {
            match event {
                InterfaceEvent::Returned(_) => {
                    info!(MESSAGE_ID = messages::INTERFACE_RETURNED.id, "{event}");
                }
                InterfaceEvent::Lost { .. } | InterfaceEvent::Failed(_) => {
                    error!(MESSAGE_ID = messages::INTERFACE_LOST.id, "{event}");
                    self.went_wrong(event.to_string());
                }
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

/// What to do next.
enum Turn {
    Stop,
    Interfaces,
    Statistics,
    Request(Request),
    /// A socket is ready, or a time has come.
    Continue,
}

fn open_network(settings: &net::Settings, socket: Option<OwnedFd>) -> Result<Network, OpenError> {
    let Some(socket) = socket else {
        return Network::open(settings);
    };
    match Network::from_socket(socket, settings) {
        Err(elsewhere @ OpenError::Elsewhere { .. }) => {
            warn!(
                MESSAGE_ID = messages::SOCKET_ELSEWHERE.id,
                "{elsewhere}; an own socket is used. `systemctl daemon-reload` and a restart of the \
                 socket unit bring both together"
            );
            Network::open(settings)
        }
        result => result,
    }
}

/// `before` is what statistics are given by so far.
pub(super) fn open_statistics(
    address: Option<SocketAddr>,
    before: Option<&Statistics>,
) -> Result<Option<Statistics>, Failure> {
    let open = |address| {
        let opened = match before {
            Some(before) => before.open_beside(address),
            None => Statistics::open(address),
        };
        opened.map_err(|error| Failure::Statistics(address, error))
    };
    address.map(open).transpose()
}

pub(super) fn addresses(network: &Network, config: &Config) -> Addresses {
    let settings = &config.network;
    let name = |interface: &Option<net::Interface>| {
        interface
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    Addresses {
        local: network.local_addr(),
        group: settings.group,
        peers: settings.peers.clone(),
        receive_interface: name(&settings.receive_interface),
        send_interface: name(&settings.send_interface),
    }
}
