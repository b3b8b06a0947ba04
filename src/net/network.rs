use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use std::{fmt, future, io, mem};

use nix::errno::Errno;
use socket2::{SockRef, Socket};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use super::batch::{BATCH, Receiver, Sender};
use super::link::{Link, State};
use super::settings::with_scope;
use super::watch::{Changes, Watch};
use super::{Counters, InterfaceEvent, OpenError, Outbox, SendFailure, Settings, socket};

/// How long after an interface could not be used it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Batches that one call to [`Network::send`] sends, before others get their turn.
const SEND_BUDGET: usize = 64;

/// Errors that one call to [`Network::receive`] puts up with.
const PATIENCE: u64 = 16;

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// Its payload.
    pub bytes: &'a [u8],
}

/// The UDP socket between this node and its peers.
///
/// It belongs to the thread and the tokio runtime that opened it, and to the network namespace in
/// which it was opened.
pub struct Network {
    settings: Settings,
    socket: UdpSocket,
    local: SocketAddr,
    /// Opened by somebody else: it cannot be opened anew.
    inherited: bool,
    links: Vec<Link>,
    /// When to try again what failed.
    retry_at: Option<Instant>,
    watch: Watch,
    /// The scope of link-local destinations.
    send_index: u32,
    /// The group and the peers, as destinations.
    everyone: Vec<SocketAddr>,
    /// Peers that are this node itself.
    own_peers: Vec<SocketAddr>,
    /// The only senders heard, in order, if not everybody is.
    heard: Option<Vec<IpAddr>>,
    receiver: Receiver,
    sender: Sender,
    counters: Counters,
}

