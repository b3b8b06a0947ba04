//! The table of sessions: of each session the latest that is known, and where it stands in which
//! node's log.
//!
//! Entries live in slots that never move, so that a table can be read slot by slot while it
//! changes: whatever was there from the beginning to the end of such a reading is found exactly
//! once. An index keyed at random leads from an identity to its slot: what a stranger sends does not
//! choose the bucket. The index is in many small parts, so that no single growth takes long.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::{Identity, Session, Stamp, State, Timeouts, Timer, ends_early};

/// Entries that are allocated together.
const CHUNK: usize = 1024;
/// Parts of the index.
const PARTS: usize = 256;
/// Entries that are looked at for the one to give up when the table is full.
const CANDIDATES: u32 = 64;
/// No slot: the end of the chain of vacant ones.
const NONE: u32 = u32::MAX;

/// Where an entry is. Used again for another session once the first is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// Where the index has an identity, computed once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Key(u64);

/// What is known of a session. 64 bytes.
///
/// Points in time are milliseconds on the clock of whoever keeps the table, unless they are a
/// [`Stamp`].
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which session.
    pub id: Identity,
    /// Its TCP state.
    pub state: State,
    /// What its lifetime counts down from.
    pub timer: Timer,
    /// What is still to be done about it.
    pub marks: Marks,
    /// The log that its latest record is in, as the table's keeper numbers them.
    pub log: u16,
    /// By how many milliseconds it is known to live longer than our own Jool was told.
    pub untold: u16,
    /// Where in that log.
    pub seq: u64,
    /// When it expires.
    pub expires: u64,
    /// Its last activity that was announced, by whoever did: what the other nodes know of.
    pub announced: Stamp,
}

/// What is still to be done about a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u16);

impl Marks {
    /// It is to be announced to the other nodes.
    pub const ANNOUNCE: Self = Self(1);
    /// It is to be given to our own Jool.
    pub const INJECT: Self = Self(2);
    /// It is to be given to our own Jool when a transfer is complete.
    pub const BACKLOG: Self = Self(4);
    /// It was found in our own Jool, or arrived, since the latest audit began.
    pub const SEEN: Self = Self(8);
    /// What is known of it was read in our own Jool's table.
    pub const READ: Self = Self(16);
    /// Our own Jool has told something later than the record at the entry's place.
    pub const LOCAL: Self = Self(32);
    /// It has ended, and is kept because another node may think that it lives.
    pub const ENDED: Self = Self(64);
    /// Our own Jool was seen to have it.
    pub const IN_JOOL: Self = Self(128);
    /// A comparison did not find it in our own Jool, which was given it again.
    pub const GIVEN: Self = Self(256);
    /// The slot holds nothing.
    const VACANT: Self = Self(512);

    /// Whether this mark is there.
    #[inline]
    pub fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    /// Adds or takes away a mark; says whether that changed anything.
    #[inline]
    pub fn set(&mut self, mark: Self, to: bool) -> bool {
        let before = self.0;
        self.0 = if to {
            before | mark.0
        } else {
            before & !mark.0
        };
        self.0 != before
    }
}

impl Entry {
    /// The session as it is now.
    #[inline]
    pub fn session(&self, now: u64) -> Session {
        let left = self.expires.saturating_sub(now);
        Session {
            id: self.id,
            state: self.state,
            timer: self.timer,
            lifetime: u32::try_from(left).unwrap_or(u32::MAX),
        }
    }

    /// Whether it ends before the lifetime that it had in an earlier state.
    #[inline]
    pub fn ends_early(&self) -> bool {
        ends_early(self.timer)
    }

    /// Whether others are told of it: it lives, or has ended earlier than they may think.
    #[inline]
    pub fn is_told(&self, now: u64) -> bool {
        self.expires > now || self.ends_early()
    }

    /// When the session's latest packet was translated, as far as its lifetime tells.
    #[inline]
    pub fn activity(&self, timeouts: &Timeouts) -> u64 {
        let timeout = timeouts.of(self.id.protocol, self.timer);
        self.expires.saturating_sub(u64::from(timeout))
    }
}

/// The sessions that are known.
#[derive(Debug)]
pub struct Table {
    slab: Slab,
    parts: Box<[HashTable<u32>]>,
    hasher: RandomState,
    length: usize,
    limit: usize,
    /// Where the next entry to give up is looked for.
    hand: u32,
}

/// The slots.
#[derive(Debug)]
struct Slab {
    chunks: Vec<Box<[Entry]>>,
    /// How many were ever used.
    used: u32,
    /// First of the vacant ones; each names the next one in `seq`.
    vacant: u32,
}

