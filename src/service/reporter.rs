//! What is written to the log, in words for operators.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::node::Node;
use super::seals::SealsTold;
use super::{Counters, messages};
use crate::jool::{Jool, Refusal};
use crate::replication::{Event, Fitness, State};

/// Events of a kind that are told in a minute: what strangers make up does not hide the rest.
const MOST_OF_A_KIND: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);

/// How often dropped records are reported, if there are any.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// What has been written.
pub(super) struct Reporter {
    events: Told,
    /// The state that was last written, and the one that was seen since when.
    told_state: State,
    seen_state: (State, Instant),
    /// Whether a failover was safe when that was last written; and another answer, since when.
    told_failover: Option<FailoverTold>,
    /// What had been dropped at the last look.
    seen: Counters,
    /// What had been dropped at the last report, and when the next one may be.
    reported: Counters,
    next_report: Instant,
    /// The latest refusal of Jool since then.
    last_refusal: Option<String>,
    pub(super) seals: SealsTold,
}

impl Reporter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            events: Told::new(now),
            told_state: State::Waiting,
            seen_state: (State::Waiting, now),
            told_failover: None,
            seen: Counters::default(),
            reported: Counters::default(),
            next_report: now,
            last_refusal: None,
            seals: SealsTold::new(now),
        }
    }

    /// Keeps what Jool said for the report of drops.
    pub(super) fn keep(&mut self, refusal: &Refusal) {
        self.last_refusal = Some(refusal.to_string());
    }
}

/// What was told of the current minute's events.
#[derive(Debug)]
struct Told {
    since: Instant,
    told: HashMap<Discriminant<Event>, u32>,
    untold: u32,
}

impl Told {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            told: HashMap::new(),
            untold: 0,
        }
    }

    /// Begins another minute when this one is over, and says how many events were not told in it,
    /// if any.
    fn minute(&mut self, now: Instant) -> Option<u32> {
        if now < self.since + MINUTE {
            return None;
        }
        let untold = self.untold;
        *self = Self::new(now);
        (untold > 0).then_some(untold)
    }

    /// Counts an event, and says whether it is to be told.
    fn may_tell(&mut self, event: &Event) -> bool {
        let told = self.told.entry(discriminant(event)).or_default();
        let may = *told < MOST_OF_A_KIND;
        if may {
            *told += 1;
        } else {
            self.untold += 1;
        }
        may
    }
}

/// A state is written to the log when it has lasted so long: a datagram that was lost is repaired
/// long before.
const LASTING: Duration = Duration::from_secs(1);
/// That no node has everything is written when it has lasted so long.
const UNSAFE: Duration = Duration::from_secs(3);

impl<J: Jool> Node<J> {
    /// Writes what happened to the log.
    ///
    /// Strangers can cause some of it, so only so much in a minute.
    pub(super) fn tell_events(&mut self) {
        if let Some(untold) = self.reporter.events.minute(Instant::now()) {
            warn!(
                "{untold} more events were not told; somebody on the sync network may make them up"
            );
        }
        while let Some(event) = self.engine.poll_event() {
            if self.reporter.events.may_tell(&event) {
                tell(&event);
            }
        }
    }

    /// Writes the state to the log if it is another one than was last written.
    pub(super) fn tell_state(&mut self, now: Instant) {
        let state = self.engine.shown_state();
        if state != self.reporter.seen_state.0 {
            self.reporter.seen_state = (state, now);
        }
        if state == self.reporter.told_state || now < self.reporter.seen_state.1 + LASTING {
            return;
        }
        self.reporter.told_state = state;
        match state {
            State::Synced => info!(
                MESSAGE_ID = messages::SYNCED.id,
                JOOLD_STATE = state.name(),
                "synced: nothing that the other nodes have is missing here"
            ),
            State::Alone => warn!(
                MESSAGE_ID = messages::ALONE.id,
                JOOLD_STATE = state.name(),
                "alone: {}; no node can take over",
                self.publisher.snapshot.borrow().reason()
            ),
            State::Degraded => warn!(
                MESSAGE_ID = messages::DEGRADED.id,
                JOOLD_STATE = state.name(),
                "degraded: {}",
                self.engine.status(now).degraded_reason()
            ),
            // Told when they are entered.
            State::Waiting | State::Joining => {}
        }
    }
}

