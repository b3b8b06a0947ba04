//! Seals among themselves, and somebody on the link who has no key.

use std::cell::Cell;
use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::frame::{HEAD, OVERHEAD};
use super::keys::{Keys, new_line};
use super::run::{MOST, SILENCE};
use super::sealer::{Seal, Settings};
use super::{Counters, Policy};
use crate::replication::wire::{Data, LogKey, Sender, tests::hello};
use crate::session::Stamp;

thread_local! {
    static NEXT: Cell<u8> = const { Cell::new(0) };
}

/// Another one each time, of which a test knows what it is.
#[allow(clippy::unnecessary_wraps, reason = "as the system's")]
fn counting() -> Option<[u8; 16]> {
    let next = NEXT.get();
    NEXT.set(next.wrapping_add(1));
    Some(std::array::from_fn(|index| {
        next.wrapping_mul(31)
            .wrapping_add(u8::try_from(index).unwrap())
    }))
}

/// Keys of these numbers, each with that byte in its secret, the first of which is sent with.
fn keys(keys: &[(u16, u8)]) -> Option<Keys> {
    let mut file = String::new();
    for (index, (number, byte)) in keys.iter().enumerate() {
        let secret = std::array::from_fn(|index| byte.wrapping_add(u8::try_from(index).unwrap()));
        let number = NonZeroU16::new(*number).unwrap();
        let line = new_line(number, &Zeroizing::new(secret), index == 0);
        file.push_str(&line);
    }
    Some(Keys::parse(file.as_bytes()).unwrap())
}

fn settings(policy: Policy, of: &[(u16, u8)]) -> Settings {
    let keys = keys(of);
    Settings { policy, keys }
}

/// One node.
struct Node {
    seal: Seal,
    log: LogKey,
    places: u64,
}

impl Node {
    fn new(now: Instant, node: u64, epoch: u64, policy: Policy, keys: &[(u16, u8)]) -> Self {
        Self {
            seal: Seal::new(now, settings(policy, keys), counting),
            log: LogKey { node, epoch },
            places: 0,
        }
    }

    fn sender(&self) -> Sender {
        Sender {
            log: self.log,
            clock: Stamp(1),
        }
    }

    /// What leaves for a frame, the introduction that goes before included.
    fn send(&mut self, now: Instant, frame: &[u8]) -> Vec<Vec<u8>> {
        self.seal.prepare(frame);
        let mut sent = Vec::new();
        sent.extend(self.seal.introduction(now).map(<[u8]>::to_vec));
        sent.extend(self.seal.seal(frame).map(<[u8]>::to_vec));
        sent
    }

    fn hello(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut frame = Vec::new();
        hello().write(self.sender(), &mut frame);
        self.send(now, &frame)
    }

    /// A frame that differs from the others.
    fn frame(&mut self) -> Vec<u8> {
        self.places += 1;
        let mut frame = vec![7; 40];
        Data::write(self.sender(), self.places, &[1], &mut frame);
        frame
    }

    fn data(&mut self, now: Instant) -> Vec<u8> {
        let frame = self.frame();
        self.send(now, &frame).pop().unwrap()
    }

    /// What is taken of all that.
    fn hear(&mut self, now: Instant, datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let taken = datagrams
            .iter()
            .filter_map(|datagram| self.seal.open(now, datagram).map(<[u8]>::to_vec));
        taken.collect()
    }

    fn counters(&self) -> Counters {
        *self.seal.counters()
    }

    /// Whether it takes this.
    fn takes(&mut self, now: Instant, datagram: &[u8]) -> bool {
        self.seal.open(now, datagram).is_some()
    }
}

const ONE: &[(u16, u8)] = &[(1, 1)];
const TICK: Duration = Duration::from_millis(250);

/// Hellos both ways until both have heard what the other repeats; returns everything that was said.
fn acquaint(now: &mut Instant, a: &mut Node, b: &mut Node) -> Vec<Vec<u8>> {
    let mut said = Vec::new();
    for _ in 0..2 {
        *now += TICK;
        let hello = a.hello(*now);
        b.hear(*now, &hello);
        said.extend(hello);
        let hello = b.hello(*now);
        a.hear(*now, &hello);
        said.extend(hello);
    }
    said
}

