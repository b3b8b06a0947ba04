use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::interface::places_of;
use super::{Interface, InterfaceEvent, Place};

/// Where and how datagrams are exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Multicast group and port; `None`: unicast peers only.
    pub group: Option<SocketAddr>,
    /// UDP port that this node listens on and sends from.
    pub port: u16,
    /// Unicast peers, each with its port, of the group's family.
    pub peers: Vec<SocketAddr>,
    /// Interface to receive the group on; `None`: the kernel chooses by the route to the group.
    pub receive_interface: Option<Interface>,
    /// Interface to send to the group on; `None`: the kernel chooses by the route to the group.
    pub send_interface: Option<Interface>,
    /// Whether other sockets may listen on the same address and port, if they set this, too
    /// (SO_REUSEADDR).
    pub reuse_address: bool,
    /// Hop limit (IPv4: TTL) of multicasts. Unicasts keep the system's default.
    pub hop_limit: u8,
}

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl Settings {
    /// The one family of everything here: that of the group, else of the peers.
    pub fn family(&self) -> Family {
        let interface_address = || match &self.receive_interface {
            Some(Interface::Address(address)) => Some(*address),
            _ => None,
        };
        self.group
            .or_else(|| self.peers.first().copied())
            .map(|address| address.ip())
            .or_else(interface_address)
            .map_or(Family::V6, Family::of)
    }

    /// What the socket is bound to, without an IPv6 scope: the group itself where there are no
    /// peers; the receive interface's address if it was given as one and there is no group;
    /// otherwise the wildcard.
    pub fn listen_address(&self) -> SocketAddr {
        let ip = match (self.group, &self.receive_interface) {
            (Some(group), _) if self.peers.is_empty() => group.ip(),
            (None, Some(Interface::Address(address))) => *address,
            _ => match self.family() {
                Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
                Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
            },
        };
        SocketAddr::new(ip, self.port)
    }

    /// Whether what comes from this address comes from one of the peers, which are configured
    /// without the scope that a link-local address comes with.
    pub fn is_peer(&self, address: SocketAddr) -> bool {
        let place = |address: &SocketAddr| (address.ip(), address.port());
        let mut peers = self.peers.iter();
        peers.any(|peer| place(peer) == place(&address))
    }

    /// Whether whatever is sent to one node is heard by all: it goes to the group then.
    pub fn is_shared(&self) -> bool {
        self.peers.is_empty()
    }

    /// What the interface to receive on is a part of now, if that matters, in words.
    pub fn moved(&self) -> Option<InterfaceEvent> {
        let interface = self.receive_interface.as_ref()?;
        let (_, place) = interface.index_and_place().ok()?;
        let event = InterfaceEvent::Moved(interface.clone(), place.clone());
        self.matters(&place).then_some(event)
    }

    /// Whether it has to be told that the interface to receive on is in `place`: to a port's addresses a peer may
    /// send all the same.
    pub(super) fn matters(&self, place: &Place) -> bool {
        match place {
            Place::Itself => false,
            Place::Vrf(_) => true,
            Place::Port { .. } => self.group.is_some(),
        }
    }

    /// Whether a socket that is bound to the interface `device` (0: to none) is right for receiving on `index`,
    /// which is in `place`.
    ///
    /// One that is bound to the interface stays right wherever that is moved. Where no interface is named, who
    /// opened the socket chose.
    pub(super) fn suits(&self, device: u32, index: u32, place: &Place) -> bool {
        index == 0
            || device == index && self.sends_elsewhere(index).is_none()
            || device == 0 && place.vrf().is_none()
    }

    /// The interface that the group is sent to on, if it is another one than `index`.
    pub(super) fn sends_elsewhere(&self, index: u32) -> Option<&Interface> {
        let send = self
            .send_interface
            .as_ref()
            .filter(|_| self.group.is_some())?;
        let differs = send.index().is_ok_and(|other| other != index);
        differs.then_some(send)
    }

    /// The peers that are this very node: its port, and one of its addresses that it listens on, in the same VRF
    /// if it is in one.
    pub(super) fn own_peers(&self, place: &Place) -> Vec<SocketAddr> {
        let listens = self.listen_address();
        let is_own = |peer: &&SocketAddr| {
            peer.port() == self.port
                && (listens.ip().is_unspecified() || listens.ip() == peer.ip())
                && places_of(peer.ip())
                    .is_ok_and(|places| places.iter().any(|other| other.vrf() == place.vrf()))
        };
        self.peers.iter().filter(is_own).copied().collect()
    }

    /// The addresses of "everyone", each usable as a destination: the group first, then the peers,
    /// without this node's own. `send_index` is the scope of link-local ones.
    pub(super) fn everyone(&self, send_index: u32, own: &[SocketAddr]) -> Vec<SocketAddr> {
        self.group
            .iter()
            .chain(self.peers.iter().filter(|peer| !own.contains(peer)))
            .map(|address| with_scope(*address, send_index))
            .collect()
    }

    /// An address that means nothing without an interface, if there is one among those bound or
    /// sent to.
    pub(super) fn link_local(&self) -> Option<IpAddr> {
        self.group
            .iter()
            .chain(&self.peers)
            .map(SocketAddr::ip)
            .chain([self.listen_address().ip()])
            .find(|address| needs_scope(*address))
    }
}

