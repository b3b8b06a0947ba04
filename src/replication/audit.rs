//! Comparisons of our own Jool's table with ours: at the start, when something was lost between the
//! two, and now and then.

use std::time::{Duration, Instant};

use crate::session::Session;

use super::walk::Walk;
use super::{Audit, Engine, Event, Phase};

/// How often our own Jool's table is compared with ours for no reason.
const AUDIT_INTERVAL: u64 = 300_000;
/// How soon after our own Jool refused something.
const AUDIT_SOON: u64 = 5_000;
/// The same with a Jool that drops records without counting them.
pub(super) const AUDIT_INTERVAL_BLIND: u64 = 30_000;

/// Comparisons of our own Jool's table with ours.
#[derive(Debug, Default)]
pub(super) struct AuditState {
    /// One is to begin.
    pub(super) wanted: bool,
    /// One is being made since then.
    pub(super) running: Option<u64>,
    /// Our own Jool is known to have dropped something that none has looked for.
    pub(super) loss_known: bool,
    /// The one that is being made, or that failed, is to find what was dropped before it began.
    pub(super) finds_loss: bool,
    /// Our own Jool refused something, and none has been made since.
    pub(super) refused: bool,
    /// An operator wants one.
    pub(super) asked_for: bool,
    /// When one is made without a reason.
    pub(super) due: u64,
    pub(super) found: u64,
    pub(super) announced_before: u64,
    pub(super) missing: u64,
    pub(super) last: Option<Audit>,
    /// Who told us what the others know, and how many records that were.
    pub(super) last_donor: Option<(u64, u64)>,
}

impl Engine {
    /// Something that our own Jool said did not get here, or not all of it.
    pub fn handle_loss(&mut self) {
        self.audit.loss_known = true;
        self.audit.wanted = true;
    }

    /// Our own Jool refused a run of sessions, or a part of it: soon, but not at once, since it may
    /// refuse them again, the tables are compared.
    pub fn handle_refusal(&mut self, now: Instant) {
        self.look_soon(self.clock(now));
        self.audit.refused = true;
    }

    /// Our own Jool said something that its table explains: soon, but not at once, since what waits in
    /// its queue says more, the tables are compared.
    pub(super) fn look_soon(&mut self, now: u64) {
        self.audit.due = self.audit.due.min(now + AUDIT_SOON);
    }

    /// Compares everything: our own Jool's table with ours, and ours with another node's.
    pub fn resync(&mut self) {
        self.audit.wanted = true;
        self.audit.asked_for = true;
        self.resync_wanted = true;
    }

    /// Whether our own Jool's table is to be read now, from the beginning, with
    /// [`Engine::begin_audit`], [`Engine::handle_dumped`] for each session and
    /// [`Engine::end_audit`].
    pub fn wants_audit(&self) -> bool {
        self.attached && self.audit.wanted && self.audit.running.is_none()
    }

    /// The reading of our own Jool's table begins.
    pub fn begin_audit(&mut self, now: Instant) {
        let now = self.clock(now);
        self.audit.wanted = false;
        self.audit.running = Some(now);
        self.audit.refused = false;
        self.audit.finds_loss |= std::mem::take(&mut self.audit.loss_known);
        self.walks.retain(|(walk, _)| *walk != Walk::Reinject);
        self.audit.found = 0;
        self.audit.missing = 0;
        self.audit.announced_before = self.ledger.announcements() as u64 + self.ring.last();
        self.ledger.begin_audit();
    }

    /// A session of our own Jool's table.
    pub fn handle_dumped(&mut self, now: Instant, session: &Session) {
        let now = self.clock(now);
        self.audit.found += 1;
        let joining = matches!(self.phase, Phase::Fresh | Phase::Joining { .. });
        let session = session.after(self.hello.late(now));
        self.ledger.dumped(now, &session, joining);
    }

    /// Our own Jool's table has been read, to its end or not.
    pub fn end_audit(&mut self, complete: bool) {
        if !complete {
            self.audit.running = None;
            self.audit.wanted = true;
            return;
        }
        self.walks.push_back((Walk::Reinject, 0));
        if let Phase::Joining { dumped, .. } = &mut self.phase {
            *dumped = true;
        }
    }

    pub(super) fn finish_audit(&mut self, now: u64) {
        let Some(began) = self.audit.running.take() else {
            return;
        };
        let announced = self.ledger.announcements() as u64 + self.ring.last();
        let audit = Audit {
            at: self.instant(now),
            took: Duration::from_millis(now - began),
            sessions: self.audit.found,
            announced: announced - self.audit.announced_before.min(announced),
            injected: self.audit.missing,
        };
        self.ledger.end_audit();
        self.counters.audits += 1;
        let had_reason = std::mem::take(&mut self.audit.finds_loss);
        self.audit.last = Some(audit);
        let counts_drops = self.jool.as_ref().is_some_and(|jool| jool.counts_drops);
        self.audit.due = now
            + match counts_drops {
                _ if self.audit.refused => AUDIT_SOON,
                true => AUDIT_INTERVAL,
                false => AUDIT_INTERVAL_BLIND,
            };
        if std::mem::take(&mut self.audit.asked_for) || had_reason {
            self.tell(Event::Audited(audit));
        }
    }
}
