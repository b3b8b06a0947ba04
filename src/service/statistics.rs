//! The stock daemon's statistics: six lines of text for whoever sends a datagram.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::Counters;
use crate::net;

/// Answers in a second. The question's source may be forged, and the answer is longer than it.
const MOST: u32 = 100;

#[derive(Debug)]
pub(super) struct Statistics {
    socket: UdpSocket,
    second: Instant,
    answered: u32,
}

impl Statistics {
    /// Listens; `::` takes IPv4, too, as the stock daemon's does.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        Self::listen(address, false)
    }

    /// Listens at another address, for which this socket is not to be in the way, as `::` is for
    /// 127.0.0.1 on the same port.
    pub(super) fn open_beside(&self, address: SocketAddr) -> io::Result<Self> {
        if self.socket.local_addr()?.port() != address.port() {
            return Self::open(address);
        }
        let this = SockRef::from(&self.socket);
        this.set_reuse_address(true)?;
        let opened = Self::listen(address, true);
        this.set_reuse_address(false)?;
        let other = opened?;
        SockRef::from(&other.socket).set_reuse_address(false)?;
        Ok(other)
    }

    fn listen(address: SocketAddr, reuse: bool) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(reuse)?;
        socket.set_nonblocking(true)?;
        // No other socket hears anything there, nor is the address one of its own.
        if let Some(vrf) = net::vrf_of(address.ip())? {
            socket.bind_device(Some(vrf.as_bytes()))?;
        }
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self {
            socket,
            second: Instant::now(),
            answered: 0,
        })
    }

    /// Answers everybody who is waiting, up to [`MOST`] in a second.
    pub(super) fn answer(&mut self, counters: &Counters) {
        let text = report(counters);
        // A question's content does not matter.
        for _ in 0..MOST {
            let Ok((_, from)) = self.socket.try_recv_from(&mut [0; 16]) else {
                return;
            };
            let now = Instant::now();
            if now.saturating_duration_since(self.second) > Duration::from_secs(1) {
                self.second = now;
                self.answered = 0;
            }
            if self.answered < MOST {
                self.answered += 1;
                // Whoever does not get it asks again.
                let _ = self.socket.try_send_to(text.as_bytes(), from);
            }
        }
    }
}

/// Waits until somebody asks; for ever without a socket.
pub(super) async fn asked(statistics: Option<&Statistics>) {
    match statistics {
        // An error is found, and cleared, by reading.
        Some(statistics) => drop(statistics.socket.readable().await),
        None => std::future::pending().await,
    }
}

/// The six lines. `KERNEL_SENT` is what was sent to the kernel, as the stock manual says; the stock
/// daemon counts there what it received from the kernel.
fn report(counters: &Counters) -> String {
    let network = &counters.network;
    format!(
        "KERNEL_SENT_PKTS,{}\nKERNEL_SENT_BYTES,{}\nNET_RCVD_PKTS,{}\nNET_RCVD_BYTES,{}\n\
         NET_SENT_PKTS,{}\nNET_SENT_BYTES,{}\n",
        counters.added_packets,
        counters.added_bytes,
        network.received_datagrams,
        network.received_bytes,
        network.sent_datagrams,
        network.sent_bytes,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_the_stock_daemons_six_lines() {
        let mut counters = Counters {
            added_packets: 4,
            added_bytes: 208,
            ..Counters::default()
        };
        counters.network.sent_datagrams = 4;
        counters.network.sent_bytes = 208;
        assert_eq!(
            report(&counters),
            "KERNEL_SENT_PKTS,4\nKERNEL_SENT_BYTES,208\nNET_RCVD_PKTS,0\nNET_RCVD_BYTES,0\n\
             NET_SENT_PKTS,4\nNET_SENT_BYTES,208\n"
        );
    }

    #[tokio::test]
    async fn another_address_of_the_same_port_may_take_the_place_of_the_first() {
        let everywhere = Statistics::open("[::]:0".parse().unwrap()).unwrap();
        let port = everywhere.socket.local_addr().unwrap().port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        assert!(Statistics::open(address).is_err());
        let here = everywhere.open_beside(address).unwrap();
        // Nobody else may listen there, neither before the first is closed nor after.
        assert!(Statistics::open(address).is_err());
        drop(everywhere);
        assert!(Statistics::open(address).is_err());
        assert!(here.open_beside("[::]:0".parse().unwrap()).is_ok());
    }

    #[tokio::test]
    async fn whoever_asks_by_ipv4_or_ipv6_gets_an_answer() {
        let mut statistics = Statistics::open("[::]:0".parse().unwrap()).unwrap();
        let port = statistics.socket.local_addr().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            let client = UdpSocket::bind((host, 0)).await.unwrap();
            client.send_to(b"\n", (host, port)).await.unwrap();
            asked(Some(&statistics)).await;
            statistics.answer(&Counters::default());
            let mut answer = [0; 512];
            let length = client.recv(&mut answer).await.unwrap();
            assert_eq!(answer[..length], *report(&Counters::default()).as_bytes());
        }
    }
}
