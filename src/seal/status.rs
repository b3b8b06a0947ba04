//! How a node's seal and those of the others stand, as it is shown.

use std::num::NonZeroU16;

use super::keys::Fingerprint;
use super::policy::Policy;

/// A key as it may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its ID.
    pub number: NonZeroU16,
    /// What tells it from others.
    pub fingerprint: Fingerprint,
}

/// Another node, as far as its present run has proved to be going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number.
    pub node: u64,
    /// What leaves it sealed, and what it takes.
    pub policy: Policy,
    /// The keys that it can open.
    pub keys: Vec<Known>,
    /// The ID of the key that it seals with; 0: unknown.
    pub sends: u16,
}

impl Peer {
    /// Whether it has this very key.
    pub fn has(&self, key: &Known) -> bool {
        self.keys.contains(key)
    }
}

/// How the seal stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What leaves sealed, and what is taken.
    pub policy: Policy,
    /// The keys that are here.
    pub keys: Vec<Known>,
    /// The ID of the one that frames are sealed with; 0: there is none.
    pub sends: u16,
    /// The other nodes that have proved themselves, by number.
    pub peers: Vec<Peer>,
}

impl Status {
    /// What is known of the node of this number.
    pub fn of(&self, node: u64) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.node == node)
    }
}
