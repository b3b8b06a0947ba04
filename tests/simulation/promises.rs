//! Promises of docs/protocol.md, one by one, on a network of which every link is set.

use joold::replication::State;
use joold::session::{Protocol, State as TcpState, Timer};

use super::kernel::Segment;
use super::lab::{DATA, Lab, REPLAY, REQUEST, address, id, kind};
use super::wire;

/// Nothing is lost, and everything takes a millisecond.
pub(crate) fn quiet(lab: &mut Lab) {
    lab.link = Box::new(|_, _| Some(1));
}

/// A hears B, B does not hear A. Of B's records A misses one frame; C, which both hear and which hears
/// both, has it.
#[test]
fn promise_what_a_deaf_node_announced_comes_from_a_third() {
    let mut lab = Lab::new(1);
    lab.group(3);
    quiet(&mut lab);
    lab.run(3_000);
    let cut = lab.now;
    lab.link = Box::new(move |sent, _| {
        // B (1) does not hear A (0), and one frame of records is lost on the way from B to A.
        let is_lost = sent.from == 0 && sent.to == 1
            || sent.from == 1 && sent.to == 0 && kind(sent.bytes) == DATA && sent.now < cut + 50;
        (!is_lost).then_some(1)
    });
    lab.open(1, 0..20, Protocol::Udp);
    let took = lab.until(120_000, |lab| lab.count(0) == 20);
    println!(
        "C has {}, A has {} after {took:?} ms; A is {}, asked {} times",
        lab.count(2),
        lab.count(0),
        lab.state(0),
        lab.members[0].sent.frames[REQUEST]
    );
    assert!(
        took.is_some(),
        "A never asks C: {:?}",
        lab.status(0).reasons
    );
}

/// Two of four nodes do not hear the newcomer.
#[test]
fn promise_a_newcomer_joins_whoever_hears_it() {
    for deaf in 1..=3 {
        let mut lab = Lab::new(1);
        lab.group(4);
        quiet(&mut lab);
        lab.run(3_000);
        lab.open(0, 0..50, Protocol::Tcp);
        lab.run(1_000);
        let newcomer = lab.add(|_, _| ());
        let begin = lab.now;
        // Nodes 3, 2, … do not hear it; node 0 always does.
        lab.link = Box::new(move |sent, _| {
            // For the first three seconds nobody hears it.
            let is_deaf = sent.to > 3 - deaf || sent.now < begin + 3_000;
            let is_lost = sent.from == newcomer && is_deaf;
            (!is_lost).then_some(1)
        });
        let took = lab.until(120_000, |lab| lab.state(newcomer) == State::Synced);
        println!(
            "{deaf} of 4 deaf: synced after {took:?} ms, is {}, Jool has {} of 50, requests {}",
            lab.state(newcomer),
            lab.count(newcomer),
            lab.members[newcomer].sent.frames[REQUEST]
        );
        assert!(took.is_some());
    }
}

/// The only other node does not hear the newcomer, whose Jool has sessions; then a third comes.
#[test]
fn promise_a_node_that_nobody_answers_still_tells_what_its_jool_had() {
    let mut lab = Lab::new(1);
    lab.group(1);
    quiet(&mut lab);
    lab.run(2_000);
    let newcomer = lab.add(|_, _| ());
    // Sessions from before the daemon started.
    lab.open(newcomer, 0..50, Protocol::Tcp);
    lab.members[newcomer].kernel.unheard();
    lab.link = Box::new(move |sent, _| {
        let is_lost = sent.from == newcomer && sent.to == 0;
        (!is_lost).then_some(1)
    });
    lab.run(10_000);
    let third = lab.add(|_, _| ());
    lab.run(60_000);
    println!(
        "newcomer is {}, third is {} and has {} of 50",
        lab.state(newcomer),
        lab.state(third),
        lab.count(third)
    );
    assert!(lab.state(third) != State::Synced || lab.count(third) == 50);
    assert!(lab.state(newcomer) != State::Joining, "joins for ever");
}

