//! Where the traffic comes from and where it goes.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use clap::Args;
use socket2::{Domain, Protocol, Socket, Type};

/// The two ends of the traffic, seen from the IPv6 client.
#[derive(Args)]
pub struct Route {
    /// Source addresses, used in turn; any of 2001:db8:1::/64 will do
    #[arg(long, num_args = 1.., default_value = "2001:db8::8")]
    from: Vec<Ipv6Addr>,
    /// Destination: the NAT64's prefix with the IPv4 server's address
    #[arg(long, default_value = "64:ff9b::192.0.2.8")]
    pub to: Ipv6Addr,
}

impl Route {
    /// The number of source addresses, at least 1.
    pub fn sources(&self) -> usize {
        self.from.len().max(1)
    }

    /// A socket bound to the `turn`-th source address (round-robin) and `port` (0: any).
    pub fn socket(
        &self,
        kind: Type,
        protocol: Protocol,
        turn: usize,
        port: u16,
    ) -> io::Result<Socket> {
        let from = self
            .from
            .get(turn % self.sources())
            .copied()
            .unwrap_or(Ipv6Addr::UNSPECIFIED);
        let socket = Socket::new(Domain::IPV6, kind, Some(protocol))?;
        let address = SocketAddr::new(IpAddr::V6(from), port);
        socket.bind(&address.into()).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot bind to {address}: {error}"))
        })?;
        Ok(socket)
    }
}
