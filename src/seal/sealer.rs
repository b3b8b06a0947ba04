//! What leaves a node is sealed, and what comes is opened.

use std::time::{Duration, Instant};

use super::counters::{Counters, Refusal};
use super::crypto::{Random, Subkey};
use super::frame::{HEAD, Head, Kind, OVERHEAD, RunKey, Sealed, TAG, is_sealed};
use super::introduction::{self, Challenge, Introduction, Said};
use super::keys::{Key, Keys};
use super::policy::Policy;
use super::run::{Run, Runs};
use super::status::{Known, Peer, Status};
use crate::replication::wire::{self, LogKey};

/// Between two introductions, however many nodes wait for one.
const PAUSE: Duration = Duration::from_millis(20);
/// Introductions of runs that are not known which are looked at in a second, and at once: each costs some
/// microseconds, whether or not it was made up.
const STRANGERS: u32 = 4_000;
const MOST_STRANGERS: u32 = 256;
/// Frames of a run, after which another one begins: by far fewer than AES-GCM bears with one key.
const LONGEST_RUN: u64 = 1 << 40;

/// What is to be sealed, and with which keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What leaves sealed, and what is taken.
    pub policy: Policy,
    /// The keys; `None`: everything is open.
    pub keys: Option<Keys>,
}

/// The seal of one node: between the engine, which knows nothing of it, and the network.
#[derive(Debug)]
pub struct Seal {
    random: Random,
    /// `None`: everything is open.
    active: Option<Active>,
    counters: Counters,
}

impl Seal {
    /// A seal. `random`: where the system's random bytes come from.
    pub fn new(now: Instant, settings: Settings, random: Random) -> Self {
        let mut seal = Self {
            random,
            active: None,
            counters: Counters::default(),
        };
        seal.configure(now, settings);
        seal
    }

    /// Other settings count from now on. Nodes that have proved themselves do not have to again.
    pub fn configure(&mut self, now: Instant, settings: Settings) {
        let Settings { policy, keys } = settings;
        let Some(keys) = keys.filter(|_| policy != Policy::Off) else {
            self.active = None;
            return;
        };
        match &mut self.active {
            Some(active) => active.configure(policy, keys),
            None => self.active = Some(Active::new(now, policy, keys)),
        }
    }

    /// By how much frames become longer when they leave, in bytes.
    pub fn overhead(&self) -> usize {
        match &self.active {
            Some(active) if active.policy.sends() => OVERHEAD,
            _ => 0,
        }
    }

    /// What has been counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How everything stands.
    pub fn status(&self) -> Status {
        self.active.as_ref().map(Active::status).unwrap_or_default()
    }

    /// Runs of other nodes that are remembered.
    #[cfg(test)]
    pub(super) fn runs(&self) -> usize {
        self.active.as_ref().map_or(0, |active| active.runs.len())
    }

    /// The frame in a datagram; `None`: there is none that may be taken.
    pub fn open<'a>(&'a mut self, now: Instant, datagram: &'a [u8]) -> Option<&'a [u8]> {
        let Some(active) = &mut self.active else {
            return Some(datagram);
        };
        if !is_sealed(datagram) {
            let is_taken = active.policy != Policy::Require;
            self.counters.open_refused += u64::from(!is_taken);
            return is_taken.then_some(datagram);
        }
        match active.open(now, datagram, self.random) {
            Ok(frame) => {
                self.counters.opened += u64::from(frame.is_some());
                frame
            }
            Err(refusal) => {
                self.counters.count(refusal);
                None
            }
        }
    }

    /// Whether another node has proved itself since the last call: what was said to it before, or by it, has not
    /// been heard.
    pub fn has_met(&mut self) -> bool {
        let active = self.active.as_mut();
        active.is_some_and(|active| std::mem::take(&mut active.has_met))
    }

    /// This frame is about to leave. Before it [`introduction`](Self::introduction) is to, if there is one.
    pub fn prepare(&mut self, frame: &[u8]) {
        if let Some(active) = &mut self.active {
            active.prepare(frame, self.random);
        }
    }

    /// What the seal itself has to tell everyone now; `None`: nothing.
    pub fn introduction(&mut self, now: Instant) -> Option<&[u8]> {
        self.active.as_mut()?.introduction(now, self.random)
    }

    /// The frame as it leaves; `None`: not at all, which is counted.
    pub fn seal<'a>(&'a mut self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let active = self.active.as_mut().filter(|active| active.policy.sends());
        let Some(active) = active else {
            return Some(frame);
        };
        let sealed = active.seal(Kind::Frame, |content| content.extend_from_slice(frame));
        match &sealed {
            Some(_) => self.counters.sealed += 1,
            None => self.counters.unsealed += 1,
        }
        sealed
    }
}

