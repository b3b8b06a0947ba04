//! Whether this node is fit to translate: one judgement, for everything that acts on it.
//!
//! A node that was fit keeps being so through what passes by itself, and one that was not becomes it
//! only when nothing is left to wait for, so that the verdict does not flap. [`Judge`] knows no
//! engine: it is given the [`Facts`].

mod verdict;

use std::time::Duration;

use super::event::Difference;

pub use verdict::Fitness;

/// How long what a node knows may be incomplete, or on its way to its Jool, before it is no longer
/// fit, in milliseconds. A comparison after a refusal comes within 5 s.
const GRACE: u64 = 10_000;
/// How far behind the others a node may be and stay fit, in milliseconds.
const LATEST: u64 = 5_000;
/// How far behind a node may be that becomes fit, in milliseconds.
const NEARLY: u64 = 1_000;
/// A Jool that translated so lately is at work, in milliseconds.
const AT_WORK: u64 = 30_000;
/// The same of a node that was cut off: another one may have had its traffic since.
const AT_WORK_APART: u64 = 3_000;
/// A node that is alone is at work when it translated for so long, in milliseconds: anybody may send it a
/// packet or two.
const WORK: u64 = 3_000;
/// Another node is not heard for so long while its daemon is restarted, in milliseconds; longer than [`WORK`],
/// so that a node at work is never taken for idle.
const RESTART: u64 = 5_000;
/// How long another node has to know more, in milliseconds, before this one yields to it.
const BETTER: u64 = 1_000;
/// How long a node stays fit after a restart of its daemon, once its Jool's table has been read, without a record
/// of its Jool, in milliseconds. One that is at work has them at once, and one that is not has joined by then.
const FIRST_RECORDS: u64 = 3_000;
/// How long the reading of that table may take, in milliseconds.
const LONGEST_READING: u64 = 60_000;

/// When a node that is back takes the traffic back from one that is fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// As soon as it would be fit.
    Auto,
    /// When an operator says so, or no other node is fit.
    Manual,
    /// When it would have been fit for so long, or no other node is fit.
    After(Duration),
}

/// What an operator decides about the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// When a node that is back takes the traffic back.
    pub failback: Failback,
    /// How long a node that hears no other waits for one before it counts as fit.
    pub alone_wait: Duration,
    /// Settings that may differ between the nodes.
    pub accepted: Vec<Difference>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failback: Failback::Auto,
            alone_wait: Duration::from_secs(60),
            accepted: vec![
                Difference::Timeouts,
                Difference::Settings,
                Difference::StaticBib,
            ],
        }
    }
}

/// What a verdict is made of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// There is a Jool.
    pub(crate) has_jool: bool,
    /// It was told not to translate.
    pub(crate) is_paused: bool,
    /// Its table has been read since the daemon met it.
    pub(crate) has_read: bool,
    /// It has a pool4.
    pub(crate) has_pool4: bool,
    /// What the others know is here.
    pub(crate) has_joined: bool,
    /// No other node is heard.
    pub(crate) is_alone: bool,
    /// For how long something that is known to be missing has been, in milliseconds; 0: nothing is.
    pub(crate) lag: u64,
    /// Something is missing of a node that was not heard for a while: nothing tells how much.
    pub(crate) was_apart: bool,
    /// Many sessions wait to be given to our own Jool.
    pub(crate) is_loading: bool,
    /// Something else is missing.
    pub(crate) is_incomplete: bool,
    /// The pools are not those of another node.
    pub(crate) differs: bool,
    /// Another node says that it is this one.
    pub(crate) has_namesake: bool,
    /// When our own Jool last translated something, in milliseconds on the engine's clock.
    pub(crate) worked_at: Option<u64>,
    /// Our own Jool had sessions when the daemon met it.
    pub(crate) had_sessions: bool,
    /// Our own Jool has been read and was empty, and another node knows sessions.
    pub(crate) was_emptied: bool,
    /// Another node is fit, and its settings are ours.
    pub(crate) other_is_fit: bool,
    /// One that is fit knows more than we.
    pub(crate) other_is_better: bool,
    /// Another node, whatever its settings, might translate.
    pub(crate) other_might: bool,
}

