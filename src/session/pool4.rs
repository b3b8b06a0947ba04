//! The IPv4 transport addresses that a NAT64 masks its clients with (pool4).

use std::net::Ipv4Addr;

use super::{Identity, Protocol};

/// A node's pool4. Empty, it stands for the node's own addresses, which are not known here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool4(Vec<Range>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    protocol: Protocol,
    addresses: (Ipv4Addr, Ipv4Addr),
    ports: (u16, u16),
}

impl Pool4 {
    /// Every address, port and identifier, for tests and benchmarks.
    pub fn everything() -> Self {
        let mut pool4 = Self::default();
        for protocol in Protocol::ALL {
            pool4.add(protocol, Ipv4Addr::UNSPECIFIED, 0, (0, u16::MAX));
        }
        pool4
    }

    /// Adds the addresses of a prefix with a range of ports, or of ICMP identifiers.
    pub fn add(&mut self, protocol: Protocol, address: Ipv4Addr, length: u8, ports: (u16, u16)) {
        let host = u32::MAX.checked_shr(length.into()).unwrap_or(0);
        let first = u32::from(address) & !host;
        let range = Range {
            protocol,
            addresses: (first.into(), (first | host).into()),
            ports,
        };
        // A pool may be given with several marks; those do not matter here.
        if !self.0.contains(&range) {
            self.0.push(range);
        }
    }

    /// Whether there is nothing in it, so that the NAT64 masks with its node's own addresses.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same bytes for the same pool4, in whatever order it was read: of each range the protocol,
    /// the first and the last address, the first and the last port, in network order.
    pub fn octets(&self) -> impl Iterator<Item = u8> {
        let mut ranges: Vec<[u8; 13]> = self.0.iter().map(Range::octets).collect();
        ranges.sort_unstable();
        ranges.into_iter().flatten()
    }

    /// Whether the session's mask is one that this NAT64 can give. An empty one, as while it is being
    /// replaced, gives none that another node could know of. Looks at every range; a pool4 has a handful.
    #[inline]
    pub fn masks(&self, id: &Identity) -> bool {
        let within = |range: &Range| {
            range.protocol == id.protocol
                && (range.addresses.0..=range.addresses.1).contains(&id.src4)
                && (range.ports.0..=range.ports.1).contains(&id.src4_port)
        };
        self.0.iter().any(within)
    }
}

impl Range {
    fn octets(&self) -> [u8; 13] {
        let [a, b, c, d] = self.addresses.0.octets();
        let [e, f, g, h] = self.addresses.1.octets();
        let ([i, j], [k, l]) = (self.ports.0.to_be_bytes(), self.ports.1.to_be_bytes());
        [self.protocol as u8, a, b, c, d, e, f, g, h, i, j, k, l]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::udp;

    #[test]
    fn a_mask_has_to_be_of_the_protocol_the_prefix_and_the_ports() {
        let mut pool4 = Pool4::default();
        let id = udp(5000).id;
        assert!(!pool4.masks(&id), "an empty pool4 has no mask");
        pool4.add(
            Protocol::Tcp,
            Ipv4Addr::new(198, 51, 100, 0),
            24,
            (1, 65535),
        );
        assert!(!pool4.masks(&id));
        pool4.add(
            Protocol::Udp,
            Ipv4Addr::new(198, 51, 100, 1),
            32,
            (1024, 4999),
        );
        assert!(!pool4.masks(&id));
        pool4.add(
            Protocol::Udp,
            Ipv4Addr::new(198, 51, 100, 9),
            24,
            (5000, 5000),
        );
        assert!(pool4.masks(&id));
        let other = Identity {
            src4: Ipv4Addr::new(198, 51, 101, 1),
            ..id
        };
        assert!(!pool4.masks(&other));
        pool4.add(Protocol::Udp, Ipv4Addr::UNSPECIFIED, 0, (0, 65535));
        assert!(pool4.masks(&other));
    }
}
