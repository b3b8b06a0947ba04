//! The nodes that send plain records, as the stock daemon does: nothing tells who they are but
//! their addresses.

use std::collections::HashMap;
use std::net::SocketAddr;

/// Peers that are remembered. A group has a handful; strangers can make up any number.
const MOST: usize = 64;
/// A peer that was silent for so long makes room for another, in milliseconds.
const FORGOTTEN: u64 = 600_000;

/// A node that sends plain records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StockPeer {
    /// Where its datagrams come from.
    pub(crate) address: SocketAddr,
    /// How many came.
    pub(crate) datagrams: u64,
    /// Records in them that were taken.
    pub(crate) records: u64,
    /// Records in them that were not.
    pub(crate) rejected: u64,
    /// When the last one came, in milliseconds on the engine's clock.
    pub(crate) heard: u64,
}

/// All that are known, in a bounded number.
#[derive(Debug, Default)]
pub(crate) struct StockPeers(HashMap<SocketAddr, StockPeer>);

impl StockPeers {
    /// Counts a datagram with so many records taken and not taken. Who never sent a record that was understood is
    /// no peer, whatever it is.
    pub(crate) fn heard(
        &mut self,
        now: u64,
        address: SocketAddr,
        records: u64,
        rejected: u64,
        understood: bool,
    ) {
        if !self.0.contains_key(&address) {
            if self.0.len() >= MOST {
                self.0.retain(|_, peer| now < peer.heard + FORGOTTEN);
            }
            if !understood || self.0.len() >= MOST {
                return;
            }
        }
        let peer = self.0.entry(address).or_insert(StockPeer {
            address,
            datagrams: 0,
            records: 0,
            rejected: 0,
            heard: now,
        });
        peer.datagrams += 1;
        peer.records += records;
        peer.rejected += rejected;
        peer.heard = now;
    }

    /// All of them, by address.
    pub(crate) fn list(&self) -> Vec<StockPeer> {
        let mut list: Vec<StockPeer> = self.0.values().copied().collect();
        list.sort_unstable_by_key(|peer| peer.address);
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], number))
    }

    #[test]
    fn strangers_do_not_displace_peers_and_cost_no_memory() {
        let mut peers = StockPeers::default();
        let start = 0;
        for number in 0..1000 {
            peers.heard(start, address(number), 1, 0, true);
        }
        assert_eq!(peers.list().len(), MOST);
        peers.heard(start, address(0), 2, 1, true);
        let first = peers.list()[0];
        assert_eq!((first.datagrams, first.records, first.rejected), (2, 3, 1));
    }

    #[test]
    fn who_sends_nothing_that_is_understood_is_no_peer() {
        let mut peers = StockPeers::default();
        peers.heard(0, address(1), 0, 3, false);
        peers.heard(0, address(1), 0, 0, false);
        assert!(peers.list().is_empty());
        // One of another pool4 is, and of a peer everything counts.
        peers.heard(0, address(2), 0, 1, true);
        peers.heard(0, address(2), 0, 2, false);
        assert_eq!(peers.list()[0].rejected, 3);
    }

    #[test]
    fn a_peer_that_was_silent_for_long_makes_room() {
        let mut peers = StockPeers::default();
        let start = 0;
        for number in 0..64 {
            peers.heard(start, address(number), 1, 0, true);
        }
        peers.heard(start + FORGOTTEN, address(0), 1, 0, true);
        peers.heard(start + FORGOTTEN, address(99), 1, 0, true);
        let left: Vec<_> = peers.list().iter().map(|peer| peer.address).collect();
        assert_eq!(left, [address(0), address(99)]);
    }
}
