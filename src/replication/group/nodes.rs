//! The other nodes of our kind, by what they said last.

use std::net::SocketAddr;

use crate::replication::event::Difference;
use crate::replication::fitness::Fitness;
use crate::replication::state::State;
use crate::replication::wire::{Hello, LogKey, MAX_FRAME, MIN_FRAME, Position};
use crate::session::Stamp;

use super::question::Question;

/// Nodes that are followed. A group has a handful.
const MOST: usize = 32;
/// What of a former run is heard later than this after the first of the present one, in milliseconds, is no
/// run that is over.
const RESTART: u64 = 3_000;
/// Of two that say they are the same node one is heard at least so often, in milliseconds.
const CLONE: u64 = 5_000;
/// It takes a node less than this to hear another and to say so, in milliseconds.
const DEAF: u64 = 3_000;
/// Lengths of answers that are asked for, one after the other, when none comes.
const LENGTHS: [usize; 4] = [MAX_FRAME, 1_232, 548, MIN_FRAME];
/// Questions without an answer before a shorter one is asked for.
const TRIES: u32 = 2;
/// A frame is full that is shorter than was asked for by less than this: another record, the logs that were not
/// named, and what was around a sealed one.
const FULL: usize = 180;
/// Frames of an answer that are asked for at first, and at most.
const FIRST_FRAMES: u8 = 8;
const MOST_FRAMES: u8 = 128;
/// The frames of an answer keep the way busy if the last one takes longer than twice as long as the first,
/// and this, in milliseconds.
const BUSY: u64 = 4;
/// After so many answers it is tried whether longer ones come, too; doubled each time that they do not.
const LONGER: u32 = 8;
const MOST_LONGER: u32 = 4_096;
/// How soon a question is asked again when nobody knows how long the way is, in milliseconds.
const FIRST_RETRY: u64 = 100;
const SHORTEST_RETRY: u64 = 30;
const LONGEST_RETRY: u64 = 400;

/// What a comparison with another node found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Comparisons with it so far.
    pub(crate) count: u64,
    /// When, in milliseconds on the engine's clock.
    pub(crate) at: u64,
    /// Sessions here that were compared.
    pub(crate) sessions: u64,
    /// Sessions of it that were not here, or in another state, and are now.
    pub(crate) differed: u64,
}

/// A node of our kind. Points in time are milliseconds on the engine's clock.
#[derive(Debug)]
pub(crate) struct Node {
    /// Who, in which run.
    pub(crate) key: LogKey,
    /// Where its frames come from.
    pub(crate) address: SocketAddr,
    pub(crate) hello: Hello,
    /// When its first hello in this run came.
    began: u64,
    /// When its last hello came.
    pub(crate) heard: u64,
    /// When that was sent, on the clock that the nodes share.
    pub(crate) said: Stamp,
    /// When it last said that it was synced; 0: never.
    pub(crate) synced_at: u64,
    /// Whether it is taken for there.
    pub(crate) present: bool,
    /// It was not heard for long, and has not said since then what it has: it joins.
    pub(crate) is_apart: bool,
    /// Another one that says that it is this node: where, and when that was last heard.
    clone: Option<(SocketAddr, u64)>,
    /// Where its frames came from before, and until when.
    moved: Option<(SocketAddr, u64)>,
    /// Records of our log that it had not, as of its last hello.
    pub(crate) behind: u64,
    /// How long before its last hello the first of what it had not was announced, in milliseconds.
    pub(crate) lag: u32,
    /// Which of its settings differ from ours.
    pub(crate) drift: [bool; Difference::ALL.len()],
    /// Since when its hellos name every log but ours: it has never heard this run.
    pub(crate) deaf_since: Option<u64>,
    /// Another node that is there has the same name.
    pub(crate) shares_name: bool,
    /// It is gone, and there again under another number.
    pub(crate) is_renumbered: bool,
    /// Questions since the last answer.
    pub(crate) unanswered: u32,
    /// Which of [`LENGTHS`] its answers come through with.
    length: usize,
    /// Answers until a longer one is tried, and how many they were the last time.
    longer: (u32, u32),
    /// How long the way to it and back takes, in milliseconds.
    round_trip: Option<u64>,
    /// How long it took to the first frame of the last answer, in milliseconds.
    first: u64,
    /// Frames of an answer that the way takes at once, and whether it has lost most of more.
    frames: u8,
    has_lost: bool,
    /// What the last comparison with it found.
    pub(crate) verified: Option<Verified>,
    pub(crate) datagrams: u64,
    pub(crate) records: u64,
    pub(crate) rejected: u64,
}

