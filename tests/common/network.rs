//! A network at work in a namespace, and what two of them say to each other.

use std::net::{self, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use joold::net::{Counters, Destination, Interface, InterfaceEvent, Network, Outbox, Settings};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::SockRef;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::namespaces::Namespace;
use super::{LIMIT, PAUSE, TRIES, wait_for};

pub(crate) const PORT: u16 = 6400;

pub(crate) fn settings(group: Option<&str>, peers: &[&str], interface: Option<&str>) -> Settings {
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

pub(crate) struct Report {
    pub(crate) counters: Counters,
    pub(crate) waiting: usize,
    pub(crate) local: SocketAddr,
}

/// A network at work in a namespace.
pub(crate) struct Node {
    orders: Option<UnboundedSender<Order>>,
    pub(crate) heard: mpsc::Receiver<(SocketAddr, Vec<u8>)>,
    pub(crate) events: mpsc::Receiver<InterfaceEvent>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    pub(crate) fn start(namespace: &Namespace, settings: Settings) -> Self {
        Self::start_with(namespace, move || Network::open(&settings).unwrap())
    }

    /// Starts with a socket that somebody else opened, with a large receive buffer.
    pub(crate) fn inherit(namespace: &Namespace, bound: &str, settings: Settings) -> Self {
        Self::inherit_on(namespace, bound, None, settings)
    }

    /// As [`Self::inherit`], with a socket that is bound to that interface, too.
    pub(crate) fn inherit_on(
        namespace: &Namespace,
        bound: &str,
        device: Option<&'static str>,
        settings: Settings,
    ) -> Self {
        let bound: SocketAddr = bound.parse().unwrap();
        Self::start_with(namespace, move || {
            // The socket of a node before may live on for a moment in a child that another test forks.
            let socket = wait_for("the port is free", || net::UdpSocket::bind(bound).ok());
            let socket = OwnedFd::from(socket);
            if let Some(device) = device.map(str::as_bytes) {
                SockRef::from(&socket).bind_device(Some(device)).unwrap();
            }
            setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).unwrap();
            Network::from_socket(socket, &settings).unwrap()
        })
    }

    /// Returns when the network is open.
    pub(crate) fn start_with(
        namespace: &Namespace,
        open: impl FnOnce() -> Network + Send + 'static,
    ) -> Self {
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

    pub(crate) fn send(&self, to: Destination, bytes: &[u8]) {
        self.order(Order::Send(to, bytes.to_vec()));
    }

    /// Goes on with other settings.
    pub(crate) fn reopen(&self, settings: Settings) -> Result<(), String> {
        let (outcome_at, outcome) = mpsc::channel();
        self.order(Order::Reopen(settings, outcome_at));
        outcome.recv_timeout(LIMIT).unwrap()
    }

    /// What became of the group, if the kernel had forgotten it.
    pub(crate) fn check_membership(&self) -> Option<InterfaceEvent> {
        let (event_at, event) = mpsc::channel();
        self.order(Order::CheckMembership(event_at));
        event.recv_timeout(LIMIT).unwrap()
    }

    pub(crate) fn report(&self) -> Report {
        let (report_at, report) = mpsc::channel();
        self.order(Order::Report(report_at));
        report.recv_timeout(LIMIT).unwrap()
    }

    /// The next datagram.
    #[track_caller]
    pub(crate) fn hear(&self) -> (SocketAddr, String) {
        let (from, bytes) = self
            .heard
            .recv_timeout(LIMIT)
            .unwrap_or_else(|_| panic!("nothing was heard; {:?}", self.report().counters));
        (from, String::from_utf8(bytes).unwrap())
    }

    /// The next event, which is certain to come.
    pub(crate) fn event(&self) -> InterfaceEvent {
        self.events.recv_timeout(LIMIT).expect("no event came")
    }

    pub(crate) fn expect_lost(&self) {
        let event = self.event();
        assert!(matches!(event, InterfaceEvent::Lost { .. }), "{event}");
    }

    pub(crate) fn expect_replaced(&self) {
        let event = self.event();
        assert!(matches!(event, InterfaceEvent::Replaced(_)), "{event}");
    }

    pub(crate) fn expect_returned(&self) {
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
pub(crate) fn reaches(from: &Node, to: &Node, text: &str, own: &str) {
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
pub(crate) fn exchange(first: &Node, second: &Node, round: &str) {
    let (one, two) = (format!("first {round}"), format!("second {round}"));
    reaches(first, second, &one, &two);
    reaches(second, first, &two, &one);
}
