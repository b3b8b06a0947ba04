//! What the daemon does when its Jool comes, goes, or is not as it should be.

use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::exchange::Asking;
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
/// What is known of our own Jool.
pub(super) struct Attachment {
    is_there: bool,
    /// Whether it ever was.
    was_there: bool,
    /// When a first attachment is given up; `None`: never, or it happened.
    give_up: Option<Instant>,
    next_check: Instant,
    /// Sessions that it had, and records that it had dropped, by the last check.
    sessions: u64,
    dropped: Option<u64>,
    /// Packets that it had been given by then.
    packets: u64,
}

impl Attachment {
    /// Not yet; it is given up after so long.
    pub(super) fn new(now: Instant, wait: Option<Duration>) -> Self {
        Self {
            is_there: false,
            was_there: false,
            give_up: wait.map(|wait| now + wait),
            next_check: now,
            sessions: 0,
            dropped: None,
            packets: 0,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    pub(super) fn sessions(&self) -> u64 {
        self.sessions
    }

    /// When it is looked at next.
    pub(super) fn next_check(&self) -> Instant {
        self.next_check
    }

    /// It is looked at then, if not sooner.
    pub(super) fn check_by(&mut self, at: Instant) {
        self.next_check = self.next_check.min(at);
    }

    /// It is another one from now on, which counts on its own.
    pub(super) fn forget(&mut self) {
        self.is_there = false;
        (self.sessions, self.dropped, self.packets) = (0, None, 0);
    }

    /// How long it is waited for, from now on, if it never was there.
    pub(super) fn wait_for(&mut self, now: Instant, wait: Option<Duration>) {
        if !self.was_there {
            self.give_up = wait.map(|wait| now + wait);
            self.check_by(now);
        }
    }
}

impl<J: Jool> Node<J> {
    /// Looks at the instance and at what it needs, if that is due, and shows what was found.
    pub(super) fn check_if_due(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if now < self.attachment.next_check {
            return Ok(());
        }
        self.attachment.next_check = now + CHECK_INTERVAL;
        let mut found = self.jool.attach();
        if found.is_err() && (self.attachment.is_there || self.engine.fitness() == Fitness::Unknown)
        {
            // An answer that was lost is no lost Jool.
            found = self.jool.attach();
        }
        match found {
            Ok(instance) => self.attached_to(instance, now),
            Err(reason) => self.detached_from(reason, now)?,
        }
        self.engine.settle_doubts();
        self.read_counts();
        self.table.end(&mut self.engine);
        self.check_hearing();
        self.count();
        self.report_drops(now);
        self.publish();
        Ok(())
    }

    /// Reads what our own Jool counts: its sessions, and what it dropped before it got here.
    fn read_counts(&mut self) {
        if !self.attachment.is_there {
            self.attachment.sessions = 0;
            return;
        }
        // What cannot be asked just now is not gone. It may be another instance.
        let Ok(counts) = self.jool.counts() else {
            self.engine.handle_left_out();
            return;
        };
        if let (Some(before), Some(now)) = (self.attachment.dropped, counts.dropped)
            && now > before
        {
            self.counters.jool_dropped += now - before;
            self.engine.handle_loss();
        }
        self.attachment.dropped = counts.dropped;
        if counts.packets < self.attachment.packets {
            self.replaced();
        }
        self.attachment.packets = counts.packets;
        // An instance that was removed and added again between two looks has everything but its sessions.
        if counts.sessions < self.attachment.sessions.div_ceil(2) {
            // Unless a pool4 went with them, since the look of a moment ago.
            if let Ok(instance) = self.jool.attach() {
                self.attached_to(instance, Instant::now());
            }
            self.engine.handle_fewer(Instant::now(), counts.sessions);
        }
        self.attachment.sessions = counts.sessions;
    }

    /// The instance is another one than a moment ago. What was read of its table is of both.
    fn replaced(&mut self) {
        self.engine.handle_replaced();
        self.table.abandon(&mut self.engine);
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
            self.publisher.went_wrong(refusal);
        }
        let name = journal::instance(&instance);
        if !self.attachment.is_there {
            self.attachment.is_there = true;
            self.attachment.was_there = true;
            self.attachment.give_up = None;
            // Something may wait in the module's queue for somebody to ask.
            self.asking = Asking::begin(now, self.config.jool.flush_interval);
            info!(
                MESSAGE_ID = messages::ATTACHED.id,
                JOOLD_INSTANCE = instance.name.as_str(),
                "attached to {name}"
            );
            if !repairs.is_empty() {
                info!("set in Jool: {}", journal::list(&repairs));
                if let Some(files) = self.publisher.outlets.files()
                    && let Err(error) = files.keep_found(&instance.name, &repairs)
                {
                    warn!("what was set in Jool stays so when joold is stopped: {error}");
                }
            }
        } else if !repairs.is_empty() {
            self.counters.repairs += 1;
            // It may have been made anew just now, which looks like this.
            self.replaced();
            // Nobody was heard while session sync was off.
            self.asking = Asking::begin(now, self.config.jool.flush_interval);
            warn!(
                MESSAGE_ID = messages::REPAIRED.id,
                "somebody changed settings of the Jool instance that session synchronisation \
                 needs; set again: {}. What was translated meanwhile is looked for now. If this \
                 goes on, is another joold or a script at work?",
                journal::list(&repairs)
            );
        }
        let state = State::Running(instance);
        if !self.publisher.is_in(&state) {
            if let State::Running(instance) = &state {
                self.engine.handle_attached(now, instance);
            }
            self.publisher.enter(state);
        }
    }

    fn detached_from(&mut self, reason: Unavailable, now: Instant) -> Result<(), Failure> {
        let lost = self.attachment.is_there;
        if lost {
            self.attachment.is_there = false;
            self.table.abandon(&mut self.engine);
            (self.attachment.dropped, self.attachment.packets) = (None, 0);
            self.engine.handle_detached(now);
            error!(
                MESSAGE_ID = messages::LOST.id,
                JOOLD_INSTANCE = self.config.jool.instance.as_str(),
                "Jool is lost, nothing is translated here until it is back; it is given every session then: {reason}"
            );
        } else if !reason.may_pass() && !self.attachment.was_there {
            return Err(Failure::Jool(reason, None));
        } else if self
            .attachment
            .give_up
            .is_some_and(|give_up| give_up <= now)
        {
            return Err(Failure::Jool(reason, self.config.wait));
        }
        if let Some(give_up) = self.attachment.give_up {
            self.attachment.check_by(give_up);
        }
        let text = reason.to_string();
        let state = State::Waiting(text.clone());
        if !self.publisher.is_in(&state) {
            if !lost {
                let limit = self
                    .attachment
                    .give_up
                    .map(|give_up| give_up.saturating_duration_since(now));
                warn!(
                    MESSAGE_ID = messages::WAITING.id,
                    JOOLD_INSTANCE = self.config.jool.instance.as_str(),
                    "waiting for Jool{}: {text}",
                    journal::limit(limit)
                );
            }
            self.publisher.went_wrong(text);
            self.publisher.enter(state);
        }
        Ok(())
    }

    /// Keeps what Jool said for the report of drops. If the instance may be gone, that is checked at
    /// once, since the module logs each request to an instance that is not there; else soon, because
    /// session sync may have been switched off.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        let now = Instant::now();
        if refusal.is_absence() {
            self.attachment.next_check = now;
        } else {
            self.attachment.check_by(now + REFUSAL_CHECK);
            self.reporter.keep(refusal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::commands::tests::Reloaded;

    #[tokio::test]
    async fn what_another_instance_dropped_is_not_what_this_one_did() {
        let mut reloaded = Reloaded::new("instance");
        reloaded.node.attachment.dropped = Some(5);
        reloaded.reload(r#""ttl": 2"#);
        assert_eq!(reloaded.node.attachment.dropped, Some(5));
        reloaded.reload(r#""instance": "other""#);
        assert_eq!(reloaded.node.attachment.dropped, None);
    }

    #[tokio::test]
    async fn a_node_that_waits_for_jool_waits_as_long_as_the_file_says_now() {
        let mut reloaded = Reloaded::new("wait");
        reloaded.reload(r#""jool wait": "forever""#);
        assert_eq!(reloaded.node.attachment.give_up, None);
        reloaded.reload(r#""jool wait": 7"#);
        let give_up = reloaded.node.attachment.give_up.unwrap();
        assert!(give_up <= Instant::now() + Duration::from_secs(7));
        reloaded.node.attachment.was_there = true;
        reloaded.node.attachment.give_up = None;
        reloaded.reload(r#""jool wait": 8"#);
        assert_eq!(reloaded.node.attachment.give_up, None);
    }
}
