//! The other nodes' logs that are followed.

use crate::replication::wire::{LogKey, Position};

use super::log::Log;

/// Logs that are followed at a time, each of a node in one run.
const MOST: usize = 128;

/// The logs that are followed; an entry's `log` is the place in the list.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    logs: Vec<Log>,
    keys: Vec<LogKey>,
}

impl Logs {
    pub(crate) fn find(&self, key: LogKey) -> Option<u16> {
        let found = self.keys.iter().position(|known| *known == key)?;
        u16::try_from(found).ok()
    }

    /// Follows a log from now on; `None`: there are too many.
    pub(super) fn add(&mut self, now: u64, key: LogKey) -> Option<u16> {
        if self.logs.len() >= MOST {
            return None;
        }
        self.logs.push(Log::new(key, now));
        self.keys.push(key);
        u16::try_from(self.logs.len() - 1).ok()
    }

    /// Puts a log in the place of another one, of which there is no entry.
    pub(super) fn replace(&mut self, now: u64, index: u16, key: LogKey) {
        let index = usize::from(index);
        if let (Some(log), Some(known)) = (self.logs.get_mut(index), self.keys.get_mut(index)) {
            *log = Log::new(key, now);
            *known = key;
        }
    }

    /// Whose they are, by our numbers of them.
    pub(crate) fn keys(&self) -> &[LogKey] {
        &self.keys
    }

    pub(crate) fn get(&self, index: u16) -> Option<&Log> {
        self.logs.get(usize::from(index))
    }

    pub(crate) fn get_mut(&mut self, index: u16) -> Option<&mut Log> {
        self.logs.get_mut(usize::from(index))
    }

    pub(crate) fn of(&self, key: LogKey) -> Option<&Log> {
        self.get(self.find(key)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &Log)> {
        (0..).zip(&self.logs)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Log> {
        self.logs.iter_mut()
    }

    pub(crate) fn indexes(&self) -> impl Iterator<Item = u16> + use<> {
        0..u16::try_from(self.logs.len()).unwrap_or(u16::MAX)
    }

    /// Up to where everything of each log is known.
    pub(crate) fn positions(&self) -> impl Iterator<Item = Position> + '_ {
        self.logs.iter().map(|log| Position {
            log: log.key,
            seq: log.have(),
        })
    }

    /// When something is next done about one of them.
    pub(crate) fn due(&self) -> Option<u64> {
        self.logs.iter().filter_map(|log| log.due).min()
    }

    /// Records that are missing, of all of them.
    pub(crate) fn missing(&self) -> u64 {
        self.logs.iter().map(|log| log.missing.len()).sum()
    }

    /// Follows for how long something has been missing.
    pub(crate) fn keep_lag(&mut self, now: u64) {
        for log in &mut self.logs {
            log.keep_lag(now);
        }
    }

    /// For how long, at most, something has been missing, in milliseconds.
    pub(crate) fn lag(&self, now: u64) -> u64 {
        let lags = self.logs.iter().map(|log| log.lag(now));
        lags.max().unwrap_or(0)
    }

    /// Whether something is missing that was told while nobody who told it was heard.
    pub(crate) fn is_apart(&self) -> bool {
        self.logs.iter().any(Log::is_apart)
    }
}
