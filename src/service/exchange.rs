//! The way of the records: from our own Jool to the network, and back.

use std::time::{Duration, Instant};

use tracing::debug;

use super::attachment::REFUSAL_CHECK;
use super::node::Node;
use crate::jool::{Jool, Received};
use crate::net::Destination;
use crate::replication::Transmit;

/// Packets read from Jool, and bytes from the network, before the other side gets its turn. Generous,
/// because what is read together is sorted together: the module inserts a session by walking from the one
/// that expires last, so 50,000 sessions in the order of its own table cost it seconds and in the order of
/// expiry a fraction of one.
const JOOL_BUDGET: usize = 2048;
const NETWORK_BUDGET: usize = 3 << 20;
/// A timer that is late by more: the daemon, or the machine, stood still.
const STOOD_STILL: Duration = Duration::from_millis(100);
/// So many times the budgets are what can have waited then.
const CATCH_UP: usize = 4;
/// Datagrams that wait to be sent, and runs for our own Jool, before others get their turn.
const OUTBOX_BUDGET: usize = 512;
const INJECT_BUDGET: usize = 8;
/// For how long after the last record the module is asked for more: longer than its own timer of 2 s, and
/// than its default deadline, which is as long.
const ASKS: Duration = Duration::from_secs(3);

/// When our own Jool is asked for records that may wait in it. It hands over what is older than its deadline
/// when it looks, which it does when a packet is translated or when it is asked. So one question after a flush
/// interval is enough if the deadline is as long, and its clock does not tick slowly; the others come at twice
/// the distance each.
pub(super) struct Asking {
    next: Instant,
    until: Instant,
    interval: Duration,
}

impl Asking {
    /// From now on, until it has been asked for long enough.
    pub(super) fn begin(now: Instant, interval: Duration) -> Self {
        Self {
            next: now,
            until: now + ASKS,
            interval,
        }
    }

    /// Records came: what came into the module since will be old enough in one interval.
    fn came(&mut self, now: Instant, interval: Duration) {
        *self = Self {
            next: now + interval,
            until: now + 3 * interval + ASKS,
            interval: 2 * interval,
        };
    }

    /// When it is asked next; `None`: nothing can wait.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.next <= self.until).then_some(self.next)
    }

    /// Whether it is to be asked now.
    fn take(&mut self, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            self.next = now + self.interval;
            self.interval *= 2;
        }
        is_due
    }
}

impl<J: Jool> Node<J> {
    /// Finds out who has the masks of what our own Jool does not take.
    pub(super) fn name_clients(&mut self) {
        while let Some(id) = self.engine.unexplained() {
            let client = self.jool.client_of(&id).unwrap_or_default();
            self.engine.explain(id, client);
        }
    }

    /// If we stood still, what waited meanwhile is read before the engine's clock goes on: what does not
    /// say when it was sent counts as that old.
    pub(super) fn catch_up(&mut self) {
        let now = Instant::now();
        let due = self.engine.poll_timeout();
        if due.is_some_and(|due| now > due + STOOD_STILL) {
            self.hurry_jool();
            for _ in 0..CATCH_UP {
                self.read_both();
            }
        }
    }

    /// The next reading goes to the end of what waits in the module, too.
    pub(super) fn hurry_jool(&mut self) {
        if self.attachment.is_there() {
            // A refusal is met by the next check, too.
            let _ = self.jool.acknowledge();
        }
    }

    /// Reads what waits in either socket. That nothing does is known without a system call.
    pub(super) fn read_both(&mut self) {
        if self.attachment.is_there() {
            self.read_jool();
        }
        self.read_network();
    }

    pub(super) fn read_jool(&mut self) {
        let now = Instant::now();
        let mut came = false;
        for _ in 0..JOOL_BUDGET {
            let engine = &mut self.engine;
            match self.jool.receive(|run| engine.handle_local(now, run)) {
                Received::Nothing => break,
                Received::Records(bytes) => {
                    self.counters.jool_packets += 1;
                    self.counters.jool_bytes += bytes as u64;
                    came = true;
                }
                Received::Other => {}
                Received::Overflow => {
                    self.counters.jool_overflows += 1;
                    engine.handle_loss();
                }
                Received::Malformed => self.counters.jool_malformed += 1,
                Received::ModuleChanged => self.attachment.check_by(now),
                Received::Failed(kind) => {
                    self.counters.jool_failures += 1;
                    debug!("reading from Jool failed: {kind}");
                    break;
                }
            }
        }
        if came {
            let interval = self.config.jool.flush_interval;
            self.asking.came(Instant::now(), interval);
        }
    }

