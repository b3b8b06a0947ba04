use std::fmt;
use std::net::{IpAddr, SocketAddr};

use nix::errno::Errno;

/// What went over the socket since the network was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams handed to the reader.
    pub received_datagrams: u64,
    /// Their payload, in bytes.
    pub received_bytes: u64,
    /// Datagrams dropped because they were longer than 64 KiB.
    pub too_long: u64,
    /// Datagrams dropped because they came from none of the peers, and there is no group.
    pub strangers: u64,
    /// Where the latest of those came from.
    pub last_stranger: Option<IpAddr>,
    /// Datagrams to the group dropped because they came over another interface than the one to
    /// receive on. IPv6 only; for IPv4 the kernel drops them.
    pub elsewhere: u64,
    /// Errors while receiving; none of them ends anything.
    pub receive_errors: u64,
    /// The latest of those errors that concerned no single datagram.
    pub last_receive_error: Option<Errno>,
    /// Datagrams sent; one to everyone counts once per destination.
    pub sent_datagrams: u64,
    /// Their payload, in bytes.
    pub sent_bytes: u64,
    /// Datagrams that could not be sent, per destination.
    pub unsent: SendErrors,
    /// The latest of the failures that `unsent` counts, but for `outbox_full`.
    pub last_failure: Option<SendFailure>,
}

/// Datagrams that could not be sent, by what was in the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendErrors {
    /// No route, or the interface is gone, down or without an address.
    pub no_route: u64,
    /// Forbidden, by a packet filter for instance.
    pub refused: u64,
    /// The kernel or the interface's queue had no room.
    pub no_buffers: u64,
    /// Anything else; too long a datagram for instance.
    pub other: u64,
    /// The outbox had no room, because the socket had taken nothing for long.
    pub outbox_full: u64,
}

/// One datagram's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendFailure {
    /// Where it was to go.
    pub to: SocketAddr,
    /// What the kernel said.
    pub errno: Errno,
}

impl fmt::Display for SendFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sending to {} failed: {}", self.to, self.errno.desc())
    }
}

impl Counters {
    pub(super) fn count_received(&mut self, bytes: usize) {
        self.received_datagrams += 1;
        self.received_bytes += bytes as u64;
    }

    pub(super) fn count_sent(&mut self, bytes: usize) {
        self.sent_datagrams += 1;
        self.sent_bytes += bytes as u64;
    }

    pub(super) fn count_unsent(&mut self, failure: SendFailure) {
        let counter = match failure.errno {
            Errno::ENETUNREACH
            | Errno::EHOSTUNREACH
            | Errno::ENETDOWN
            | Errno::ENODEV
            | Errno::ENXIO
            | Errno::EADDRNOTAVAIL => &mut self.unsent.no_route,
            Errno::EPERM | Errno::EACCES => &mut self.unsent.refused,
            Errno::ENOBUFS | Errno::ENOMEM => &mut self.unsent.no_buffers,
            _ => &mut self.unsent.other,
        };
        *counter += 1;
        self.last_failure = Some(failure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(errno: Errno) -> Counters {
        let to = "192.0.2.2:6400".parse().unwrap();
        let mut counters = Counters::default();
        counters.count_unsent(SendFailure { to, errno });
        counters
    }

    #[test]
    fn failures_are_told_apart_by_what_was_in_the_way() {
        assert_eq!(after(Errno::ENETUNREACH).unsent.no_route, 1);
        assert_eq!(after(Errno::ENODEV).unsent.no_route, 1);
        assert_eq!(after(Errno::EPERM).unsent.refused, 1);
        assert_eq!(after(Errno::ENOBUFS).unsent.no_buffers, 1);
        assert_eq!(after(Errno::EMSGSIZE).unsent.other, 1);
    }

    #[test]
    fn the_last_failure_reads_as_a_sentence() {
        let failure = after(Errno::ENETUNREACH).last_failure.unwrap();
        assert_eq!(
            failure.to_string(),
            "sending to 192.0.2.2:6400 failed: Network is unreachable"
        );
    }
}