/// Frames of more than 1,280 bytes of payload are lost on the way, always.
#[test]
fn promise_a_path_with_a_smaller_mtu_is_slow_and_no_more() {
    for (what, joins) in [("running", false), ("joining", true)] {
        let mut lab = Lab::new(1);
        lab.group(2);
        quiet(&mut lab);
        lab.run(3_000);
        lab.link = Box::new(|sent, _| (sent.bytes.len() <= 1_280).then_some(1));
        let other = if joins {
            lab.open(0, 0..200, Protocol::Udp);
            lab.add(|_, _| ())
        } else {
            lab.open(0, 0..200, Protocol::Udp);
            1
        };
        let took = lab.until(60_000, |lab| lab.count(other) == 200);
        println!(
            "{what}: {} of 200 after {took:?}, is {}; replay frames sent {}, {} kB",
            lab.count(other),
            lab.state(other),
            lab.members[0].sent.frames[REPLAY],
            lab.members[0].sent.bytes[REPLAY] / 1000,
        );
        assert!(took.is_some(), "{what}: not all came");
    }
}

/// A path that loses datagrams whatever their number is no narrow path.
#[test]
fn promise_a_path_that_loses_every_fifth_datagram_is_caught_up_over() {
    for (loss, seed) in [(50, 1), (200, 1), (200, 2), (200, 3), (200, 4)] {
        let mut lab = Lab::new(seed);
        lab.group(2);
        lab.link = Box::new(move |_, random| {
            let delay = random.within(2, 4);
            (!random.permille(loss)).then_some(delay)
        });
        lab.run(3_000);
        lab.reset_traffic();
        let sessions = 20_000;
        for number in (0..sessions).step_by(10) {
            lab.open(0, number..number + 10, Protocol::Udp);
            lab.run(1);
        }
        let took = lab.until(120_000, |lab| lab.count(1) == sessions as usize);
        let sent = lab.members[0].sent.bytes;
        println!(
            "{} of 100 lost: all there {took:?} ms after the traffic, {} kB of data, {} kB told again",
            loss / 10,
            sent[DATA] / 1000,
            sent[REPLAY] / 1000
        );
        assert!(took.is_some_and(|took| took < 10_000), "{took:?}");
    }
}

/// Two nodes whose clocks agree, far from one another.
#[test]
fn promise_nodes_far_from_each_other_agree_who_was_last() {
    for delay in [20, 60, 90, 110, 150, 250] {
        let mut disagreements = 0;
        let runs = 40;
        for seed in 0..runs {
            let mut lab = Lab::new(seed);
            lab.group(3);
            lab.link = Box::new(move |sent, _| {
                let far = (sent.from == 1) != (sent.to == 1);
                Some(if far { delay } else { 1 })
            });
            lab.run(6_000);
            let session = id(1, Protocol::Tcp);
            lab.open(0, 1..2, Protocol::Tcp);
            lab.run(4_000);
            // It fails over, and a packet of each side crosses.
            let first = lab.random.within(0, 2 * delay);
            let second = lab.random.within(0, 2 * delay);
            for step in 0..=2 * delay {
                if step == first {
                    lab.translate(0, session, Segment::Fin6);
                }
                if step == second {
                    lab.translate(1, session, Segment::Fin4);
                }
                lab.run(1);
            }
            lab.run(20_000);
            let states: Vec<_> = (0..3)
                .map(|node| lab.jool(node, &session).map(|it| it.0))
                .collect();
            assert!((0..3).all(|node| lab.state(node) == State::Synced));
            disagreements += u32::from(states.iter().any(|state| *state != states[0]));
        }
        println!(
            "one way {delay} ms: {disagreements} of {runs} end with different states, all synced"
        );
        assert!(delay > 0);
        if delay >= 250 {
            assert_eq!(disagreements, 0);
        }
    }
}

