//! Bad cables: between each two nodes a relay that loses some datagrams and delays others.

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

/// Datagrams that are lost, and that others overtake, in percent each.
pub(super) const LOSS: u64 = 5;
const REORDERED: u64 = 5;
/// How long the latter are kept back.
const DELAY: Duration = Duration::from_millis(4);

/// What all relays did.
#[derive(Clone, Default)]
pub(super) struct Tally(Rc<Cell<(u64, u64)>>);

impl Tally {
    /// Datagrams that came, and those of them that were lost.
    pub(super) fn get(&self) -> (u64, u64) {
        self.0.get()
    }

    fn count(&self, lost: bool) {
        let (came, gone) = self.0.get();
        self.0.set((came + 1, gone + u64::from(lost)));
    }
}

/// The cable between two nodes.
pub(super) struct Relay {
    /// Where each node finds the other.
    pub(super) facing: [SocketAddr; 2],
    tasks: [JoinHandle<()>; 2],
}

impl Relay {
    /// A relay between the nodes at these addresses. Needs a tokio `LocalSet`.
    pub(super) async fn open(nodes: [SocketAddr; 2], tally: &Tally) -> io::Result<Self> {
        let socket = async || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.map(Rc::new);
        let [one, other] = [socket().await?, socket().await?];
        let facing = [one.local_addr()?, other.local_addr()?];
        let task = |from: &Rc<UdpSocket>, by: &Rc<UdpSocket>, to, seed| {
            spawn_local(carry(
                Rc::clone(from),
                Rc::clone(by),
                to,
                Random(seed),
                tally.clone(),
            ))
        };
        let [first, second] = nodes;
        let seed = u64::from(first.port()) << 16 | u64::from(second.port());
        let tasks = [
            task(&one, &other, second, seed),
            task(&other, &one, first, !seed),
        ];
        Ok(Self { facing, tasks })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Carries what comes in at one end to a node at the other.
async fn carry(
    from: Rc<UdpSocket>,
    by: Rc<UdpSocket>,
    to: SocketAddr,
    mut random: Random,
    tally: Tally,
) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        // An error is that of an earlier datagram to a node that is down just now.
        let Ok((length, _)) = from.recv_from(&mut buffer).await else {
            continue;
        };
        let lost = random.percent() < LOSS;
        tally.count(lost);
        let Some(datagram) = buffer.get(..length).filter(|_| !lost) else {
            continue;
        };
        if random.percent() < REORDERED {
            let (datagram, by) = (datagram.to_vec(), Rc::clone(&by));
            spawn_local(async move {
                sleep(DELAY).await;
                let _ = by.send_to(&datagram, to).await;
            });
        } else {
            let _ = by.send_to(datagram, to).await;
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn percent(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::LocalSet;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_relay_answers_from_the_address_that_is_sent_to_and_loses_some() {
        let test = async {
            let node = async || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let [a, b] = [node().await, node().await];
            let tally = Tally::default();
            let ends = [a.local_addr().unwrap(), b.local_addr().unwrap()];
            let relay = Relay::open(ends, &tally).await.unwrap();
            let mut came = 0;
            let all = async {
                for sent in 1..=1000 {
                    a.send_to(b"x", relay.facing[0]).await.unwrap();
                    while tally.get().0 < sent {
                        tokio::task::yield_now().await;
                    }
                    // No more at once than a socket's buffer takes.
                    while came + tally.get().1 + 100 < sent {
                        let (_, from) = b.recv_from(&mut [0; 8]).await.unwrap();
                        assert_eq!(from, relay.facing[1]);
                        came += 1;
                    }
                }
                while came + tally.get().1 < 1000 {
                    b.recv_from(&mut [0; 8]).await.unwrap();
                    came += 1;
                }
            };
            timeout(Duration::from_secs(10), all).await.unwrap();
            let (_, lost) = tally.get();
            assert!((1..200).contains(&lost), "{lost}");
        };
        LocalSet::new().run_until(test).await;
    }
}
