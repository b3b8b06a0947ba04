//! How this node stands, and whether it may translate.

use std::time::Instant;

use crate::replication::event::Event;
use crate::replication::fitness::{Fitness, Policy};
use crate::replication::report::{Status, View};
use crate::replication::state::State;

use super::Engine;

impl Engine {
    pub(super) fn view(&self, now: u64) -> View<'_> {
        View {
            now,
            group: &self.group,
            ledger: &self.ledger,
            own_log: &self.own_log,
            local: &self.local,
            audit: &self.audit,
            join: &self.join,
            repair: &self.repair,
            judge: &self.judge,
        }
    }

    /// What this node is about. Nothing is known to be missing to one that is synced.
    pub fn state(&self) -> State {
        self.state_at(self.judged_at)
    }

    pub(super) fn state_at(&self, now: u64) -> State {
        self.view(now).state()
    }

    /// How everything stands.
    pub fn status(&self, now: Instant) -> Status {
        let view = self.view(self.clock(now));
        view.status(self.shown.state, self.last_audit, |at| self.instant(at))
    }

    /// What this node is about, without what passes within 2 s.
    pub fn shown_state(&self) -> State {
        self.shown.state
    }

    /// Whether this node is fit to translate.
    pub fn fitness(&self) -> Fitness {
        self.judge.verdict()
    }

    /// Whether the verdict is only what the daemon before had said.
    pub fn is_inherited(&self) -> bool {
        self.judge.is_inherited(self.local.worked_at)
    }

    /// Whether this node can be drained without loss.
    ///
    /// # Errors
    ///
    /// Why no other node could take its traffic.
    pub fn may_drain(&self) -> Result<(), String> {
        if self.judge.is_drained {
            return Ok(());
        }
        self.view(self.judged_at).failover().map(drop)
    }

    /// An operator takes the traffic away from this node.
    pub fn drain(&mut self, now: Instant) {
        self.judge.drain(true);
        self.judge(self.clock(now));
    }

    /// An operator wants the traffic back.
    pub fn undrain(&mut self, now: Instant) {
        self.judge.drain(false);
        self.judge(self.clock(now));
    }

    /// What an operator decides about the verdict is this from now on.
    pub fn set_policy(&mut self, now: Instant, policy: Policy) {
        self.judge.policy = policy;
        self.judge(self.clock(now));
    }

    /// Gives a verdict on this node, and shows what has lasted.
    pub(super) fn judge(&mut self, now: u64) {
        self.judged_at = now;
        self.group.logs.keep_lag(now);
        self.local.is_emptied &= self.audit.lacks() || self.ledger.injections() > 0;
        let view = self.view(now);
        let (state, facts) = (view.state(), view.facts());
        self.shown.show(now, state, !facts.is_alone);
        let before = self.fitness();
        if self.judge.judge(now, &facts) {
            // The others are to know at once.
            self.hellos.at_once(now);
            // That Jool is waited for is told elsewhere.
            let fitness = self.fitness();
            if (before, fitness) != (Fitness::Unknown, Fitness::NoJool) {
                let reason = self.view(now).fitness_reason();
                self.events.tell(Event::Fitness(fitness, reason));
            }
        }
    }
}
