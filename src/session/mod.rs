//! What a NAT64 session is: identity, state, remaining lifetime, and its record formats.

mod format;
mod pool4;
mod prefix;
mod stamp;
mod table;
mod tlv;

pub use format::{BODY, Format, HEADER, Trailing, parse_run};
pub use pool4::Pool4;
pub use prefix::{InvalidPrefixLength, Prefix};
pub use stamp::Stamp;
pub use table::{Entry, Key, Marks, Slot, Table};

use std::net::{Ipv4Addr, Ipv6Addr};

/// Transport protocol of a session, with Jool's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Protocol {
    /// TCP.
    Tcp = 0,
    /// UDP.
    Udp = 1,
    /// ICMP echo; the two ports of each side are the identifier.
    Icmp = 2,
}

impl Protocol {
    /// Every protocol, in Jool's order.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Icmp];
}

/// State of a TCP session (RFC 6146, 3.5.2), with Jool's numbers. UDP and ICMP know only
/// [`State::Established`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// The handshake is complete.
    Established = 0,
    /// A SYN came from the IPv6 side.
    V6Init = 1,
    /// A SYN came from the IPv4 side.
    V4Init = 2,
    /// The IPv4 side closed.
    V4FinRcv = 3,
    /// The IPv6 side closed.
    V6FinRcv = 4,
    /// Both sides closed.
    V4FinV6FinRcv = 5,
    /// Reset, or idle for too long: about to go.
    Trans = 6,
}

/// The timeout that a session's lifetime counts down from, with Jool's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Timer {
    /// The established timeout: `tcp-est-timeout`, `udp-timeout` or `icmp-timeout`.
    Established = 0,
    /// `tcp-trans-timeout`; TCP only.
    Transitory = 1,
    /// A stored SYN from the IPv4 side, 6 s; TCP only.
    Syn4 = 2,
}

/// What makes a session the session that it is.
///
/// The IPv6 destination is not here: it is pool6 with `dst4` embedded, on every node alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The IPv6 client.
    pub src6: Ipv6Addr,
    /// The client's port, or its ICMP identifier.
    pub src6_port: u16,
    /// The client's mask, from pool4.
    pub src4: Ipv4Addr,
    /// The mask's port, or its ICMP identifier.
    pub src4_port: u16,
    /// The IPv4 server.
    pub dst4: Ipv4Addr,
    /// The server's port; for ICMP it repeats the mask's identifier.
    pub dst4_port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

impl Identity {
    /// The port of the IPv6 destination: for ICMP the client's identifier again.
    #[inline]
    pub fn dst6_port(&self) -> u16 {
        if self.protocol == Protocol::Icmp {
            self.src6_port
        } else {
            self.dst4_port
        }
    }
}

/// One session as a record describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which session.
    pub id: Identity,
    /// Its TCP state.
    pub state: State,
    /// What its lifetime counts down from. One of UDP or ICMP that is transitory has been ended by somebody; in a
    /// record that is an established one with a lifetime of at most [`ENDED`].
    pub timer: Timer,
    /// Remaining lifetime in milliseconds, so that the nodes' clocks need not agree.
    pub lifetime: u32,
}

/// The lifetime, in milliseconds, of a session that has ended: a jiffy of Jool's, which takes no 0.
pub const ENDED: u32 = 1;

/// Whether a session that counts down from this ends before the lifetime that it may have had in an earlier
/// state.
#[inline]
fn ends_early(timer: Timer) -> bool {
    timer == Timer::Transitory
}

/// A node's session timeouts in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `tcp-est-timeout`.
    pub tcp_established: u32,
    /// `tcp-trans-timeout`.
    pub tcp_transitory: u32,
    /// `udp-timeout`.
    pub udp: u32,
    /// `icmp-timeout`.
    pub icmp: u32,
}

impl Default for Timeouts {
    /// Jool's defaults.
    fn default() -> Self {
        Self {
            tcp_established: 7_200_000,
            tcp_transitory: 240_000,
            udp: 300_000,
            icmp: 60_000,
        }
    }
}

impl Timeouts {
    /// How long Jool keeps a stored IPv4 SYN, in milliseconds; not configurable.
    pub const SYN4: u32 = 6_000;

    /// The longest of them, in milliseconds.
    pub fn longest(&self) -> u32 {
        let longest = self.tcp_established.max(self.tcp_transitory);
        longest.max(self.udp).max(self.icmp)
    }

    /// The full lifetime of a session under its timer, in milliseconds.
    pub fn of(&self, protocol: Protocol, timer: Timer) -> u32 {
        match (protocol, timer) {
            (Protocol::Udp, _) => self.udp,
            (Protocol::Icmp, _) => self.icmp,
            (Protocol::Tcp, Timer::Established) => self.tcp_established,
            (Protocol::Tcp, Timer::Transitory) => self.tcp_transitory,
            (Protocol::Tcp, Timer::Syn4) => Self::SYN4,
        }
    }
}

impl Session {
    /// Cuts the lifetime to this node's timeout. Beyond it the module would let nothing behind this
    /// session expire.
    #[must_use]
    pub fn clamped(mut self, timeouts: &Timeouts) -> Self {
        self.lifetime = self.lifetime.min(timeouts.of(self.id.protocol, self.timer));
        self
    }

    /// Whether it ends before the lifetime that it may have had in an earlier state.
    #[inline]
    pub fn ends_early(&self) -> bool {
        ends_early(self.timer)
    }

