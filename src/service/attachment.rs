//! What the daemon does when its Jool comes, goes, or is not as it should be.

use std::time::{Duration, Instant, SystemTime};

use tracing::{error, info, warn};

use super::node::Node;
use super::snapshot::State;
use super::{Failure, journal, messages};
use crate::jool::{Instance, Jool, Refusal, Unavailable};
use crate::replication::Fitness;

/// How often the instance is looked for, and its settings are looked at. Nothing tells when they
/// change.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How soon after a refusal, or when pool4 may have changed.
pub(super) const REFUSAL_CHECK: Duration = Duration::from_millis(100);
/// So many flush intervals after the last record the module is asked for more. It hands over what is older
/// than one when it looks, which it does when a packet is translated or when it is asked: what came since
/// it looked last has waited long enough with the second question, whatever its clock ticks like.
pub(super) const ASKS: u32 = 5;
impl<J: Jool> Node<J> {
    /// Looks at the instance and at what it needs, if that is due, and shows what was found.
    pub(super) fn check_if_due(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if now < self.next_check {
            return Ok(());
        }
        self.next_check = now + CHECK_INTERVAL;
        let mut found = self.jool.attach();
        if found.is_err() && (self.attached || self.engine.fitness() == Fitness::Unknown) {
            // An answer that was lost is no lost Jool.
            found = self.jool.attach();
        }
        match found {
            Ok(instance) => self.attached_to(instance, now),
            Err(reason) => self.detached_from(reason, now)?,
        }
        self.engine.settle_doubts();
        self.read_counts();
        self.count();
        self.report_drops(now);
        self.publish();
        Ok(())
    }

    /// Reads what our own Jool counts: its sessions, and what it dropped before it got here.
    fn read_counts(&mut self) {
        if !self.attached {
            self.jool_sessions = 0;
            return;
        }
        // What cannot be asked just now is not gone.
        let Ok(counts) = self.jool.counts() else {
            return;
        };
        if let (Some(before), Some(now)) = (self.jool_dropped, counts.dropped)
            && now > before
        {
            self.counters.jool_dropped += now - before;
            self.engine.handle_loss();
        }
        self.jool_dropped = counts.dropped;
        // An instance that was removed and added again between two looks has everything but its sessions.
        if counts.sessions < self.jool_sessions.div_ceil(2) {
            self.engine.handle_fewer(Instant::now(), counts.sessions);
        }
        self.jool_sessions = counts.sessions;
    }

    pub(super) fn attached_to(&mut self, mut instance: Instance, now: Instant) {
        let repairs = std::mem::take(&mut instance.repairs);
        if let Some(refusal) = instance.unrepaired.take() {
            warn!(
                MESSAGE_ID = messages::UNREPAIRED.id,
                JOOLD_INSTANCE = instance.name.as_str(),
                "settings of the Jool instance that suit session synchronisation could not be set, \
                 sessions are synchronised all the same: {refusal}"
            );
            self.went_wrong(refusal);
        }
        let name = journal::instance(&instance);
        if !self.attached {
            self.attached = true;
            self.was_attached = true;
            self.give_up = None;
            // Something may wait in the module's queue for somebody to ask.
            self.asks_until = now + ASKS * self.config.jool.flush_interval;
            self.next_acknowledgement = now;
            info!(
                MESSAGE_ID = messages::ATTACHED.id,
                JOOLD_INSTANCE = instance.name.as_str(),
                "attached to {name}"
            );
            if !repairs.is_empty() {
                info!("set in Jool: {}", journal::list(&repairs));
            }
        } else if !repairs.is_empty() {
            self.counters.repairs += 1;
            self.engine.handle_loss();
            warn!(
                MESSAGE_ID = messages::REPAIRED.id,
                "somebody changed settings of the Jool instance that session synchronisation \
                 needs; set again: {}. What was translated meanwhile is looked for now. If this \
                 goes on, is another joold or a script at work?",
                journal::list(&repairs)
            );
        }
        let state = State::Running(instance);
        if self.snapshot.borrow().state != state {
            if let State::Running(instance) = &state {
                self.engine.handle_attached(now, instance);
            }
            self.enter(state);
        }
    }

    fn detached_from(&mut self, reason: Unavailable, now: Instant) -> Result<(), Failure> {
        let lost = self.attached;
        if lost {
            self.attached = false;
            self.abandon_audit();
            self.jool_dropped = None;
            self.engine.handle_detached(now);
            error!(
                MESSAGE_ID = messages::LOST.id,
                JOOLD_INSTANCE = self.config.jool.instance.as_str(),
                "Jool is lost, nothing is translated here until it is back; it is given every session then: {reason}"
            );
        } else if !reason.may_pass() && !self.was_attached {
            return Err(Failure::Jool(reason, None));
        } else if self.give_up.is_some_and(|give_up| give_up <= now) {
            return Err(Failure::Jool(reason, self.config.wait));
        }
        if let Some(give_up) = self.give_up {
            self.next_check = self.next_check.min(give_up);
        }
        let text = reason.to_string();
        let state = State::Waiting(text.clone());
        if self.snapshot.borrow().state != state {
            if !lost {
                let limit = self
                    .give_up
                    .map(|give_up| give_up.saturating_duration_since(now));
                warn!(
                    MESSAGE_ID = messages::WAITING.id,
                    JOOLD_INSTANCE = self.config.jool.instance.as_str(),
                    "waiting for Jool{}: {text}",
                    journal::limit(limit)
                );
            }
            self.went_wrong(text);
            self.enter(state);
        }
        Ok(())
    }

    fn enter(&mut self, state: State) {
        self.snapshot.send_modify(|snapshot| {
            snapshot.state = state;
            snapshot.since = SystemTime::now();
        });
    }

    /// Keeps what Jool said for the report of drops. If the instance may be gone, that is checked at
    /// once, since the module logs each request to an instance that is not there; else soon, because
    /// session sync may have been switched off.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        let now = Instant::now();
        if refusal.is_absence() {
            self.next_check = now;
        } else {
            self.next_check = self.next_check.min(now + REFUSAL_CHECK);
            self.last_refusal = Some(refusal.to_string());
        }
    }
}
