//! What comes from our own Jool, and what goes there.

use std::time::{Duration, Instant};

use crate::jool::{Client, Instance, Mask};
use crate::replication::event::{Audit, Event};
use crate::replication::local::{Attached, Phase, Walk};
use crate::session::{Identity, Protocol, Session};

use super::Engine;

impl Engine {
    /// Our own Jool is there, with these settings.
    pub fn handle_attached(&mut self, now: Instant, instance: &Instance) {
        let now = self.clock(now);
        if self.ledger.set_timeouts(instance.timeouts) && self.join.has_joined() {
            // What the others were told lives as long as was thought before.
            self.walks.begin(Walk::AnnounceOwn);
        }
        let seen = Attached::of(instance);
        let before = self.local.jool.replace(seen.clone());
        let differs = before.as_ref().is_some_and(|it| it.digests != seen.digests);
        // Nobody changes the pool6 of an instance that there is.
        let before = before.as_ref();
        self.audit.is_new |= before.is_some_and(|before| before.pool6 != seen.pool6);
        self.audit.pool4_changed |= before.is_some_and(|before| before.pool4 != seen.pool4);
        self.compare_settings();
        if self.local.is_attached {
            if differs {
                // What was refused or cut may be acceptable now.
                self.audit.wanted = true;
                self.repair.resync_wanted = true;
            }
            self.judge(now);
            return;
        }
        self.local.is_attached = true;
        self.audit.wanted = true;
        self.audit.is_new = true;
        if self.join.phase == Phase::Fresh {
            self.join.begin(now);
        } else {
            // It may be another one, and an empty one.
            self.audit.has_lost();
        }
        self.judge(now);
        self.hellos.at_once(now);
    }

    /// The static BIB of our own Jool has been read: which protocol's mask is whose.
    pub fn handle_static_bib(&mut self, entries: &[(Protocol, Mask, Client)]) {
        self.local.has_static_bib(entries);
        self.compare_settings();
    }

    /// Tells of settings that have begun, or ceased, to differ.
    pub(super) fn compare_settings(&mut self) {
        if let Some(digests) = self.local.digests() {
            self.group.compare_settings(digests, &mut self.events);
        }
    }

    /// Our own Jool is another instance since a moment ago, and an empty one, with the settings of the one before.
    /// A reading of its table that was under way has to end as incomplete.
    pub fn handle_replaced(&mut self) {
        self.walks.stop(Walk::Reinject);
        self.audit.is_replaced();
    }

    /// A part of our own Jool's table could not be read: what is not found was not removed.
    pub fn handle_left_out(&mut self) {
        self.audit.is_new = true;
    }

    /// Our own Jool is gone, and with it what was meant for it: it is told everything when it is
    /// back. The table stays, and goes on.
    pub fn handle_detached(&mut self, now: Instant) {
        let now = self.clock(now);
        self.local.detach();
        self.audit.detach();
        self.walks.stop(Walk::Reinject);
        self.ledger.forget_injections();
        self.judge(now);
        self.hellos.at_once(now);
    }

    /// A run of records that our own Jool emitted.
    pub fn handle_local(&mut self, now: Instant, run: &[u8]) {
        let now = self.clock(now);
        let late = self.hellos.late(now);
        let Some(jool) = &self.local.jool else {
            return;
        };
        let (ledger, counters) = (&mut self.ledger, &mut self.counters);
        let came = self
            .runs
            .local(now, late, run, &jool.pool6, ledger, counters);
        if came {
            self.local.worked_at = Some(now);
        }
    }

    /// Something that our own Jool said did not get here, or not all of it.
    pub fn handle_loss(&mut self) {
        self.audit.has_lost();
    }

    /// Our own Jool has so few sessions left, and had many more just before. If those have not all expired,
    /// something took them.
    pub fn handle_fewer(&mut self, now: Instant, left: u64) {
        let now = self.clock(now);
        let live = self.ledger.live_sessions(now);
        if left < live / 2 {
            if self.audit.pool4_changed {
                self.audit.has_lost();
            } else {
                // It may be another instance, even if it counts no fewer packets.
                self.handle_replaced();
            }
            self.local.is_emptied |= left == 0;
        }
        self.judge(now);
    }

    /// Our own Jool refused a run of sessions, or a part of it: soon, but not at once, since it may
    /// refuse them again, the tables are compared.
    pub fn handle_refusal(&mut self, now: Instant) {
        self.audit.look_soon(self.clock(now));
        self.audit.refused = true;
    }

    /// Whether records wait for another look at pool4: it may have been changed just now.
    pub fn has_doubts(&self) -> bool {
        self.local.has_doubts()
    }

    /// Pool4 has been looked at again, and [`Engine::handle_attached`] knows it: what waited for
    /// that is taken, or refused.
    pub fn settle_doubts(&mut self) {
        self.local
            .settle_doubts(&mut self.ledger, &mut self.counters);
    }