fn pair(policy: Policy) -> (Instant, Node, Node, Vec<Vec<u8>>) {
    let mut now = Instant::now();
    let mut a = Node::new(now, 1, 7, policy, ONE);
    let mut b = Node::new(now, 2, 9, policy, ONE);
    let said = acquaint(&mut now, &mut a, &mut b);
    (now, a, b, said)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn without_a_key_everything_is_as_it_is() {
    let now = Instant::now();
    for settings in [Settings::default(), settings(Policy::Off, ONE)] {
        let mut seal = Seal::new(now, settings, counting);
        let mut frame = Vec::new();
        hello().write(crate::replication::wire::tests::FROM_A, &mut frame);
        seal.prepare(&frame);
        assert_eq!(seal.introduction(now), None);
        assert_eq!(seal.seal(&frame), Some(frame.as_slice()));
        assert_eq!(seal.open(now, &frame), Some(frame.as_slice()));
        assert_eq!(
            (seal.overhead(), *seal.counters()),
            (0, Counters::default())
        );
    }
}

#[test]
fn two_nodes_with_one_key_understand_each_other_and_nobody_else_does() {
    let (now, mut a, mut b, _) = pair(Policy::Require);
    let frame = a.frame();
    let sent = a.send(now, &frame).pop().unwrap();
    assert_eq!(sent.len(), frame.len() + OVERHEAD);
    assert!(
        !sent[HEAD..]
            .windows(8)
            .any(|part| frame.windows(8).any(|other| part == other))
    );
    let mut stranger = Node::new(now, 3, 1, Policy::Require, &[(1, 2)]);
    let mut other = Node::new(now, 4, 1, Policy::Require, &[(2, 1)]);
    assert!(!stranger.takes(now, &sent) && !other.takes(now, &sent));
    let introduction = a.hello(now + TICK).remove(0);
    assert!(!stranger.takes(now, &introduction) && !other.takes(now, &introduction));
    assert_eq!(
        (stranger.counters().forged, other.counters().unknown_keys),
        (1, 2)
    );
    assert_eq!(b.hear(now, &[sent]), [frame]);
}

#[test]
fn a_frame_of_a_stock_daemon_or_an_open_one_is_taken_unless_it_is_not() {
    for (policy, is_taken) in [
        (Policy::Accept, true),
        (Policy::Send, true),
        (Policy::Require, false),
    ] {
        let (now, mut a, _, _) = pair(policy);
        let mut open = Node::new(now, 3, 1, Policy::Off, ONE);
        assert_eq!(a.takes(now, &open.data(now)), is_taken);
        assert_eq!(a.takes(now, &[7; 40]), is_taken);
        assert_eq!(a.takes(now, &[]), is_taken);
        assert_eq!(a.counters().open_refused, if is_taken { 0 } else { 3 });
    }
}

#[test]
fn what_accepts_sends_open_frames_and_is_known_all_the_same() {
    let mut now = Instant::now();
    let mut a = Node::new(now, 1, 7, Policy::Accept, &[(1, 1), (2, 2)]);
    let mut b = Node::new(now, 2, 9, Policy::Send, &[(2, 2), (1, 1)]);
    acquaint(&mut now, &mut a, &mut b);
    let frame = a.frame();
    assert_eq!(a.send(now, &frame).pop(), Some(frame));
    assert_eq!((a.seal.overhead(), b.seal.overhead()), (0, OVERHEAD));
    let sealed = b.data(now);
    assert!(a.takes(now, &sealed));
    let status = b.seal.status();
    let peer = status.of(1).unwrap();
    assert_eq!((peer.policy, peer.sends), (Policy::Accept, 1));
    assert!(status.keys.iter().all(|key| peer.has(key)));
}

#[test]
fn a_frame_is_these_bytes() {
    NEXT.set(0);
    let now = Instant::now();
    let mut a = Node::new(now, 1, 7, Policy::Send, &[(258, 0)]);
    let frame = a.frame();
    let [introduction, first] = a.send(now, &frame).try_into().unwrap();
    let text = include_str!("../../docs/protocol.md");
    for (name, bytes) in [
        ("an introduction", introduction),
        ("frame", frame),
        ("sealed", first),
    ] {
        let lines: Vec<_> = bytes.chunks(32).map(hex).collect();
        let expected = lines.join("\n");
        assert!(text.contains(&expected), "{name}:\n{expected}");
    }
}

#[test]
fn who_has_just_proved_itself_is_told_of_once() {
    let mut now = Instant::now();
    let mut a = Node::new(now, 1, 7, Policy::Send, ONE);
    let mut b = Node::new(now, 2, 9, Policy::Send, ONE);
    assert!(!a.seal.has_met());
    acquaint(&mut now, &mut a, &mut b);
    assert!(a.seal.has_met() && b.seal.has_met());
    acquaint(&mut now, &mut a, &mut b);
    assert!(!a.seal.has_met() && !b.seal.has_met());
}

#[test]
fn nothing_is_taken_twice_whatever_its_order() {
    let (now, mut a, mut b, _) = pair(Policy::Require);
    let mut sent: Vec<_> = (0..100).map(|_| a.data(now)).collect();
    sent.reverse();
    assert_eq!(b.hear(now, &sent).len(), 100);
    assert_eq!(b.hear(now, &sent).len(), 0);
    assert_eq!(b.counters().replayed, 100);
}

#[test]
fn what_was_recorded_is_never_taken_after_any_restart() {
    let (mut now, mut a, mut b, mut recorded) = pair(Policy::Require);
    recorded.extend((0..50).map(|_| a.data(now)));
    b.hear(now, &recorded);
    let opened = b.counters().opened;
    // In the same run.
    assert_eq!(b.hear(now, &recorded).len(), 0);
    // After a restart of who receives.
    let mut b = Node::new(now, 2, 10, Policy::Require, ONE);
    assert_eq!(b.hear(now, &recorded).len(), 0);
    recorded.extend(acquaint(&mut now, &mut a, &mut b));
    assert_eq!(b.hear(now, &recorded).len(), 0);
    // After a restart of who sends, before and after it has been heard.
    let mut a = Node::new(now, 1, 6, Policy::Require, ONE);
    assert_eq!(b.hear(now, &recorded).len(), 0);
    recorded.extend(acquaint(&mut now, &mut a, &mut b));
    let frame = a.data(now);
    assert!(b.takes(now, &frame));
    recorded.push(frame);
    assert_eq!(b.hear(now, &recorded).len(), 0);
    assert_eq!(a.hear(now, &recorded).len(), 0);
    // After both were restarted; what is recorded is said again and again meanwhile.
    let mut a = Node::new(now, 1, 11, Policy::Require, ONE);
    let mut b = Node::new(now, 2, 12, Policy::Require, ONE);
    for _ in 0..3 {
        assert_eq!(a.hear(now, &recorded).len(), 0);
        assert_eq!(b.hear(now, &recorded).len(), 0);
        acquaint(&mut now, &mut a, &mut b);
    }
    assert!(b.takes(now, &a.data(now)) && a.takes(now, &b.data(now)));
    assert!(opened >= 50);
}

#[test]
fn nothing_that_was_kept_back_is_taken_of_a_run_that_is_over_or_was_silent() {
    let (mut now, mut a, mut b, _) = pair(Policy::Require);
    let kept: Vec<_> = (0..3).map(|_| a.data(now)).collect();
    assert!(b.takes(now, &kept[0]), "late is not wrong");
    // Another run.
    let mut again = Node::new(now, 1, 8, Policy::Require, ONE);
    acquaint(&mut now, &mut again, &mut b);
    assert!(!b.takes(now, &kept[1]));
    assert!(b.takes(now, &again.data(now)));
    // The run was silent: it proves itself again.
    let kept: Vec<_> = (0..2).map(|_| again.data(now)).collect();
    now += SILENCE + TICK;
    assert!(!b.takes(now, &kept[0]) && !b.takes(now, &kept[1]));
    acquaint(&mut now, &mut again, &mut b);
    assert!(b.takes(now, &again.data(now)));
    assert!(!b.takes(now, &kept[0]));
}

#[test]
fn a_run_with_an_earlier_epoch_counts_at_once() {
    let (mut now, _, mut b, _) = pair(Policy::Require);
    let mut a = Node::new(now, 1, 3, Policy::Require, ONE);
    acquaint(&mut now, &mut a, &mut b);
    assert!(b.takes(now, &a.data(now)));
}

#[test]
fn another_epoch_in_one_daemon_is_another_run() {
    let (mut now, mut a, mut b, _) = pair(Policy::Require);
    let before = a.data(now);
    a.log.epoch += 1;
    let first = a.data(now);
    assert_ne!(before[32..48], first[32..48], "another salt");
    assert!(!b.takes(now, &first));
    acquaint(&mut now, &mut a, &mut b);
    assert!(b.takes(now, &a.data(now)));
}

#[test]
fn no_bit_may_be_another_nor_a_byte_more_or_less() {
    let (now, mut a, mut b, _) = pair(Policy::Require);
    let mut sent = a.send(now + TICK, &[]);
    sent.push(a.data(now));
    let introduction = a.hello(now + TICK).remove(0);
    for datagram in [a.data(now), introduction] {
        let before = b.seal.status();
        for bit in 0..8 * datagram.len() {
            let mut wrong = datagram.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!b.takes(now, &wrong), "bit {bit}");
        }
        for length in 0..datagram.len() {
            assert!(!b.takes(now, &datagram[..length]), "{length} bytes");
        }
        let mut longer = datagram.clone();
        for _ in 0..70 {
            longer.push(0);
            assert!(!b.takes(now, &longer));
        }
        let mut parts = datagram[..HEAD].to_vec();
        parts.extend(vec![0; 3_000]);
        assert!(!b.takes(now, &parts));
        assert_eq!(b.seal.status(), before);
    }
    let frame = a.data(now);
    assert!(b.takes(now, &frame), "the window is where it was");
}

