use std::net::{IpAddr, SocketAddr};
use std::{error, fmt, io};

use super::{Interface, InterfaceError};

/// Why the network could not be opened, or an interface not be used again.
#[derive(Debug)]
pub enum OpenError {
    /// The interface is not there.
    Interface(InterfaceError),
    /// The address is of one link only, and no interface says of which.
    InterfaceRequired(IpAddr),
    /// A socket that is bound to a link-local group belongs to one interface, but receiving and
    /// sending were to use different ones.
    InterfacesDiffer {
        /// The link-local group.
        group: IpAddr,
        /// The interface to receive on.
        receive: Interface,
        /// The interface to send on.
        send: Interface,
    },
    /// The system gave no socket.
    Socket(io::Error),
    /// The address to listen on cannot be had.
    Bind {
        /// That address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A socket option was refused.
    Option {
        /// Its name in the manual pages.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The group cannot be joined.
    Join {
        /// The group.
        group: IpAddr,
        /// Where; `None`: where the kernel chose.
        interface: Option<Interface>,
        /// Why.
        source: io::Error,
    },
    /// The interface cannot be selected for sending.
    Select {
        /// That interface.
        interface: Interface,
        /// Why.
        source: io::Error,
    },
    /// The kernel cannot be asked to report changes of interfaces.
    Watch(io::Error),
    /// The inherited descriptor is no UDP socket.
    NotUdp,
    /// The inherited socket listens elsewhere than the settings say.
    Elsewhere {
        /// Where it listens.
        found: SocketAddr,
        /// Where it should.
        expected: SocketAddr,
    },
    /// In a VRF the socket is bound to the interface to receive on, so it cannot send multicasts on another.
    OutsideVrf {
        /// The VRF.
        vrf: String,
        /// The interface to receive on, which is in it.
        receive: Interface,
        /// The interface to send on.
        send: Interface,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(error) => error.fmt(f),
            Self::InterfaceRequired(address) => write!(
                f,
                "the address {address} is valid on one link only; say on which, with \
                 \"in interface\" and \"out interface\""
            ),
            Self::InterfacesDiffer {
                group,
                receive,
                send,
            } => write!(
                f,
                "the link-local group {group} cannot be received on {receive} and sent to on \
                 {send}; give \"in interface\" and \"out interface\" the same interface, or use a \
                 group of wider scope, for instance ff15::6a6f:6f6c"
            ),
            Self::Socket(source) => write!(f, "no UDP socket could be opened: {source}"),
            Self::Bind { address, source } => {
                write!(f, "listening on {address} is not possible: {source}")?;
                f.write_str(match source.kind() {
                    io::ErrorKind::AddrInUse => {
                        "; stop the other program (`ss -ulpn` shows it), choose another \
                         \"multicast port\", or set \"reuseaddr\" to 1 in both"
                    }
                    io::ErrorKind::PermissionDenied => {
                        "; choose a \"multicast port\" above 1023, or grant CAP_NET_BIND_SERVICE"
                    }
                    _ => "; `ip address` shows the addresses that this node has",
                })
            }
            Self::Option { name, source } => {
                write!(f, "the kernel refused the socket option {name}: {source}")
            }
            Self::Join {
                group,
                interface: Some(interface),
                source,
            } => write!(
                f,
                "the multicast group {group} could not be joined on {interface}: {source}; see \
                 with `ip link` whether the interface is there and can multicast"
            ),
            Self::Join {
                group,
                interface: None,
                source,
            } => write!(
                f,
                "the multicast group {group} could not be joined on an interface of the kernel's \
                 choice: {source}; add a route to the group, or set \"in interface\""
            ),
            Self::Select { interface, source } => write!(
                f,
                "multicasts cannot be sent on {interface}: {source}; see with `ip address` \
                 whether the interface is there and has an address of the group's family"
            ),
            Self::Watch(source) => write!(
                f,
                "the kernel does not report changes of network interfaces: {source}; a sandbox \
                 must allow AF_NETLINK"
            ),
            Self::NotUdp => f.write_str(
                "the socket that was handed over is not a UDP socket; use ListenDatagram= in the \
                 socket unit",
            ),
            Self::Elsewhere { found, expected } => write!(
                f,
                "the socket that was handed over listens on {found} instead of {expected}; make \
                 ListenDatagram= in the socket unit and the configuration agree"
            ),
            Self::OutsideVrf { vrf, receive, send } => write!(
                f,
                "the interface {receive} is in the VRF {vrf}, so the socket is bound to it and cannot send to \
                 the group on {send}; give \"in interface\" and \"out interface\" the same interface"
            ),
        }
    }
}

impl error::Error for OpenError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Interface(source) => Some(source),
            Self::Socket(source)
            | Self::Watch(source)
            | Self::Bind { source, .. }
            | Self::Option { source, .. }
            | Self::Join { source, .. }
            | Self::Select { source, .. } => Some(source),
            Self::InterfaceRequired(_)
            | Self::InterfacesDiffer { .. }
            | Self::OutsideVrf { .. }
            | Self::NotUdp
            | Self::Elsewhere { .. } => None,
        }
    }
}

impl From<InterfaceError> for OpenError {
    fn from(error: InterfaceError) -> Self {
        Self::Interface(error)
    }
}
