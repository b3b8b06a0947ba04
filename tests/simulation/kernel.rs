//! A Jool in virtual time: a table, and a queue with one record per translated packet.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use joold::session::{
    Format, Identity, Prefix, Protocol, Session, State, Timeouts, Timer, parse_run,
};

/// Bytes of records in one multicast.
const PACKET: usize = 1440;
/// Sessions in one answer to a dump.
const PAGE: usize = 26;

/// What may happen to a TCP session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Syn6,
    Syn4,
    Data,
    Fin6,
    Fin4,
    Reset,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) state: State,
    pub(crate) timer: Timer,
    pub(crate) expires: u64,
    /// The daemon was not told of the latest packet, or not yet, and cannot know.
    pub(crate) unheard: bool,
}

/// Something older replaced something later.
#[derive(Debug)]
pub(crate) struct Rollback {
    pub(crate) id: Identity,
    pub(crate) had: Known,
    pub(crate) got: Session,
}

#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) format: Format,
    pub(crate) timeouts: Timeouts,
    pub(crate) table: BTreeMap<Identity, Known>,
    queue: VecDeque<(Identity, Known)>,
    capacity: usize,
    pub(crate) dropped: u64,
}

impl Kernel {
    pub(crate) fn new(format: Format, timeouts: Timeouts, capacity: usize) -> Self {
        Self {
            format,
            timeouts,
            table: BTreeMap::new(),
            queue: VecDeque::new(),
            capacity,
            dropped: 0,
        }
    }

    /// It counts each timeout from a session's last packet, so that they live longer at once.
    pub(crate) fn set_timeouts(&mut self, timeouts: Timeouts) {
        let before = std::mem::replace(&mut self.timeouts, timeouts);
        let of = |timeouts: Timeouts, id: &Identity, known: &Known| {
            u64::from(timeouts.of(id.protocol, known.timer))
        };
        let queued = self.queue.iter_mut().map(|(id, known)| (&*id, known));
        for (id, known) in self.table.iter_mut().chain(queued) {
            known.expires = known.expires + of(timeouts, id, known) - of(before, id, known);
        }
    }

    pub(crate) fn find(&self, now: u64, id: &Identity) -> Option<Known> {
        self.table
            .get(id)
            .copied()
            .filter(|known| known.expires > now)
    }

    /// Translates a packet; `None`: a segment of no session.
    pub(crate) fn translate(&mut self, now: u64, id: Identity, segment: Segment) -> Option<Known> {
        let old = self.find(now, &id);
        let (state, timer, renews) = match (id.protocol, old.map(|known| known.state), segment) {
            (Protocol::Udp | Protocol::Icmp, ..) => (State::Established, Timer::Established, true),
            (_, None, Segment::Syn6) => (State::V6Init, Timer::Transitory, true),
            (_, None, Segment::Syn4) => (State::V4Init, Timer::Transitory, true),
            (_, None, _) => return None,
            (_, Some(State::V6Init), Segment::Syn4) | (_, Some(State::V4Init), Segment::Syn6) => {
                (State::Established, Timer::Established, true)
            }
            (_, Some(state @ (State::V6Init | State::V4Init)), _) => {
                (state, Timer::Transitory, matches!(segment, Segment::Syn6))
            }
            (_, Some(State::Established), Segment::Fin4) => {
                (State::V4FinRcv, Timer::Established, true)
            }
            (_, Some(State::Established), Segment::Fin6) => {
                (State::V6FinRcv, Timer::Established, true)
            }
            (_, Some(State::Established), Segment::Reset) => {
                (State::Trans, Timer::Transitory, true)
            }
            (_, Some(State::V4FinRcv), Segment::Fin6)
            | (_, Some(State::V6FinRcv), Segment::Fin4) => {
                (State::V4FinV6FinRcv, Timer::Transitory, true)
            }
            (_, Some(State::V4FinV6FinRcv), _) => (State::V4FinV6FinRcv, Timer::Transitory, false),
            (_, Some(State::Trans), Segment::Reset) => (State::Trans, Timer::Transitory, false),
            (_, Some(State::Trans), _) => (State::Established, Timer::Established, true),
            (_, Some(state), _) => (state, Timer::Established, true),
        };
        let timeout = u64::from(self.timeouts.of(id.protocol, timer));
        let expires = match old {
            Some(known) if !renews => known.expires,
            _ => now + timeout,
        };
        let full = self.queue.len() >= self.capacity;
        let known = Known {
            state,
            timer,
            expires,
            unheard: true,
        };
        self.table.insert(id, known);
        if full {
            self.dropped += 1;
        } else {
            self.queue.push_back((id, known));
        }
        Some(known)
    }

    /// The next multicast.
    pub(crate) fn packet(&mut self, now: u64, run: &mut Vec<u8>) -> bool {
        run.clear();
        while run.len() + self.format.length() <= PACKET {
            let Some((id, known)) = self.queue.pop_front() else {
                break;
            };
            if let Some(now_known) = self.table.get_mut(&id) {
                let is_latest =
                    (now_known.state, now_known.expires) == (known.state, known.expires);
                now_known.unheard &= !is_latest;
            }
            let session = session(now, &id, &known);
            self.format.write(&session, &Prefix::WELL_KNOWN, run);
        }
        !run.is_empty()
    }

    /// Nobody listens: what is queued is never heard of.
    pub(crate) fn unheard(&mut self) {
        for (id, _) in self.queue.drain(..) {
            if let Some(known) = self.table.get_mut(&id) {
                known.unheard = true;
            }
        }
    }

    /// Takes a run as it is, and tells what that undid.
    pub(crate) fn add(&mut self, now: u64, run: &[u8], tolerance: u64) -> Vec<Rollback> {
        let mut rollbacks = Vec::new();
        let mut last = 0;
        parse_run(run, &Prefix::WELL_KNOWN, |record| {
            let got = record.expect("what leaves for the kernel can be read");
            let timeout = self.timeouts.of(got.id.protocol, got.timer);
            assert!(got.lifetime <= timeout, "beyond the timeout: {got:?}");
            assert!(got.lifetime >= last, "not in ascending order");
            last = got.lifetime;
            let expires = now + u64::from(got.lifetime);
            if let Some(had) = self.find(now, &got.id) {
                let before = u64::from(self.timeouts.of(got.id.protocol, had.timer));
                let later = had.expires + u64::from(timeout) > expires + before + tolerance;
                if later && !had.unheard {
                    rollbacks.push(Rollback {
                        id: got.id,
                        had,
                        got,
                    });
                }
            }
            let known = Known {
                state: got.state,
                timer: got.timer,
                expires,
                unheard: false,
            };
            self.table.insert(got.id, known);
        });
        rollbacks
    }

    /// A page of the table from behind a session on; tells where it ended, if there is more.
    pub(crate) fn dump(
        &mut self,
        now: u64,
        after: Option<Identity>,
        mut each: impl FnMut(&Session),
    ) -> Option<Identity> {
        self.table.retain(|_, known| known.expires > now);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        let mut count = 0;
        for (id, known) in self.table.range_mut((start, Bound::Unbounded)).take(PAGE) {
            each(&session(now, id, known));
            known.unheard = false;
            last = Some(*id);
            count += 1;
        }
        last.filter(|_| count == PAGE)
    }
}

/// As the module tells it, which counts time in jiffies of 4 ms.
fn session(now: u64, id: &Identity, known: &Known) -> Session {
    let left = (known.expires / 4 * 4).saturating_sub(now / 4 * 4);
    Session {
        id: *id,
        state: known.state,
        timer: known.timer,
        lifetime: u32::try_from(left).unwrap(),
    }
}
