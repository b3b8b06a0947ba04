//! What the engine has to know of our own Jool.

use crate::jool::{Client, Instance, MAX_RUN, Mask};
use crate::replication::counters::Counters;
use crate::replication::event::Digests;
use crate::replication::store::Ledger;
use crate::session::{Format, Pool4, Prefix, Protocol, Reject, Slot};

/// Records that may wait for another look at pool4.
const MAX_DOUBTFUL: usize = 4096;

/// Our own Jool as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) format: Format,
    pub(crate) version: u32,
    pub(crate) pool6: Prefix,
    pub(crate) pool4: Pool4,
    /// Of what should be the same everywhere, but for the static BIB.
    pub(crate) digests: Digests,
    /// Whether it counts what it drops.
    pub(crate) counts_drops: bool,
    /// It was told not to translate.
    pub(crate) is_paused: bool,
}

impl Attached {
    pub(crate) fn of(instance: &Instance) -> Self {
        Self {
            format: instance.format,
            version: instance.version.number(),
            pool6: instance.pool6,
            pool4: instance.pool4.clone(),
            digests: digests(instance),
            counts_drops: instance.version.counts_drops(),
            is_paused: instance.is_paused,
        }
    }
}

/// Our own Jool.
#[derive(Debug, Default)]
pub(crate) struct Local {
    /// As it was last seen.
    pub(crate) jool: Option<Attached>,
    pub(crate) is_attached: bool,
    /// When it last translated something.
    pub(crate) worked_at: Option<u64>,
    /// It had sessions when the daemon met it.
    pub(crate) had_sessions: bool,
    /// It lost its sessions all at once, and they have not been given back to it.
    pub(crate) is_emptied: bool,
    /// A digest of its static BIB, once that was read.
    static_bib: u32,
    /// Slots of sessions whose mask is not in pool4 as it was when we last looked.
    doubtful: Vec<u32>,
}

impl Local {
    /// Of what should be the same everywhere.
    pub(crate) fn digests(&self) -> Option<Digests> {
        let [pool6, pool4, timeouts, settings, _] = self.jool.as_ref()?.digests;
        Some([pool6, pool4, timeouts, settings, self.static_bib])
    }

    /// Its static BIB has been read: which protocol's mask is whose, in any order.
    pub(crate) fn has_static_bib(&mut self, entries: &[(Protocol, Mask, Client)]) {
        let sum = entries.iter().fold(0_u32, |sum, (protocol, mask, client)| {
            let bytes = [*protocol as u8].into_iter().chain(mask.0.octets());
            let bytes = bytes
                .chain(mask.1.to_be_bytes())
                .chain(client.address.octets());
            sum.wrapping_add(digest(bytes.chain(client.port.to_be_bytes())))
        });
        self.static_bib = digest(sum.to_be_bytes());
    }

    /// It is gone, and with it what waited for it.
    pub(crate) fn detach(&mut self) {
        self.is_attached = false;
        self.doubtful.clear();
        (self.worked_at, self.had_sessions, self.static_bib) = (None, false, 0);
    }

    /// Whether records wait for another look at pool4: it may have been changed just now.
    pub(crate) fn has_doubts(&self) -> bool {
        !self.doubtful.is_empty()
    }

    /// Pool4 has been looked at again: what waited for that is taken, or refused.
    pub(crate) fn settle_doubts(&mut self, ledger: &mut Ledger, counters: &mut Counters) {
        let Some(jool) = &self.jool else { return };
        for slot in self.doubtful.drain(..).map(Slot) {
            let Some(entry) = ledger.table.get(slot) else {
                continue;
            };
            if jool.pool4.masks(&entry.id) {
                ledger.inject_again(slot);
            } else {
                counters.received_rejects.count(Reject::Pool4);
            }
        }
    }

    /// Writes the next run of records, at most [`MAX_RUN`] bytes; `false` when there is none.
    pub(crate) fn write_injection(
        &mut self,
        now: u64,
        run: &mut Vec<u8>,
        ledger: &mut Ledger,
        counters: &mut Counters,
    ) -> bool {
        let Some(jool) = &self.jool else { return false };
        let format = jool.format;
        let expressible = format.can_express(&jool.pool6);
        // Pool4 may mask nothing of what waits.
        for _ in 0..MAX_DOUBTFUL {
            if run.len() + format.length() > MAX_RUN {
                break;
            }
            let Some((slot, session)) = ledger.next_injection(now, run.is_empty()) else {
                break;
            };
            // What has ended is told of in any case: our own Jool may have it from before pool4 was changed.
            if !session.has_ended() && !jool.pool4.masks(&session.id) {
                // One that is empty is told of as soon as it is not.
                if !jool.pool4.is_empty() && self.doubtful.len() < MAX_DOUBTFUL {
                    self.doubtful.push(slot.0);
                } else {
                    counters.received_rejects.count(Reject::Pool4);
                }
                ledger.was_not_given(slot);
            } else if expressible {
                format.write(&session, &jool.pool6, run);
                counters.injected_records += 1;
            } else {
                counters.inexpressible += 1;
                ledger.was_not_given(slot);
            }
        }
        !run.is_empty()
    }
}

/// FNV-1a, 32 bits; never 0.
fn digest(bytes: impl IntoIterator<Item = u8>) -> u32 {
    let hash = bytes.into_iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash.max(1)
}

/// Of all but the static BIB, in the order of [`crate::replication::Difference::ALL`].
fn digests(instance: &Instance) -> Digests {
    let pool6 = &instance.pool6;
    let timeouts = &instance.timeouts;
    let timeouts = [
        timeouts.tcp_established,
        timeouts.tcp_transitory,
        timeouts.udp,
        timeouts.icmp,
    ];
    [
        digest(pool6.address().octets().into_iter().chain([pool6.length()])),
        digest(instance.pool4.octets()),
        digest(timeouts.into_iter().flat_map(u32::to_be_bytes)),
        digest(instance.settings.iter().copied()),
        0,
    ]
}