#[test]
fn a_node_hears_nothing_of_its_own_that_comes_back() {
    let (now, mut a, _, _) = pair(Policy::Require);
    let before = a.counters();
    let mut own = a.hello(now + TICK);
    own.push(a.data(now));
    assert_eq!(a.hear(now, &own).len(), 0);
    let after = Counters {
        sealed: before.sealed + 2,
        ..before
    };
    assert_eq!(a.counters(), after);
}

#[test]
fn a_flood_of_forgeries_leaves_nothing_and_costs_little() {
    let (now, mut a, mut b, _) = pair(Policy::Require);
    let introduction = a.hello(now + TICK).remove(0);
    let before = b.seal.status();
    for forged in 0..10_000_u32 {
        let mut wrong = introduction.clone();
        wrong[32..36].copy_from_slice(&forged.to_be_bytes());
        assert!(!b.takes(now, &wrong));
    }
    let counters = b.counters();
    assert!(
        counters.forged < 300 && counters.unproven > 9_000,
        "{counters:?}"
    );
    assert_eq!((b.seal.status(), b.seal.runs()), (before, 1));
    assert!(b.takes(now, &a.data(now)), "what is genuine does not wait");
    // Some are looked at again in the next moment.
    let mut stranger = Node::new(now, 3, 1, Policy::Require, ONE);
    let later = now + 2 * TICK;
    acquaint(&mut later.clone(), &mut stranger, &mut b);
    assert!(b.seal.status().of(3).is_some());
}

