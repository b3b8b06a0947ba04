//! The daemon as it is shown: to whoever looks, to systemd, and to what acts on whether the node is fit.

use std::time::{Duration, Instant, SystemTime};

use nix::time::{ClockId, clock_gettime};
use tokio::sync::watch;
use tracing::error;

use super::node::Node;
use super::outlets::Outlets;
use super::snapshot::{Snapshot, State};
use super::systemd::Systemd;
use super::{journal, messages};
use crate::jool::Jool;
use crate::net::{self, SendFailure};
use crate::replication::Status;

/// How much longer systemd is asked to wait while Jool is waited for; asked anew every second.
const START_EXTENSION: Duration = Duration::from_secs(10);
/// A change of state that did not last so long is not shown.
const STATE_INTERVAL: Duration = Duration::from_millis(100);

/// Whether what was sent lately left.
#[derive(Debug, Default)]
pub(super) struct Sending {
    sent: u64,
    unsent: u64,
    failure: Option<SendFailure>,
}

impl Sending {
    fn look(&mut self, counters: &net::Counters) {
        let unsent = counters.unsent;
        let unsent = unsent.no_route + unsent.refused + unsent.no_buffers + unsent.other;
        if counters.sent_datagrams > self.sent {
            self.failure = None;
        } else if unsent > self.unsent {
            self.failure = counters.last_failure;
        }
        (self.sent, self.unsent) = (counters.sent_datagrams, unsent);
    }
}

/// What shows the daemon.
pub(super) struct Publisher {
    pub(super) snapshot: watch::Sender<Snapshot>,
    pub(super) outlets: Outlets,
    pub(super) systemd: Systemd,
    /// When another state was last shown.
    shown: Instant,
    clock: WallClock,
    sending: Sending,
}

/// The wall clock, as it was when it was last looked at, with the time since the machine was started. What is
/// shown as having been so since then is moved with it when it is set: "synced for 20,000 days" is of no use
/// to anybody.
#[derive(Clone, Copy, Debug)]
struct WallClock(Duration, SystemTime);

/// Of a clock that was not set, which is looked at at one moment and at the next.
const UNSET: Duration = Duration::from_secs(1);

impl WallClock {
    fn now() -> Self {
        // It goes on while the machine is suspended, as the wall clock does.
        let up = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
        Self(up, SystemTime::now())
    }

    /// A time of before, in the time of now.
    fn moved(&self, at: SystemTime, now: Self) -> SystemTime {
        let expected = self.1 + now.0.saturating_sub(self.0);
        match now.1.duration_since(expected) {
            Ok(forward) if forward > UNSET => at + forward,
            Err(back) if back.duration() > UNSET => at - back.duration(),
            _ => at,
        }
    }
}

impl Publisher {
    pub(super) fn new(now: Instant, snapshot: Snapshot, outlets: Outlets) -> Self {
        Self {
            snapshot: watch::Sender::new(snapshot),
            outlets,
            systemd: Systemd::default(),
            shown: now,
            clock: WallClock::now(),
            sending: Sending::default(),
        }
    }

    /// Keeps what went wrong for whoever looks.
    pub(super) fn went_wrong(&self, text: String) {
        self.snapshot.send_modify(|snapshot| {
            snapshot.last_error = text;
            snapshot.last_error_at = Some(SystemTime::now());
        });
    }

    /// Keeps when something was dropped.
    pub(super) fn dropped(&self) {
        self.snapshot
            .send_modify(|snapshot| snapshot.last_drop_at = Some(SystemTime::now()));
    }

    /// Whether that is what is shown.
    pub(super) fn is_in(&self, state: &State) -> bool {
        self.snapshot.borrow().state == *state
    }

    /// If the wall clock was set, what is shown is moved with it. Before another time is shown.
    pub(super) fn follow_clock(&mut self) {
        let now = WallClock::now();
        let clock = std::mem::replace(&mut self.clock, now);
        self.snapshot.send_if_modified(|snapshot| {
            let mut is_moved = false;
            let always = [
                &mut snapshot.since,
                &mut snapshot.fitness_since,
                &mut snapshot.configuration.loaded,
            ];
            let perhaps = [&mut snapshot.last_error_at, &mut snapshot.last_drop_at];
            for since in always.into_iter().chain(perhaps.into_iter().flatten()) {
                let moved = clock.moved(*since, now);
                is_moved |= moved != *since;
                *since = moved;
            }
            is_moved
        });
    }

    /// The daemon is about something else.
    pub(super) fn enter(&mut self, state: State) {
        self.follow_clock();
        self.snapshot.send_modify(|snapshot| {
            snapshot.state = state;
            snapshot.since = SystemTime::now();
        });
    }
}

