//! What somebody says of a session, and which of two who say something says it later.

use std::cmp::{Ordering, Reverse};

use crate::session::{Entry, Marks, Session, Stamp, State, Timer};

/// The log of a record that this node announced, or is going to.
pub(crate) const OWN: u16 = u16::MAX;
/// The log of a session that was found in our own Jool when the daemon started. The others may know
/// it or not.
pub(crate) const ADOPTED: u16 = u16::MAX - 1;
/// The log of a record that came from a stock peer: it can be handed on, but nothing tells whether
/// any is missing.
pub(crate) const UNLOGGED: u16 = u16::MAX - 2;

/// Where a record stands in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) log: u16,
    pub(crate) seq: u64,
}

impl Place {
    /// In none.
    pub(crate) const UNLOGGED: Self = Self {
        log: UNLOGGED,
        seq: 0,
    };
    /// In our own, as soon as it is announced.
    pub(crate) const NEXT: Self = Self { log: OWN, seq: 0 };
}

/// What somebody says of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) session: Session,
    /// When the session was last active, as whoever announced this says.
    pub(crate) at: Stamp,
    pub(crate) place: Place,
}

/// Which of two records of the same moment is the later: how far along a TCP connection's life it
/// is. No two are equal.
fn rank(state: State, timer: Timer) -> (u8, Reverse<u8>) {
    let rank = match state {
        State::V4Init => 0,
        State::V6Init => 1,
        State::Trans => 2,
        State::Established => 3,
        State::V4FinRcv => 4,
        State::V6FinRcv => 5,
        State::V4FinV6FinRcv => 6,
    };
    (rank, Reverse(timer as u8))
}

/// Which of what two records say is the later.
pub(super) fn order(session: &Session, at: Stamp, entry: &Entry, known: Stamp) -> Ordering {
    let ranks = || rank(session.state, session.timer).cmp(&rank(entry.state, entry.timer));
    at.compare(known).then_with(ranks)
}

/// Whether what is known of a session is what our own Jool said last.
pub(crate) fn is_local(entry: &Entry) -> bool {
    matches!(entry.log, OWN | ADOPTED) || entry.marks.has(Marks::LOCAL)
}

pub(super) fn is_unchanged(session: &Session, entry: &Entry) -> bool {
    (session.state, session.timer) == (entry.state, entry.timer)
}
