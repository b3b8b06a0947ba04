//! Slots that wait for their turn.

use crate::session::{Marks, Slot, Table};

/// Slots that there is always memory for.
const KEPT: usize = 4096;

/// Sessions of the table that wait for something, each once, taken out in ascending order of expiry:
/// that is what a module inserts in constant time.
///
/// A mark in the entry says that it waits. Only slots are kept, so what leaves is the session as it
/// is when it leaves.
#[derive(Debug)]
pub(crate) struct Queue {
    mark: Marks,
    waiting: Vec<u32>,
    /// What is being taken out, sorted, and how much of it has been.
    leaving: Vec<(u64, u32)>,
    taken: usize,
}

impl Queue {
    pub(crate) fn new(mark: Marks) -> Self {
        Self {
            mark,
            waiting: Vec::new(),
            leaving: Vec::new(),
            taken: 0,
        }
    }

    /// Adds a session; `false` when it is waiting already.
    #[inline]
    pub(crate) fn push(&mut self, table: &mut Table, slot: Slot) -> bool {
        let Some(entry) = table.get_mut(slot) else {
            return false;
        };
        if !entry.marks.set(self.mark, true) {
            return false;
        }
        // Slots of sessions that went, or whose mark was taken away, are still listed.
        if self.waiting.len() == self.waiting.capacity()
            && self.waiting.len() > 2 * table.len() + KEPT
        {
            self.waiting.sort_unstable();
            self.waiting.dedup();
        }
        self.waiting.push(slot.0);
        true
    }

    /// How many slots wait; some may be of sessions that need nothing any more.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.leaving.len() - self.taken
    }

    /// Takes out the next session: of those that waited when the last of the earlier ones left,
    /// the one that expires first.
    pub(crate) fn pop(&mut self, table: &mut Table) -> Option<Slot> {
        loop {
            if let Some(slot) = self.pop_sorted(table) {
                return Some(slot);
            }
            self.refill(table);
            if self.leaving.is_empty() {
                return None;
            }
        }
    }

    /// The same, but none once the next would be of those that were sorted later.
    pub(crate) fn pop_sorted(&mut self, table: &mut Table) -> Option<Slot> {
        loop {
            let slot = Slot(self.leaving.get(self.taken)?.1);
            self.taken += 1;
            let entry = table.get_mut(slot);
            if entry.is_some_and(|entry| entry.marks.set(self.mark, false)) {
                return Some(slot);
            }
        }
    }

    fn refill(&mut self, table: &Table) {
        self.leaving.clear();
        self.taken = 0;
        let expiry = |slot: u32| table.get(Slot(slot)).map(|entry| (entry.expires, slot));
        self.leaving
            .extend(self.waiting.drain(..).filter_map(expiry));
        if self.leaving.is_empty() {
            // Gives back what only a join or an advertisement needed.
            self.waiting.shrink_to(KEPT);
            self.leaving.shrink_to(KEPT);
        }
        self.leaving.sort_unstable();
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self, table: &mut Table) {
        while self.pop(table).is_some() {}
    }
}