impl Slab {
    /// What is in a slot that was ever used.
    #[inline]
    fn at(&self, slot: u32) -> Option<&Entry> {
        let slot = slot as usize;
        self.chunks.get(slot / CHUNK)?.get(slot % CHUNK)
    }

    #[inline]
    fn at_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        let slot = slot as usize;
        self.chunks.get_mut(slot / CHUNK)?.get_mut(slot % CHUNK)
    }

    fn put(&mut self, entry: Entry) -> u32 {
        let slot = self.vacant;
        if let Some(place) = self.at_mut(slot) {
            let next = std::mem::replace(place, entry).seq;
            self.vacant = u32::try_from(next).unwrap_or(NONE);
            return slot;
        }
        let slot = self.used;
        self.used += 1;
        if let Some(place) = self.at_mut(slot) {
            *place = entry;
            return slot;
        }
        let mut vacant = entry;
        vacant.marks = Marks::VACANT;
        let mut chunk = vec![vacant; CHUNK].into_boxed_slice();
        if let Some(place) = chunk.first_mut() {
            *place = entry;
        }
        self.chunks.push(chunk);
        slot
    }

    fn vacate(&mut self, slot: u32) {
        let next = u64::from(self.vacant);
        if let Some(place) = self.at_mut(slot) {
            place.marks = Marks::VACANT;
            place.seq = next;
            self.vacant = slot;
        }
    }
}

#[inline]
fn hash(hasher: &RandomState, id: &Identity) -> u64 {
    let v4 = u64::from(u32::from(id.src4)) << 32 | u64::from(u32::from(id.dst4));
    let ports = u64::from(id.src6_port) << 48
        | u64::from(id.src4_port) << 32
        | u64::from(id.dst4_port) << 16
        | id.protocol as u64;
    hasher.hash_one((u128::from(id.src6), v4, ports))
}

/// The part of the index that a hash belongs to. Inside, the highest and the lowest bits count.
#[inline]
fn part(hash: u64) -> usize {
    usize::try_from(hash >> 40 & (PARTS as u64 - 1)).unwrap_or(0)
}

impl Table {
    /// An empty table for at most so many sessions.
    pub fn new(limit: usize) -> Self {
        Self {
            slab: Slab {
                chunks: Vec::new(),
                used: 0,
                vacant: NONE,
            },
            parts: (0..PARTS).map(|_| HashTable::new()).collect(),
            hasher: RandomState::new(),
            length: 0,
            limit: limit.max(1),
            hand: 0,
        }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many sessions there may be.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// One more than the highest slot that was ever used.
    pub fn slots(&self) -> u32 {
        self.slab.used
    }

    /// Where the index has this identity.
    #[inline]
    pub fn key(&self, id: &Identity) -> Key {
        Key(hash(&self.hasher, id))
    }

    /// Has the memory fetched that looking these up will need, so that a million sessions, which are
    /// in no cache, are waited for together and not one by one. Returns nothing of interest.
    #[inline]
    pub fn fetch(&self, keys: &[Key]) -> u64 {
        // Two loops of independent steps each: the processor runs ahead in both.
        let mut slots = [NONE; 64];
        for (Key(hash), slot) in keys.iter().zip(&mut slots) {
            let candidate = |part: &HashTable<u32>| part.find(*hash, |_| true).copied();
            *slot = self
                .parts
                .get(part(*hash))
                .and_then(candidate)
                .unwrap_or(NONE);
        }
        let entries = slots.iter().filter_map(|slot| self.slab.at(*slot));
        entries.fold(0, |sum, entry| {
            sum ^ entry.expires ^ u64::from(entry.id.src6_port)
        })
    }

    /// The slot of a session.
    #[inline]
    pub fn find(&self, Key(hash): Key, id: &Identity) -> Option<Slot> {
        let is_it = |slot: &u32| self.slab.at(*slot).is_some_and(|entry| entry.id == *id);
        let found = self.parts.get(part(hash))?.find(hash, is_it);
        found.copied().map(Slot)
    }

    /// What is in a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&Entry> {
        let entry = self.slab.at(slot.0)?;
        (!entry.marks.has(Marks::VACANT)).then_some(entry)
    }