/// A machine is set back to a snapshot: same node, same epoch, a shorter log.
#[test]
fn promise_a_machine_that_was_set_back_is_heard() {
    let mut lab = Lab::new(1);
    lab.group(2);
    quiet(&mut lab);
    lab.run(3_000);
    lab.open(0, 0..100, Protocol::Tcp);
    lab.run(1_000);
    // The snapshot: what the engine was like after so many records. It is built again, deterministically.
    let epoch = lab.members[0].settings.epoch;
    for number in 0..100 {
        lab.translate(0, id(number, Protocol::Tcp), Segment::Fin6);
    }
    lab.run(1_000);
    // Set back: the same run, with nothing in its log but the first hundred.
    lab.members[0].settings.epoch = epoch;
    for known in lab.members[0].kernel.table.values_mut() {
        (known.state, known.timer) = (TcpState::Established, Timer::Established);
    }
    lab.start(0);
    lab.run(2_000);
    for number in 0..100 {
        lab.translate(0, id(number, Protocol::Tcp), Segment::Fin4);
    }
    lab.run(20_000);
    let wrong = (0..100)
        .filter(|number| {
            let id = id(*number, Protocol::Tcp);
            lab.jool(0, &id).map(|it| it.0) != lab.jool(1, &id).map(|it| it.0)
        })
        .count();
    println!(
        "{wrong} of 100 differ; {} and {}",
        lab.state(0),
        lab.state(1)
    );
    assert!(wrong == 0 || lab.state(1) != State::Synced);
}

/// Two machines from one image.
#[test]
fn promise_nobody_is_synced_that_does_not_hear_a_clone() {
    let mut lab = Lab::new(1);
    lab.group(2);
    // The third says that it is the second.
    lab.add(|settings, _| {
        settings.node = 2;
        settings.epoch += 5;
    });
    quiet(&mut lab);
    lab.run(3_000);
    for node in 0..3 {
        lab.open(
            node,
            node as u32 * 100..node as u32 * 100 + 50,
            Protocol::Udp,
        );
    }
    lab.run(10_000);
    for node in 0..3 {
        let status = lab.status(node);
        println!(
            "node {node} is {}, has {} of 150, namesake {:?}, failover {:?}",
            status.state,
            lab.count(node),
            status.namesake.is_some(),
            status.failover
        );
    }
    for node in 0..3 {
        assert!(
            lab.state(node) != State::Synced || lab.count(node) == 150,
            "node {node}"
        );
    }
}

/// 34 nodes, of which 32 others are followed.
#[test]
fn promise_nobody_is_synced_that_ignores_a_node() {
    let mut lab = Lab::new(1);
    lab.group(34);
    quiet(&mut lab);
    lab.run(5_000);
    for node in 0..34 {
        lab.open(node, node as u32 * 10..node as u32 * 10 + 10, Protocol::Udp);
    }
    lab.run(5_000);
    let wrong = (0..34)
        .filter(|node| lab.state(*node) == State::Synced && lab.count(*node) < 340)
        .count();
    println!(
        "{wrong} of 34 say synced and lack sessions; reasons {:?}",
        lab.status(0).reasons
    );
    assert_eq!(wrong, 0);
}

/// What a request of a stranger makes a node send, who has not heard it: nothing.
#[test]
fn promise_a_request_of_who_has_not_heard_a_node_makes_it_send_nothing() {
    let mut lab = Lab::new(1);
    lab.group(2);
    quiet(&mut lab);
    lab.run(3_000);
    lab.open(0, 0..10_000, Protocol::Udp);
    lab.run(3_000);
    let (from, to) = (
        (2, lab.members[1].settings.epoch),
        (1, lab.members[0].settings.epoch),
    );
    let proof = lab.members[0].proof;
    for (proof, table, ranges, most) in [
        (proof, true, vec![(0, 1 << 32)], 65 * 1_452),
        (!proof, true, vec![(0, 1 << 32)], 0),
        (!proof, false, vec![(5_000, 9_999)], 0),
        (proof, true, vec![(1 << 32, 1 << 40); 16], 100),
    ] {
        let frame = wire::request(from, (1 << 41) + lab.now, to, proof, table, &ranges);
        let at = lab.at(0);
        let (mut bytes, mut buffer) = (0, Vec::new());
        let engine = lab.engine(0);
        engine.handle_datagram(at, address(1), &frame);
        while engine.poll_transmit(at, &mut buffer).is_some() {
            bytes += buffer.len();
        }
        assert_eq!(bytes > 0, most > 0, "{ranges:?}");
        assert!(bytes <= most, "{ranges:?}: {bytes} bytes");
    }
}

