//! One UDP socket and its options.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use nix::{setsockopt_impl, sockopt_impl};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::settings::with_scope;
use super::{Family, Interface, OpenError, Settings};

/// Asked of the kernel for receiving, in bytes: some 5,000 datagrams of a flood of sessions, so that
/// a busy moment loses none.
const RECEIVE_BUFFER: usize = 8 << 20;

/// Asked of the kernel for sending, in bytes: some 400 datagrams, fewer than an interface's queue
/// holds (1,000 packets as a rule). So a burst waits in the [`Outbox`](super::Outbox) for the
/// interface; with a larger buffer the queue would drop it in silence.
const SEND_BUFFER: usize = 512 << 10;

sockopt_impl!(
    /// IP_MULTICAST_IF by interface index, which socket2 sets by address only.
    MulticastInterface,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_MULTICAST_IF,
    libc::ip_mreqn
);

/// Opens a socket that listens where the settings say, with all options set but those that depend
/// on an interface. `receive_index` is the scope of a link-local address; `device` is the interface that the
/// socket is bound to, 0 for none.
pub(super) fn open(
    settings: &Settings,
    receive_index: u32,
    device: u32,
) -> Result<Socket, OpenError> {
    let domain = domain(settings.family());
    let kind = Type::DGRAM.cloexec().nonblocking();
    let socket = Socket::new(domain, kind, Some(Protocol::UDP)).map_err(OpenError::Socket)?;
    if settings.family() == Family::V6 {
        socket.set_only_v6(true).map_err(refused("IPV6_V6ONLY"))?;
    }
    if settings.reuse_address {
        socket
            .set_reuse_address(true)
            .map_err(refused("SO_REUSEADDR"))?;
    }
    // Before it is bound to an address, which may be one of a VRF.
    if device != 0 {
        bind_to_device(&socket, device)?;
    }
    let address = with_scope(settings.listen_address(), receive_index);
    socket
        .bind(&address.into())
        .map_err(|source| OpenError::Bind { address, source })?;
    configure(&socket, settings)?;
    Ok(socket)
}

/// Takes over a socket that somebody else opened and bound, and sets the options that
/// [`open`] sets, as far as they can be set on a bound socket.
pub(super) fn adopt(
    fd: OwnedFd,
    settings: &Settings,
    receive_index: u32,
) -> Result<Socket, OpenError> {
    let socket = Socket::from(fd);
    // A descriptor that is no socket at all fails here, too.
    if socket.protocol().ok().flatten() != Some(Protocol::UDP) {
        return Err(OpenError::NotUdp);
    }
    let expected = with_scope(settings.listen_address(), receive_index);
    let found = local_addr(&socket)?;
    let hears = found == expected
        || found.ip().is_unspecified()
        // Unicasts are heard on whichever address of this node the peers send to.
        || settings.group.is_none() && !found.ip().is_multicast();
    if !hears || found.is_ipv4() != expected.is_ipv4() || found.port() != expected.port() {
        return Err(OpenError::Elsewhere { found, expected });
    }
    socket.set_cloexec(true).map_err(OpenError::Socket)?;
    socket.set_nonblocking(true).map_err(OpenError::Socket)?;
    configure(&socket, settings)?;
    Ok(socket)
}

pub(super) fn local_addr(socket: &Socket) -> Result<SocketAddr, OpenError> {
    let address = socket.local_addr().map_err(OpenError::Socket)?;
    address.as_socket().ok_or(OpenError::NotUdp)
}

/// The index of the interface that the socket is bound to, by this process or another, or by a link-local
/// address; 0: none.
pub(super) fn device(socket: &Socket) -> Result<u32, OpenError> {
    // Linux has one option for both families.
    let device = socket.device_index_v4().map_err(refused(DEVICE))?;
    Ok(device.map_or(0, NonZeroU32::get))
}

/// Binds the socket to an interface. It must not be bound to another one: to change that takes `CAP_NET_RAW`.
pub(super) fn bind_to_device(socket: &Socket, index: u32) -> Result<(), OpenError> {
    let index = NonZeroU32::new(index);
    socket
        .bind_device_by_index_v4(index)
        .map_err(refused(DEVICE))
}

const DEVICE: &str = "SO_BINDTOIFINDEX";

