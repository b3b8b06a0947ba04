//! What a hello changes.

use std::net::SocketAddr;

use crate::replication::event::{Event, Events};
use crate::replication::state::State;
use crate::replication::store::{Ledger, OwnLog, RING};
use crate::replication::wire::{Hello, LogKey, MIN_FRAME, Progress, Sender};

use super::{Group, Node, display_name};

/// Of a node that was not heard for so long, in milliseconds, it is not known how much is missing.
const APART: u64 = 3_000;

impl Group {
    /// A node said hello. Says whether it counts: not that of a former run, or of one too many.
    pub(crate) fn hear(
        &mut self,
        now: u64,
        (from, address): (Sender, SocketAddr),
        hello: Hello,
        own_log: &OwnLog,
        ledger: &Ledger,
        events: &mut Events,
    ) -> bool {
        let key = from.log;
        let (last, is_joining) = (hello.last, hello.state == State::Joining as u8);
        // In the node's own words: they are needed after it has been put in its place.
        let logs = hello.logs.clone();
        let Some(was_apart) = self.hear_node(now, address, from, hello, events) else {
            return false;
        };
        let index = self.log_of(now, key, true, ledger);
        let index = index.or_else(|| self.make_room(now, key, ledger));
        if let Some(log) = index.and_then(|index| self.logs.get_mut(index)) {
            log.ends(now, last);
        } else {
            let name = self.name_of(key.node);
            self.overlook(now, name);
        }
        // A hello over a narrow path has no room for more, and may leave ours out.
        let is_full = logs.len() >= Hello::most_logs(MIN_FRAME);
        let (mut of_ours, mut hears_us) = (0, is_full);
        for Progress { position, last } in logs {
            if position.log == self.own {
                of_ours = position.seq.min(own_log.last());
                hears_us = true;
            } else if self.nodes.present(position.log).is_none() {
                self.hear_of_log(now, position.log, last.max(position.seq), ledger);
            }
        }
        let lag = if of_ours >= own_log.last() {
            0
        } else {
            // Beyond what can be found by place: at least as old as the oldest that can.
            let oldest = (own_log.last() + 1).saturating_sub(RING).max(1);
            own_log.age((of_ours + 1).max(oldest), now).unwrap_or(0)
        };
        if let Some(node) = self.nodes.find_mut(key.node) {
            if node.hello.state == State::Synced as u8 {
                node.synced_at = now;
            }
            node.is_apart = was_apart && is_joining;
            node.behind = own_log.last() - of_ours;
            node.lag = lag;
            node.deaf_since = (!hears_us).then(|| node.deaf_since.unwrap_or(now));
        }
        if was_apart {
            for log in self.logs.iter_mut() {
                log.was_apart();
            }
        }
        true
    }

    /// Puts a node in its place. Says whether it was not heard for long, by its clock or by ours: then it may
    /// have told anything meanwhile. `None`: it does not count.
    fn hear_node(
        &mut self,
        now: u64,
        address: SocketAddr,
        from: Sender,
        hello: Hello,
        events: &mut Events,
    ) -> Option<bool> {
        let Sender { log: key, clock } = from;
        let is_followed = self.nodes.find(key.node).is_some();
        if !is_followed && !self.nodes.add(Node::new(now, key, address, hello.clone())) {
            self.overlook(now, display_name(&hello.name, key.node));
            return None;
        }
        let node = self.nodes.find_mut(key.node)?;
        if node.is_late(now, key, address) {
            return None;
        }
        let was_absent = !is_followed || (!node.present && now > node.heard + APART);
        // The clock of who joins may be set.
        let was_silent = node.has_joined()
            && is_followed
            && node.key == key
            && clock.since(node.said) > APART.cast_signed();
        let was_apart = node.is_apart || was_absent || was_silent;
        let is_new = !is_followed || !node.present || node.key != key;
        if node.key != key {
            node.begins_again(now, key);
        }
        node.present = true;
        node.hello = hello;
        node.heard = now;
        node.address = address;
        node.said = clock;
        if is_new {
            let name = display_name(&node.hello.name, key.node);
            events.tell(Event::PeerFound { name, address });
        }
        Some(was_apart)
    }

    /// Another node knows of a log whose own is not there: nobody else tells how far it goes. Only a log's own
    /// node has another forgotten for it, or two nodes that know many would never come to rest.
    fn hear_of_log(&mut self, now: u64, key: LogKey, last: u64, ledger: &Ledger) {
        if last == 0 {
            return;
        }
        let index = self.log_of(now, key, false, ledger);
        match index.and_then(|index| self.logs.get_mut(index)) {
            Some(log) => {
                log.reaches(now, last);
                log.schedule(now);
            }
            None => {
                let name = self.name_of(key.node);
                self.overlook(now, name);
            }
        }
    }
}
