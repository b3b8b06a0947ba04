//! Comparisons of our own Jool's table with ours: at the start, when something was lost between the
//! two, and now and then.

use std::fmt;

use crate::jool::Client;
use crate::replication::store::Missing;
use crate::session::{Identity, Protocol};

/// How often our own Jool's table is compared with ours for no reason.
const AUDIT_INTERVAL: u64 = 300_000;
/// How soon after our own Jool refused something.
const AUDIT_SOON: u64 = 5_000;
/// The same with a Jool that drops records without counting them.
pub(crate) const AUDIT_INTERVAL_BLIND: u64 = 30_000;

/// Comparisons of our own Jool's table with ours.
#[derive(Debug, Default)]
pub(crate) struct AuditState {
    /// One is to begin.
    pub(crate) wanted: bool,
    /// One is being made since then.
    pub(crate) running: Option<u64>,
    /// Our own Jool is known to have dropped something that none has looked for.
    loss_known: bool,
    /// The one that is being made, or that failed, is to find what was dropped before it began.
    finds_loss: bool,
    /// Our own Jool refused something, and none has been made since.
    pub(crate) refused: bool,
    /// An operator wants one.
    asked_for: bool,
    /// When one is made without a reason.
    pub(crate) due: u64,
    found: u64,
    announced_before: u64,
    /// Our own Jool is another instance than when it was last compared: what is not there was not removed.
    pub(crate) is_new: bool,
    /// Pool4 has been changed since then, which takes sessions.
    pub(crate) pool4_changed: bool,
    given: u64,
    /// Of those, the ones that it should have at the next one.
    awaited: u64,
    removed: u64,
    not_taken: NotTaken,
    /// The next one is made to see whether our own Jool took what it was given.
    looks_again: bool,
    /// What the last one found that our own Jool does not take.
    pub(crate) refuses: NotTaken,
    /// Nobody was told of that, since it is to be found out first who has the masks.
    tells_refuses: bool,
}

/// Sessions that our own Jool was given and has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NotTaken {
    pub(crate) count: u64,
    /// Some of them, and who has their masks, once that is known.
    examples: Vec<(Identity, Option<Option<Client>>)>,
}

impl NotTaken {
    fn add(&mut self, id: Identity) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push((id, None));
        }
    }

    /// What it is about, whoever has the masks.
    fn ids(&self) -> impl Iterator<Item = Identity> {
        self.examples.iter().map(|(id, _)| *id)
    }
}

impl fmt::Display for NotTaken {
    /// A sentence; nothing if all is taken.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return Ok(());
        }
        let plural = if self.count == 1 { "" } else { "s" };
        write!(
            f,
            "our own Jool does not take {} session{plural} of the other nodes",
            self.count
        )?;
        for (index, (id, client)) in self.examples.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { "; " })?;
            let protocol = match id.protocol {
                Protocol::Tcp => "TCP",
                Protocol::Udp => "UDP",
                Protocol::Icmp => "ICMP",
            };
            let mask = format!("{protocol} mask {}#{}", id.src4, id.src4_port);
            write!(f, "the {mask} of {}#{}", id.src6, id.src6_port)?;
            match client.flatten() {
                Some(client) if (client.address, client.port) != (id.src6, id.src6_port) => {
                    write!(f, " is that of {}#{} here", client.address, client.port)?;
                    if client.is_static {
                        f.write_str(", by a static BIB entry")?;
                    }
                }
                _ => f.write_str(", which may have another mask here")?,
            }
        }
        Ok(())
    }
}

/// So many examples are kept.
const EXAMPLES: usize = 3;

/// What a comparison found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// When it began.
    pub(crate) began: u64,
    /// Sessions in our own Jool.
    pub(crate) sessions: u64,
    /// Of those, announced since.
    pub(crate) announced: u64,
    /// Sessions that our own Jool had not, and was given.
    pub(crate) injected: u64,
    /// Sessions that somebody had removed from it.
    pub(crate) removed: u64,
    /// There was something that it did not take, and is not any more.
    pub(crate) takes_all_again: bool,
    /// Something had been lost, or somebody wanted to know.
    pub(crate) is_told: bool,
}

