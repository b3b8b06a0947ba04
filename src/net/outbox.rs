use std::collections::VecDeque;
use std::net::SocketAddr;
use std::{mem, slice};

/// At most this many bytes wait. A socket that takes nothing for long must not cost more memory;
/// what does not fit is dropped like any datagram that the network loses.
const LIMIT: usize = 8 << 20;

/// Memory beyond this is given back once everything was sent.
const KEPT: usize = 1 << 20;

/// To whom a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The group, if there is one, and each unicast peer.
    Everyone,
    /// This address only.
    One(SocketAddr),
}

/// Datagrams waiting to be sent, in order. They share one buffer, which is used again and again:
/// once warm, nothing is allocated per datagram.
#[derive(Debug, Default)]
pub struct Outbox {
    arena: Vec<u8>,
    /// Where the first waiting datagram begins in the arena; the others follow without a gap.
    start: usize,
    entries: VecDeque<Entry>,
    /// How many of the destinations of the first entry are done.
    done: usize,
    refused: u64,
}

#[derive(Debug)]
struct Entry {
    length: usize,
    to: Destination,
}

impl Entry {
    fn destinations<'a>(&'a self, everyone: &'a [SocketAddr]) -> &'a [SocketAddr] {
        match &self.to {
            Destination::Everyone => everyone,
            Destination::One(address) => slice::from_ref(address),
        }
    }
}

impl Outbox {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a datagram. When more than 8 MiB would wait, it is dropped instead;
    /// [`super::Network::send`] counts that.
    pub fn push(&mut self, to: Destination, bytes: &[u8]) {
        if self.arena.len() - self.start + bytes.len() > LIMIT {
            self.refused += 1;
            return;
        }
        self.arena.extend_from_slice(bytes);
        self.entries.push_back(Entry {
            length: bytes.len(),
            to,
        });
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many datagrams wait; one to everyone counts once.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Has everyone changed, the first datagram goes to all of them: to whom it went already is not
    /// known by their number any more.
    pub fn begin_again(&mut self) {
        self.done = 0;
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.arena.clear();
        self.arena.shrink_to(KEPT);
        self.start = 0;
        self.done = 0;
    }

    /// What is to be sent next, in order, one item per destination.
    pub(super) fn waiting<'a>(
        &'a self,
        everyone: &'a [SocketAddr],
    ) -> impl Iterator<Item = (&'a [u8], SocketAddr)> {
        let mut start = self.start;
        self.entries
            .iter()
            .flat_map(move |entry| {
                let end = start + entry.length;
                let bytes = self.arena.get(start..end).unwrap_or_default();
                start = end;
                let destinations = entry.destinations(everyone);
                destinations.iter().map(move |to| (bytes, *to))
            })
            .skip(self.done)
    }

    /// Forgets the next `count` items of [`Self::waiting`].
    pub(super) fn advance(&mut self, count: usize, everyone: &[SocketAddr]) {
        self.done += count;
        while let Some(first) = self.entries.front() {
            let destinations = first.destinations(everyone).len();
            if self.done < destinations {
                return;
            }
            self.done -= destinations;
            self.start += first.length;
            self.entries.pop_front();
        }
        self.clear();
    }

    /// Makes the room of what was sent usable again, at the cost of moving what still waits.
    pub(super) fn compact(&mut self) {
        self.arena.drain(..self.start.min(self.arena.len()));
        self.start = 0;
    }

    /// How many datagrams were dropped for lack of room since this was last asked.
    pub(super) fn take_refused(&mut self) -> u64 {
        mem::take(&mut self.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn waiting(outbox: &Outbox, everyone: &[SocketAddr]) -> Vec<(String, u16)> {
        outbox
            .waiting(everyone)
            .map(|(bytes, to)| (String::from_utf8(bytes.to_vec()).unwrap(), to.port()))
            .collect()
    }

    fn items(items: &[(&str, u16)]) -> Vec<(String, u16)> {
        items.iter().map(|(b, p)| ((*b).to_owned(), *p)).collect()
    }

    #[test]
    fn datagrams_wait_in_order_and_one_to_everyone_once_per_destination() {
        let everyone = [address(1), address(2)];
        let mut outbox = Outbox::new();
        outbox.push(Destination::One(address(9)), b"a");
        outbox.push(Destination::Everyone, b"bc");
        outbox.push(Destination::One(address(8)), b"");
        assert_eq!(outbox.len(), 3);
        assert_eq!(
            waiting(&outbox, &everyone),
            items(&[("a", 9), ("bc", 1), ("bc", 2), ("", 8)])
        );
    }

    #[test]
    fn what_was_sent_leaves_the_rest_as_it_was_wherever_it_stopped() {
        let everyone = [address(1), address(2), address(3)];
        for sent in 0..=7 {
            let mut outbox = Outbox::new();
            outbox.push(Destination::Everyone, b"first");
            outbox.push(Destination::One(address(9)), b"second");
            outbox.push(Destination::Everyone, b"third");
            let before = waiting(&outbox, &everyone);
            outbox.advance(sent, &everyone);
            assert_eq!(waiting(&outbox, &everyone), before[sent..]);
            outbox.compact();
            assert_eq!(waiting(&outbox, &everyone), before[sent..]);
            outbox.push(Destination::One(address(9)), b"fourth");
            let after = waiting(&outbox, &everyone);
            assert_eq!(after.last(), Some(&("fourth".to_owned(), 9)));
            assert_eq!(after[..after.len() - 1], before[sent..]);
        }
    }

    #[test]
    fn with_fewer_destinations_than_were_done_nothing_is_skipped() {
        let before = [address(1), address(2), address(3)];
        let after = [address(4)];
        let mut outbox = Outbox::new();
        outbox.push(Destination::Everyone, b"first");
        outbox.push(Destination::Everyone, b"second");
        outbox.advance(2, &before);
        outbox.begin_again();
        outbox.advance(0, &after);
        assert_eq!(
            waiting(&outbox, &after),
            items(&[("first", 4), ("second", 4)])
        );
    }

    #[test]
    fn with_nobody_to_hear_it_a_datagram_to_everyone_is_done_at_once() {
        let mut outbox = Outbox::new();
        outbox.push(Destination::Everyone, b"a");
        outbox.advance(0, &[]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let mut outbox = Outbox::new();
        let datagram = vec![0; 64 << 10];
        for _ in 0..LIMIT / datagram.len() + 3 {
            outbox.push(Destination::Everyone, &datagram);
        }
        assert_eq!(outbox.len(), LIMIT / datagram.len());
        assert_eq!(outbox.take_refused(), 3);
        assert_eq!(outbox.take_refused(), 0);

        let everyone = [address(1)];
        outbox.advance(1, &everyone);
        outbox.push(Destination::Everyone, &datagram);
        assert_eq!(outbox.take_refused(), 0);
    }

    #[test]
    fn memory_of_a_burst_is_given_back() {
        let mut outbox = Outbox::new();
        for _ in 0..64 {
            outbox.push(Destination::Everyone, &[0; 64 << 10]);
        }
        outbox.advance(64, &[address(1)]);
        assert!(outbox.is_empty());
        assert!(outbox.arena.capacity() <= KEPT);
    }
}
