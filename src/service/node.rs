//! The running daemon: one loop around this node's Jool, the network and the engine between them.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::alarm::Alarm;
use super::attachment::Attachment;
use super::control::{Command, Control, Request};
use super::exchange::Asking;
use super::outlets::{Files, Outlets};
use super::publisher::Publisher;
use super::reporter::Reporter;
use super::snapshot::{Addresses, Configuration, Snapshot, State};
use super::statistics::{self, Statistics};
use super::systemd::Systemd;
use super::table_reader::TableReader;
use super::{Counters, Failure, Stop, identity, keys, messages};
use crate::config::{Config, Sources};
use crate::jool::Jool;
use crate::net::{self, InterfaceEvent, Network, OpenError, Outbox};
use crate::replication::{self, Engine};
use crate::seal::{self, Seal};

/// How long a stop may take for what is under way.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);
/// How long a stop waits for questions about the last records: what is missing is asked for after
/// 10 ms.
const LAST_WORDS: Duration = Duration::from_millis(40);

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
    /// What it was at the start, which some of it stays until the end.
    pub(super) started: Config,
    pub(super) sources: Option<Sources>,
    pub(super) jool: J,
    pub(super) network: Network,
    pub(super) statistics: Option<Statistics>,
    pub(super) engine: Engine,
    /// Around what the engine sends and is given.
    pub(super) seal: Seal,
    pub(super) outbox: Outbox,
    alarm: Alarm,
    /// The datagram or the run of records under construction.
    pub(super) buffer: Vec<u8>,
    /// Something is left to be sent that waits for nothing.
    pub(super) unfinished: bool,
    /// Datagrams that had been heard at the last look.
    heard: u64,
    pub(super) attachment: Attachment,
    pub(super) asking: Asking,
    pub(super) table: TableReader,
    pub(super) counters: Counters,
    pub(super) reporter: Reporter,
    pub(super) publisher: Publisher,
    requests: mpsc::Receiver<Request>,
    control: Control,
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
        let sealing = keys::load(&config).map_err(Failure::Keys)?;
        let network = open_network(&config.network, socket).map_err(Failure::Network)?;
        let statistics = open_statistics(config.statistics, None)?;
        let now = Instant::now();
        let (commands, requests) = mpsc::channel(16);
        identity::warn_if_unsteady(&config);
        let seal = Seal::new(now, sealing, seal::random);
        let mut engine = Engine::new(
            now,
            replication::Settings {
                is_drained: files.as_ref().is_some_and(Files::is_drained),
                resumes: files.as_ref().is_some_and(Files::was_fit),
                ..identity::settings(&config)
            },
        );
        engine.set_overhead(seal.overhead());
        let outlets = Outlets::new(files, config.gate.clone(), !Systemd::is_there());
        let snapshot = Snapshot {
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
                changes: Vec::new(),
                pending: Vec::new(),
            },
            status: engine.status(now),
            seal: seal.status(),
            counters: Counters::default(),
            last_error: String::new(),
            last_error_at: None,
            last_drop_at: None,
            obstacle: String::new(),
            outlet_problems: Vec::new(),
        };
        let publisher = Publisher::new(now, snapshot, outlets);
        Ok(Self {
            jool,
            network,
            statistics,
            engine,
            seal,
            outbox: Outbox::new(),
            alarm: Alarm::new().map_err(|error| Failure::System("setting up a timer", error))?,
            buffer: Vec::with_capacity(crate::jool::MAX_RUN),
            unfinished: false,
            heard: 0,
            attachment: Attachment::new(now, config.wait),
            asking: Asking::begin(now, config.jool.flush_interval),
            started: config.clone(),
            config,
            sources,
            table: TableReader::new(now),
            counters: Counters::default(),
            reporter: Reporter::new(now),
            control: Control {
                commands,
                snapshot: publisher.snapshot.subscribe(),
            },
            publisher,
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

    /// Runs until `stop` is done, which says whether the node is to go on as if it were fit, or until there is no point in going on.
    pub async fn run(mut self, stop: impl Future<Output = Stop>) -> Result<(), Failure> {
        tokio::pin!(stop);
        if self.config.seal != seal::Policy::Off {
            self.tell_seal();
        }
        let stop = loop {
            self.catch_up();
            self.check_if_due()?;
            self.ask_if_due();
            let (jool, engine) = (&mut self.jool, &mut self.engine);
            self.table.read(Instant::now(), jool, engine);
            if self.table.is_read() {
                self.attachment.check_by(Instant::now());
            }
            self.name_clients();
            self.pass();
            self.tell_events();
            self.publish_state();
            let turn = self.wait(&mut stop).await?;
            self.read_both();
            match turn {
                Turn::Stop(stop) => break stop,
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
        };
        if stop == Stop::ForGood {
            // The traffic moves while the last records are on their way.
            self.publisher.outlets.withdraw();
        }
        self.publisher.systemd.stopping();
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
        self.hurry_jool();
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
        self.counters.seal = *self.seal.counters();
    }

    /// Waits for the next thing to do.
    async fn wait(
        &mut self,
        stop: &mut (impl Future<Output = Stop> + Unpin),
    ) -> Result<Turn, Failure> {
        let is_there = self.attachment.is_there();
        let next_check = self.attachment.next_check();
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
            || self.table.is_reading()
            || self.engine.has_injections()
            || self.unfinished && !sending;
        let asks = self.asking.due().filter(|_| is_there);
        let timers = [engine_timer, Some(next_check), asks];
        let due = timers.into_iter().flatten().min().unwrap_or(next_check);
        let mut next = pin!(async {
            Ok(tokio::select! {
                stop = stop => Turn::Stop(stop),
                ready = jool.readable(), if is_there => {
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

    fn refresh_interfaces(&mut self) {
        for event in self.network.refresh() {
            self.tell_of_interface(&event);
        }
    }

    /// If nothing was heard since the last look, that may be our own fault.
    pub(super) fn check_hearing(&mut self) {
        let heard = self.network.counters().received_datagrams;
        if heard == self.heard
            && let Some(event) = self.network.check_membership()
        {
            self.tell_of_interface(&event);
        }
        self.heard = heard;
    }

    fn tell_of_interface(&mut self, event: &InterfaceEvent) {
        match event {
            InterfaceEvent::Returned(_) => {
                info!(MESSAGE_ID = messages::INTERFACE_RETURNED.id, "{event}");
            }
            InterfaceEvent::Moved(_, place) if !place.is_deaf() => {
                info!(MESSAGE_ID = messages::INTERFACE_MOVED.id, "{event}");
            }
            InterfaceEvent::Moved(..) => {
                warn!(MESSAGE_ID = messages::INTERFACE_MOVED.id, "{event}");
                self.publisher.went_wrong(event.to_string());
            }
            InterfaceEvent::Replaced(_) => {
                warn!(MESSAGE_ID = messages::SOCKET_ELSEWHERE.id, "{event}");
            }
            InterfaceEvent::Rejoined(_) => {
                warn!(MESSAGE_ID = messages::INTERFACE_RETURNED.id, "{event}");
                self.publisher.went_wrong(event.to_string());
            }
            InterfaceEvent::Lost { .. } | InterfaceEvent::Failed(_) => {
                error!(MESSAGE_ID = messages::INTERFACE_LOST.id, "{event}");
                self.publisher.went_wrong(event.to_string());
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
    Stop(Stop),
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
