//! Names that are not one node's alone. Nodes are told apart by their numbers, people by their names.

use crate::replication::event::{Event, Events};

use super::{Group, Node};

/// Two nodes of one name are told of when the later of them has been there for so long, in milliseconds: one that
/// came back under another number has ceased to be there by then.
const TOGETHER: u64 = 2_000;

impl Group {
    /// Tells of nodes that have their name in common with another one, or that came back under another number.
    pub(crate) fn notice_names(&mut self, now: u64, events: &mut Events) {
        let found = self.nodes.iter().map(|node| {
            let is_shared = self.shares_name(now, node);
            (node.key.node, is_shared, self.is_renumbered(node))
        });
        for (number, is_shared, is_renumbered) in found.collect::<Vec<_>>() {
            let Some(node) = self.nodes.find_mut(number) else {
                continue;
            };
            let was_shared = std::mem::replace(&mut node.shares_name, is_shared);
            let was_renumbered = std::mem::replace(&mut node.is_renumbered, is_renumbered);
            let (name, address) = (node.hello.name.clone(), node.address);
            if is_shared && !was_shared {
                events.tell(Event::NameShared { name, address });
            } else if is_renumbered && !was_renumbered {
                events.tell(Event::Renumbered { name, address });
            }
        }
    }

    /// Whether another node, or this one, has the name of a node that is there.
    fn shares_name(&self, now: u64, node: &Node) -> bool {
        let has_lasted = |node: &Node| node.present && now >= node.began() + TOGETHER;
        let is_other = |other: &Node| {
            let is_named_so = other.hello.name == node.hello.name;
            other.key.node != node.key.node && is_named_so && has_lasted(other)
        };
        has_lasted(node)
            && !node.hello.name.is_empty()
            && (node.hello.name == self.own_name() || self.nodes.iter().any(is_other))
    }

    /// Whether a node that is gone is there again, by its name and address, under another number.
    fn is_renumbered(&self, node: &Node) -> bool {
        let is_it =
            |other: &Node| other.hello.name == node.hello.name && other.address == node.address;
        !node.present && !node.hello.name.is_empty() && self.nodes.all_present().any(is_it)
    }
}