/// Our own run, as the others know it.
#[derive(Debug)]
struct Own {
    run: RunKey,
    /// Of the key that is sent with.
    subkey: Subkey,
    /// Of the next frame.
    counter: u64,
}

/// A seal that has something to do.
#[derive(Debug)]
struct Active {
    policy: Policy,
    keys: Keys,
    /// `None`: nothing has left yet.
    own: Option<Own>,
    /// What others have to repeat. Another one whenever a run is forgotten, so that nothing that was recorded of
    /// it proves anything; `None`: one is to be chosen.
    challenge: Option<Challenge>,
    runs: Runs,
    /// An introduction is to leave.
    is_due: bool,
    /// Not before.
    next: Instant,
    /// Another node has proved itself.
    has_met: bool,
    /// Which node's challenge is repeated first.
    turn: usize,
    strangers: Strangers,
    opened: Vec<u8>,
    sealed: Vec<u8>,
}

impl Active {
    fn new(now: Instant, policy: Policy, keys: Keys) -> Self {
        Self {
            policy,
            keys,
            own: None,
            challenge: None,
            runs: Runs::default(),
            is_due: true,
            next: now,
            has_met: false,
            turn: 0,
            strangers: Strangers::new(now),
            opened: Vec::with_capacity(wire::MAX_FRAME),
            sealed: Vec::with_capacity(wire::MAX_FRAME),
        }
    }

    fn configure(&mut self, policy: Policy, keys: Keys) {
        self.is_due = true;
        self.policy = policy;
        if keys == self.keys {
            return;
        }
        self.keys = keys;
        self.runs.derive(&self.keys);
        // The counter goes on: it is of the run, whatever key its frames are sealed with.
        self.own = self.own.take().and_then(|own| {
            let subkey = Subkey::derive(&self.keys.sending().secret, &own.run)?;
            Some(Own { subkey, ..own })
        });
    }

    fn status(&self) -> Status {
        let peer = |run: &Run| Peer {
            node: run.key.log.node,
            policy: run.said.policy,
            keys: run.said.keys.clone(),
            sends: run.sends,
        };
        let mut peers: Vec<_> = self.runs.proven().map(peer).collect();
        peers.sort_unstable_by_key(|peer| peer.node);
        Status {
            policy: self.policy,
            keys: self.keys.iter().map(known).collect(),
            sends: self.keys.sending().number.get(),
            peers,
        }
    }

    /// The frame in a sealed datagram; nothing: it was for the seal itself, or is one of ours.
    fn open(
        &mut self,
        now: Instant,
        datagram: &[u8],
        random: Random,
    ) -> Result<Option<&[u8]>, Refusal> {
        let sealed = Sealed::parse(datagram).ok_or(Refusal::Malformed)?;
        let Sealed {
            head,
            clear,
            encrypted,
            tag,
        } = sealed;
        if self.own.as_ref().is_some_and(|own| own.run == head.run) {
            return Ok(None);
        }
        let place = self.keys.position(head.key).ok_or(Refusal::UnknownKey)?;
        let known = self.runs.position(&head.run);
        let run = known.and_then(|known| self.runs.at(known));
        if head.kind == Kind::Frame && !run.is_some_and(Run::is_proven) {
            return Err(Refusal::Unproven);
        }
        self.opened.clear();
        self.opened.extend_from_slice(encrypted);
        let is_genuine = if let Some(subkey) = run.and_then(|run| run.subkey(place)) {
            subkey.open(head.counter, clear, &mut self.opened, tag)
        } else {
            if !self.strangers.may(now) {
                return Err(Refusal::Unproven);
            }
            let key = self.keys.at(place);
            let subkey = key.and_then(|key| Subkey::derive(&key.secret, &head.run));
            subkey.is_some_and(|subkey| subkey.open(head.counter, clear, &mut self.opened, tag))
        };
        if !is_genuine {
            return Err(Refusal::Forged);
        }
        if let Some(known) = known {
            self.came(now, known, &head)?;
        }
        match head.kind {
            Kind::Introduction => self.introduced(now, &head, random).map(|()| None),
            Kind::Frame => {
                let from = wire::sender(&self.opened).map(|(_, log)| log);
                if from != Some(head.run.log) {
                    return Err(Refusal::Malformed);
                }
                Ok(Some(&self.opened))
            }
        }
    }

