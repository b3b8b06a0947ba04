//! The socket, and what goes through it.

mod follow;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::{fmt, io, mem};

use nix::errno::Errno;
use socket2::{SockRef, Socket};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use super::batch::{BATCH, Receiver, Sender};
use super::link::Link;
use super::settings::with_scope;
use super::watch::Watch;
use super::{Counters, InterfaceEvent, OpenError, Outbox, SendFailure, Settings, socket};

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
    /// Registered for reading only: each datagram that leaves makes room, of which nobody wants to hear.
    socket: AsyncFd<UdpSocket>,
    /// It again, registered for writing, while it has no room.
    full: Option<AsyncFd<OwnedFd>>,
    local: SocketAddr,
    /// Opened by somebody else.
    inherited: bool,
    links: Vec<Link>,
    /// By the last look this node was no member of the group.
    is_missed: bool,
    /// When to try again what failed.
    retry_at: Option<Instant>,
    /// To be told by the next look at the interfaces.
    notices: Vec<InterfaceEvent>,
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
        let (index, in_vrf) = links
            .first()
            .map_or((0, false), |link| (link.index, link.place.vrf().is_some()));
        let is_inherited = inherited.is_some();
        let socket = match inherited {
            Some(fd) => socket::adopt(fd, settings, index)?,
            None => socket::open(settings, index, if in_vrf { index } else { 0 })?,
        };
        let heard = settings.group.is_none().then(|| {
            let mut peers: Vec<_> = settings.peers.iter().map(SocketAddr::ip).collect();
            peers.sort_unstable();
            peers
        });
        let mut network = Self {
            local: socket::local_addr(&socket)?,
            socket: registered(socket)?,
            full: None,
            inherited: is_inherited,
            watch,
            links: Vec::new(),
            is_missed: false,
            retry_at: None,
            notices: Vec::new(),
            send_index: 0,
            everyone: Vec::new(),
            own_peers: Vec::new(),
            heard,
            receiver: Receiver::new(),
            sender: Sender::new(),
            counters: Counters::default(),
            settings: settings.clone(),
        };
        for link in &links {
            network.attach(link, link.index, &link.place)?;
            if let (Some(interface), true) = (&link.interface, settings.matters(&link.place)) {
                let event = InterfaceEvent::Moved(interface.clone(), link.place.clone());
                network.notices.push(event);
            }
        }
        if !network.notices.is_empty() {
            network.retry_at = Some(Instant::now());
        }
        network.links = links;
        Ok(network)
    }

    /// A network with other settings. It shares the socket, with what waits in it, as long as the
    /// place to listen at stays the same; else this one should be read to its end. Then
    /// [`Self::take_over`] is due.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]; this network goes on as it was then.
    pub fn reopen(&mut self, settings: &Settings) -> Result<Self, OpenError> {
        let links = Link::all(settings)?;
        let listening = |settings: &Settings, links: &[Link]| {
            let index = links.first().map_or(0, |link| link.index);
            let membership = settings.group.map(|group| (group.ip(), index));
            (with_scope(settings.listen_address(), index), membership)
        };
        let (listened, left) = listening(&self.settings, &self.links);
        let (listens, joined) = listening(settings, &links);
        let device = socket::device(&SockRef::from(&self.socket))?;
        let suits = |link: &Link| settings.suits(device, link.index, &link.place);
        if listens != listened || !links.first().is_some_and(suits) {
            return self.open_beside(settings);
        }
        // Before the other is joined: an interface of the kernel's choice is one and the same to it
        // as when it is named, so to leave either afterwards is to leave both.
        let leave = |socket: &AsyncFd<UdpSocket>, membership: Option<(IpAddr, u32)>| {
            if let (Some((group, index)), true) = (membership, left != joined) {
                socket::leave(&SockRef::from(socket), group, index);
            }
        };
        leave(&self.socket, left);
        let socket = self.socket.as_fd().try_clone_to_owned();
        let reopened = socket
            .map_err(OpenError::Socket)
            .and_then(|socket| Self::from_socket(socket, settings));
        match reopened {
            Ok(mut network) => {
                network.inherited = self.inherited;
                if !network.inherited {
                    network.allow_others(settings.reuse_address)?;
                }
                Ok(network)
            }
            Err(error) => {
                // Some options of the shared socket may be the new ones already. What was possible
                // before is possible again.
                leave(&self.socket, joined);
                let _ = socket::configure(&SockRef::from(&self.socket), &self.settings);
                for link in mem::take(&mut self.links) {
                    let _ = self.attach(&link, link.index, &link.place);
                    self.links.push(link);
                }
                Err(error)
            }
        }
    }

    /// Opens a network with another place to listen at.
    fn open_beside(&self, settings: &Settings) -> Result<Self, OpenError> {
        let mut network = self.beside(settings, Self::open)?;
        network.allow_others(settings.reuse_address)?;
        network.settings = settings.clone();
        Ok(network)
    }

    /// Opens what this socket is not to be in the way of: without SO_REUSEADDR not even one process may listen
    /// on `[::]` and on an address. What is opened allows others until that is taken back.
    fn beside<T>(
        &self,
        settings: &Settings,
        open: impl FnOnce(&Settings) -> Result<T, OpenError>,
    ) -> Result<T, OpenError> {
        self.allow_others(true)?;
        let opened = open(&Settings {
            reuse_address: true,
            ..settings.clone()
        });
        self.allow_others(self.settings.reuse_address)?;
        opened
    }

    /// Whether others may listen at the same place from now on. The kernel looks at it whenever
    /// somebody binds, and at both sockets.
    fn allow_others(&self, allow: bool) -> Result<(), OpenError> {
        let socket = SockRef::from(&self.socket);
        socket.set_reuse_address(allow).map_err(OpenError::Socket)
    }

    /// Goes on counting where the network before this one ended.
    pub fn take_over(&mut self, before: &Self) {
        self.counters = before.counters;
    }

    /// Resolves when there may be datagrams for [`Self::receive`]. Cancel safe.
    ///
    /// # Errors
    ///
    /// The runtime is shutting down.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await.map(drop)
    }

    /// Resolves when the socket may take datagrams again of which [`Self::send`] had to leave some. Cancel
    /// safe.
    ///
    /// # Errors
    ///
    /// The runtime is shutting down.
    pub async fn writable(&self) -> io::Result<()> {
        match &self.full {
            Some(full) => full.writable().await.map(drop),
            None => Ok(()),
        }
    }

    /// Takes up to 32 datagrams from the socket and hands over those that are to be heard. Returns
    /// whether there may be more; if not, wait for [`Self::readable`]. Where nothing was told to be there
    /// it costs no system call.
    ///
    /// # Errors
    ///
    /// The socket is unusable. Errors that concern one datagram only are counted instead.
    pub fn receive(&mut self, mut each: impl FnMut(Datagram<'_>)) -> io::Result<bool> {
        let (receiver, heard, counters) = (&mut self.receiver, &self.heard, &mut self.counters);
        let receive_index = self.links.first().map_or(0, |link| link.index);
        let socket = &self.socket;
        let nothing_left = || io::Error::from(io::ErrorKind::WouldBlock);
        let (mut errors, mut failed) = (0, None);
        let taken = socket.try_io(Interest::READABLE, |socket| {
            loop {
                let taken = receiver.receive(socket, |datagram, arrival| {
                    let from = datagram.from.ip();
                    let heard = heard.as_ref();
                    // To Linux a socket that joined an IPv6 group on one interface is a member on
                    // every interface on which any socket of the node joined it.
                    let elsewhere = |index| receive_index != 0 && index != receive_index;
                    if arrival.truncated {
                        counters.too_long += 1;
                    } else if arrival.multicast_on().is_some_and(elsewhere) {
                        counters.elsewhere += 1;
                    } else if heard.is_some_and(|heard| heard.binary_search(&from).is_err()) {
                        counters.strangers += 1;
                        counters.last_stranger = Some(from);
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
                        return Err(nothing_left());
                    }
                    // What comes from now on is told of anew.
                    Ok(taken) if taken < BATCH => return Err(nothing_left()),
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
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends what waits in the outbox, in order, up to some 4,000 datagrams. What the socket cannot
    /// take now stays there, for when [`Self::writable`] resolves. What cannot be sent to a destination is counted and
    /// dropped.
    pub fn send(&mut self, outbox: &mut Outbox) {
        self.counters.unsent.outbox_full += outbox.take_refused();
        outbox.advance(0, &self.everyone);
        self.full = None;
        for _ in 0..SEND_BUDGET {
            if outbox.is_empty() {
                return;
            }
            let (sender, everyone, index) = (&mut self.sender, &self.everyone, self.send_index);
            let waiting = outbox.waiting(everyone).take(BATCH);
            let sent = sender.send(
                self.socket.get_ref(),
                waiting.map(|(bytes, to)| (bytes, with_scope(to, index))),
            );
            match sent {
                Ok(count) => {
                    for (bytes, _) in outbox.waiting(&self.everyone).take(count) {
                        self.counters.count_sent(bytes.len());
                    }
                    outbox.advance(count, &self.everyone);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    self.full = writing(&self.socket);
                    return outbox.compact();
                }
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
fn registered(socket: Socket) -> Result<AsyncFd<UdpSocket>, OpenError> {
    // As in watch.rs: the successor asks for an unsafe block.
    #[allow(deprecated)]
    AsyncFd::with_interest(socket.into(), Interest::READABLE).map_err(OpenError::Socket)
}

/// The socket, to wait until it has room; `None`, which is not to wait, if the system has
/// no descriptor left.
fn writing(socket: &AsyncFd<UdpSocket>) -> Option<AsyncFd<OwnedFd>> {
    let socket = socket.as_fd().try_clone_to_owned().ok()?;
    #[allow(deprecated)]
    AsyncFd::with_interest(socket, Interest::WRITABLE).ok()
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
mod tests;