/// One hello that names logs that nobody has.
#[test]
fn promise_one_strange_hello_does_not_keep_a_node_from_learning_of_logs() {
    let mut lab = Lab::new(1);
    lab.group(3);
    quiet(&mut lab);
    lab.run(3_000);
    let logs: Vec<_> = (0..32).map(|number| (1_000 + number, 1, 5, 5)).collect();
    let more: Vec<_> = (0..32).map(|number| (2_000 + number, 1, 5, 5)).collect();
    let clock = (1 << 41) + lab.now;
    for logs in [&logs, &more] {
        let frame = wire::hello(0xbad, 1 << 41, clock, 0, 2, logs);
        lab.push(0, 99, 2, frame);
    }
    lab.run(20_000);
    // Now one of the nodes hears a fourth that another one does not.
    let fourth = lab.add(|_, _| ());
    lab.link = Box::new(move |sent, _| {
        let is_lost =
            (sent.from == fourth && sent.to == 2) || (sent.from == 2 && sent.to == fourth);
        (!is_lost).then_some(1)
    });
    lab.run(2_000);
    lab.open(fourth, 0..50, Protocol::Udp);
    lab.run(20_000);
    println!(
        "node 2 is {} and has {} of 50; node 1 has {}",
        lab.state(2),
        lab.count(2),
        lab.count(1)
    );
    assert!(lab.state(2) != State::Synced || lab.count(2) == 50);
}

/// A connection that closed while a node was cut off, and expires while the table that tells of it is being
/// read: the node's Jool is never told, and tells everybody again after the next comparison.
#[test]
fn promise_what_expires_in_the_backlog_has_ended_in_jool_too() {
    let mut lab = Lab::new(1);
    lab.group(2);
    quiet(&mut lab);
    lab.run(3_000);
    let closed: Vec<_> = (0..1_000).map(|number| id(number, Protocol::Tcp)).collect();
    lab.open(0, 0..1_000, Protocol::Tcp);
    lab.run(1_000);
    let cut = lab.now;
    let mut free = 0.0_f64;
    lab.link = Box::new(move |sent, _| {
        if sent.now < cut + 235_000 {
            return None;
        }
        // 4 Mbit/s, with a queue of 100 ms, and nothing else on it.
        let now = sent.now as f64;
        if sent.from != 0 {
            return Some(1);
        }
        free = free.max(now);
        if free - now > 100.0 {
            return None;
        }
        free += (sent.bytes.len() + 70) as f64 * 8.0 / 4_000.0;
        Some((free - now) as u64 + 1)
    });
    for session in &closed {
        lab.translate(0, *session, Segment::Fin6);
        lab.translate(0, *session, Segment::Fin4);
    }
    lab.run(1_000);
    // More than what is asked for by place.
    lab.open(0, 10_000..80_000, Protocol::Tcp);
    lab.run(233_500);
    for _ in 0..80 {
        lab.run(250);
        if std::env::var_os("JOOLD_TRACE").is_some() {
            let at = lab.at(1);
            let status = lab.engine(1).status(at);
            println!(
                "{} {} {:?} {:?} {:?}",
                lab.now - cut,
                status.state,
                status.transfer,
                lab.jool(1, &closed[0]),
                lab.jool(0, &closed[0])
            );
        }
    }
    lab.run(20_000);
    let kept = |lab: &Lab, node| {
        closed
            .iter()
            .filter(|it| lab.jool(node, it).is_some())
            .count()
    };
    println!(
        "40 s after the cut: {} and {}; of 1,000 closed, node 0's Jool has {}, node 1's {}",
        lab.state(0),
        lab.state(1),
        kept(&lab, 0),
        kept(&lab, 1)
    );
    let first = kept(&lab, 1);
    lab.run(330_000);
    println!(
        "after node 1's next comparison with its Jool: node 0's Jool has {}, node 1's {}; one has {:?} there, {} and {}",
        kept(&lab, 0),
        kept(&lab, 1),
        lab.jool(0, &closed[0]),
        lab.state(0),
        lab.state(1)
    );
    assert_eq!((first, kept(&lab, 0)), (0, 0));
}