    /// Whether a record says that it is over.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.lifetime <= ENDED
    }

    /// What is left of it so many milliseconds later.
    #[must_use]
    pub fn after(mut self, milliseconds: u32) -> Self {
        self.lifetime = self.lifetime.saturating_sub(milliseconds);
        self
    }

    /// The fields' flags as the flat formats carry them.
    pub(crate) fn flags(&self) -> u16 {
        (self.id.protocol as u16) << 5 | (self.state as u16) << 2 | u16::from(self.record_timer())
    }

    /// The timer as a record has it: Jool knows one of UDP and ICMP only.
    pub(crate) fn record_timer(&self) -> u8 {
        match self.id.protocol {
            Protocol::Tcp => self.timer as u8,
            Protocol::Udp | Protocol::Icmp => Timer::Established as u8,
        }
    }

    /// Checks what a record says and builds the session, or tells why it must not reach a Jool.
    ///
    /// The module trusts what it gets: a value that it does not know makes it warn later, or end
    /// the session at once (measured on 4.1.13).
    #[inline]
    pub(crate) fn checked(
        endpoints: Endpoints,
        protocol: u8,
        state: u8,
        timer: u8,
        lifetime: u32,
    ) -> Result<Self, Reject> {
        let protocol = match protocol {
            0 => Protocol::Tcp,
            1 => Protocol::Udp,
            2 => Protocol::Icmp,
            _ => return Err(Reject::Protocol),
        };
        let state = match state {
            0 => State::Established,
            1 => State::V6Init,
            2 => State::V4Init,
            3 => State::V4FinRcv,
            4 => State::V6FinRcv,
            5 => State::V4FinV6FinRcv,
            6 => State::Trans,
            _ => return Err(Reject::State),
        };
        let mut timer = match timer {
            0 => Timer::Established,
            1 => Timer::Transitory,
            2 => Timer::Syn4,
            _ => return Err(Reject::Timer),
        };
        if protocol != Protocol::Tcp {
            if state != State::Established {
                return Err(Reject::State);
            }
            if timer != Timer::Established {
                return Err(Reject::Timer);
            }
            if lifetime <= ENDED {
                timer = Timer::Transitory;
            }
        }
        let Endpoints {
            src6,
            src6_port,
            src4,
            src4_port,
            dst4,
            dst4_port,
        } = endpoints;
        if src6.is_unspecified() || src6.is_multicast() || src6.is_loopback() {
            return Err(Reject::Address);
        }
        for address in [src4, dst4] {
            if address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
                return Err(Reject::Address);
            }
        }
        if protocol == Protocol::Icmp && src4_port != dst4_port {
            return Err(Reject::Ports);
        }
        let id = Identity {
            src6,
            src6_port,
            src4,
            src4_port,
            dst4,
            dst4_port,
            protocol,
        };
        Ok(Self {
            id,
            state,
            timer,
            lifetime,
        })
    }
}

/// The addresses and ports of a record, before they are checked.
#[derive(Clone, Copy)]
pub(crate) struct Endpoints {
    pub(crate) src6: Ipv6Addr,
    pub(crate) src6_port: u16,
    pub(crate) src4: Ipv4Addr,
    pub(crate) src4_port: u16,
    pub(crate) dst4: Ipv4Addr,
    pub(crate) dst4_port: u16,
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reject {
    /// Not an attribute, or cut off: what follows in the same run cannot be read either.
    Malformed,
    /// An attribute of another type than a session's.
    Type,
    /// A length that is none of the three formats'.
    Length,
    /// Attributes inside a 140-byte record that are not a session's, or not in its order.
    Layout,
    /// An unknown protocol.
    Protocol,
    /// An unknown state, or one that the protocol does not have.
    State,
    /// An unknown timer, or one that the protocol does not have.
    Timer,
    /// An address that no session can have.
    Address,
    /// Ports that contradict each other.
    Ports,
    /// An IPv6 destination that is not this node's pool6 with the IPv4 destination embedded.
    Pool6,
    /// A mask that is not of this node's pool4. Jool takes such a session, and refuses every change
    /// of its settings from then on (measured on 4.1.13).
    Pool4,
}

impl Reject {
    /// Whether it is a session's record all the same, which is only not for this node.
    pub fn is_understood(self) -> bool {
        matches!(self, Self::Pool6 | Self::Pool4)
    }

    /// Every reason, in the order of [`Rejects`].
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Type,
        Self::Length,
        Self::Layout,
        Self::Protocol,
        Self::State,
        Self::Timer,
        Self::Address,
        Self::Ports,
        Self::Pool6,
        Self::Pool4,
    ];

    /// The reason in a word, or two with a hyphen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Type => "type",
            Self::Length => "length",
            Self::Layout => "layout",
            Self::Protocol => "protocol",
            Self::State => "state",
            Self::Timer => "timer",
            Self::Address => "address",
            Self::Ports => "ports",
            Self::Pool6 => "pool6",
            Self::Pool4 => "pool4",
        }
    }
}

/// Records that were not taken, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejects([u64; Reject::ALL.len()]);

impl Rejects {
    /// Counts one.
    pub fn count(&mut self, reason: Reject) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter += 1;
        }
    }

    /// How many were not taken for this reason.
    pub fn of(&self, reason: Reject) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// How many were not taken at all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
pub(crate) mod tests;
