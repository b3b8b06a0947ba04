//! Many datagrams per system call, without an allocation for any of them.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::libc::in6_pktinfo;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, sendmmsg,
};

use super::Datagram;
use super::interface::socket_address;

/// Datagrams per system call, in either direction.
pub(super) const BATCH: usize = 32;

/// Room for each received datagram: more than the longest that UDP has (65,527 bytes).
const LONGEST: usize = 1 << 16;

/// How a datagram came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// It was longer than its buffer.
    pub(super) truncated: bool,
    /// The index of the interface, of IPv6 only.
    on: Option<u32>,
    is_multicast: bool,
}

impl Arrival {
    fn of(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Self {
        // They are missing if whoever opened the socket had asked for so many others that these
        // found no room.
        let infos = message.cmsgs().into_iter().flatten();
        let mut infos = infos.filter_map(|info| match info {
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(info),
            _ => None,
        });
        let info = infos.next();
        Self {
            truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
            on: info.map(|info| info.ipi6_ifindex),
            is_multicast: info
                .is_some_and(|info| Ipv6Addr::from(info.ipi6_addr.s6_addr).is_multicast()),
        }
    }

    /// The index of the interface, of an IPv6 multicast only.
    pub(super) fn multicast_on(&self) -> Option<u32> {
        self.on.filter(|_| self.is_multicast)
    }

    /// The sender with the interface as its scope, to which an answer can be sent. The kernel says the VRF where
    /// there is one.
    fn scoped(&self, from: SocketAddr) -> SocketAddr {
        match (from, self.on) {
            (SocketAddr::V6(mut from), Some(index)) if from.scope_id() != 0 => {
                from.set_scope_id(index);
                from.into()
            }
            (from, _) => from,
        }
    }
}

/// Receives batches.
pub(super) struct Receiver {
    headers: MultiHeaders<SockaddrStorage>,
    /// [`BATCH`] times [`LONGEST`] bytes; pages that were never written to take no memory.
    buffers: Vec<u8>,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(in6_pktinfo))),
            buffers: vec![0; BATCH * LONGEST],
        }
    }

    /// One call to recvmmsg(2). Hands over each datagram; returns how many there were.
    pub(super) fn receive(
        &mut self,
        socket: &impl AsRawFd,
        mut each: impl FnMut(Datagram<'_>, Arrival),
    ) -> nix::Result<usize> {
        let mut buffers = self.buffers.chunks_exact_mut(LONGEST);
        let mut parts: [_; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            parts.iter_mut(),
            MsgFlags::empty(),
            None,
        )?;
        let mut count = 0;
        for message in received {
            count += 1;
            let from = message.address.as_ref().and_then(socket_address);
            // An empty datagram has no part at all.
            let bytes = message.iovs().next().unwrap_or_default();
            if let Some(from) = from {
                let arrival = Arrival::of(&message);
                let from = arrival.scoped(from);
                each(Datagram { from, bytes }, arrival);
            }
        }
        Ok(count)
    }
}

/// Sends batches.
pub(super) struct Sender {
    headers: MultiHeaders<SockaddrStorage>,
}

impl Sender {
    pub(super) fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// One call to sendmmsg(2), with as many datagrams as fit. Returns how many the kernel took,
    /// which may be fewer, or why it did not take the first.
    pub(super) fn send<'a>(
        &mut self,
        socket: &impl AsRawFd,
        datagrams: impl Iterator<Item = (&'a [u8], SocketAddr)>,
    ) -> nix::Result<usize> {
        let mut parts = [[IoSlice::new(&[])]; BATCH];
        let mut addresses: [Option<SockaddrStorage>; BATCH] = [None; BATCH];
        let mut filled = 0;
        for (((bytes, to), part), address) in datagrams.zip(&mut parts).zip(&mut addresses) {
            *part = [IoSlice::new(bytes)];
            *address = Some(to.into());
            filled += 1;
        }
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            parts.iter().take(filled),
            addresses,
            [],
            MsgFlags::empty(),
        )?;
        Ok(sent.count())
    }
}
