//! Sessions that leave together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Identity, Session};

/// Sessions that there is always memory for.
const KEPT: usize = 4096;

/// A set of sessions, of each only the latest record, taken out in ascending order of expiry, which
/// the module inserts in constant time.
///
/// The order of arrival tells which record is the latest. Sorted by expiry alone, the record that
/// closed a connection (4 min) would come before the one that opened it (2 h) and be undone by it.
/// Memory is kept from use to use.
#[derive(Debug, Default)]
pub struct Batch {
    sessions: Vec<Session>,
    // Keyed at random by std: what a stranger sends does not choose the bucket.
    places: HashMap<Identity, usize>,
    /// What is being taken out, sorted, and how much of it has been.
    leaving: Vec<Session>,
    taken: usize,
}

impl Batch {
    /// Adds a session's record; `false` when it replaced one that was waiting.
    pub fn push(&mut self, session: Session) -> bool {
        match self.places.entry(session.id) {
            Entry::Occupied(place) => {
                if let Some(known) = self.sessions.get_mut(*place.get()) {
                    *known = session;
                }
                false
            }
            Entry::Vacant(place) => {
                place.insert(self.sessions.len());
                self.sessions.push(session);
                true
            }
        }
    }

    /// How many sessions are waiting.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.leaving.len() - self.taken
    }

    /// Whether none is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes out up to `most` sessions, those that expire first; none when none is waiting.
    pub fn take(&mut self, most: usize) -> &[Session] {
        if self.taken == self.leaving.len() {
            self.leaving.clear();
            self.taken = 0;
            self.places.clear();
            std::mem::swap(&mut self.sessions, &mut self.leaving);
            if self.leaving.is_empty() {
                self.shrink();
            }
            self.leaving
                .sort_unstable_by_key(|session| session.lifetime);
        }
        let from = self.taken;
        self.taken = self.leaving.len().min(from.saturating_add(most));
        self.leaving.get(from..self.taken).unwrap_or_default()
    }

    /// Gives back what only an advertisement needed.
    fn shrink(&mut self) {
        self.sessions.shrink_to(KEPT);
        self.leaving.shrink_to(KEPT);
        self.places.shrink_to(KEPT);
    }

    /// Forgets all sessions.
    pub fn clear(&mut self) {
        self.sessions.clear();
        self.places.clear();
        self.leaving.clear();
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::udp;
    use crate::session::{Protocol, State, Timer};

    #[test]
    fn sessions_leave_in_ascending_order_of_expiry() {
        let mut batch = Batch::default();
        for (port, lifetime) in [(1, 300), (2, 100), (3, 200)] {
            assert!(batch.push(Session {
                lifetime,
                ..udp(port)
            }));
        }
        assert_eq!(
            batch.take(2).iter().map(|s| s.lifetime).collect::<Vec<_>>(),
            [100, 200]
        );
        assert_eq!(batch.len(), 1);
        assert_eq!(
            batch.take(2).iter().map(|s| s.lifetime).collect::<Vec<_>>(),
            [300]
        );
        assert!(batch.is_empty());
        assert!(batch.take(2).is_empty());
    }

    #[test]
    fn a_closed_connection_is_not_reopened_by_its_own_older_record() {
        let mut batch = Batch::default();
        let mut open = udp(1);
        open.id.protocol = Protocol::Tcp;
        open.lifetime = 7_200_000;
        let closed = Session {
            state: State::V4FinV6FinRcv,
            timer: Timer::Transitory,
            lifetime: 240_000,
            ..open
        };
        assert!(batch.push(open));
        assert!(!batch.push(closed));
        assert_eq!(batch.take(9), [closed]);
    }

    #[test]
    fn what_arrives_while_others_leave_leaves_after_them() {
        let mut batch = Batch::default();
        batch.push(udp(1));
        batch.push(udp(2));
        assert_eq!(batch.take(1).len(), 1);
        batch.push(udp(3));
        assert_eq!(batch.len(), 2);
        assert_eq!(batch.take(9).len(), 1);
        assert_eq!(batch.take(9), [udp(3)]);
        assert!(batch.is_empty());
    }
}
