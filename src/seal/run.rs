//! The runs of other nodes that a tag has vouched for.

use std::time::{Duration, Instant};

use super::counters::Refusal;
use super::crypto::Subkey;
use super::frame::{Head, RunKey};
use super::introduction::{Challenge, MOST_ECHOES, Said};
use super::keys::Keys;
use super::window::Window;

/// Runs that have proved themselves, and as many that have not.
pub(super) const MOST: usize = 32;
/// A run that was silent for so long has to prove itself again, so that nobody keeps what it said for later.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// One run of another node.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) key: RunKey,
    /// By the places of the keys.
    subkeys: Vec<Subkey>,
    pub(super) said: Said,
    /// Number of the key that its last frame was sealed with.
    pub(super) sends: u16,
    /// The highest counter of an introduction.
    newest: u64,
    heard: Instant,
    /// What of it has been there; `None`: it has not proved that it is going on now.
    window: Option<Window>,
}

impl Run {
    pub(super) fn is_proven(&self) -> bool {
        self.window.is_some()
    }

    pub(super) fn subkey(&self, key: usize) -> Option<&Subkey> {
        self.subkeys.get(key)
    }

    fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) > SILENCE
    }

    /// A frame of it came whose tag was right. Says whether it is new.
    pub(super) fn came(&mut self, now: Instant, counter: u64, key: u16) -> Result<(), Refusal> {
        let has_been = match &self.window {
            Some(window) => window.has(counter),
            None => counter <= self.newest,
        };
        if has_been {
            return Err(Refusal::Replayed);
        }
        if let Some(window) = &mut self.window {
            window.mark(counter);
        }
        self.heard = now;
        self.sends = key;
        Ok(())
    }

    /// It said this. Says whether that is news.
    pub(super) fn says(&mut self, counter: u64, said: Said) -> bool {
        // One that was overtaken tells what was so before.
        if counter <= self.newest {
            return false;
        }
        self.newest = counter;
        let is_news = self.said != said;
        self.said = said;
        is_news
    }
}

/// What one run of each is sealed with. Nothing: never, as far as `ring` tells.
fn subkeys(keys: &Keys, run: &RunKey) -> Vec<Subkey> {
    let subkeys = keys.iter().map(|key| Subkey::derive(&key.secret, run));
    subkeys.collect::<Option<_>>().unwrap_or_default()
}

/// Runs of other nodes.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    pub(super) fn position(&self, key: &RunKey) -> Option<usize> {
        self.0.iter().position(|run| run.key == *key)
    }

    pub(super) fn at(&self, index: usize) -> Option<&Run> {
        self.0.get(index)
    }

    pub(super) fn at_mut(&mut self, index: usize) -> Option<&mut Run> {
        self.0.get_mut(index)
    }

    /// Those that have proved themselves.
    pub(super) fn proven(&self) -> impl Iterator<Item = &Run> {
        self.0.iter().filter(|run| run.is_proven())
    }

    /// The keys are others now.
    pub(super) fn derive(&mut self, keys: &Keys) {
        for run in &mut self.0 {
            run.subkeys = subkeys(keys, &run.key);
        }
    }

    /// Follows a run that has not proved itself, in place of one that has not either if there are too many.
    pub(super) fn add(&mut self, now: Instant, head: &Head, said: Said, keys: &Keys) {
        let unproven = (0..).zip(&self.0).filter(|(_, run)| !run.is_proven());
        if unproven.clone().count() >= MOST
            && let Some((index, _)) = unproven.min_by_key(|(_, run)| run.heard)
        {
            self.0.swap_remove(index);
        }
        self.0.push(Run {
            key: head.run,
            subkeys: subkeys(keys, &head.run),
            said,
            sends: head.key,
            newest: head.counter,
            heard: now,
            window: None,
        });
    }

    /// The run has repeated the challenge: what it sends from this counter on is taken. Says whether another
    /// run is not taken any more.
    pub(super) fn prove(&mut self, key: &RunKey, counter: u64) -> bool {
        let Some(run) = self.0.iter_mut().find(|run| run.key == *key) else {
            return false;
        };
        run.window = Some(Window::new(counter));
        let before = self.0.len();
        // A node is in one run at a time.
        self.0
            .retain(|run| run.key == *key || run.key.log.node != key.log.node);
        let mut has_forgotten = self.0.len() < before;
        if self.proven().count() > MOST {
            let others = (0..).zip(&self.0);
            let others = others.filter(|(_, run)| run.is_proven() && run.key != *key);
            if let Some((index, _)) = others.min_by_key(|(_, run)| run.heard) {
                self.0.swap_remove(index);
                has_forgotten = true;
            }
        }
        has_forgotten
    }

    /// If the run was silent for too long, it has to prove itself again.
    pub(super) fn doubt(&mut self, now: Instant, index: usize) -> bool {
        let run = self.0.get_mut(index);
        let run = run.filter(|run| run.is_proven() && run.is_silent(now));
        run.is_some_and(|run| run.window.take().is_some())
    }

    /// What is to be repeated: of those that have not proved themselves first, the last heard before others; of
    /// the rest from this one on. Those that went away are forgotten.
    pub(super) fn echoes(&mut self, now: Instant, turn: usize) -> Vec<Challenge> {
        self.0.retain(|run| run.is_proven() || !run.is_silent(now));
        let (proven, mut unproven): (Vec<_>, Vec<_>) =
            self.0.iter().partition(|run| run.is_proven());
        unproven.sort_by_key(|run| std::cmp::Reverse(run.heard));
        let begin = turn.checked_rem(proven.len()).unwrap_or(0);
        let (before, from) = proven.split_at_checked(begin).unwrap_or_default();
        let order = unproven.iter().chain(from).chain(before);
        let echoes = order.map(|run| run.said.challenge);
        echoes.take(MOST_ECHOES).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