impl<J: Jool> Node<J> {
    /// Tells what was dropped since the last time, at the first drop at once and then every minute.
    pub(super) fn report_drops(&mut self, now: Instant) {
        if self.counters.drops_since(&self.reporter.seen).is_some() {
            self.publisher.dropped();
        }
        self.reporter.seen = self.counters;
        if now < self.reporter.next_report {
            return;
        }
        if let Some(drops) = self.counters.drops_since(&self.reporter.reported) {
            warn!(MESSAGE_ID = messages::DROPPED.id, "dropped: {drops}");
            if let Some(refusal) = self.reporter.last_refusal.take() {
                warn!("{refusal}");
                self.publisher.went_wrong(refusal);
            }
            let network = self.counters.network;
            if let (Some(stranger), true) = (
                network.last_stranger,
                network.strangers > self.reporter.reported.network.strangers,
            ) {
                let problem = format!(
                    "{stranger} sends to this node, but is not in its \"peers\", so what it sends is \
                     dropped; if it is another node, name it there"
                );
                warn!(
                    MESSAGE_ID = messages::STRANGER.id,
                    JOOLD_ADDRESS = %stranger,
                    "{problem}"
                );
                self.publisher.went_wrong(problem);
            }
            if let (Some(failure), true) = (
                network.last_failure,
                self.counters.unsent() > self.reporter.reported.unsent(),
            ) {
                warn!("{failure}");
                self.publisher.went_wrong(failure.to_string());
            }
            if let (Some(errno), true) = (
                network.last_receive_error,
                network.receive_errors > self.reporter.reported.network.receive_errors,
            ) {
                let failure = format!("receiving failed: {}", errno.desc());
                warn!("{failure}");
                self.publisher.went_wrong(failure);
            }
            self.reporter.reported = self.counters;
            self.reporter.next_report = now + REPORT_INTERVAL;
        }
    }
}

/// Whether a failover was safe when that was last told, and since when it is otherwise.
#[derive(Clone, Copy, Debug)]
struct FailoverTold {
    was_safe: bool,
    otherwise_since: Option<Instant>,
}

impl<J: Jool> Node<J> {
    /// Writes to the log whether another node could take over, if that is no longer as it was.
    pub(super) fn tell_failover(&mut self, now: Instant) {
        let failover = self.publisher.snapshot.borrow().status.failover.clone();
        let is_safe = failover.is_ok();
        let told = self.reporter.told_failover.get_or_insert(FailoverTold {
            // Nobody expects a daemon that has just started to have anybody.
            was_safe: false,
            otherwise_since: None,
        });
        if is_safe == told.was_safe {
            told.otherwise_since = None;
            return;
        }
        let since = *told.otherwise_since.get_or_insert(now);
        if now < since + if is_safe { LASTING } else { UNSAFE } {
            return;
        }
        *told = FailoverTold {
            was_safe: is_safe,
            otherwise_since: None,
        };
        match failover {
            Ok(successors) => {
                let names: Vec<_> = successors.iter().map(|who| who.name.as_str()).collect();
                info!(
                    MESSAGE_ID = messages::FAILOVER_SAFE.id,
                    JOOLD_PEER = names.first().copied().unwrap_or_default(),
                    "if this node dies, every session is with {}",
                    names.join(" and ")
                );
            }
            Err(_) => warn!(
                MESSAGE_ID = messages::FAILOVER_UNSAFE.id,
                "if this node dies, NO node has every session: {}",
                self.publisher.snapshot.borrow().failover_reason()
            ),
        }
    }
}