    pub(super) fn read_network(&mut self) {
        let now = Instant::now();
        let mut bytes = 0;
        while bytes < NETWORK_BUDGET {
            let (engine, seal) = (&mut self.engine, &mut self.seal);
            match self.network.receive(|datagram| {
                // An empty one costs time, too.
                bytes += datagram.bytes.len().max(64);
                if let Some(frame) = seal.open(now, datagram.bytes) {
                    engine.handle_datagram(now, datagram.from, frame);
                }
            }) {
                Ok(false) => break,
                // Whatever was dropped before it got here.
                Ok(true) => bytes += 64,
                Err(error) => {
                    debug!("receiving failed: {error}");
                    break;
                }
            }
        }
        if self.seal.has_met() {
            self.engine.greet(now);
        }
    }

    /// Sends and applies what is ready, within the budgets.
    pub(super) fn pass(&mut self) {
        let now = Instant::now();
        if self.engine.poll_timeout().is_none_or(|due| due <= now) {
            self.engine.handle_timeout(now);
        }
        self.unfinished = true;
        while self.outbox.len() < OUTBOX_BUDGET {
            let Some(to) = self.engine.poll_transmit(now, &mut self.buffer) else {
                self.unfinished = false;
                break;
            };
            let to = match to {
                // A socket that is bound to the group hears nothing else.
                Transmit::One(address) if self.config.network.is_peer(address) => {
                    Destination::One(address)
                }
                _ => Destination::Everyone,
            };
            self.seal.prepare(&self.buffer);
            self.introduce(now);
            if let Some(datagram) = self.seal.seal(&self.buffer) {
                self.outbox.push(to, datagram);
            }
        }
        self.introduce(now);
        if !self.outbox.is_empty() {
            self.network.send(&mut self.outbox);
        }
        for _ in 0..INJECT_BUDGET {
            if !self.engine.poll_inject(now, &mut self.buffer) {
                break;
            }
            self.add();
        }
        if self.engine.has_doubts() {
            self.attachment.check_by(now + REFUSAL_CHECK);
        }
    }

    /// Sends what the seal itself has to tell the others.
    fn introduce(&mut self, now: Instant) {
        if let Some(introduction) = self.seal.introduction(now) {
            self.outbox.push(Destination::Everyone, introduction);
        }
    }

    /// Gives our own Jool the run of records in the buffer.
    fn add(&mut self) {
        self.counters.added_packets += 1;
        self.counters.added_bytes += self.buffer.len() as u64;
        let Err(refusal) = self.jool.add(&self.buffer) else {
            return;
        };
        // Session sync may just have been switched off; looking at that switches it on again.
        if self.attachment.is_there()
            && let Ok(instance) = self.jool.attach()
            && !instance.repairs.is_empty()
        {
            self.attached_to(instance, Instant::now());
            if self.jool.add(&self.buffer).is_ok() {
                return;
            }
        }
        self.counters.add_refusals += 1;
        self.engine.handle_refusal(Instant::now());
        self.refused(&refusal);
    }

    /// Asks Jool for more records, if that is due.
    pub(super) fn ask_if_due(&mut self) {
        if !self.attachment.is_there() || !self.asking.take(Instant::now()) {
            return;
        }
        if let Err(refusal) = self.jool.acknowledge() {
            self.counters.acknowledge_refusals += 1;
            self.refused(&refusal);
        }
        self.read_jool();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jool_is_asked_after_an_interval_and_less_and_less_often_for_longer_than_its_own_timer() {
        let (start, interval) = (Instant::now(), Duration::from_millis(20));
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut asking = Asking::begin(start, interval);
        assert!(
            asking.take(start),
            "something may wait when the daemon starts"
        );
        asking.came(at(7), interval);
        assert_eq!(asking.due(), Some(at(27)));
        assert!(!asking.take(at(26)));
        let asked = (8..10_000)
            .filter(|ms| asking.take(at(*ms)))
            .collect::<Vec<_>>();
        assert_eq!(asked, [27, 67, 147, 307, 627, 1_267, 2_547]);
        assert_eq!(asking.due(), None);
    }
}
