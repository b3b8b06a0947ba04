//! What is done with every session of the table, a stride at a time, so that nothing else waits for
//! long.

use std::collections::VecDeque;

use crate::replication::store::{ADOPTED, Ledger, OWN, OwnLog, Place};
use crate::replication::wire::LogKey;
use crate::session::Slot;

use super::AuditState;

/// Slots that are gone through in one go.
const STRIDE: u32 = 16_384;

/// Something that is done slot by slot, a stride at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    /// Our own Jool is told what it has not.
    Reinject,
    /// What came from our own Jool at the start, and nobody else knows, is announced.
    AnnounceAdopted,
    /// The same when there is nobody: it is in our log, and nothing is sent.
    OwnAdopted,
    /// What we announced is announced again.
    AnnounceOwn,
    /// Everything is announced.
    AnnounceAll,
    /// What is in this log is in none.
    Disown(u16),
}

/// Those that are not over, and how far they are.
#[derive(Debug, Default)]
pub(crate) struct Walks(VecDeque<(Walk, u32)>);

impl Walks {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins one, from the beginning if it is under way.
    pub(crate) fn begin(&mut self, walk: Walk) {
        self.stop(walk);
        self.0.push_back((walk, 0));
    }

    pub(crate) fn stop(&mut self, walk: Walk) {
        self.0.retain(|(other, _)| *other != walk);
    }

    /// Goes on with the first, and says if that is over.
    pub(crate) fn step(
        &mut self,
        now: u64,
        ledger: &mut Ledger,
        own_log: &mut OwnLog,
        audit: &mut AuditState,
        logs: &[LogKey],
    ) -> Option<Walk> {
        let (walk, from) = self.0.pop_front()?;
        let end = from.saturating_add(STRIDE).min(ledger.table.slots());
        let began = audit.running.filter(|_| !audit.is_new);
        for slot in (from..end).map(Slot) {
            match walk {
                Walk::Reinject => audit.misses(ledger.audit(now, slot, logs, began)),
                Walk::AnnounceAdopted => {
                    ledger.announce(now, slot, Some(ADOPTED));
                }
                Walk::AnnounceOwn => {
                    ledger.announce(now, slot, Some(OWN));
                }
                Walk::AnnounceAll => {
                    ledger.announce(now, slot, None);
                }
                Walk::OwnAdopted => {
                    let seq = own_log.last() + 1;
                    if ledger.rehome(slot, ADOPTED, Place { log: OWN, seq }) {
                        own_log.push(slot.0, now);
                    }
                }
                Walk::Disown(log) => {
                    ledger.rehome(slot, log, Place::UNLOGGED);
                }
            }
        }
        if end < ledger.table.slots() {
            self.0.push_front((walk, end));
            return None;
        }
        Some(walk)
    }
}