fn tell(event: &Event) {
    match event {
        Event::PeerFound { name, address } => info!(
            MESSAGE_ID = messages::PEER_FOUND.id,
            JOOLD_PEER = name.as_str(),
            JOOLD_ADDRESS = %address,
            "{name} is there, at {address}"
        ),
        Event::PeerLost { name, address } => warn!(
            MESSAGE_ID = messages::PEER_LOST.id,
            JOOLD_PEER = name.as_str(),
            JOOLD_ADDRESS = %address,
            "{name}, at {address}, has not been heard for more than a second"
        ),
        Event::Joined {
            donor: Some(donor),
            records,
            took,
        } => info!(
            MESSAGE_ID = messages::JOINED.id,
            JOOLD_PEER = donor.as_str(),
            JOOLD_RECORDS = records,
            "joined: {records} records came from {donor} in {} ms",
            took.as_millis()
        ),
        Event::Joined { donor: None, .. } => info!(
            MESSAGE_ID = messages::JOINED.id,
            "joined: there is no other joold, so the sessions of our own Jool are all there are"
        ),
        Event::CaughtUp {
            donor,
            records,
            took,
        } => info!(
            MESSAGE_ID = messages::CAUGHT_UP.id,
            JOOLD_PEER = donor.as_str(),
            JOOLD_RECORDS = records,
            "caught up with {donor}: {records} records in {} ms",
            took.as_millis()
        ),
        Event::Ended { name, sessions } => info!(
            MESSAGE_ID = messages::ENDED.id,
            JOOLD_PEER = name.as_str(),
            JOOLD_SESSIONS = sessions,
            "{sessions} sessions ended on {name} while it was not heard, and end here now"
        ),
        Event::Removed { sessions } => info!(
            MESSAGE_ID = messages::REMOVED.id,
            JOOLD_SESSIONS = sessions,
            "{sessions} sessions were removed from our own Jool before their time, by an operator or a change \
             of pool4; they end on all nodes"
        ),
        Event::NotTaken(what) if what.is_empty() => info!(
            MESSAGE_ID = messages::NOT_TAKEN.id,
            "our own Jool takes all sessions of the other nodes again"
        ),
        Event::NotTaken(what) => warn!(
            MESSAGE_ID = messages::NOT_TAKEN.id,
            "{what}; make static BIB entries the same on all nodes"
        ),
        Event::Differed {
            name,
            sessions,
            took,
        } => error!(
            MESSAGE_ID = messages::DIFFERED.id,
            JOOLD_PEER = name.as_str(),
            JOOLD_SESSIONS = sessions,
            "{sessions} sessions of {name} were not here as they are there, though nothing was known to \
             be missing; they are now, after {} ms. This should never be: please report it",
            took.as_millis()
        ),
        Event::Lost { name, records } => warn!(
            MESSAGE_ID = messages::RECORDS_LOST.id,
            JOOLD_PEER = name.as_str(),
            JOOLD_RECORDS = records,
            "{records} records of {name} are lost: no node that is there has them"
        ),
        Event::Audited(audit) => info!(
            MESSAGE_ID = messages::AUDITED.id,
            "compared the tables: {} sessions in Jool, of which {} had to be announced; {} had to \
             be given to it",
            audit.sessions,
            audit.announced,
            audit.injected
        ),
        Event::Drift { name, what } => warn!(
            MESSAGE_ID = messages::DRIFT.id,
            JOOLD_PEER = name.as_str(),
            JOOLD_SETTING = what.name(),
            "{} of our own Jool and of {name}'s differ; sessions may not fit after a failover, make \
             them the same",
            what.name()
        ),
        Event::DriftEnded { name, what } => info!(
            JOOLD_PEER = name.as_str(),
            JOOLD_SETTING = what.name(),
            "{} of our own Jool and of {name}'s are the same again",
            what.name()
        ),
        Event::Fitness(fitness, reason) if fitness.is_fit() => info!(
            MESSAGE_ID = messages::FIT.id,
            JOOLD_FITNESS = fitness.name(),
            "this node is fit to take over: {reason}"
        ),
        // What passes by itself, or is what somebody wanted.
        Event::Fitness(
            fitness @ (Fitness::NoJool
            | Fitness::Joining
            | Fitness::Loading
            | Fitness::Waiting
            | Fitness::Held
            | Fitness::Drained),
            reason,
        ) => info!(
            MESSAGE_ID = messages::UNFIT.id,
            JOOLD_FITNESS = fitness.name(),
            "this node is NOT fit to take over: {reason}"
        ),
        Event::Fitness(fitness, reason) => warn!(
            MESSAGE_ID = messages::UNFIT.id,
            JOOLD_FITNESS = fitness.name(),
            "this node is NOT fit to take over: {reason}"
        ),
        Event::Namesake(address) => error!(
            MESSAGE_ID = messages::NAMESAKE.id,
            JOOLD_ADDRESS = %address,
            "{address} says that it is this very node, so neither hears the other; set another \
             \"node name\" in one of the two"
        ),
        Event::NameShared { name, address } => warn!(
            MESSAGE_ID = messages::NAME_SHARED.id,
            JOOLD_PEER = name.as_str(),
            JOOLD_ADDRESS = %address,
            "the node at {address} is not the only one that is called {name}; give it another \"node name\", \
             or another node that one, and restart its joold"
        ),
        Event::Renumbered { name, address } => warn!(
            MESSAGE_ID = messages::RENUMBERED.id,
            JOOLD_PEER = name.as_str(),
            JOOLD_ADDRESS = %address,
            "{name}, at {address}, came back under another number, so that it is a new node to the others; \
             give it a \"node name\", and it keeps its number"
        ),
        Event::BeganAgain { name } => error!(
            MESSAGE_ID = messages::BEGAN_AGAIN.id,
            JOOLD_PEER = name.as_str(),
            "{name} knows more of what this run of the daemon announced than this node does: the \
             machine, or its clock, was set back; everything is announced again, in another run"
        ),
        Event::ForeignCluster {
            name,
            cluster,
            address,
        } => warn!(
            MESSAGE_ID = messages::FOREIGN_CLUSTER.id,
            JOOLD_PEER = name.as_str(),
            JOOLD_ADDRESS = %address,
            "{name} ({address}) is of cluster \"{cluster}\", so its sessions are not taken; if it should be \
             of ours, give both the same \"cluster name\""
        ),
        Event::ForeignVersion(address) => warn!(
            MESSAGE_ID = messages::FOREIGN_VERSION.id,
            JOOLD_ADDRESS = %address,
            "{address} speaks another version of the protocol, or is no joold; its frames are \
             ignored and counted, this is said once"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn what_was_not_told_is_told_of_when_the_minute_ends_without_another_event() {
        let start = Instant::now();
        let mut told = Told::new(start);
        let stranger = Event::ForeignVersion(SocketAddr::from(([192, 0, 2, 1], 6400)));
        let events = 0..MOST_OF_A_KIND + 7;
        assert_eq!(
            events.filter(|_| told.may_tell(&stranger)).count(),
            MOST_OF_A_KIND as usize
        );
        // Another kind is told all the same.
        let lost = Event::Lost {
            name: "nat64-a".to_owned(),
            records: 1,
        };
        assert!(told.may_tell(&lost));
        assert_eq!(told.minute(start + MINUTE - Duration::from_millis(1)), None);
        assert_eq!(told.minute(start + MINUTE), Some(7));
        assert!(told.may_tell(&stranger));
        assert_eq!(told.minute(start + 3 * MINUTE), None);
    }
}
