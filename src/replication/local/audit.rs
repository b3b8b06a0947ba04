//! Comparisons of our own Jool's table with ours: at the start, when something was lost between the
//! two, and now and then.

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
    pub(crate) missing: u64,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// When it began.
    pub(crate) began: u64,
    /// Sessions in our own Jool.
    pub(crate) sessions: u64,
    /// Of those, announced since.
    pub(crate) announced: u64,
    /// Sessions that our own Jool had not.
    pub(crate) injected: u64,
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
        self.found = 0;
        self.missing = 0;
        self.announced_before = announced;
    }

    /// A session was read.
    pub(crate) fn finds(&mut self) {
        self.found += 1;
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
        self.due = now
            + match counts_drops {
                _ if self.refused => AUDIT_SOON,
                true => AUDIT_INTERVAL,
                false => AUDIT_INTERVAL_BLIND,
            };
        Some(Found {
            began,
            sessions: self.found,
            announced: announced.saturating_sub(self.announced_before),
            injected: self.missing,
            is_told: std::mem::take(&mut self.asked_for) || had_reason,
        })
    }
}