#[test]
fn recorded_introductions_of_many_runs_keep_no_more_than_the_limit_and_nobody_out() {
    let (mut now, mut a, mut b, _) = pair(Policy::Require);
    for node in 0..200 {
        let mut former = Node::new(now, 10 + node, 1, Policy::Require, ONE);
        let recorded = former.hello(now);
        b.hear(now, &recorded);
        now += TICK / 50;
    }
    assert!(b.seal.runs() <= 2 * MOST);
    assert_eq!(b.seal.status().peers.len(), 1);
    assert!(b.takes(now, &a.data(now)));
    let mut c = Node::new(now, 3, 1, Policy::Require, ONE);
    acquaint(&mut now, &mut c, &mut b);
    assert!(b.takes(now, &c.data(now)));
}

#[test]
fn more_nodes_than_are_followed_take_turns_and_nothing_recorded_counts() {
    let mut now = Instant::now();
    let mut b = Node::new(now, 2, 9, Policy::Require, ONE);
    let mut others: Vec<_> = (0..MOST as u64 + 1)
        .map(|node| Node::new(now, 10 + node, 1, Policy::Require, ONE))
        .collect();
    let mut recorded = Vec::new();
    for other in &mut others {
        recorded.push(acquaint(&mut now, other, &mut b));
    }
    assert_eq!(b.seal.status().peers.len(), MOST);
    assert!(
        b.seal.status().of(10).is_none(),
        "the one that was silent longest"
    );
    assert_eq!(b.hear(now, &recorded[0]).len(), 0);
    assert!(
        b.seal.status().of(10).is_none(),
        "what it repeated is not asked for any more"
    );
    let first = &mut others[0];
    acquaint(&mut now, first, &mut b);
    assert!(b.takes(now, &first.data(now)));
}

