//! What is missing of a log, and whose turn it is to be asked for it.

use crate::replication::event::{Digests, Event};
use crate::replication::group::Group;
use crate::replication::wire::{LogKey, Position, Request, Space};

use crate::session::Stamp;

use super::donor::{helps, is_alike, worth};
use super::{Around, Reading, Repair, TRIES};

/// How soon after a look that led to nothing there is another, in milliseconds.
pub(super) const LATER: u64 = 100;
/// The same for what was given up, in milliseconds.
const SELDOM: u64 = 1_000;
/// How long something is missing that nobody has before it is given up, in milliseconds.
const GIVE_UP: u64 = 3_000;

impl Repair {
    pub(super) fn recover_log(&mut self, now: u64, index: u16, around: &mut Around<'_>) {
        let Some(log) = around.group.logs.get_mut(index) else {
            return;
        };
        if log.missing.is_empty() {
            log.due = None;
            return;
        }
        let (key, have) = (log.key, log.have());
        let is_scanning = self.scan.is_some();
        let can_answer = log.is_recent() || is_scanning;
        let answers = log.tries < TRIES;
        log.due = Some(now + LATER);
        if around.is_joining && !is_scanning {
            return;
        }
        let is_there = around.group.nodes.present(key).is_some();
        if is_there && can_answer && (answers || is_scanning) {
            self.ask_by_place(now, index, around);
            return;
        }
        if is_scanning || around.is_joining {
            return;
        }
        // It is there, and does not answer: others may.
        let donor = who_has_more(around.group, key, have, around.digests)
            .or_else(|| unread(around.group, index, around.digests));
        if let Some(donor) = donor {
            self.begin_scan(now, donor, Reading::Missing, around);
        } else if is_there && can_answer {
            self.ask_by_place(now, index, around);
        } else {
            self.consider_giving_up(now, index, around);
        }
    }

    /// Asks a log's own node for what is missing of it, but for what a reading of a table will bring.
    fn ask_by_place(&mut self, now: u64, index: u16, around: &mut Around<'_>) {
        let Group {
            nodes,
            logs,
            overhead,
            ..
        } = &mut *around.group;
        let Some(log) = logs.get_mut(index) else {
            return;
        };
        let Some(node) = nodes.run_mut(log.key) else {
            return;
        };
        let brought = self.scan.as_ref().map_or(0, |scan| scan.reach(log.key));
        let ranges: Vec<_> = log
            .missing
            .iter()
            .filter(|&(_, to)| to > brought)
            .map(|(from, to)| (from.max(brought + 1), to))
            .take(Request::most_places(node.length() - *overhead))
            .collect();
        if ranges.is_empty() {
            return;
        }
        // Each is a frame at least.
        node.is_asked(log.tries, ranges.len(), &mut log.question);
        log.due = Some(now + node.retry(log.tries));
        log.tries += 1;
        log.hopeless_since = None;
        log.given_up = false;
        if log.token == 0 {
            log.token = self.questions.token();
        }
        let request = Request {
            to: log.key,
            token: log.token,
            proof: node.hello.proof,
            space: Space::Log,
            length: u16::try_from(node.length()).unwrap_or(u16::MAX),
            frames: node.frames(),
            ranges,
            since: Vec::new(),
            after: Stamp::default(),
            buckets: None,
        };
        let address = node.address;
        self.questions.ask(address, request);
    }

    /// Nobody who is there has it.
    fn consider_giving_up(&mut self, now: u64, index: u16, around: &mut Around<'_>) {
        let Group { nodes, logs, .. } = &mut *around.group;
        let Some(log) = logs.get_mut(index) else {
            return;
        };
        if log.given_up {
            log.due = Some(now + SELDOM);
            return;
        }
        if !log.heard {
            // Those who heard its node have looked for that, and told.
            log.give_up();
            return;
        }
        let since = *log.hopeless_since.get_or_insert(now);
        let (key, records) = (log.key, log.missing.len());
        if let Some(newer) = nodes.find(key.node).filter(|node| node.key != key) {
            // The node itself is back, though it may be too busy to be heard. What its Jool has, and whoever
            // it joined had not, is in its new log by the time it is synced.
            let told = newer.hello.last;
            let is_read = logs.of(newer.key).is_some_and(|log| log.have() >= told);
            if newer.present && newer.has_joined() && is_read {
                if let Some(log) = logs.get_mut(index) {
                    log.give_up();
                }
                return;
            }
            if now < since + 10 * GIVE_UP {
                return;
            }
        }
        if now >= since + GIVE_UP {
            if let Some(log) = logs.get_mut(index) {
                log.give_up();
            }
            around.counters.lost_records += records;
            self.lose(now, key.node, records);
            let name = around.group.name_of(key.node);
            around.events.tell(Event::Lost { name, records });
        }
    }
}

/// A node that is there and has more of a log than we.
fn who_has_more(group: &Group, log: LogKey, have: u64, digests: Option<Digests>) -> Option<LogKey> {
    let seq = have + 1;
    let have_it = group
        .nodes
        .all_present()
        .filter(|node| worth(&node.hello).is_some() && node.has(Position { log, seq }));
    let others = have_it.filter(|node| node.key != log || node.unanswered < TRIES);
    let best = others.max_by_key(|node| (helps(node), is_alike(node, digests)));
    best.map(|node| node.key)
}

/// A node that is there and whose table has not been read for what is missing of a log: each may have some of
/// it.
fn unread(group: &Group, index: u16, digests: Option<Digests>) -> Option<LogKey> {
    let log = group.logs.get(index)?;
    let donors = group.nodes.all_present().filter(|node| {
        worth(&node.hello).is_some() && node.unanswered < TRIES && !log.has_read(node.key)
    });
    let best = donors.max_by_key(|node| is_alike(node, digests));
    best.map(|node| node.key)
}
