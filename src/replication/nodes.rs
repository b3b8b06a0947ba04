//! The other nodes of our kind, by what they said last.

use std::net::SocketAddr;

use crate::session::Stamp;

use super::clock::Met;
use super::frame::{Hello, LogKey};

/// Nodes that are followed. A group has a handful.
const MOST: usize = 32;

/// A node of our kind. Points in time are milliseconds on the engine's clock.
#[derive(Debug)]
pub(super) struct Node {
    /// Who, in which run.
    pub(super) key: LogKey,
    /// Whether its clock and ours have met.
    pub(super) met: Option<Met>,
    /// Where its frames come from.
    pub(super) address: SocketAddr,
    pub(super) hello: Hello,
    /// When its last hello came.
    pub(super) heard: u64,
    /// When that was sent, on the table's clock.
    pub(super) said: Stamp,
    /// When it last said that it was synced; 0: never.
    pub(super) synced_at: u64,
    /// Sessions may have ended of which it knows and we do not.
    pub(super) knows_ends: bool,
    /// Whether it is taken for there.
    pub(super) present: bool,
    /// Records of our log that it had not, as of its last hello.
    pub(super) behind: u64,
    /// How long before its last hello the first of what it had not was announced, in milliseconds.
    pub(super) lag: u32,
    /// Which of pool6, pool4 and the timeouts differ from ours.
    pub(super) drift: [bool; 3],
    pub(super) datagrams: u64,
    pub(super) records: u64,
    pub(super) rejected: u64,
}

#[derive(Debug, Default)]
pub(super) struct Nodes(Vec<Node>);

impl Nodes {
    pub(super) fn find(&self, node: u64) -> Option<&Node> {
        self.0.iter().find(|known| known.key.node == node)
    }

    pub(super) fn find_mut(&mut self, node: u64) -> Option<&mut Node> {
        self.0.iter_mut().find(|known| known.key.node == node)
    }

    /// The node if it is there, in this very run.
    pub(super) fn present(&self, key: LogKey) -> Option<&Node> {
        self.find(key.node)
            .filter(|node| node.present && node.key == key)
    }

    /// Those that are there.
    pub(super) fn all_present(&self) -> impl Iterator<Item = &Node> {
        self.0.iter().filter(|node| node.present)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.0.iter_mut()
    }

    /// Adds a node, in place of one that is gone if there are too many; `false`: all are there.
    pub(super) fn add(&mut self, node: Node) -> bool {
        if self.0.len() >= MOST {
            let gone = (0_usize..).zip(&self.0).filter(|(_, node)| !node.present);
            let Some((index, _)) = gone.min_by_key(|(_, node)| node.heard) else {
                return false;
            };
            self.0.swap_remove(index);
        }
        self.0.push(node);
        true
    }
}
