//! What two nodes have, in sums that are the same if it is.
//!
//! Sessions are put in buckets by their identity, and the sum of a bucket is over the identities and the
//! states of its sessions. Left out is what may be under way: what was active just now, what is about to
//! expire, and what nobody announced.

use crate::replication::wire::BUCKETS;
use crate::session::{Entry, Identity, Slot, Stamp};

use super::Ledger;
use super::record::{ADOPTED, OWN, UNLOGGED};

/// What expires sooner is left out, in milliseconds: lifetimes of one session are not exactly the same
/// everywhere.
pub(crate) const HORIZON: u32 = 30_000;
/// Slots that are gone through in one go.
const STRIDE: u32 = 16_384;

/// Some of the buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    /// Another hash for each comparison: what is not seen in one is seen in the next.
    pub(crate) key: Stamp,
    /// A bit for each bucket.
    pub(crate) bits: [u8; BUCKETS / 8],
}

impl Buckets {
    /// None of them.
    pub(crate) fn none(key: Stamp) -> Self {
        Self {
            key,
            bits: [0; BUCKETS / 8],
        }
    }

    pub(crate) fn insert(&mut self, bucket: usize) {
        if let Some(byte) = self.bits.get_mut(bucket / 8) {
            *byte |= 1 << (bucket % 8);
        }
    }

    /// Whether a session is in one of them.
    pub(crate) fn has(&self, id: &Identity) -> bool {
        let bucket = bucket(hash(id, self.key));
        let byte = self.bits.get(bucket / 8).copied().unwrap_or(0);
        byte & (1 << (bucket % 8)) != 0
    }

    /// How many they are.
    pub(crate) fn len(&self) -> u32 {
        self.bits.iter().map(|byte| byte.count_ones()).sum()
    }
}

/// Sums that are being made.
#[derive(Debug)]
pub(crate) struct Digest {
    /// They are over what was last active before this moment, which is their key, too.
    pub(crate) before: Stamp,
    pub(crate) sums: Vec<u32>,
    /// Sessions in them.
    pub(crate) sessions: u64,
    /// The next slot.
    next: u32,
    is_complete: bool,
}

impl Digest {
    pub(crate) fn new(before: Stamp) -> Self {
        Self {
            before,
            sums: vec![0; BUCKETS],
            sessions: 0,
            next: 0,
            is_complete: false,
        }
    }

    /// Whether the sums are over everything.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Goes on with the next slots.
    pub(crate) fn step(&mut self, now: u64, ledger: &Ledger) {
        let slots = ledger.table.slots();
        let end = self.next.saturating_add(STRIDE).min(slots);
        for slot in (self.next..end).map(Slot) {
            let entry = ledger.table.get(slot);
            let Some(entry) = entry.filter(|entry| self.counts(now, entry)) else {
                continue;
            };
            let hash = hash(&entry.id, self.before);
            let state = u64::from(entry.state as u8) << 8 | u64::from(entry.timer as u8);
            if let Some(sum) = self.sums.get_mut(bucket(hash)) {
                let [.., a, b, c, d] = mix(hash, state).to_be_bytes();
                *sum ^= u32::from_be_bytes([a, b, c, d]);
            }
            self.sessions += 1;
        }
        self.next = end;
        self.is_complete = end == slots;
    }

    fn counts(&self, now: u64, entry: &Entry) -> bool {
        let is_announced = match entry.log {
            ADOPTED | UNLOGGED => false,
            OWN => entry.seq > 0,
            _ => true,
        };
        is_announced
            && entry.expires > now + u64::from(HORIZON)
            && self.before.since(entry.announced) > 0
    }
}

fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ hash >> 29
}

fn hash(id: &Identity, key: Stamp) -> u64 {
    let [high, low] = [0, 64].map(|shift| {
        let bits = u128::from(id.src6) >> shift & u128::from(u64::MAX);
        u64::try_from(bits).unwrap_or(0)
    });
    let v4 = u64::from(u32::from(id.src4)) << 32 | u64::from(u32::from(id.dst4));
    let ports = u64::from(id.src6_port) << 48
        | u64::from(id.src4_port) << 32
        | u64::from(id.dst4_port) << 16
        | id.protocol as u64;
    let words = [high, low, v4, ports];
    words.into_iter().fold(mix(0, key.0), mix)
}

/// The bucket of a hash.
fn bucket(hash: u64) -> usize {
    usize::try_from(hash >> 54).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::udp;

    #[test]
    fn sessions_are_spread_over_the_buckets_and_their_bits_are_found_again() {
        let key = Stamp(5);
        let mut counts = vec![0; BUCKETS];
        for port in 0..u16::MAX {
            counts[bucket(hash(&udp(port).id, key))] += 1;
        }
        assert!(counts.iter().all(|count| (20..200).contains(count)));
        let mut buckets = Buckets::none(key);
        assert!(!buckets.has(&udp(7).id));
        buckets.insert(bucket(hash(&udp(7).id, key)));
        assert!(buckets.has(&udp(7).id));
        assert_eq!(buckets.len(), 1);
    }
}