    /// A frame of a run that is known came, with a right tag.
    fn came(&mut self, now: Instant, known: usize, head: &Head) -> Result<(), Refusal> {
        if self.runs.doubt(now, known) {
            self.challenge = None;
            self.is_due = true;
            if head.kind == Kind::Frame {
                return Err(Refusal::Unproven);
            }
        }
        let run = self.runs.at_mut(known).ok_or(Refusal::Unproven)?;
        run.came(now, head.counter, head.key)
    }

    /// A node introduces itself, in `opened`.
    fn introduced(&mut self, now: Instant, head: &Head, random: Random) -> Result<(), Refusal> {
        let introduction = Introduction::parse(&self.opened).ok_or(Refusal::Malformed)?;
        let Introduction { said, echoes } = introduction;
        let is_heard = self.challenge.is_some_and(|ours| echoes.contains(&ours));
        let known = self.runs.position(&head.run);
        let is_proven = match known.and_then(|known| self.runs.at_mut(known)) {
            Some(run) => {
                self.is_due |= run.says(head.counter, said);
                run.is_proven()
            }
            None => {
                self.runs.add(now, head, said, &self.keys);
                false
            }
        };
        if is_proven {
            return Ok(());
        }
        // It waits for what we repeat, or we for what it does.
        self.is_due = true;
        if is_heard {
            self.has_met = true;
            if self.runs.prove(&head.run, head.counter) {
                self.challenge = challenge(random);
            }
        }
        Ok(())
    }

    /// This frame is about to leave.
    fn prepare(&mut self, frame: &[u8], random: Random) {
        let Some((kind, log)) = wire::sender(frame) else {
            return;
        };
        self.is_due |= kind == wire::KIND_HELLO;
        let is_ours = |own: &Own| own.run.log == log && own.counter < LONGEST_RUN;
        if !self.own.as_ref().is_some_and(is_ours) {
            self.own = self.begin(log, random);
            self.is_due = true;
        }
    }

    /// Begins another run.
    fn begin(&self, log: LogKey, random: Random) -> Option<Own> {
        let salt = random()?;
        let run = RunKey { log, salt };
        let subkey = Subkey::derive(&self.keys.sending().secret, &run)?;
        Some(Own {
            run,
            subkey,
            counter: 0,
        })
    }

    fn introduction(&mut self, now: Instant, random: Random) -> Option<&[u8]> {
        if !self.is_due || now < self.next || self.own.is_none() {
            return None;
        }
        let ours = self.challenge.or_else(|| challenge(random))?;
        self.challenge = Some(ours);
        self.is_due = false;
        self.next = now + PAUSE;
        let echoes = self.runs.echoes(now, self.turn);
        self.turn = self.turn.wrapping_add(introduction::MOST_ECHOES);
        let said = Said {
            challenge: ours,
            policy: self.policy,
            keys: self.keys.iter().map(known).collect(),
        };
        self.seal(Kind::Introduction, |content| {
            introduction::write(&said, &echoes, content);
        })
    }

    /// Seals what is written; `None`: there is nothing to do it with.
    fn seal(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> Option<&[u8]> {
        let own = self.own.as_mut()?;
        let (key, run, counter) = (self.keys.sending().number.get(), own.run, own.counter);
        own.counter += 1;
        self.sealed.clear();
        let head = Head {
            kind,
            key,
            run,
            counter,
        };
        head.write(&mut self.sealed);
        write(&mut self.sealed);
        let (clear, content) = self.sealed.split_first_chunk_mut::<HEAD>()?;
        let tag: [u8; TAG] = own.subkey.seal(counter, clear, content)?;
        self.sealed.extend_from_slice(&tag);
        Some(&self.sealed)
    }
}

fn known(key: &Key) -> Known {
    Known {
        number: key.number,
        fingerprint: key.fingerprint,
    }
}

fn challenge(random: Random) -> Option<Challenge> {
    random()?.first_chunk().copied()
}

/// How many runs that are not known may be looked at: what is made up costs no more than that.
#[derive(Debug)]
struct Strangers {
    left: u32,
    since: Instant,
}

impl Strangers {
    fn new(now: Instant) -> Self {
        Self {
            left: MOST_STRANGERS,
            since: now,
        }
    }

    /// Whether another one may be.
    fn may(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since).as_millis();
        let more = u32::try_from(passed).unwrap_or(u32::MAX);
        if more > 0 {
            let more = more.saturating_mul(STRANGERS / 1_000);
            self.left = self.left.saturating_add(more).min(MOST_STRANGERS);
            self.since = now;
        }
        let may = self.left > 0;
        self.left -= u32::from(may);
        may
    }
}