/// Whether `address` is valid within one link only, so that the kernel asks for the interface's
/// index with it: fe80::/10, and multicast groups of interface-local and link-local scope
/// (RFC 4291, 2.7).
pub fn needs_scope(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => {
            let [_, second, ..] = address.octets();
            address.is_unicast_link_local()
                || (address.is_multicast() && matches!(second & 0x0f, 1 | 2))
        }
    }
}

/// `address` with the interface `index` as its scope, if it needs one and has none.
pub(super) fn with_scope(address: SocketAddr, index: u32) -> SocketAddr {
    match address {
        SocketAddr::V6(mut v6) if v6.scope_id() == 0 && needs_scope(address.ip()) => {
            v6.set_scope_id(index);
            v6.into()
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(group: Option<&str>, peers: &[&str], receive: Option<&str>) -> Settings {
        Settings {
            group: group.map(|group| group.parse().unwrap()),
            port: 6400,
            peers: peers.iter().map(|peer| peer.parse().unwrap()).collect(),
            receive_interface: receive.map(Interface::from),
            send_interface: None,
            reuse_address: true,
            hop_limit: 1,
        }
    }

    fn listens(group: Option<&str>, peers: &[&str], receive: Option<&str>) -> String {
        settings(group, peers, receive).listen_address().to_string()
    }

    #[test]
    fn without_peers_the_group_itself_is_bound() {
        assert_eq!(
            listens(Some("233.252.0.64:6400"), &[], Some("192.0.2.1")),
            "233.252.0.64:6400"
        );
        assert_eq!(
            listens(Some("[ff15::6a]:6400"), &[], Some("eth0")),
            "[ff15::6a]:6400"
        );
    }

    #[test]
    fn with_peers_only_the_address_of_the_receive_interface_is_bound_or_else_the_wildcard() {
        assert_eq!(
            listens(None, &["192.0.2.2:6400"], Some("192.0.2.1")),
            "192.0.2.1:6400"
        );
        assert_eq!(
            listens(None, &["[2001:db8::2]:6400"], Some("eth0")),
            "[::]:6400"
        );
        assert_eq!(listens(None, &["192.0.2.2:6400"], None), "0.0.0.0:6400");
    }

    #[test]
    fn with_a_group_and_peers_the_wildcard_is_bound() {
        assert_eq!(
            listens(
                Some("233.252.0.64:6400"),
                &["192.0.2.2:6400"],
                Some("192.0.2.1")
            ),
            "0.0.0.0:6400"
        );
    }

    #[test]
    fn the_family_is_that_of_the_group_or_else_of_the_peers() {
        assert_eq!(
            settings(Some("233.252.0.64:1"), &[], None).family(),
            Family::V4
        );
        assert_eq!(
            settings(None, &["[2001:db8::2]:1"], None).family(),
            Family::V6
        );
        assert_eq!(
            settings(None, &["192.0.2.2:1"], Some("eth0")).family(),
            Family::V4
        );
        assert_eq!(settings(None, &[], Some("192.0.2.1")).family(), Family::V4);
    }

    #[test]
    fn only_addresses_of_one_link_need_a_scope() {
        for address in ["fe80::1", "febf::1", "ff02::1", "ff12::1", "ff01::1"] {
            assert!(needs_scope(address.parse().unwrap()), "{address}");
        }
        for address in [
            "ff05::1",
            "ff15::6a6f:6f6c",
            "ff08::db8:64:64",
            "2001:db8::1",
        ] {
            assert!(!needs_scope(address.parse().unwrap()), "{address}");
        }
        for address in ["fec0::1", "224.0.0.1", "169.254.0.1"] {
            assert!(!needs_scope(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn link_local_destinations_take_the_scope_of_the_send_interface() {
        let settings = settings(
            Some("[ff02::6a]:6400"),
            &["[fe80::2]:6400", "[2001:db8::2]:6400"],
            None,
        );
        let everyone: Vec<_> = settings
            .everyone(7, &[])
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            everyone,
            [
                "[ff02::6a%7]:6400",
                "[fe80::2%7]:6400",
                "[2001:db8::2]:6400"
            ]
        );
        assert_eq!(settings.link_local(), Some("ff02::6a".parse().unwrap()));
    }

    #[test]
    fn a_link_local_peer_is_known_by_its_address_whatever_its_scope() {
        let settings = settings(None, &["[fe80::2]:6400", "192.0.2.2:6400"], Some("eth0"));
        for (address, is_peer) in [
            ("[fe80::2%3]:6400", true),
            ("[fe80::2%3]:6401", false),
            ("[fe80::3%3]:6400", false),
            ("192.0.2.2:6400", true),
        ] {
            assert_eq!(settings.is_peer(address.parse().unwrap()), is_peer);
        }
    }

    #[test]
    fn in_a_vrf_the_socket_is_bound_to_its_interface_and_elsewhere_it_may_be() {
        let mut settings = settings(Some("[ff15::6a]:6400"), &[], Some("eth0"));
        let vrf = Place::Vrf("blue".to_owned());
        let port = Place::Port {
            kind: "bridge".to_owned(),
            of: "lan".to_owned(),
        };
        for (device, place, suits) in [
            (0, &Place::Itself, true),
            (0, &port, true),
            (0, &vrf, false),
            (7, &Place::Itself, true),
            (7, &vrf, true),
            (8, &Place::Itself, false),
            (8, &vrf, false),
        ] {
            assert_eq!(settings.suits(device, 7, place), suits, "{device} {place}");
        }
        assert!(
            settings.suits(8, 0, &Place::Itself),
            "of the kernel's choice"
        );

        // Of a socket that is bound to it, multicasts leave by no other.
        settings.send_interface = Some("lo".into());
        assert!(!settings.suits(7, 7, &Place::Itself));
        settings.group = None;
        assert!(settings.suits(7, 7, &Place::Itself));
    }

    #[test]
    fn a_port_matters_to_a_group_and_a_vrf_to_everybody() {
        let group = settings(Some("[ff15::6a]:6400"), &[], Some("eth0"));
        let peers = settings(None, &["[2001:db8::2]:6400"], Some("eth0"));
        let (kind, of) = ("bridge".to_owned(), "lan".to_owned());
        let port = Place::Port { kind, of };
        assert!(group.matters(&port) && !peers.matters(&port));
        let vrf = Place::Vrf("blue".to_owned());
        assert!(group.matters(&vrf) && peers.matters(&vrf));
        assert!(!group.matters(&Place::Itself) && !peers.matters(&Place::Itself));
    }

    #[test]
    fn a_scope_that_is_already_there_stays() {
        let address = "[fe80::2%3]:6400".parse().unwrap();
        assert_eq!(with_scope(address, 7), address);
    }
}