/// What gives the verdicts, and remembers the last.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) policy: Policy,
    pub(crate) is_drained: bool,
    verdict: Fitness,
    /// The run of the daemon before this one was fit, a moment ago.
    resumes: bool,
    /// When our own Jool was first seen, when its table had been read, since when no other node is heard, since when something else is
    /// missing, and since when nothing stands against being fit.
    met_at: Option<u64>,
    read_at: Option<u64>,
    alone_since: Option<u64>,
    incomplete_since: Option<u64>,
    well_since: Option<u64>,
    /// Since when another node knows more, and since when our own Jool has translated while no other node
    /// was heard.
    better_since: Option<u64>,
    worked_since: Option<u64>,
    /// It was fit with this very Jool, or would have been.
    was_fit: bool,
    /// An operator wants the traffic back here.
    is_released: bool,
    /// It held back when it last was with others.
    holds: bool,
}

impl Judge {
    pub(crate) fn new(policy: Policy, is_drained: bool, resumes: bool) -> Self {
        Self {
            policy,
            is_drained,
            verdict: Fitness::Unknown,
            resumes,
            met_at: None,
            read_at: None,
            alone_since: None,
            incomplete_since: None,
            well_since: None,
            better_since: None,
            worked_since: None,
            was_fit: resumes,
            is_released: false,
            holds: false,
        }
    }

    /// The last verdict.
    pub(crate) fn verdict(&self) -> Fitness {
        self.verdict
    }

    /// Whether the verdict is that of the daemon before, of which nothing shows that it is still right.
    pub(crate) fn is_inherited(&self, worked_at: Option<u64>) -> bool {
        self.resumes && self.verdict == Fitness::Serving && worked_at.is_none()
    }

    /// An operator takes the traffic away, or wants it back.
    pub(crate) fn drain(&mut self, is_drained: bool) {
        self.is_drained = is_drained;
        self.is_released = !is_drained;
    }

    /// Gives a verdict, and says whether it is another than the last.
    pub(crate) fn judge(&mut self, now: u64, facts: &Facts) -> bool {
        remember(&mut self.met_at, now, facts.has_jool);
        remember(&mut self.read_at, now, facts.has_jool && facts.has_read);
        remember(&mut self.alone_since, now, facts.is_alone);
        let incomplete = facts.is_incomplete || facts.is_loading;
        remember(&mut self.incomplete_since, now, incomplete);
        remember(&mut self.better_since, now, facts.other_is_better);
        let works = self
            .alone_since
            .is_some_and(|since| facts.worked_at > Some(since));
        remember(
            &mut self.worked_since,
            facts.worked_at.unwrap_or(now),
            works,
        );
        let verdict = self.decide(now, facts);
        self.was_fit = facts.has_jool && (self.was_fit || verdict.is_ready());
        self.resumes &= verdict.is_fit();
        match verdict {
            Fitness::Held => self.holds = true,
            // It may be alone because the daemon of who has the traffic is restarted.
            Fitness::Synced | Fitness::Serving | Fitness::Alone => {
                (self.holds, self.is_released) = (false, false);
            }
            _ => {}
        }
        let is_another = verdict != self.verdict;
        if is_another {
            self.verdict = verdict;
        }
        is_another
    }

    fn decide(&mut self, now: u64, facts: &Facts) -> Fitness {
        let obstacle = self.stops(facts).or_else(|| self.hinders(now, facts));
        remember(&mut self.well_since, now, obstacle.is_none());
        match obstacle {
            None if self.is_held(now, facts) => Fitness::Held,
            None => self.ground(now, facts),
            Some(obstacle) if self.serves(now, facts, obstacle) => Fitness::Serving,
            Some(obstacle) => obstacle,
        }
    }

    /// What no node is fit with.
    fn stops(&self, facts: &Facts) -> Option<Fitness> {
        if self.is_drained {
            Some(Fitness::Drained)
        } else if !facts.has_jool {
            Some(Fitness::NoJool)
        } else if facts.is_paused {
            Some(Fitness::Paused)
        } else if !facts.has_pool4 {
            Some(Fitness::NoPool4)
        } else {
            None
        }
    }

