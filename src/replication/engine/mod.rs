//! The state machine between our own Jool and the other nodes: what comes in goes to the part whose it is.

mod jool;
mod nodes;
mod shown;

use std::time::{Duration, Instant};

use crate::session::Format;

use super::counters::Counters;
use super::event::{Audit, Event, Events};
use super::fitness::Judge;
use super::group::{Group, INTERVAL, Timing};
use super::local::{AUDIT_INTERVAL_BLIND, AuditState, Join, Local, Phase, Walk, Walks};
use super::repair::{Answers, Repair, Source, Summer};
use super::report::Shown;
use super::runs::{Run, Runs};
use super::settings::{Settings, Transmit};
use super::store::{Ledger, OwnLog, Told};
use super::wire::{LogKey, MIN_FRAME, Sender};

/// Zero of the engine's clock is so far in the past that no timeout reaches it, in milliseconds.
const EPOCH: u64 = 1 << 40;
/// Slots that are looked at for expired sessions at every tick: in a fraction of a millisecond.
const SWEPT_AT_ONCE: u32 = 16_384;

/// The state machine between our own Jool and the other nodes.
#[derive(Debug)]
pub struct Engine {
    start: Instant,
    format: Option<Format>,
    is_shared: bool,
    pub(crate) ledger: Ledger,
    pub(crate) own_log: OwnLog,
    pub(crate) group: Group,
    hellos: Timing,
    local: Local,
    audit: AuditState,
    join: Join,
    walks: Walks,
    repair: Repair,
    pub(crate) answers: Answers,
    summer: Summer,
    judge: Judge,
    /// When the last verdict was given.
    judged_at: u64,
    shown: Shown,
    last_audit: Option<Audit>,
    events: Events,
    counters: Counters,
    /// When everything that can wait is next looked after.
    tick: u64,
    /// When this run was last found to have been there before.
    began_again: Option<u64>,
    /// Sessions that ended by what other nodes told later, whose nodes these were, as of the last tick.
    ended: Vec<(u64, u64)>,
    /// Up to which places every other node has the logs, as of the last tick.
    told: Told,
    /// Whether a version that is not spoken was told of.
    foreign_version_told: bool,
    runs: Runs,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Engine {
    /// An engine whose clock begins now.
    pub fn new(now: Instant, settings: Settings) -> Self {
        let own = LogKey {
            node: settings.node.max(1),
            epoch: settings.epoch.max(1),
        };
        let refresh = millis(settings.refresh);
        Self {
            start: now,
            format: settings.format,
            is_shared: settings.is_shared,
            ledger: Ledger::new(
                EPOCH,
                own,
                settings.most_sessions,
                refresh,
                millis(settings.flush_interval),
            ),
            own_log: OwnLog::default(),
            group: Group::new(own, settings.name, &settings.cluster),
            hellos: Timing::new(EPOCH),
            local: Local::default(),
            audit: AuditState::default(),
            join: Join::new(),
            walks: Walks::default(),
            repair: Repair::new(),
            answers: Answers::new(),
            summer: Summer::default(),
            judge: Judge::new(settings.policy, settings.is_drained, settings.resumes),
            judged_at: EPOCH,
            shown: Shown::new(),
            last_audit: None,
            events: Events::default(),
            counters: Counters::default(),
            tick: EPOCH,
            began_again: None,
            ended: Vec::new(),
            told: Told::default(),
            foreign_version_told: false,
            runs: Runs::default(),
        }
    }

    /// The time on the engine's own clock, in milliseconds.
    #[inline]
    pub(crate) fn clock(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.start).as_millis();
        EPOCH + u64::try_from(passed).unwrap_or(u64::MAX >> 1)
    }

    fn instant(&self, now: u64) -> Instant {
        self.start + Duration::from_millis(now.saturating_sub(EPOCH))
    }

