//! The NAT64 prefix (pool6) and how an IPv4 address is embedded in it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A NAT64 prefix (RFC 6052): an IPv6 address is the prefix with an IPv4 address inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: u128,
    length: u8,
}

/// RFC 6052 knows the prefix lengths 32, 40, 48, 56, 64 and 96 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPrefixLength(pub u8);

impl fmt::Display for InvalidPrefixLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "/{} is not a NAT64 prefix length (32, 40, 48, 56, 64 or 96)",
            self.0
        )
    }
}

impl std::error::Error for InvalidPrefixLength {}

impl Prefix {
    /// The well-known prefix, `64:ff9b::/96`.
    pub const WELL_KNOWN: Self = Self {
        address: 0x64_ff9b << 96,
        length: 96,
    };

    /// A prefix; bits beyond its length are cleared.
    pub fn new(address: Ipv6Addr, length: u8) -> Result<Self, InvalidPrefixLength> {
        if !matches!(length, 32 | 40 | 48 | 56 | 64 | 96) {
            return Err(InvalidPrefixLength(length));
        }
        let mask = u128::MAX << (128 - u32::from(length));
        Ok(Self {
            address: u128::from(address) & mask,
            length,
        })
    }

    /// The prefix as an address.
    pub fn address(&self) -> Ipv6Addr {
        Ipv6Addr::from(self.address)
    }

    /// The prefix length in bits.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The IPv6 address that stands for an IPv4 address (RFC 6052, 2.2).
    #[inline]
    pub fn embed(&self, address: Ipv4Addr) -> Ipv6Addr {
        let v4 = u128::from(u32::from(address));
        if self.length == 96 {
            return Ipv6Addr::from(self.address | v4);
        }
        // Bits 64 to 71 stay zero, so an address that reaches them is split around them.
        let before = 64 - u32::from(self.length);
        let bits = if before >= 32 {
            v4 << (before - 32 + 64)
        } else {
            let after = 32 - before;
            (v4 >> after) << 64 | (v4 & ((1 << after) - 1)) << (56 - after)
        };
        Ipv6Addr::from(self.address | bits)
    }

    /// The IPv4 address inside an IPv6 address of this prefix; `None` for any other, also for one
    /// with bits set that [`Prefix::embed`] leaves zero.
    #[inline]
    pub fn extract(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let bits = u128::from(address);
        let v4 = if self.length == 96 {
            bits
        } else {
            let before = 64 - u32::from(self.length);
            if before >= 32 {
                bits >> (before - 32 + 64)
            } else {
                let after = 32 - before;
                let high = (bits >> 64) & ((1 << before) - 1);
                high << after | (bits >> (56 - after)) & ((1 << after) - 1)
            }
        };
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the low 32 bits are the address"
        )]
        let v4 = Ipv4Addr::from(v4 as u32);
        (self.embed(v4) == address).then_some(v4)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv6Addr::from(self.address), self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str, length: u8) -> Prefix {
        Prefix::new(text.parse().unwrap(), length).unwrap()
    }

    #[test]
    fn the_examples_of_rfc_6052_section_2_4_hold_both_ways() {
        let v4: Ipv4Addr = "192.0.2.33".parse().unwrap();
        for (base, length, expected) in [
            ("2001:db8::", 32, "2001:db8:c000:221::"),
            ("2001:db8:100::", 40, "2001:db8:1c0:2:21::"),
            ("2001:db8:122::", 48, "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::", 96, "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::", 96, "64:ff9b::192.0.2.33"),
        ] {
            let expected: Ipv6Addr = expected.parse().unwrap();
            let prefix = prefix(base, length);
            assert_eq!(prefix.embed(v4), expected, "{prefix}");
            assert_eq!(prefix.extract(expected), Some(v4), "{prefix}");
        }
        assert_eq!(Prefix::WELL_KNOWN, prefix("64:ff9b::", 96));
    }

    #[test]
    fn an_address_outside_the_prefix_holds_no_ipv4_address() {
        let prefix = prefix("2001:db8:122:344::", 64);
        for outside in [
            "2001:db8:122:345:c0:2:2100::",
            "2001:db8:122:344:1c0:2:2100::",
            "2001:db8:122:344:c0:2:2100:1",
        ] {
            assert_eq!(prefix.extract(outside.parse().unwrap()), None, "{outside}");
        }
    }

    #[test]
    fn other_prefix_lengths_are_refused() {
        assert_eq!(
            Prefix::new(Ipv6Addr::UNSPECIFIED, 95),
            Err(InvalidPrefixLength(95))
        );
        assert_eq!(
            Prefix::new(Ipv6Addr::UNSPECIFIED, 0),
            Err(InvalidPrefixLength(0))
        );
    }
}
