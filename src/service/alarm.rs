//! When the loop is to wake by itself: one timer of the kernel's.
//!
//! tokio's own timers cost two more system calls whenever one is set that is due before all others, which
//! in a loop that always knows when it is due next is every time.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Instant;

use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// A timer that is set anew only when something else is due.
pub(super) struct Alarm {
    timer: AsyncFd<Timer>,
    due: Option<Instant>,
}

impl Alarm {
    /// One that is off. Needs a tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        // The successor asks the caller to vouch, in an unsafe block, for what TimerFd guarantees: it
        // keeps one descriptor open.
        #[allow(deprecated)]
        let timer = AsyncFd::with_interest(Timer(timer), Interest::READABLE)?;
        Ok(Self { timer, due: None })
    }

    /// Waits until then. Cancel safe.
    pub(super) async fn at(&mut self, due: Instant) -> io::Result<()> {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if self.due != Some(due) {
                let expiration = Expiration::OneShot(left.into());
                let timer = &self.timer.get_ref().0;
                timer.set(expiration, TimerSetTimeFlags::empty())?;
                self.due = Some(due);
            }
            self.timer.readable().await?.clear_ready();
            // It may have been of what was due before.
            self.due = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_wakes_when_it_is_due_not_before_and_again() {
        let mut alarm = Alarm::new().unwrap();
        let start = Instant::now();
        for after in [20, 10, 10, 0, 30] {
            let due = start + Duration::from_millis(after);
            alarm.at(due).await.unwrap();
            assert!(Instant::now() >= due, "{after}");
        }
    }

    #[tokio::test]
    async fn what_is_due_sooner_replaces_what_nobody_waits_for_any_more() {
        let mut alarm = Alarm::new().unwrap();
        let start = Instant::now();
        let late = start + Duration::from_secs(3600);
        tokio::select! {
            biased;
            _ = alarm.at(late) => panic!("an hour has passed"),
            () = std::future::ready(()) => {}
        }
        alarm.at(start + Duration::from_millis(10)).await.unwrap();
        assert!(Instant::now() < late);
    }
}