/// Sets all options but those that depend on an interface.
pub(super) fn configure(socket: &Socket, settings: &Settings) -> Result<(), OpenError> {
    let hops = u32::from(settings.hop_limit);
    match settings.family() {
        Family::V4 => {
            // Without this the socket hears every group that any program of the node has joined.
            socket
                .set_multicast_all_v4(false)
                .map_err(refused("IP_MULTICAST_ALL"))?;
            socket
                .set_multicast_loop_v4(false)
                .map_err(refused("IP_MULTICAST_LOOP"))?;
            socket
                .set_multicast_ttl_v4(hops)
                .map_err(refused("IP_MULTICAST_TTL"))?;
        }
        Family::V6 => {
            since_4_20(socket.set_multicast_all_v6(false))
                .map_err(refused("IPV6_MULTICAST_ALL"))?;
            socket
                .set_multicast_loop_v6(false)
                .map_err(refused("IPV6_MULTICAST_LOOP"))?;
            socket
                .set_multicast_hops_v6(hops)
                .map_err(refused("IPV6_MULTICAST_HOPS"))?;
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)
                .map_err(|errno| refused("IPV6_RECVPKTINFO")(errno.into()))?;
        }
    }
    // The forced variants pass the system's limits and need CAP_NET_ADMIN. A larger buffer, which
    // the socket may have been handed over with, stays; the kernel reports twice what was asked.
    if socket.recv_buffer_size().map_err(refused("SO_RCVBUF"))? < 2 * RECEIVE_BUFFER
        && setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err()
    {
        socket
            .set_recv_buffer_size(RECEIVE_BUFFER)
            .map_err(refused("SO_RCVBUF"))?;
    }
    if socket.send_buffer_size().map_err(refused("SO_SNDBUF"))? < 2 * SEND_BUFFER
        && setsockopt(socket, sockopt::SndBufForce, &SEND_BUFFER).is_err()
    {
        socket
            .set_send_buffer_size(SEND_BUFFER)
            .map_err(refused("SO_SNDBUF"))?;
    }
    Ok(())
}

/// Joins the group on an interface; 0 leaves the choice to the kernel.
pub(super) fn join(socket: &Socket, group: IpAddr, index: u32) -> io::Result<()> {
    let joined = match group {
        IpAddr::V4(group) => {
            socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))
        }
        IpAddr::V6(group) => socket.join_multicast_v6(&group, index),
    };
    match joined {
        // Already a member; an inherited socket may be.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
        result => result,
    }
}

/// Leaves the group on an interface, which may be gone by now.
pub(super) fn leave(socket: &Socket, group: IpAddr, index: u32) {
    // It fails where the socket is no member, which is what is wanted.
    let _ = match group {
        IpAddr::V4(group) => {
            socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))
        }
        IpAddr::V6(group) => socket.leave_multicast_v6(&group, index),
    };
}

/// Sends multicasts through the interface of that index; 0 leaves the choice to the kernel. If the
/// operator named it by an IPv4 address, that one is the source, as with the stock daemon.
pub(super) fn select(
    socket: &Socket,
    family: Family,
    interface: Option<&Interface>,
    index: u32,
) -> io::Result<()> {
    match family {
        Family::V4 => {
            let source = match interface {
                Some(Interface::Address(IpAddr::V4(address))) => *address,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            let request = libc::ip_mreqn {
                imr_multiaddr: libc::in_addr { s_addr: 0 },
                imr_address: libc::in_addr {
                    s_addr: u32::from_ne_bytes(source.octets()),
                },
                imr_ifindex: index.cast_signed(),
            };
            Ok(setsockopt(socket, MulticastInterface, &request)?)
        }
        Family::V6 => socket.set_multicast_if_v6(index),
    }
}

/// What came of an option that is there since Linux 4.20, and that nothing depends on: before, a
/// socket on the wildcard hears other groups of the same port, too.
fn since_4_20(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(()),
        outcome => outcome,
    }
}

fn domain(family: Family) -> Domain {
    match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    }
}

fn refused(name: &'static str) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::Option { name, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_an_older_kernel_does_not_have_is_no_reason_to_stop() {
        let failed = |errno| Err(io::Error::from_raw_os_error(errno));
        assert!(since_4_20(Ok(())).is_ok());
        assert!(since_4_20(failed(libc::ENOPROTOOPT)).is_ok());
        assert!(since_4_20(failed(libc::EPERM)).is_err());
    }
}