impl AuditState {
    /// Something that our own Jool said did not get here, or not all of it.
    pub(crate) fn has_lost(&mut self) {
        self.loss_known = true;
        self.wanted = true;
    }

    /// Whether it has not been looked for yet.
    pub(crate) fn lacks(&self) -> bool {
        self.loss_known || self.finds_loss
    }

    /// An operator wants one.
    pub(crate) fn ask(&mut self) {
        self.wanted = true;
        self.asked_for = true;
    }

    /// Soon, but not at once, the tables are compared: since our own Jool may refuse the same again, or
    /// since what waits in its queue says more.
    pub(crate) fn look_soon(&mut self, now: u64) {
        self.due = self.due.min(now + AUDIT_SOON);
    }

    /// The reading begins, after so many sessions were announced.
    pub(crate) fn begin(&mut self, now: u64, announced: u64) {
        self.wanted = false;
        self.running = Some(now);
        self.refused = false;
        self.finds_loss |= std::mem::take(&mut self.loss_known);
        (self.found, self.given, self.awaited, self.removed) = (0, 0, 0, 0);
        self.not_taken = NotTaken::default();
        self.announced_before = announced;
    }

    /// A session was read.
    pub(crate) fn finds(&mut self) {
        self.found += 1;
    }

    /// What became of a session that may not have been.
    pub(crate) fn misses(&mut self, missing: Missing) {
        match missing {
            Missing::Not => {}
            Missing::Removed => self.removed += 1,
            Missing::Ending => self.given += 1,
            Missing::Given => {
                self.given += 1;
                self.awaited += 1;
            }
            Missing::NotTaken(id) => {
                self.given += 1;
                self.not_taken.add(id);
            }
        }
    }

    /// A session that our own Jool does not take, of which it is to be found out who has its mask.
    pub(crate) fn unexplained(&self) -> Option<Identity> {
        let mut examples = self.refuses.examples.iter();
        examples.find_map(|(id, client)| client.is_none().then_some(*id))
    }

    /// That has been found out. Says whether people are to be told of all that is not taken now.
    pub(crate) fn explain(&mut self, id: Identity, client: Option<Client>) -> bool {
        for (example, known) in &mut self.refuses.examples {
            if *example == id {
                *known = Some(client);
            }
        }
        self.unexplained().is_none() && std::mem::take(&mut self.tells_refuses)
    }

    /// Our own Jool is gone: what it does next is another one's doing.
    pub(crate) fn detach(&mut self) {
        self.running = None;
        self.refuses = NotTaken::default();
    }

    /// Our own Jool is another instance, and an empty one.
    pub(crate) fn is_replaced(&mut self) {
        // What a comparison that is not over would conclude is of the one before.
        self.detach();
        self.is_new = true;
        self.has_lost();
    }

    /// The reading broke off.
    pub(crate) fn fail(&mut self) {
        self.running = None;
        self.wanted = true;
    }

    /// Our own Jool has been told what it had not.
    pub(crate) fn finish(&mut self, now: u64, announced: u64, counts_drops: bool) -> Option<Found> {
        let began = self.running.take()?;
        let had_reason = std::mem::take(&mut self.finds_loss);
        // It may not take what it was given.
        self.looks_again = !self.looks_again && self.awaited > 0;
        self.due = now
            + match counts_drops {
                _ if self.refused || self.looks_again => AUDIT_SOON,
                // An operator may have mended it.
                true if self.not_taken.count > 0 => AUDIT_INTERVAL_BLIND,
                true => AUDIT_INTERVAL,
                false => AUDIT_INTERVAL_BLIND,
            };
        (self.is_new, self.pool4_changed) = (false, false);
        let had_none = self.refuses.count == 0;
        let refuses = std::mem::take(&mut self.not_taken);
        if refuses.ids().eq(self.refuses.ids()) {
            self.refuses.count = refuses.count;
        } else {
            self.refuses = refuses;
        }
        let has_none = self.refuses.count == 0;
        self.tells_refuses = had_none && !has_none;
        Some(Found {
            began,
            sessions: self.found,
            announced: announced.saturating_sub(self.announced_before),
            injected: self.given,
            removed: self.removed,
            takes_all_again: !had_none && has_none,
            is_told: std::mem::take(&mut self.asked_for) || had_reason,
        })
    }
}