impl Node {
    pub(super) fn new(now: u64, key: LogKey, address: SocketAddr, hello: Hello) -> Self {
        Self {
            key,
            address,
            hello,
            began: now,
            heard: now,
            said: Stamp::default(),
            present: true,
            is_apart: false,
            clone: None,
            moved: None,
            synced_at: 0,
            behind: 0,
            lag: 0,
            drift: [false; Difference::ALL.len()],
            deaf_since: None,
            shares_name: false,
            is_renumbered: false,
            unanswered: 0,
            length: 0,
            longer: (LONGER, LONGER),
            round_trip: None,
            first: 0,
            frames: FIRST_FRAMES,
            has_lost: false,
            verified: None,
            datagrams: 0,
            records: 0,
            rejected: 0,
        }
    }

    /// What it says of its fitness.
    pub(crate) fn fitness(&self) -> Fitness {
        Fitness::of(self.hello.fitness)
    }

    /// What it says that it is about; `None`: nothing that is known.
    pub(crate) fn state(&self) -> Option<State> {
        State::of(self.hello.state)
    }

    /// Whether it has all that it could find, and a Jool.
    pub(crate) fn has_joined(&self) -> bool {
        self.state().is_some_and(State::has_joined)
    }

    /// Whether it has a Jool, as far as it is understood.
    pub(crate) fn has_jool(&self) -> bool {
        self.state() != Some(State::Waiting)
    }

    /// Whether it has been saying for a while that it has not heard us.
    pub(crate) fn is_deaf(&self, now: u64) -> bool {
        self.deaf_since.is_some_and(|since| now >= since + DEAF)
    }

    /// When its first hello in this run came.
    pub(super) fn began(&self) -> u64 {
        self.began
    }

    /// How far it is in a log.
    pub(crate) fn position(&self, log: LogKey) -> u64 {
        if self.key == log {
            return self.hello.last;
        }
        let mut positions = self.hello.logs.iter().map(|log| log.position);
        let position = positions.find(|position| position.log == log);
        position.map_or(0, |position| position.seq)
    }

    /// Whether it says that it is so far in a log.
    pub(crate) fn has(&self, Position { log, seq }: Position) -> bool {
        self.position(log) >= seq
    }

    /// A hello came from this address, in its name. What is of a former run is late, or a clone's.
    pub(super) fn is_late(&mut self, now: u64, key: LogKey, address: SocketAddr) -> bool {
        if key.epoch < self.key.epoch && self.present {
            if now >= self.began + RESTART {
                self.clone = Some((address, now));
            }
            return true;
        }
        if key == self.key && address != self.address {
            let is_back = self
                .moved
                .is_some_and(|(before, at)| before == address && now < at + CLONE);
            if is_back {
                self.clone = Some((self.address, now));
            }
            self.moved = Some((self.address, now));
        }
        false
    }

    /// Where another one is that says that it is this node.
    pub(crate) fn clone(&self, now: u64) -> Option<SocketAddr> {
        let clone = self.clone.filter(|(_, heard)| now < heard + CLONE);
        clone.map(|(address, _)| address)
    }

    /// Another run of it has begun.
    pub(super) fn begins_again(&mut self, now: u64, key: LogKey) {
        self.key = key;
        self.began = now;
        self.synced_at = 0;
        self.drift = [false; Difference::ALL.len()];
        self.unanswered = 0;
    }

    /// The longest frame that is asked for next.
    pub(crate) fn length(&self) -> usize {
        let further = usize::try_from(self.unanswered / TRIES).unwrap_or(0);
        let index = (self.length + further) % LENGTHS.len();
        LENGTHS.get(index).copied().unwrap_or(MIN_FRAME)
    }

    /// The longest frame that has proved to come through.
    pub(crate) fn takes(&self) -> usize {
        LENGTHS.get(self.length).copied().unwrap_or(MIN_FRAME)
    }

    /// After how long a question is asked again, in milliseconds.
    pub(crate) fn retry(&self, tries: u32) -> u64 {
        let trip = self.round_trip;
        let first = trip.map_or(FIRST_RETRY, |trip| (2 * trip).max(SHORTEST_RETRY));
        (first << tries.min(6)).min(LONGEST_RETRY.max(first))
    }

    /// Frames of an answer that are asked for at once.
    pub(crate) fn frames(&self) -> u8 {
        self.frames
    }

    /// It is asked for so many frames, or for as many as are asked for at once; so often before without an
    /// answer. What came of the question before is judged.
    ///
    /// Some ways lose datagrams whatever their number, so a loss alone does not tell that there were too many.
    pub(crate) fn is_asked(&mut self, tries: u32, frames: usize, question: &mut Question) {
        self.unanswered += u32::from(tries > 0);
        let &mut Question {
            expected,
            came,
            end,
        } = question;
        // Before the way is known it may only be longer than was thought.
        if self.round_trip.is_some() && expected > 0 {
            // That nothing came may be the question's fault.
            if came > 0 && 2 * came < expected || came == 0 && tries > 1 {
                self.lost_most();
            } else if let Some((_, trip)) = end
                && 4 * came >= 3 * expected
            {
                self.grow(came, trip);
            }
        }
        *question = Question::new(usize::from(self.frames).min(frames));
    }