    /// What is in a slot, to be changed; but for its identity.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        let entry = self.slab.at_mut(slot.0)?;
        (!entry.marks.has(Marks::VACANT)).then_some(entry)
    }

    /// Adds a session that is not there yet. When the table is full, the one among a few that was
    /// announced longest ago is given up, and returned.
    pub fn insert(&mut self, Key(key): Key, entry: Entry) -> (Slot, Option<Entry>) {
        let given_up = if self.length >= self.limit {
            self.oldest().and_then(|slot| self.remove(slot))
        } else {
            None
        };
        let Self {
            slab,
            parts,
            hasher,
            ..
        } = self;
        let slot = slab.put(entry);
        if let Some(part) = parts.get_mut(part(key)) {
            let rehash = |slot: &u32| slab.at(*slot).map_or(0, |entry| hash(hasher, &entry.id));
            part.insert_unique(key, slot, rehash);
        }
        self.length += 1;
        (Slot(slot), given_up)
    }

    /// Takes a session out.
    pub fn remove(&mut self, slot: Slot) -> Option<Entry> {
        let entry = *self.get(slot)?;
        let key = hash(&self.hasher, &entry.id);
        let part = self.parts.get_mut(part(key))?;
        if let Ok(found) = part.find_entry(key, |other| *other == slot.0) {
            found.remove();
        }
        self.slab.vacate(slot.0);
        self.length -= 1;
        Some(entry)
    }

    /// Of the next few entries the one that was announced longest ago.
    fn oldest(&mut self) -> Option<Slot> {
        let (mut oldest, mut seen) = (None::<(Stamp, Slot)>, 0);
        for _ in 0..self.slots() {
            let slot = Slot(self.hand);
            self.hand = (self.hand + 1) % self.slots();
            let Some(entry) = self.get(slot) else {
                continue;
            };
            if oldest.is_none_or(|(announced, _)| entry.announced.since(announced) < 0) {
                oldest = Some((entry.announced, slot));
            }
            seen += 1;
            if seen == CANDIDATES {
                break;
            }
        }
        oldest.map(|(_, slot)| slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::udp;
    use std::collections::HashMap;

    fn entry(port: u16, announced: u64) -> Entry {
        let session = udp(port);
        Entry {
            id: session.id,
            state: session.state,
            timer: session.timer,
            marks: Marks::default(),
            log: 0,
            untold: 0,
            seq: u64::from(port),
            expires: 1000,
            announced: Stamp(announced),
        }
    }

    #[test]
    fn an_entry_is_a_cache_line() {
        assert_eq!(size_of::<Entry>(), 64);
    }

    #[test]
    fn it_holds_what_a_map_holds_whatever_comes_and_goes() {
        let mut table = Table::new(100_000);
        let mut map = HashMap::new();
        let mut random = 1_u64;
        for round in 0..50_000_u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let port = u16::try_from(random >> 48).unwrap() % 5000;
            let id = udp(port).id;
            match table.find(table.key(&id), &id) {
                Some(slot) if round % 3 == 0 => {
                    assert_eq!(table.remove(slot).map(|entry| entry.id), Some(id));
                    assert!(table.get(slot).is_none());
                    assert!(map.remove(&id).is_some());
                }
                Some(slot) => {
                    table.get_mut(slot).unwrap().announced = Stamp(round);
                    map.insert(id, round);
                }
                None => {
                    assert!(map.insert(id, round).is_none());
                    assert_eq!(
                        table
                            .insert(table.key(&id), entry(port, round))
                            .1
                            .map(|entry| entry.id),
                        None
                    );
                }
            }
        }
        assert_eq!(table.len(), map.len());
        assert!(table.slots() <= 5000, "vacant slots are used again");
        let slots = (0..table.slots()).map(Slot);
        let found: HashMap<_, _> = slots
            .filter_map(|slot| table.get(slot))
            .map(|entry| (entry.id, entry.announced.0))
            .collect();
        assert_eq!(found, map);
    }

    #[test]
    fn a_full_table_gives_up_what_was_announced_longest_ago() {
        let mut table = Table::new(10);
        for port in 0..10 {
            let key = table.key(&udp(port).id);
            assert!(
                table
                    .insert(key, entry(port, 100 - u64::from(port)))
                    .1
                    .is_none()
            );
        }
        let key = table.key(&udp(10).id);
        let (_, given_up) = table.insert(key, entry(10, 200));
        assert_eq!(given_up.map(|entry| entry.id), Some(udp(9).id));
        assert_eq!(table.len(), 10);
        assert!(table.find(table.key(&udp(9).id), &udp(9).id).is_none());
        assert!(table.find(table.key(&udp(10).id), &udp(10).id).is_some());
    }

    #[test]
    fn a_lifetime_tells_the_last_activity() {
        let entry = Entry {
            expires: 1_000_000,
            ..entry(1, 0)
        };
        assert_eq!(entry.activity(&Timeouts::default()), 700_000);
        assert_eq!(entry.session(400_000).lifetime, 600_000);
        assert_eq!(entry.session(2_000_000).lifetime, 0);
    }
}