    /// What a node is not fit with unless it is at work.
    fn hinders(&self, now: u64, facts: &Facts) -> Option<Fitness> {
        use Fitness::{Alone, Held, Idle, Synced};
        // Whoever had everything has it all but for what passes.
        let had_all = matches!(self.verdict, Synced | Alone | Idle | Held);
        let for_long =
            |since: Option<u64>| since.is_some_and(|since| !had_all || now > since + GRACE);
        // There is nobody who does better.
        let is_left_alone = facts.is_alone && self.was_fit;
        let behind = if had_all { LATEST } else { NEARLY };
        if facts.has_namesake {
            Some(Fitness::Namesake)
        } else if facts.differs {
            Some(Fitness::Differs)
        } else if !facts.has_joined {
            Some(Fitness::Joining)
        } else if (facts.was_apart || facts.lag > behind) && !is_left_alone {
            Some(Fitness::Behind)
        } else if facts.is_loading && for_long(self.incomplete_since) {
            Some(Fitness::Loading)
        } else if facts.is_incomplete && for_long(self.incomplete_since) && !is_left_alone {
            Some(Fitness::Incomplete)
        } else if facts.is_alone && !self.was_fit && !self.has_waited(now) {
            Some(Fitness::Waiting)
        } else {
            None
        }
    }

    fn is_fit(&self) -> bool {
        self.verdict.is_fit() || (self.verdict == Fitness::Unknown && self.resumes)
    }

    fn has_waited(&self, now: u64) -> bool {
        let wait = u64::try_from(self.policy.alone_wait.as_millis()).unwrap_or(u64::MAX);
        self.alone_since
            .is_some_and(|since| now >= since.saturating_add(wait))
    }

    /// Whether a node goes on translating all the same: it is at work with what it had, and who takes its
    /// traffic away does no better.
    fn serves(&self, now: u64, facts: &Facts, obstacle: Fitness) -> bool {
        let worked_within = |time: u64| {
            facts
                .worked_at
                .is_some_and(|at| now < at.saturating_add(time))
        };
        // However quiet it is, as long as nobody else would translate.
        let goes_on = self.verdict == Fitness::Serving && !facts.other_might;
        let is_at_work = worked_within(AT_WORK) || goes_on;
        let is_worse = if self.is_fit() {
            self.better_since.is_some_and(|since| now >= since + BETTER)
        } else {
            facts.other_is_fit
        };
        match obstacle {
            Fitness::Joining if self.resumes && !facts.was_emptied => {
                let met = self.met_at.unwrap_or(now);
                let is_reading = self.read_at.is_none() && now < met + LONGEST_READING;
                let has_read = self.read_at.is_some_and(|read| now < read + FIRST_RECORDS);
                is_at_work || is_reading || has_read
            }
            Fitness::Joining | Fitness::Waiting => {
                is_at_work && facts.had_sessions && !facts.other_is_better
            }
            Fitness::Behind if facts.was_apart => {
                (worked_within(AT_WORK_APART) || goes_on) && self.was_fit && !is_worse
            }
            Fitness::Loading => is_at_work && self.was_fit && !facts.other_is_fit,
            Fitness::Namesake | Fitness::Differs | Fitness::Behind | Fitness::Incomplete => {
                is_at_work && self.was_fit && !is_worse
            }
            _ => false,
        }
    }

    /// Whether a node that would be fit leaves the traffic where it is.
    fn is_held(&self, now: u64, facts: &Facts) -> bool {
        if self.is_released || !facts.other_is_fit || (self.is_fit() && !self.holds) {
            return false;
        }
        match self.policy.failback {
            Failback::Auto => false,
            Failback::Manual => true,
            Failback::After(time) => {
                let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                self.well_since
                    .is_none_or(|since| now < since.saturating_add(time))
            }
        }
    }

    fn ground(&self, now: u64, facts: &Facts) -> Fitness {
        let Some(since) = self.alone_since else {
            return Fitness::Synced;
        };
        let worked = facts.worked_at.zip(self.worked_since);
        if worked.is_some_and(|(last, first)| last >= first + WORK) {
            Fitness::Alone
        } else if matches!(self.verdict, Fitness::Synced | Fitness::Serving)
            && now < since + RESTART
        {
            self.verdict
        } else {
            Fitness::Idle
        }
    }
}

/// Keeps since when something is so.
fn remember(since: &mut Option<u64>, now: u64, is_so: bool) {
    *since = is_so.then(|| since.unwrap_or(now));
}

#[cfg(test)]
mod tests;
