//! Our own log: what this node announced, by place.

/// Records that a node can find again by their places in its log.
pub(crate) const RING: u64 = 1 << 16;

/// Which slots the latest records of our own log are in, and when they were announced.
#[derive(Debug, Default)]
pub(crate) struct OwnLog {
    /// By place in the log, modulo [`RING`].
    slots: Vec<(u32, u32)>,
    last: u64,
}

impl OwnLog {
    fn index(seq: u64) -> usize {
        usize::try_from(seq % RING).unwrap_or(0)
    }

    /// The next record of the log: the session in this slot, at this time.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "differences of up to 49 days are enough"
    )]
    pub(crate) fn push(&mut self, slot: u32, now: u64) {
        self.last += 1;
        let index = Self::index(self.last);
        let item = (slot, now as u32);
        if self.slots.is_empty() {
            // All at once, since growing would copy it. Memory that is not used yet costs nothing.
            self.slots.reserve_exact(usize::try_from(RING).unwrap_or(0));
        }
        if let Some(place) = self.slots.get_mut(index) {
            *place = item;
        } else {
            // The log begins at 1.
            self.slots.resize(index, (u32::MAX, 0));
            self.slots.push(item);
        }
    }

    /// The last place of the log.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The slot that the record at this place was in.
    pub(crate) fn slot(&self, seq: u64) -> Option<u32> {
        self.item(seq).map(|(slot, _)| slot)
    }

    /// How long ago, in milliseconds, the record at this place was announced.
    #[allow(clippy::cast_possible_truncation, reason = "as in push")]
    pub(crate) fn age(&self, seq: u64, now: u64) -> Option<u32> {
        self.item(seq)
            .map(|(_, then)| (now as u32).wrapping_sub(then))
    }

    fn item(&self, seq: u64) -> Option<(u32, u32)> {
        let is_kept = seq >= 1 && seq <= self.last && seq + RING > self.last;
        is_kept.then(|| self.slots.get(Self::index(seq)).copied())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_where_what_is_too_old_was() {
        let mut log = OwnLog::default();
        for number in 0..RING + 5 {
            log.push(u32::try_from(number).unwrap(), number);
        }
        assert_eq!(log.slot(5), None);
        assert_eq!(log.slot(6), Some(5));
        assert_eq!(log.slot(RING + 5), Some(u32::try_from(RING).unwrap() + 4));
        assert_eq!(log.slot(RING + 6), None);
        assert_eq!(log.age(6, 25), Some(20));
    }
}