impl<J: Jool> Node<J> {
    /// Shows the daemon as it is now to whoever looks, and to systemd.
    pub(super) fn publish(&mut self) {
        let status = self.engine.status(Instant::now());
        let seal = self.seal.status();
        let (counters, jool_sessions) = (self.counters, self.attachment.sessions());
        let obstacle = self.obstacle(&status);
        self.publisher.follow_clock();
        self.publisher.snapshot.send_if_modified(|snapshot| {
            let before = snapshot.clone();
            snapshot.sessions = jool_sessions;
            snapshot.status = status;
            snapshot.seal = seal;
            snapshot.counters = counters;
            snapshot.obstacle = obstacle;
            if snapshot.state_name() != before.state_name() {
                snapshot.since = SystemTime::now();
            }
            if snapshot.status.fitness != before.status.fitness {
                snapshot.fitness_since = SystemTime::now();
            }
            *snapshot != before
        });
        let status = journal::status(&self.publisher.snapshot.borrow());
        self.publisher.systemd.status(status);
        self.publisher.systemd.alive();
        self.show_fitness();
        self.tell_state(Instant::now());
        self.tell_failover(Instant::now());
        self.tell_seals(Instant::now());
        if self.attachment.is_there() {
            self.publisher.systemd.ready();
        } else {
            self.publisher.systemd.extend_start(START_EXTENSION);
        }
    }

    /// What keeps datagrams from leaving or coming, if nobody is heard; that somebody is shows that nothing does.
    fn obstacle(&mut self, status: &Status) -> String {
        self.publisher.sending.look(&self.counters.network);
        if status.peers.iter().any(|peer| peer.present) {
            return String::new();
        }
        let obstacle = self.network.obstacle();
        let failure = || {
            self.publisher
                .sending
                .failure
                .map(|failure| failure.to_string())
        };
        obstacle.or_else(failure).unwrap_or_default()
    }

    /// Shows another verdict at once, and another state soon, not only with the next check.
    pub(super) fn publish_state(&mut self) {
        let now = Instant::now();
        let (state, fitness) = {
            let status = &self.publisher.snapshot.borrow().status;
            (status.state, status.fitness)
        };
        let is_another = self.engine.shown_state() != state;
        if self.engine.fitness() != fitness
            || is_another && now >= self.publisher.shown + STATE_INTERVAL
        {
            self.publisher.shown = now;
            self.count();
            self.publish();
        }
    }

    /// Tells what acts on it whether this node is fit.
    fn show_fitness(&mut self) {
        // One that nothing shows to be right is not renewed, should this daemon not get further than the last.
        if !self.engine.is_inherited()
            && self
                .publisher
                .outlets
                .show(self.engine.fitness(), SystemTime::now())
        {
            for problem in &self.publisher.outlets.problems {
                error!(MESSAGE_ID = messages::OUTLET_FAILED.id, "{problem}");
            }
        }
        let problems = &self.publisher.outlets.problems;
        self.publisher.snapshot.send_if_modified(|snapshot| {
            let is_another = snapshot.outlet_problems != *problems;
            snapshot.outlet_problems.clone_from(problems);
            is_another
        });
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn that_nothing_leaves_is_known_until_something_does() {
        let mut counters = net::Counters::default();
        let mut sending = Sending::default();
        let to = "192.0.2.2:6400".parse().unwrap();
        let errno = Errno::ENETUNREACH;
        counters.last_failure = Some(SendFailure { to, errno });
        sending.look(&counters);
        assert_eq!(sending.failure, None);
        counters.unsent.no_route = 4;
        for _ in 0..2 {
            sending.look(&counters);
            assert_eq!(sending.failure, counters.last_failure);
        }
        // To one of several.
        (counters.unsent.no_route, counters.sent_datagrams) = (8, 4);
        sending.look(&counters);
        assert_eq!(sending.failure, None);
    }

    #[test]
    fn what_has_been_so_for_an_hour_has_been_so_for_an_hour_when_the_clock_is_set() {
        let hour = Duration::from_secs(3_600);
        let wall = SystemTime::UNIX_EPOCH + 1_000 * hour;
        let clock = WallClock(hour, wall);
        let since = wall - hour;
        let minute = Duration::from_secs(60);
        let later = hour + minute;
        // It was not set, and is read a little later than the other one.
        let unset = wall + minute + Duration::from_millis(300);
        assert_eq!(clock.moved(since, WallClock(later, unset)), since);
        for years in [40_u32, 1] {
            let far = 8_766 * hour * years;
            let forward = clock.moved(since, WallClock(later, wall + far + minute));
            assert_eq!(forward, since + far);
        }
        let back = clock.moved(since, WallClock(later, wall - hour));
        assert_eq!(back, since - hour - minute);
    }
}