#[test]
fn a_key_is_changed_without_losing_a_frame() {
    let (mut now, mut a, mut b, _) = pair(Policy::Require);
    let both = [(1, 1), (2, 2)];
    let swapped = [(2, 2), (1, 1)];
    let mut step = |node: &mut Node, other: &mut Node, policy, keys: &[(u16, u8)]| {
        node.seal.configure(now, settings(policy, keys));
        now += TICK;
        let frame = node.data(now);
        assert!(other.takes(now, &frame));
        let frame = other.data(now);
        assert!(node.takes(now, &frame));
    };
    let require = Policy::Require;
    step(&mut a, &mut b, require, &both);
    step(&mut b, &mut a, require, &both);
    step(&mut a, &mut b, require, &swapped);
    step(&mut b, &mut a, require, &swapped);
    step(&mut a, &mut b, require, &swapped[..1]);
    step(&mut b, &mut a, require, &swapped[..1]);
    // And back to open ones.
    let keys = &swapped[..1];
    step(&mut a, &mut b, Policy::Send, keys);
    step(&mut b, &mut a, Policy::Send, keys);
    step(&mut a, &mut b, Policy::Accept, keys);
    step(&mut b, &mut a, Policy::Accept, keys);
    step(&mut a, &mut b, Policy::Off, keys);
    step(&mut b, &mut a, Policy::Off, keys);
    // Who holds the old key is a stranger.
    a.seal.configure(now, settings(require, keys));
    let mut former = Node::new(now, 3, 1, Policy::Send, ONE);
    let said = former.hello(now + TICK);
    assert_eq!(a.hear(now, &said).len(), 0);
    assert_eq!(a.counters().unknown_keys, 2);
}

#[test]
fn a_frame_in_another_nodes_name_is_refused_even_with_the_key() {
    let (now, mut a, mut b, _) = pair(Policy::Require);
    for log in [LogKey { node: 3, ..a.log }, LogKey { epoch: 8, ..a.log }] {
        let own = std::mem::replace(&mut a.log, log);
        let frame = a.frame();
        a.log = own;
        let sealed = a.seal.seal(&frame).unwrap().to_vec();
        assert!(!b.takes(now, &sealed));
    }
    let sealed = a.seal.seal(&[7; 40]).unwrap().to_vec();
    assert!(!b.takes(now, &sealed), "records that nobody vouches for");
    assert_eq!(b.counters().malformed, 3);
}

#[test]
fn without_random_numbers_nothing_leaves() {
    let now = Instant::now();
    let mut seal = Seal::new(now, settings(Policy::Send, ONE), || None);
    let mut frame = Vec::new();
    hello().write(crate::replication::wire::tests::FROM_A, &mut frame);
    seal.prepare(&frame);
    assert_eq!(seal.introduction(now), None);
    assert_eq!(seal.seal(&frame), None);
    assert_eq!(seal.counters().unsealed, 1);
}
