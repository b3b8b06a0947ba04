use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::{error, fmt, io};

use nix::errno::Errno;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

use super::Place;

/// A network interface, as the operator names it: by its name or by one of its addresses. The stock
/// daemon takes a name for IPv6 and an address for IPv4; here either serves both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// By name, for instance `eth0`.
    Name(String),
    /// By one of the addresses that it has now.
    Address(IpAddr),
}

impl Interface {
    /// Looks up the interface's index, which is what the kernel knows it by, as of now. An
    /// interface that is deleted and created again may have another one.
    ///
    /// # Errors
    ///
    /// There is no such interface, or the kernel could not be asked.
    pub fn index(&self) -> Result<u32, InterfaceError> {
        let named = match self {
            Self::Name(name) => index_of(name),
            Self::Address(address) => {
                interfaces_with(*address).and_then(|mut names| match names.next() {
                    Some(name) => index_of(&name),
                    None => Ok(None),
                })
            }
        };
        match named {
            Ok(Some(index)) => Ok(index),
            Ok(None) => Err(self.missing()),
            Err(source) => Err(self.not_looked_up(source.into())),
        }
    }

    /// The index, and what the interface is a part of.
    pub(super) fn index_and_place(&self) -> Result<(u32, Place), InterfaceError> {
        let index = self.index()?;
        match Place::of(index) {
            Ok(place) => Ok((index, place)),
            // It has gone between the two questions.
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => Err(self.missing()),
            Err(error) => Err(self.not_looked_up(error)),
        }
    }

    fn missing(&self) -> InterfaceError {
        match self {
            Self::Name(name) => InterfaceError::NoSuchInterface(name.clone()),
            Self::Address(address) => InterfaceError::NoInterfaceWithAddress(*address),
        }
    }

    fn not_looked_up(&self, source: io::Error) -> InterfaceError {
        InterfaceError::Lookup {
            interface: self.clone(),
            source,
        }
    }
}

impl Interface {
    /// What keeps the interface from being of use, to follow its name: it is down, or has no carrier. `None`:
    /// nothing, as far as is known.
    pub fn obstacle(&self) -> Option<&'static str> {
        let entries = getifaddrs().ok()?.collect::<Vec<_>>();
        let is_it = |entry: &&InterfaceAddress| match self {
            Self::Name(name) => entry.interface_name == *name,
            Self::Address(address) => {
                let found = entry.address.as_ref().and_then(socket_address);
                found.is_some_and(|found| found.ip() == *address)
            }
        };
        let flags = entries.iter().find(is_it)?.flags;
        if !flags.contains(InterfaceFlags::IFF_UP) {
            Some("is down")
        } else if !flags.contains(InterfaceFlags::IFF_RUNNING) {
            Some("has no carrier")
        } else {
            None
        }
    }
}

/// Where the interfaces are that have this address now: in different VRFs an address means different hosts.
pub(super) fn places_of(address: IpAddr) -> io::Result<Vec<Place>> {
    let mut places = Vec::new();
    for name in interfaces_with(address)? {
        if let Some(index) = index_of(&name)? {
            places.push(Place::of(index)?);
        }
    }
    Ok(places)
}

/// The VRF that the address belongs to, if none of the interfaces that have it now is outside of one.
///
/// # Errors
///
/// The kernel could not be asked.
pub fn vrf_of(address: IpAddr) -> io::Result<Option<String>> {
    let places = places_of(address)?;
    let vrfs: Option<Vec<_>> = places.iter().map(Place::vrf).collect();
    Ok(vrfs.and_then(|vrfs| vrfs.first().map(|name| (*name).to_owned())))
}

fn index_of(name: &str) -> nix::Result<Option<u32>> {
    match if_nametoindex(name) {
        Ok(index) => Ok(Some(index)),
        // EINVAL: a NUL inside.
        Err(Errno::ENODEV | Errno::ENXIO | Errno::EINVAL) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn interfaces_with(address: IpAddr) -> nix::Result<impl Iterator<Item = String>> {
    let has = move |entry: &InterfaceAddress| {
        let found = entry.address.as_ref().and_then(socket_address);
        found.is_some_and(|found| found.ip() == address)
    };
    let entries = getifaddrs()?.filter(has);
    Ok(entries.map(|entry| entry.interface_name))
}

/// The IP address and port in `storage`, if that is what it holds.
pub(super) fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    match (storage.as_sockaddr_in(), storage.as_sockaddr_in6()) {
        (Some(v4), _) => Some((*v4).into()),
        (_, Some(v6)) => Some((*v6).into()),
        _ => None,
    }
}

impl From<&str> for Interface {
    /// An IP address is one; everything else is a name.
    fn from(text: &str) -> Self {
        match text.parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}

impl FromStr for Interface {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Why an [`Interface`] could not be found.
#[derive(Debug)]
pub enum InterfaceError {
    /// No interface has this name.
    NoSuchInterface(String),
    /// No interface has this address.
    NoInterfaceWithAddress(IpAddr),
    /// The kernel could not be asked.
    Lookup {
        /// What was looked for.
        interface: Interface,
        /// Why it failed.
        source: io::Error,
    },
}

impl fmt::Display for InterfaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchInterface(name) => write!(
                f,
                "there is no network interface {name:?} in this network namespace; create it, or \
                 name one that `ip link` lists"
            ),
            Self::NoInterfaceWithAddress(address) => write!(
                f,
                "no network interface in this network namespace has the address {address}; add \
                 it, or choose one that `ip address` lists"
            ),
            Self::Lookup { interface, source } => write!(
                f,
                "the network interface {interface} could not be looked up: {source}"
            ),
        }
    }
}

impl error::Error for InterfaceError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NoSuchInterface(_) | Self::NoInterfaceWithAddress(_) => None,
            Self::Lookup { source, .. } => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_an_address_where_it_reads_as_one_and_else_a_name() {
        assert_eq!(
            Interface::from("192.0.2.1"),
            Interface::Address("192.0.2.1".parse().unwrap())
        );
        assert_eq!(
            "2001:db8::1".parse(),
            Ok(Interface::Address("2001:db8::1".parse().unwrap()))
        );
        assert_eq!(Interface::from("eth0"), Interface::Name("eth0".to_owned()));
    }

    #[test]
    fn the_loopback_is_found_by_its_name_and_by_its_address() {
        let by_name = Interface::from("lo").index().unwrap();
        assert_eq!(Interface::from("127.0.0.1").index().unwrap(), by_name);
    }

    #[test]
    fn an_address_of_this_host_is_in_no_vrf_by_default() {
        let loopback = "127.0.0.1".parse().unwrap();
        assert_eq!(places_of(loopback).unwrap(), [Place::Itself]);
        assert_eq!(vrf_of(loopback).unwrap(), None);
        assert_eq!(vrf_of("203.0.113.77".parse().unwrap()).unwrap(), None);
    }

    #[test]
    fn a_missing_interface_is_named_in_the_error() {
        for name in [
            "no-such-eth0",
            "",
            "a name far too long for an interface",
            "nul\0",
        ] {
            let error = Interface::from(name).index().unwrap_err();
            assert!(
                matches!(&error, InterfaceError::NoSuchInterface(missing) if missing == name),
                "{error:?}"
            );
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
        let error = Interface::from("203.0.113.77").index().unwrap_err();
        assert!(
            matches!(error, InterfaceError::NoInterfaceWithAddress(_)),
            "{error:?}"
        );
        assert!(error.to_string().contains("203.0.113.77"), "{error}");
    }
}
