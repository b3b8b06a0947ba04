//! A network that loses, repeats, delays and cuts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::random::Random;

#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Of 1,000 datagrams.
    pub(crate) loss: u64,
    pub(crate) repeats: u64,
    pub(crate) garbage: u64,
    /// Frames with bits that are not as they were sent.
    pub(crate) corruption: u64,
    pub(crate) delay: (u64, u64),
    pub(crate) spikes: u64,
    /// Whether what is meant for one reaches that one only.
    pub(crate) unicast: bool,
    /// Which nodes hear one another: those of one part.
    pub(crate) parts: Vec<u8>,
    /// From whom to whom how many of 1,000 are lost besides.
    pub(crate) one_way: Vec<(usize, usize, u64)>,
    /// What is longer is lost.
    pub(crate) mtu: usize,
    number: u64,
    under_way: BinaryHeap<Reverse<Datagram>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Datagram {
    at: u64,
    number: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Network {
    pub(crate) fn new(nodes: usize, random: &mut Random) -> Self {
        let fast = random.permille(400);
        Self {
            loss: random.one(&[0, 0, 10, 50, 100, 300]),
            repeats: random.one(&[0, 0, 20, 200]),
            garbage: random.one(&[0, 0, 5, 50]),
            corruption: 0,
            delay: if fast { (0, 2) } else { (0, 20) },
            spikes: random.one(&[0, 0, 10, 100]),
            unicast: random.permille(500),
            // The last one is where stock peers send from.
            parts: vec![0; nodes + 1],
            one_way: Vec::new(),
            mtu: usize::MAX,
            number: 0,
            under_way: BinaryHeap::new(),
        }
    }

    /// Whether everybody hears everybody.
    pub(crate) fn is_whole(&self) -> bool {
        self.parts.iter().all(|part| *part == self.parts[0]) && self.one_way.is_empty()
    }

    /// No more losses, repetitions or garbage; everybody hears everybody.
    pub(crate) fn heal(&mut self) {
        (self.loss, self.repeats, self.garbage, self.corruption) = (0, 0, 0, 0);
        self.spikes = 0;
        self.parts.fill(0);
        self.one_way.clear();
        self.mtu = usize::MAX;
    }

    pub(crate) fn send(
        &mut self,
        random: &mut Random,
        now: u64,
        from: usize,
        only: Option<usize>,
        bytes: &[u8],
    ) {
        let nodes = self.parts.len() - 1;
        for to in (0..nodes).filter(|to| *to != from) {
            if self.unicast && only.is_some_and(|only| only != to) {
                continue;
            }
            if self.parts[from] != self.parts[to] || bytes.len() > self.mtu {
                continue;
            }
            let link = self
                .one_way
                .iter()
                .find(|link| (link.0, link.1) == (from, to));
            if link.is_some_and(|link| random.permille(link.2)) {
                continue;
            }
            if random.permille(self.garbage) {
                let garbage = self.garbage(random, bytes);
                self.push(random, now, from, to, garbage);
            }
            if random.permille(self.loss) {
                continue;
            }
            let copies = 1 + u64::from(random.permille(self.repeats));
            for _ in 0..copies {
                let mut bytes = bytes.to_vec();
                if random.permille(self.corruption) {
                    for _ in 0..random.within(1, 4) {
                        let place = random.index(bytes.len());
                        let any = random.next() as u8;
                        bytes[place] = random.one(&[0, 0xff, 1, 0x80, any]);
                    }
                }
                self.push(random, now, from, to, bytes);
            }
        }
    }

    fn garbage(&self, random: &mut Random, bytes: &[u8]) -> Vec<u8> {
        match random.within(0, 3) {
            0 => (0..random.within(0, 200))
                .map(|_| random.next() as u8)
                .collect(),
            1 => {
                let mut frame = b"\xff\xffjd\x02".to_vec();
                frame.extend((0..random.within(0, 100)).map(|_| random.next() as u8));
                frame
            }
            // Records that were cut off with the trailer are records of a stock peer.
            _ => bytes[..random.index(bytes.len())].to_vec(),
        }
    }

    fn push(&mut self, random: &mut Random, now: u64, from: usize, to: usize, bytes: Vec<u8>) {
        let delay = if random.permille(self.spikes) {
            random.within(20, 200)
        } else {
            random.within(self.delay.0, self.delay.1)
        };
        self.number += 1;
        self.under_way.push(Reverse(Datagram {
            at: now + delay,
            number: self.number,
            from,
            to,
            bytes,
        }));
    }

    /// The next datagram that has arrived.
    pub(crate) fn arrival(&mut self, now: u64) -> Option<Datagram> {
        loop {
            if self.under_way.peek()?.0.at > now {
                return None;
            }
            let datagram = self.under_way.pop()?.0;
            if self.parts[datagram.from] == self.parts[datagram.to] {
                return Some(datagram);
            }
        }
    }
}