    /// Compares everything: our own Jool's table with ours, and ours with another node's.
    pub fn resync(&mut self) {
        self.audit.ask();
        self.repair.resync_wanted = true;
    }

    /// Whether what this node has can be compared with what the others have.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn may_verify(&self) -> Result<(), String> {
        if !self.join.has_joined() {
            return Err("what the other nodes know is still on its way here".to_owned());
        }
        if self.ledger.lacks_given_up {
            return Err(
                "the table is full, so that not all that the other nodes have is here; raise \
                 \"max sessions\""
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Compares what this node has with what each of the others has, one after the other: what they have and
    /// this one lacks is taken. [`Peer::verified`](crate::replication::Peer::verified) tells.
    pub fn verify(&mut self, now: Instant) {
        let now = self.clock(now);
        self.repair.verifier.ask(now);
    }

    /// Announces every session, whether or not it changed: for stock peers, which cannot ask.
    /// Returns how many that will be.
    pub fn advertise(&mut self) -> u64 {
        self.walks.begin(Walk::AnnounceAll);
        self.ledger.sessions() as u64
    }

    /// A session that our own Jool does not take, of which [`crate::jool::Jool::client_of`] is to be asked.
    pub fn unexplained(&self) -> Option<Identity> {
        self.audit.unexplained()
    }

    /// Who has the mask of that session in our own Jool; `None`: nobody, or it cannot be told.
    pub fn explain(&mut self, id: Identity, client: Option<Client>) {
        if self.audit.explain(id, client) {
            self.events
                .tell(Event::NotTaken(self.audit.refuses.to_string()));
        }
    }

    /// Whether our own Jool's table is to be read now, from the beginning, with
    /// [`Engine::begin_audit`], [`Engine::handle_dumped`] for each session and
    /// [`Engine::end_audit`].
    pub fn wants_audit(&self) -> bool {
        self.local.is_attached && self.audit.wanted && self.audit.running.is_none()
    }

    /// Sessions that were announced, or are about to be.
    pub(super) fn announced(&self) -> u64 {
        self.ledger.announcements() as u64 + self.own_log.last()
    }

    /// The reading of our own Jool's table begins.
    pub fn begin_audit(&mut self, now: Instant) {
        let now = self.clock(now);
        self.audit.begin(now, self.announced());
        self.walks.stop(Walk::Reinject);
        self.ledger.begin_audit();
    }

    /// A session of our own Jool's table.
    pub fn handle_dumped(&mut self, now: Instant, session: &Session) {
        let now = self.clock(now);
        self.audit.finds();
        let adopts = self.join.adopts();
        self.local.had_sessions |= adopts;
        let session = session.after(self.hellos.late(now));
        let session = session.clamped(self.ledger.timeouts());
        self.ledger.dumped(now, &session, adopts);
    }

    /// Our own Jool's table has been read, to its end or not.
    pub fn end_audit(&mut self, complete: bool) {
        if !complete {
            self.audit.fail();
            return;
        }
        self.walks.begin(Walk::Reinject);
        self.join.was_dumped();
    }

    pub(super) fn finish_audit(&mut self, now: u64) {
        let jool = self.local.jool.as_ref();
        let counts_drops = jool.is_some_and(|jool| jool.counts_drops);
        let Some(found) = self.audit.finish(now, self.announced(), counts_drops) else {
            return;
        };
        if self.ledger.end_audit() {
            // What other nodes have of what was given up is taken.
            self.ledger.lacks_given_up = false;
            self.repair.resync_wanted = true;
        }
        self.counters.audits += 1;
        let audit = Audit {
            at: self.instant(now),
            took: Duration::from_millis(now - found.began),
            sessions: found.sessions,
            announced: found.announced,
            injected: found.injected,
        };
        self.last_audit = Some(audit);
        self.counters.removed += found.removed;
        if found.removed > 0 {
            self.events.tell(Event::Removed {
                sessions: found.removed,
            });
        }
        if found.takes_all_again {
            self.events.tell(Event::NotTaken(String::new()));
        }
        if found.is_told {
            self.events.tell(Event::Audited(audit));
        }
    }

    /// Whether sessions wait for our own Jool, and may go there. When the daemon starts its Jool may
    /// know more than all others do, so that its table is read before it is told anything.
    pub fn has_injections(&self) -> bool {
        let has_read = self.join.has_read_jool();
        self.local.is_attached && has_read && self.ledger.injections() > 0
    }

    /// Writes the next run of records for our own Jool, at most [`crate::jool::MAX_RUN`] bytes; `false` when
    /// there is none.
    pub fn poll_inject(&mut self, now: Instant, run: &mut Vec<u8>) -> bool {
        run.clear();
        let now = self.clock(now);
        let (ledger, counters) = (&mut self.ledger, &mut self.counters);
        let has_read = self.join.has_read_jool();
        let may = self.local.is_attached && has_read && ledger.injections() > 0;
        may && self.local.write_injection(now, run, ledger, counters)
    }
}