    /// All frames of an answer came.
    pub(crate) fn came_whole(&mut self, question: &mut Question) {
        if let Some((_, trip)) = question.end.take() {
            self.grow(question.came, trip);
        }
        question.expected = 0;
    }

    /// So many frames came, the last one so long after the question, in milliseconds: more are asked for at once.
    /// Not if these were few, which tells nothing; nor if they kept the way busy for longer than it takes to
    /// ask, so that more would only wait in it, or be lost there.
    fn grow(&mut self, came: usize, trip: u64) {
        if 2 * came >= usize::from(self.frames) && trip <= 2 * self.first + BUSY {
            let more = if self.has_lost { 1 } else { self.frames };
            self.frames = self.frames.saturating_add(more).min(MOST_FRAMES);
        }
    }

    /// Most of an answer did not come: it is more than the way takes at once.
    fn lost_most(&mut self) {
        self.frames = (self.frames / 2).max(1);
        self.has_lost = true;
    }

    /// An answer of it came, a frame of so many bytes. `trip`: how long after the question, in milliseconds,
    /// if it is the first of that answer.
    pub(crate) fn answered(&mut self, length: usize, trip: Option<u64>) {
        // One that is full is as long as was asked for; what is shorter tells nothing.
        let is_full = |most: &usize| *most >= length && most - length < FULL;
        let full = LENGTHS.iter().rposition(is_full);
        match full.filter(|_| self.unanswered / TRIES > 0) {
            Some(full) if full > self.length => {
                self.length = full;
                let (_, last) = self.longer;
                let next = (2 * last).min(MOST_LONGER);
                self.longer = (next, next);
            }
            _ if trip.is_some() && self.length > 0 => {
                let (left, last) = self.longer;
                self.longer = (left.saturating_sub(1), last);
                if left == 0 {
                    self.length -= 1;
                    self.longer = (last, last);
                }
            }
            _ => {}
        }
        self.unanswered = 0;
        if let Some(trip) = trip {
            self.first = trip;
            // The longest one, forgotten by and by.
            let known = self.round_trip.unwrap_or(trip);
            self.round_trip = Some(trip.max(known - known.div_ceil(8)));
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Nodes(Vec<Node>);

impl Nodes {
    pub(crate) fn find(&self, node: u64) -> Option<&Node> {
        self.0.iter().find(|known| known.key.node == node)
    }

    pub(crate) fn find_mut(&mut self, node: u64) -> Option<&mut Node> {
        self.0.iter_mut().find(|known| known.key.node == node)
    }

    /// The node in this very run, whether it is there or not.
    pub(crate) fn run_mut(&mut self, key: LogKey) -> Option<&mut Node> {
        self.find_mut(key.node).filter(|node| node.key == key)
    }

    /// The node if it is there, in this very run.
    pub(crate) fn present(&self, key: LogKey) -> Option<&Node> {
        self.find(key.node)
            .filter(|node| node.present && node.key == key)
    }

    /// Those that are there.
    pub(crate) fn all_present(&self) -> impl Iterator<Item = &Node> {
        self.0.iter().filter(|node| node.present)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.0.iter_mut()
    }

    /// Whether there is no other node.
    pub(crate) fn is_alone(&self) -> bool {
        self.all_present().next().is_none()
    }

    /// The longest frame that reaches us from everybody.
    pub(crate) fn takes(&self) -> usize {
        let lengths = self.all_present().map(Node::takes);
        lengths.min().unwrap_or(MAX_FRAME)
    }

    /// The longest frame that reaches everybody.
    pub(crate) fn reaches_all(&self) -> usize {
        let lengths = self.all_present().map(|node| usize::from(node.hello.takes));
        lengths
            .min()
            .unwrap_or(MAX_FRAME)
            .clamp(MIN_FRAME, MAX_FRAME)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::wire::tests::hello;

    #[test]
    fn a_full_frame_tells_which_length_comes_through_whether_or_not_it_was_sealed() {
        for (index, length) in LENGTHS.iter().enumerate() {
            // A record, three logs, and a seal may be what is missing.
            for missing in [0, 48, 48 + 64, 48 + 64 + 64] {
                let key = LogKey { node: 1, epoch: 1 };
                let address = SocketAddr::from(([192, 0, 2, 1], 6400));
                let mut node = Node::new(0, key, address, hello());
                node.unanswered = TRIES;
                node.answered(length - missing, None);
                assert_eq!(node.length, index, "{length} - {missing}");
            }
        }
    }
}