    /// What has been counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What happened since the last call, for the log.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.next()
    }

    /// Sends in this format from now on, or in that of our own Jool.
    pub fn set_format(&mut self, format: Option<Format>) {
        self.format = format;
    }

    /// Our own Jool keeps a record back for so long from now on.
    pub fn set_flush_interval(&mut self, flush_interval: Duration) {
        self.ledger.set_flush_interval(millis(flush_interval));
    }

    /// Whether, from now on, whatever is sent to one node is heard by all.
    pub fn set_shared(&mut self, is_shared: bool) {
        self.is_shared = is_shared;
    }

    /// Somebody may hear this node from now on who did not before: it says hello at once.
    pub fn greet(&mut self, now: Instant) {
        self.hellos.at_once(self.clock(now));
    }

    /// From now on each frame becomes longer on its way out, by so many bytes.
    pub fn set_overhead(&mut self, bytes: usize) {
        // What is left of the shortest frame has to have room for something.
        self.group.overhead = bytes.min(MIN_FRAME / 3);
    }

    /// This node is about to stop: the others are told once more how far its log goes, so that they
    /// know if they lack its end.
    pub fn handle_stopping(&mut self) {
        self.hellos.now();
    }

    /// When [`Engine::handle_timeout`] wants to be called; `None`: at once.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let is_summing = self.summer.is_working() || self.repair.verifier.is_working();
        if !self.walks.is_empty() || is_summing {
            return None;
        }
        let next = self.hellos.next.min(self.tick);
        let repair = self.repair.due(&self.group);
        Some(self.instant(next.min(repair.unwrap_or(u64::MAX))))
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock(now);
        let walks = &mut self.walks;
        let over = walks.step(
            now,
            &mut self.ledger,
            &mut self.own_log,
            &mut self.audit,
            self.group.logs.keys(),
        );
        match over {
            Some(Walk::Reinject) => self.finish_audit(now),
            Some(Walk::AnnounceAdopted | Walk::OwnAdopted) => {
                if let Phase::Ending { queued } = &mut self.join.phase {
                    *queued = true;
                }
            }
            _ => {}
        }
        self.summer.step(now, &self.ledger);
        self.repair.verifier.step(now, &self.ledger);
        // One waking for both, as soon as they are not further apart than that.
        let (is_tick, together) = (now >= self.tick, INTERVAL / 2);
        let hello = self
            .hellos
            .keep_time(now, if is_tick { together } else { 0 });
        if is_tick || hello && now + together >= self.tick {
            self.look_around(now);
        }
        self.with_repair(|repair, around| repair.recover(now, around));
        self.go_on_joining(now);
        self.judge(now);
    }

    /// Looks after everything that can wait.
    fn look_around(&mut self, now: u64) {
        // What waits in our socket tells who is there.
        let stood_still = now >= self.tick + INTERVAL;
        self.tick = now + INTERVAL;
        if !stood_still {
            self.group.notice_absence(now, &mut self.events);
            self.group.notice_names(now, &mut self.events);
        }
        if std::mem::take(&mut self.ledger.is_contradicted) {
            self.audit.look_soon(now);
        }
        let longest = u64::from(self.ledger.timeouts().longest());
        self.repair.forget_lost(now, longest);
        for (node, sessions) in std::mem::take(&mut self.ended) {
            let name = self.group.name_of(node);
            self.events.tell(Event::Ended { name, sessions });
        }
        // A small table at once, so that nodes count alike; the largest in some ten seconds.
        let slots = self.ledger.table.slots() / 40 + SWEPT_AT_ONCE;
        self.group.keep_told(now, &self.ledger, &mut self.told);
        self.ledger
            .sweep(now, slots, self.local.is_attached, &self.told);
        if self.join.has_joined() && self.local.is_attached && now >= self.audit.due {
            self.audit.due = now + AUDIT_INTERVAL_BLIND;
            self.audit.wanted = true;
        }
    }

    /// Writes the next datagram for the other nodes; `None` when there is none.
    pub fn poll_transmit(&mut self, now: Instant, datagram: &mut Vec<u8>) -> Option<Transmit> {
        datagram.clear();
        let now = self.clock(now);
        if self.hellos.take(now) {
            let hello = self.view(now).hello(self.format, self.answers.proof);
            hello.write(self.sender(now), datagram);
            self.counters.sent_hellos += 1;
            return Some(Transmit::Everyone);
        }
        if self.write_data(now, datagram) {
            return Some(Transmit::Everyone);
        }
        if self.join.phase == (Phase::Ending { queued: true }) {
            self.finish_join(now);
        }
        let sender = self.sender(now);
        if let Some((to, request)) = self.repair.questions.next() {
            request.write(sender, datagram);
            self.counters.sent_requests += 1;
            return Some(Transmit::One(to));
        }
        if let Some(to) = self.summer.write(sender, self.group.overhead, datagram) {
            return Some(Transmit::One(to));
        }
        let source = Source {
            group: &self.group,
            ledger: &self.ledger,
            own_log: &self.own_log,
            sender,
            is_shared: self.is_shared,
        };
        let (to, records) = self.answers.write(now, &source, datagram)?;
        self.counters.replayed_records += records as u64;
        Some(Transmit::One(to))
    }

    /// How our frames begin.
    pub(crate) fn sender(&self, now: u64) -> Sender {
        Sender {
            log: self.group.own,
            clock: self.ledger.clock.at(now),
        }
    }

    /// A run of records and its trailer.
    fn write_data(&mut self, now: u64, datagram: &mut Vec<u8>) -> bool {
        let Some(jool) = &self.local.jool else {
            return false;
        };
        // Before, nobody could compare it with what the others say.
        if !self.ledger.clock.is_adopted() && !matches!(self.join.phase, Phase::Ending { .. }) {
            return false;
        }
        let mut format = self.format.unwrap_or(jool.format);
        if !format.can_express(&jool.pool6) {
            format = Format::Flat40;
        }
        let room = self.group.room();
        let sender = self.sender(now);
        let run = Run {
            format,
            pool6: &jool.pool6,
            room,
            sender,
        };
        let count = self
            .runs
            .write(now, &run, &mut self.ledger, &mut self.own_log, datagram);
        self.counters.sent_records += count as u64;
        count > 0
    }
}
