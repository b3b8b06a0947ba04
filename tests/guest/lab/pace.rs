//! A steady rate for a sender.

use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

/// Holds a sender to so many units per second. A late wake-up is made up for, so the mean is exact.
pub struct Pace {
    began: Instant,
    rate: Option<NonZeroU32>,
    allowed: u64,
}

impl Pace {
    /// `rate` in units per second; 0: never waits.
    pub fn new(rate: u32) -> Self {
        Self {
            began: Instant::now(),
            rate: NonZeroU32::new(rate),
            allowed: 0,
        }
    }

    /// Returns when `units` more may be sent.
    pub fn wait(&mut self, units: usize) {
        if let Some(rate) = self.rate {
            let due = self.began + Duration::from_secs(self.allowed) / rate.get();
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        self.allowed += units as u64;
    }

    /// How many units may go out together, at most `most`: those of 10 ms.
    pub fn burst(&self, most: usize) -> usize {
        self.rate
            .map_or(most, |rate| (rate.get() as usize / 100).clamp(1, most))
    }

    /// Time since the first unit.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
