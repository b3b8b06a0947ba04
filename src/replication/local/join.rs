//! Where this node stands in its life: how it becomes one of the group.

use crate::replication::group::Nodes;
use crate::replication::state::State;
use crate::replication::wire::LogKey;

/// How long a node that is new listens for others: three hellos, in milliseconds.
const LISTEN: u64 = 750;
/// The same once it has lost its donor, which may only be restarted. Who takes itself for alone puts all that
/// its Jool has in its log, and the others have to be told it again.
const LISTEN_AGAIN: u64 = 3_000;
/// How long a node waits for another one that is new, too, and goes first, in milliseconds.
const PATIENCE: u64 = 10_000;
/// Questions that the best donor has left without an answer after which nobody is waited for.
const HOPELESS: u32 = 16;

/// Where this node stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has not met its Jool yet.
    Fresh,
    /// It looks for what the others know.
    Joining {
        /// The table of our own Jool has been read.
        dumped: bool,
        /// What the others know is here, or there is nobody.
        transferred: bool,
    },
    /// What the others do not know is put in our log, and leaves.
    Ending {
        /// All of it is in the queue.
        queued: bool,
    },
    Joined,
}

/// What is next to do for who joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// To wait.
    Nothing,
    /// To read this node's table.
    Read(LogKey),
    /// Nothing is left to be told by others.
    Alone,
}

/// How this node becomes one of the group.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) phase: Phase,
    pub(crate) since: u64,
    /// Till then it listens for a good donor.
    listens_until: u64,
    /// Since when there are only others that are new, too.
    waits_since: Option<u64>,
    /// A donor's table is being read.
    reads: bool,
    /// Who told us what the others know, and how many records that were.
    pub(crate) donor: Option<(u64, u64)>,
}

impl Join {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Fresh,
            since: 0,
            listens_until: 0,
            waits_since: None,
            reads: false,
            donor: None,
        }
    }

    pub(crate) fn has_joined(&self) -> bool {
        matches!(self.phase, Phase::Joined)
    }

    /// Whether our own Jool has been read since the daemon met it.
    pub(crate) fn has_read_jool(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Fresh | Phase::Joining { dumped: false, .. }
        )
    }

    /// Whether what our own Jool has was there before.
    pub(crate) fn adopts(&self) -> bool {
        matches!(self.phase, Phase::Fresh | Phase::Joining { .. })
    }

    pub(crate) fn begin(&mut self, now: u64) {
        *self = Self {
            phase: Phase::Joining {
                dumped: false,
                transferred: false,
            },
            since: now,
            listens_until: now + LISTEN,
            ..Self::new()
        };
    }

    /// Our own Jool has been read.
    pub(crate) fn was_dumped(&mut self) {
        if let Phase::Joining { dumped, .. } = &mut self.phase {
            *dumped = true;
        }
    }

    /// What the others know is here, or there is nobody.
    pub(crate) fn was_transferred(&mut self, donor: Option<(u64, u64)>) {
        if let Phase::Joining { transferred, .. } = &mut self.phase {
            *transferred = true;
            self.donor = donor;
        }
    }

    /// What is next to do: which table is read, if none is being. `donor`: the best one.
    pub(crate) fn next(
        &mut self,
        now: u64,
        is_reading: bool,
        own: u64,
        nodes: &Nodes,
        donor: impl FnOnce(u8) -> Option<LogKey>,
    ) -> Next {
        let Phase::Joining {
            transferred: false, ..
        } = self.phase
        else {
            return Next::Nothing;
        };
        if is_reading {
            self.reads = true;
            return Next::Nothing;
        }
        if std::mem::take(&mut self.reads) {
            // The donor is gone, or did not answer.
            self.listens_until = now + LISTEN_AGAIN;
        }
        let has_listened = now >= self.listens_until;
        // Who lacks something knows less than those that may not have been heard yet.
        let donor = donor(if has_listened { 1 } else { 3 });
        let unanswered = donor.and_then(|donor| nodes.present(donor));
        let unanswered = unanswered.map_or(0, |donor| donor.unanswered);
        if let Some(donor) = donor.filter(|_| unanswered < HOPELESS) {
            return Next::Read(donor);
        }
        if !has_listened {
            return Next::Nothing;
        }
        if donor.is_none() && goes_first(own, nodes) {
            let since = *self.waits_since.get_or_insert(now);
            if now < since + PATIENCE {
                return Next::Nothing;
            }
        }
        Next::Alone
    }
}

/// Whether another node is new, too, and goes first: of all that are, the one with the lowest number.
fn goes_first(own: u64, nodes: &Nodes) -> bool {
    let is_new = |state| matches!(state, Some(State::Joining));
    nodes
        .all_present()
        .any(|node| is_new(node.state()) && node.key.node < own)
}