impl Network {
    /// Opens a socket as the settings say.
    ///
    /// # Errors
    ///
    /// An interface is missing, the address is taken, or the kernel refuses something else.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        Self::build(settings, None)
    }

    /// Takes over a UDP socket that is bound already, for instance one that systemd listens on. It
    /// must listen on [`Settings::listen_address`], or on the wildcard, and the right port.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]; and the descriptor is something else.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn from_socket(fd: OwnedFd, settings: &Settings) -> Result<Self, OpenError> {
        Self::build(settings, Some(fd))
    }

    fn build(settings: &Settings, inherited: Option<OwnedFd>) -> Result<Self, OpenError> {
        // Before the interfaces are looked up, so that no change is missed.
        let watch = Watch::open().map_err(OpenError::Watch)?;
        let links = Link::all(settings)?;
        let receive_index = links.first().map_or(0, |link| link.index);
        let is_inherited = inherited.is_some();
        let socket = match inherited {
            Some(fd) => socket::adopt(fd, settings, receive_index)?,
            None => socket::open(settings, receive_index)?,
        };
        let heard = settings.group.is_none().then(|| {
            let mut peers: Vec<_> = settings.peers.iter().map(SocketAddr::ip).collect();
            peers.sort_unstable();
            peers
        });
        let own_peers = settings.own_peers();
        let mut network = Self {
            local: socket::local_addr(&socket)?,
            socket: registered(socket)?,
            inherited: is_inherited,
            watch,
            links: Vec::new(),
            retry_at: None,
            send_index: 0,
            everyone: settings.everyone(0, &own_peers),
            own_peers,
            heard,
            receiver: Receiver::new(),
            sender: Sender::new(),
            counters: Counters::default(),
            settings: settings.clone(),
        };
        for link in &links {
            network.attach(link, link.index)?;
        }
        network.links = links;
        Ok(network)
    }

    /// A network with other settings. It shares the socket, with what waits in it, as long as the
    /// address and port to listen on stay the same; else this one should be read to its end.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]; this network goes on as it was then.
    pub fn reopen(&mut self, settings: &Settings) -> Result<Self, OpenError> {
        if settings.listen_address() != self.settings.listen_address() {
            return Self::open(settings);
        }
        let socket = self.socket.as_fd().try_clone_to_owned();
        let reopened = socket
            .map_err(OpenError::Socket)
            .and_then(|socket| Self::from_socket(socket, settings));
        match reopened {
            Ok(mut network) => {
                network.inherited = self.inherited;
                network.counters = self.counters;
                for link in self.links.iter().filter(|link| link.receives) {
                    let kept = |other: &Link| other.receives && other.index == link.index;
                    if let (Some(group), false) =
                        (self.settings.group, network.links.iter().any(kept))
                    {
                        socket::leave(&SockRef::from(&self.socket), group.ip(), link.index);
                    }
                }
                Ok(network)
            }
            Err(error) => {
                // Some options of the shared socket may be the new ones already. What was possible
                // before is possible again.
                let _ = socket::configure(&SockRef::from(&self.socket), &self.settings);
                for link in mem::take(&mut self.links) {
                    let _ = self.attach(&link, link.index);
                    self.links.push(link);
                }
                Err(error)
            }
        }
    }

    /// Resolves when there may be datagrams for [`Self::receive`]. Cancel safe.
    ///
    /// # Errors
    ///
    /// The runtime is shutting down.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Resolves when the socket may take datagrams again. Cancel safe.
    ///
    /// # Errors
    ///
    /// The runtime is shutting down.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Resolves when something about the node's interfaces or addresses has changed, or when an
    /// interface that could not be used is due for another try, until [`Self::refresh`] takes
    /// note. Cancel safe. Needs the timer of the runtime.
    ///
    /// # Errors
    ///
    /// The runtime is shutting down.
    pub async fn interfaces_changed(&self) -> io::Result<()> {
        let retry = async {
            match self.retry_at {
                Some(at) => sleep_until(at).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            changed = self.watch.changed() => changed,
            () = retry => Ok(()),
        }
    }

    /// Takes up to 32 datagrams from the socket and hands over those that are to be heard. Returns
    /// how many were taken; 0: nothing is left, wait for [`Self::readable`].
    ///
    /// # Errors
    ///
    /// The socket is unusable. Errors that concern one datagram only are counted instead.
    pub fn receive(&mut self, mut each: impl FnMut(Datagram<'_>)) -> io::Result<usize> {
        let (receiver, heard, counters) = (&mut self.receiver, &self.heard, &mut self.counters);
        let receive_index = self.links.first().map_or(0, |link| link.index);
        let socket = &self.socket;
        let (mut errors, mut failed) = (0, None);
        let taken = socket.try_io(Interest::READABLE, || {
            loop {
                let taken = receiver.receive(socket, |datagram, arrival| {
                    let from = datagram.from.ip();
                    let heard = heard.as_ref();
                    // To Linux a socket that joined an IPv6 group on one interface is a member on
                    // every interface on which any socket of the node joined it.
                    let elsewhere = |index| receive_index != 0 && index != receive_index;
                    if arrival.truncated {
                        counters.too_long += 1;
                    } else if arrival.multicast_on.is_some_and(elsewhere) {
                        counters.elsewhere += 1;
                    } else if heard.is_some_and(|heard| heard.binary_search(&from).is_err()) {
                        counters.strangers += 1;
                    } else {
                        counters.count_received(datagram.bytes.len());
                        each(datagram);
                    }
                });
                match taken {
                    Err(Errno::EINTR) => {}
                    Err(errno) if is_passing(errno) && errors < PATIENCE => errors += 1,
                    // Taken for "nothing there", so that an error that stays does not keep us awake.
                    Err(errno) if errno != Errno::EAGAIN => {
                        failed = Some(errno);
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    result => return Ok(result?),
                }
            }
        });
        self.counters.receive_errors += errors;
        if let Some(errno) = failed {
            self.counters.receive_errors += 1;
            self.counters.last_receive_error = Some(errno);
        }
        match taken {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }

    /// Sends what waits in the outbox, in order, up to some 4,000 datagrams. What the socket cannot
    /// take now stays there, for when [`Self::writable`] resolves. What cannot be sent to a destination is counted and
    /// dropped.
    pub fn send(&mut self, outbox: &mut Outbox) {
        self.counters.unsent.outbox_full += outbox.take_refused();
        outbox.advance(0, &self.everyone);
        for _ in 0..SEND_BUDGET {
            if outbox.is_empty() {
                return;
            }
            let (sender, everyone, index) = (&mut self.sender, &self.everyone, self.send_index);
            let socket = &self.socket;
            let mut attempt = || {
                let waiting = outbox.waiting(everyone).take(BATCH);
                sender.send(
                    socket,
                    waiting.map(|(bytes, to)| (bytes, with_scope(to, index))),
                )
            };
            let sent = match attempt() {
                // The runtime learns that the socket is full by a try of its own, which it makes
                // only where it takes the socket for writable.
                Err(Errno::EAGAIN) => socket
                    .try_io(Interest::WRITABLE, || match attempt() {
                        Err(Errno::EAGAIN) => Err(io::ErrorKind::WouldBlock.into()),
                        result => Ok(result),
                    })
                    .unwrap_or(Err(Errno::EAGAIN)),
                result => result,
            };
            match sent {
                Ok(count) => {
                    for (bytes, _) in outbox.waiting(&self.everyone).take(count) {
                        self.counters.count_sent(bytes.len());
                    }
                    outbox.advance(count, &self.everyone);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return outbox.compact(),
                Err(errno) => {
                    if let Some((_, to)) = outbox.waiting(&self.everyone).next() {
                        self.counters.count_unsent(SendFailure { to, errno });
                    }
                    outbox.advance(1, &self.everyone);
                }
            }
        }
        outbox.compact();
    }

    /// Looks at the interfaces anew. One that vanished and returned is joined again and selected
    /// again for sending, even if all that happened since the last look. To be called when
    /// [`Self::interfaces_changed`] resolves. Returns what changed, for the log.
    pub fn refresh(&mut self) -> Vec<InterfaceEvent> {
        let changes = self.watch.changes();
        let mut events = Vec::new();
        let mut links = mem::take(&mut self.links);
        for link in &mut links {
            self.follow(link, &changes, &mut events);
        }
        let failed = links.iter().any(|link| link.state == State::Failed);
        self.retry_at = failed.then(|| Instant::now() + RETRY);
        self.links = links;
        events
    }

    fn follow(&mut self, link: &mut Link, changes: &Changes, events: &mut Vec<InterfaceEvent>) {
        let index = match (link.look_up(), &link.interface) {
            (Ok(index), _) => index,
            (Err(reason), Some(interface)) => {
                if link.state != State::Lost {
                    link.state = State::Lost;
                    events.push(InterfaceEvent::Lost {
                        interface: interface.clone(),
                        reason: Some(reason),
                    });
                }
                return;
            }
            (Err(_), None) => return,
        };
        let replaced = index != link.index || changes.deleted(link.index);
        // Not known, so better joined once too often.
        let perhaps = changes.incomplete || link.interface.is_none() && changes.any_deleted();
        if link.state == State::InUse && !replaced && !perhaps {
            return;
        }
        if let (Some(interface), State::InUse, true) = (&link.interface, link.state, replaced) {
            events.push(InterfaceEvent::Lost {
                interface: interface.clone(),
                reason: None,
            });
        }
        if let (Some(group), true) = (self.settings.group, link.receives) {
            // The kernel keeps the membership of a deleted interface as an entry that does nothing
            // but forbid another of the same index.
            socket::leave(&SockRef::from(&self.socket), group.ip(), link.index);
        }
        let attached = self.attach(link, index);
        link.index = index;
        match attached {
            Ok(()) => {
                if let Some(interface) = &link.interface
                    && (replaced || link.state != State::InUse)
                {
                    events.push(InterfaceEvent::Returned(interface.clone()));
                }
                link.state = State::InUse;
            }
            Err(error) => {
                if link.state != State::Failed {
                    events.push(InterfaceEvent::Failed(error));
                }
                link.state = State::Failed;
            }
        }
    }

    /// Uses an interface, which has this index by now, for what it is there for.
    fn attach(&mut self, link: &Link, index: u32) -> Result<(), OpenError> {
        if link.receives {
            self.bind_to(link, index)?;
        }
        let socket = &SockRef::from(&self.socket);
        if let (Some(group), true) = (self.settings.group, link.receives) {
            socket::join(socket, group.ip(), index).map_err(|source| OpenError::Join {
                group: group.ip(),
                interface: link.interface.clone(),
                source,
            })?;
        }
        if let (Some(interface), true) = (&link.interface, link.sends) {
            if self.settings.group.is_some() {
                let family = self.settings.family();
                socket::select(socket, family, interface, index).map_err(|source| {
                    OpenError::Select {
                        interface: interface.clone(),
                        source,
                    }
                })?;
            }
            self.send_index = index;
            self.everyone = self.settings.everyone(index, &self.own_peers);
        }
        Ok(())
    }

    /// A socket that listens on a link-local address is bound to an interface index for life:
    /// another index takes another socket.
    fn bind_to(&mut self, link: &Link, index: u32) -> Result<(), OpenError> {
        let scope = match self.local {
            SocketAddr::V6(local) => local.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        if scope == 0 || scope == index {
            return Ok(());
        }
        if let (true, Some(interface)) = (self.inherited, &link.interface) {
            return Err(OpenError::Inherited(interface.clone()));
        }
        let socket = socket::open(&self.settings, index)?;
        self.local = socket::local_addr(&socket)?;
        self.socket = registered(socket)?;
        Ok(())
    }

    /// What went over the socket so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Peers of the settings that are this node itself, so that one list can serve all nodes.
    /// Nothing is sent to them.
    pub fn own_peers(&self) -> &[SocketAddr] {
        &self.own_peers
    }

    /// Where the socket listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The size of the socket's receive buffer in bytes, as the kernel counts them: with its own
    /// bookkeeping, for which it doubles what it is asked for.
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        SockRef::from(&self.socket).recv_buffer_size()
    }

    /// The size of the socket's send buffer, as [`Self::receive_buffer`].
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    pub fn send_buffer(&self) -> io::Result<usize> {
        SockRef::from(&self.socket).send_buffer_size()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("local", &self.local)
            .field("links", &self.links)
            .field("everyone", &self.everyone)
            .finish_non_exhaustive()
    }
}

/// Puts the socket under the care of the current runtime.
fn registered(socket: Socket) -> Result<UdpSocket, OpenError> {
    UdpSocket::from_std(socket.into()).map_err(OpenError::Socket)
}

/// Whether a receive error is about an earlier datagram, or a shortage: it is gone with the report.
fn is_passing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ECONNREFUSED
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::EHOSTDOWN
            | Errno::ENETDOWN
            | Errno::EPROTO
            | Errno::ENOPROTOOPT
            | Errno::EACCES
            | Errno::EMSGSIZE
            | Errno::ENOBUFS
            | Errno::ENOMEM
    )
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, UdpSocket as StdUdpSocket};
    use std::time::Duration;

    use super::*;
    use crate::net::{Destination, Interface};

    const LIMIT: Duration = Duration::from_secs(10);

    /// A node that listens on this address only, and hears these.
    fn unicast(listen: &str, peers: &[SocketAddr]) -> Settings {
        let listen: SocketAddr = listen.parse().unwrap();
        Settings {
            group: None,
            port: listen.port(),
            peers: peers.to_vec(),
            receive_interface: Some(Interface::Address(listen.ip())),
            send_interface: None,
            reuse_address: false,
            hop_limit: 1,
        }
    }

    fn multicast(group: &str) -> Settings {
        let group: SocketAddr = group.parse().unwrap();
        Settings {
            group: Some(group),
            port: group.port(),
            peers: Vec::new(),
            receive_interface: Some("lo".into()),
            send_interface: Some("lo".into()),
            reuse_address: true,
            hop_limit: 7,
        }
    }

    /// Two nodes on a loopback address, the first of which has the second as its only peer.
    fn pair(ip: &str) -> (Network, Network) {
        let anyone = format!("{ip}:1").parse().unwrap();
        let second = Network::open(&unicast(&format!("{ip}:0"), &[anyone])).unwrap();
        let first = unicast(&format!("{ip}:0"), &[second.local_addr()]);
        (Network::open(&first).unwrap(), second)
    }

    /// Reads until this many datagrams were taken, in whichever batches they come.
    async fn take(network: &mut Network, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut heard = Vec::new();
        let mut taken = 0;
        while taken < count {
            let readable = tokio::time::timeout(LIMIT, network.readable()).await;
            readable.expect("nothing arrived").unwrap();
            let batch = network.receive(|datagram| {
                heard.push((datagram.from, datagram.bytes.to_vec()));
            });
            taken += batch.unwrap();
        }
        heard
    }

    fn outbox(datagrams: &[(Destination, &[u8])]) -> Outbox {
        let mut outbox = Outbox::new();
        for (to, bytes) in datagrams {
            outbox.push(*to, bytes);
        }
        outbox
    }

    async fn crosses(ip: &str, datagram: &[u8]) {
        let (mut first, mut second) = pair(ip);
        let mut outbox = outbox(&[(Destination::Everyone, datagram)]);
        first.send(&mut outbox);
        assert!(outbox.is_empty());
        let heard = take(&mut second, 1).await;
        assert!(heard == [(first.local_addr(), datagram.to_vec())], "{ip}");

        let sent = first.counters();
        assert_eq!(
            (sent.sent_datagrams, sent.sent_bytes),
            (1, datagram.len() as u64)
        );
        let received = second.counters();
        assert_eq!(
            (received.received_datagrams, received.received_bytes),
            (1, datagram.len() as u64)
        );
    }

    #[tokio::test]
    async fn a_datagram_reaches_the_peer_whole_from_the_empty_to_the_longest() {
        crosses("127.0.0.1", b"over IPv4").await;
        crosses("127.0.0.1", b"").await;
        crosses("127.0.0.1", &[4; 65_507]).await;
        crosses("[::1]", b"over IPv6").await;
        crosses("[::1]", b"").await;
        crosses("[::1]", &[6; 65_527]).await;
    }

    #[tokio::test]
    async fn more_datagrams_than_a_batch_takes_arrive_in_order() {
        let (mut first, mut second) = pair("127.0.0.1");
        let mut outbox = Outbox::new();
        for number in 0..100_u8 {
            outbox.push(Destination::Everyone, &[number; 100]);
        }
        first.send(&mut outbox);
        let heard = take(&mut second, 100).await;
        let numbers: Vec<_> = heard.iter().map(|(_, bytes)| bytes[0]).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
    }

    #[tokio::test]
    async fn one_call_takes_a_batch_at_most_and_none_says_that_nothing_is_left() {
        let (mut first, mut second) = pair("127.0.0.1");
        let mut outbox = Outbox::new();
        for _ in 0..BATCH + 1 {
            outbox.push(Destination::Everyone, b"a");
        }
        first.send(&mut outbox);
        second.readable().await.unwrap();
        assert_eq!(second.receive(|_| ()).unwrap(), BATCH);
        assert_eq!(second.receive(|_| ()).unwrap(), 1);
        assert_eq!(second.receive(|_| ()).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_datagram_goes_to_every_peer_or_to_the_one_that_it_is_for() {
        let anyone = "127.0.0.1:1".parse().unwrap();
        let listen = || Network::open(&unicast("127.0.0.1:0", &[anyone])).unwrap();
        let (mut first, mut second) = (listen(), listen());
        let peers = [first.local_addr(), second.local_addr()];
        let mut sender = Network::open(&unicast("127.0.0.1:0", &peers)).unwrap();
        sender.send(&mut outbox(&[
            (Destination::Everyone, b"all"),
            (Destination::One(peers[1]), b"one"),
            (Destination::Everyone, b"end"),
        ]));
        let bytes = |heard: Vec<(SocketAddr, Vec<u8>)>| {
            let bytes: Vec<_> = heard.into_iter().map(|(_, bytes)| bytes).collect();
            bytes.concat()
        };
        assert_eq!(bytes(take(&mut first, 2).await), b"allend");
        assert_eq!(bytes(take(&mut second, 3).await), b"alloneend");
    }

    #[tokio::test]
    async fn with_peers_and_no_group_a_stranger_is_not_heard() {
        let peer = "127.0.0.1:1".parse().unwrap();
        let mut node = Network::open(&unicast("127.0.0.1:0", &[peer])).unwrap();
        let stranger = StdUdpSocket::bind("127.0.0.2:0").unwrap();
        stranger.send_to(b"strange", node.local_addr()).unwrap();
        let known = StdUdpSocket::bind("127.0.0.1:0").unwrap();
        known.send_to(b"known", node.local_addr()).unwrap();

        let heard = take(&mut node, 2).await;
        assert_eq!(heard, [(known.local_addr().unwrap(), b"known".to_vec())]);
        assert_eq!(node.counters().strangers, 1);
        assert_eq!(node.counters().received_datagrams, 1);
    }

    #[tokio::test]
    async fn with_a_group_everybody_is_heard() {
        let mut settings = multicast("233.252.0.64:0");
        settings.peers = vec!["127.0.0.1:1".parse().unwrap()];
        let mut node = Network::open(&settings).unwrap();
        let stranger = StdUdpSocket::bind("127.0.0.2:0").unwrap();
        let to = SocketAddr::new([127, 0, 0, 1].into(), node.local_addr().port());
        stranger.send_to(b"strange", to).unwrap();
        assert_eq!(take(&mut node, 1).await.len(), 1);
        assert_eq!(node.counters().strangers, 0);
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_counted_and_does_not_hold_up_the_rest() {
        let (mut first, mut second) = pair("127.0.0.1");
        let other_family = Destination::One("[2001:db8::1]:6400".parse().unwrap());
        let mut outbox = outbox(&[
            (Destination::Everyone, b"before"),
            (Destination::Everyone, &[0; 65_508]),
            (other_family, b"astray"),
            (Destination::Everyone, b"after"),
        ]);
        first.send(&mut outbox);
        assert!(outbox.is_empty());
        let heard = take(&mut second, 2).await;
        assert_eq!(heard[0].1, b"before");
        assert_eq!(heard[1].1, b"after");

        let counters = first.counters();
        assert_eq!(counters.sent_datagrams, 2);
        assert_eq!(counters.unsent.other, 2, "{counters:?}");
        let failure = counters.last_failure.unwrap().to_string();
        assert!(failure.contains("[2001:db8::1]:6400"), "{failure}");
    }

    #[tokio::test]
    async fn what_the_outbox_had_no_room_for_is_counted() {
        let (mut first, _second) = pair("127.0.0.1");
        let mut outbox = Outbox::new();
        while outbox.take_refused() == 0 {
            outbox.push(Destination::Everyone, &[0; 65_000]);
        }
        outbox.push(Destination::Everyone, &[0; 65_000]);
        first.send(&mut outbox);
        assert_eq!(first.counters().unsent.outbox_full, 1);
    }

    #[tokio::test]
    async fn a_group_has_its_hop_limit_no_loopback_and_no_foreign_groups() {
        let network = Network::open(&multicast("233.252.0.64:0")).unwrap();
        let socket = SockRef::from(&network.socket);
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 7);
        assert!(!socket.multicast_loop_v4().unwrap());
        assert!(!socket.multicast_all_v4().unwrap());
        assert_ne!(socket.ttl_v4().unwrap(), 7);
        assert!(socket.reuse_address().unwrap());

        let network = Network::open(&multicast("[ff15::6a6f:6f6c]:0")).unwrap();
        let socket = SockRef::from(&network.socket);
        assert_eq!(socket.multicast_hops_v6().unwrap(), 7);
        assert!(!socket.multicast_loop_v6().unwrap());
        assert!(!socket.multicast_all_v6().unwrap());
        assert!(socket.only_v6().unwrap());
        assert_ne!(socket.unicast_hops_v6().unwrap(), 7);
        let lo = Interface::from("lo").index().unwrap();
        assert_eq!(socket.multicast_if_v6().unwrap(), lo);
    }

    #[tokio::test]
    async fn a_group_is_bound_itself_and_a_link_local_one_to_its_interface() {
        let network = Network::open(&multicast("233.252.0.64:0")).unwrap();
        assert!(network.local_addr().ip().is_multicast());

        let network = Network::open(&multicast("[ff02::6a6f:6f6c]:0")).unwrap();
        let SocketAddr::V6(local) = network.local_addr() else {
            panic!("{network:?}");
        };
        assert_eq!(local.scope_id(), Interface::from("lo").index().unwrap());
    }

    #[tokio::test]
    async fn the_buffers_are_larger_than_a_socket_gets_by_default() {
        let ordinary = SockRef::from(&StdUdpSocket::bind("127.0.0.1:0").unwrap())
            .recv_buffer_size()
            .unwrap();
        let network = Network::open(&multicast("233.252.0.64:0")).unwrap();
        assert!(network.receive_buffer().unwrap() > ordinary);
        assert!(network.send_buffer().unwrap() > ordinary);
    }

    #[tokio::test]
    async fn an_interface_that_is_not_there_is_named() {
        let mut settings = multicast("233.252.0.64:0");
        settings.send_interface = Some("no-such-eth0".into());
        let error = Network::open(&settings).unwrap_err();
        assert!(error.to_string().contains("no-such-eth0"), "{error}");

        settings.receive_interface = Some("203.0.113.77".into());
        let error = Network::open(&settings).unwrap_err();
        assert!(error.to_string().contains("203.0.113.77"), "{error}");
    }

    #[tokio::test]
    async fn a_link_local_address_without_an_interface_is_refused() {
        let mut settings = multicast("[ff02::6a6f:6f6c]:0");
        (settings.receive_interface, settings.send_interface) = (None, None);
        let error = Network::open(&settings).unwrap_err();
        assert!(matches!(error, OpenError::InterfaceRequired(_)), "{error}");

        let mut settings = unicast("[::1]:0", &["[fe80::1]:6400".parse().unwrap()]);
        settings.receive_interface = None;
        let error = Network::open(&settings).unwrap_err();
        assert!(matches!(error, OpenError::InterfaceRequired(_)), "{error}");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named_with_the_ways_out() {
        let taken = StdUdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = Network::open(&unicast(&address.to_string(), &[address])).unwrap_err();
        assert!(matches!(error, OpenError::Bind { .. }), "{error}");
        let sentence = error.to_string();
        assert!(sentence.contains(&address.to_string()), "{sentence}");
        assert!(sentence.contains("reuseaddr"), "{sentence}");
    }

    #[tokio::test]
    async fn an_inherited_socket_serves_like_one_of_our_own() {
        let inherited = StdUdpSocket::bind("0.0.0.0:0").unwrap();
        let port = inherited.local_addr().unwrap().port();
        let mut settings = multicast(&format!("233.252.0.64:{port}"));
        settings.peers = vec!["127.0.0.1:1".parse().unwrap()];
        let mut node = Network::from_socket(inherited.into(), &settings).unwrap();
        assert_eq!(node.local_addr().port(), port);
        assert_eq!(SockRef::from(&node.socket).multicast_ttl_v4().unwrap(), 7);

        let sender = StdUdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"hello", ("127.0.0.1", port)).unwrap();
        assert_eq!(take(&mut node, 1).await.len(), 1);
    }

    #[tokio::test]
    async fn an_inherited_socket_may_be_a_member_already() {
        let inherited = StdUdpSocket::bind("233.252.0.64:0").unwrap();
        let group = inherited.local_addr().unwrap();
        let group_ip = "233.252.0.64".parse().unwrap();
        inherited
            .join_multicast_v4(&group_ip, &"127.0.0.1".parse().unwrap())
            .unwrap();
        Network::from_socket(inherited.into(), &multicast(&group.to_string())).unwrap();
    }

    #[tokio::test]
    async fn an_inherited_descriptor_that_is_no_udp_socket_is_refused() {
        let settings = unicast("127.0.0.1:6400", &[]);
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let file = File::open("/dev/null").unwrap();
        for fd in [OwnedFd::from(tcp), OwnedFd::from(file)] {
            let error = Network::from_socket(fd, &settings).unwrap_err();
            assert!(matches!(error, OpenError::NotUdp), "{error}");
        }
    }

    #[tokio::test]
    async fn an_inherited_socket_that_listens_elsewhere_is_refused() {
        let group = multicast("233.252.0.64:6400");
        // Another port, another address, another group, another family.
        for (bound, settings) in [
            ("0.0.0.0:0", &group),
            ("127.0.0.1:0", &group),
            ("233.252.0.65:0", &group),
            ("[::]:0", &group),
            ("233.252.0.64:0", &unicast("127.0.0.1:0", &[])),
        ] {
            let inherited = StdUdpSocket::bind(bound).unwrap();
            let found = inherited.local_addr().unwrap();
            let mut settings = settings.clone();
            if bound != "0.0.0.0:0" {
                settings.port = found.port();
            }
            let error = Network::from_socket(inherited.into(), &settings).unwrap_err();
            assert!(
                matches!(error, OpenError::Elsewhere { found: address, .. } if address == found),
                "{bound}: {error}"
            );
        }
    }
}
