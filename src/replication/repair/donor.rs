//! Who is asked.

use std::cmp::Reverse;

use crate::replication::event::{Difference, Digests};
use crate::replication::group::{Node, Nodes};
use crate::replication::state::State;
use crate::replication::wire::{Hello, LogKey};

use super::TRIES;

/// How good a donor a node is by what it says; `None`: none.
pub(crate) fn worth(hello: &Hello) -> Option<u8> {
    match State::of(hello.state)? {
        State::Synced | State::Alone => Some(3),
        State::Degraded => Some(2),
        // It is about to ask itself.
        State::Joining => None,
        State::Waiting => (hello.sessions > 0).then_some(2),
    }
}

/// Whether a node has kept, as we would have, all that it was told.
pub(crate) fn is_alike(node: &Node, digests: Option<Digests>) -> bool {
    let of_sessions = |digests: Digests| digests.into_iter().take(Difference::OF_SESSIONS);
    digests.is_some_and(|ours| of_sessions(ours).eq(of_sessions(node.hello.digests)))
}

/// How often it was given up, because it did not answer: the less, the better.
pub(super) fn helps(node: &Node) -> Reverse<u32> {
    Reverse(node.unanswered / TRIES)
}

/// The best of the nodes that are there, if it is worth at least so much.
pub(crate) fn best_donor(nodes: &Nodes, digests: Option<Digests>, least: u8) -> Option<LogKey> {
    let worths = nodes
        .all_present()
        .filter_map(|node| Some((worth(&node.hello)?, node)));
    worths
        .filter(|(worth, _)| *worth >= least)
        .max_by_key(|(worth, node)| {
            let alike = is_alike(node, digests);
            (helps(node), alike, *worth, node.hello.sessions, node.key)
        })
        .map(|(_, node)| node.key)
}
