//! Promises of docs/protocol.md, one by one, on a network of which every link is set: `promise_…`. What they
//! cost is measured, and printed, by `measure_…`:
//!
//! `cargo test --release --test simulation -- --ignored --nocapture --test-threads=1`

use joold::replication::State;
use joold::session::{Protocol, State as TcpState, Timer};

use super::kernel::Segment;
use super::lab::{DATA, HELLO, Lab, REPLAY, REQUEST, address, id, kind};
use super::wire;

fn quiet(lab: &mut Lab) {
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

/// A Jool has one in a hundred sessions more than the table may have.
#[test]
#[ignore = "prints figures"]
fn measure_a_table_that_is_a_little_too_small() {
    for more in [0_u32, 1, 5, 20] {
        let limit = 20_000_u32;
        let sessions = limit + limit * more / 100;
        let mut lab = Lab::new(1);
        for _ in 0..3 {
            lab.add(|settings, _| settings.most_sessions = limit as usize);
        }
        quiet(&mut lab);
        lab.run(3_000);
        for number in 0..sessions {
            lab.translate(0, id(number, Protocol::Tcp), Segment::Syn6);
            lab.translate(0, id(number, Protocol::Tcp), Segment::Syn4);
            if number % 100 == 0 {
                lab.run(1);
            }
        }
        lab.run(5_000);
        let before = lab.engine(0).counters().sent_records;
        let injected = lab.engine(1).counters().injected_records;
        lab.reset_traffic();
        lab.engine(0).handle_loss();
        lab.run(15_000);
        let sent = lab.engine(0).counters().sent_records - before;
        let injected = lab.engine(1).counters().injected_records - injected;
        println!(
            "{sessions} idle sessions, room for {limit}: one comparison with the own Jool announces {sent} records ({} kB), the other's Jool is told {injected}",
            lab.members[0].sent.bytes[DATA] / 1000
        );
    }
}

/// All receivers miss the same frames.
#[test]
#[ignore = "prints figures"]
fn measure_repair_traffic_for_many_receivers() {
    for nodes in [2, 4, 8, 16, 32] {
        let mut lab = Lab::new(1);
        lab.group(nodes);
        quiet(&mut lab);
        lab.run(6_000);
        lab.reset_traffic();
        let cut = lab.now;
        lab.link = Box::new(move |sent, _| {
            // Lost at the sender.
            let is_lost = sent.from == 0 && kind(sent.bytes) == DATA && sent.now < cut + 20;
            (!is_lost).then_some(1)
        });
        lab.open(0, 0..3_200, Protocol::Udp);
        let took = lab.until(60_000, |lab| {
            (0..nodes).all(|node| lab.count(node) == 3_200)
        });
        lab.run(100);
        let total = lab.total();
        println!(
            "{nodes:2} nodes: data {} kB, replays {} kB ({:.1} times), requests {}; all have it after {took:?} ms",
            total.bytes[DATA] / 1000,
            total.bytes[REPLAY] / 1000,
            total.bytes[REPLAY] as f64 / total.bytes[DATA] as f64,
            total.frames[REQUEST],
        );
    }
}

/// A group that starts together after a power cut, but for one node.
#[test]
#[ignore = "prints figures"]
fn measure_many_that_join_at_once() {
    for nodes in [2_usize, 4, 8, 16, 32] {
        let mut lab = Lab::new(1);
        lab.group(1);
        quiet(&mut lab);
        lab.run(2_000);
        lab.open(0, 0..20_000, Protocol::Udp);
        lab.run(500);
        lab.reset_traffic();
        lab.group(nodes - 1);
        let took = lab.until(60_000, |lab| {
            (0..nodes).all(|node| lab.count(node) == 20_000)
        });
        let total = lab.total();
        println!(
            "{nodes:2} nodes: replays {} kB, requests {}, hellos {} ({} kB); {took:?} ms",
            total.bytes[REPLAY] / 1000,
            total.frames[REQUEST],
            total.frames[HELLO],
            total.bytes[HELLO] / 1000,
        );
    }
}

/// Hellos of a group at rest, when one joins, and when a stranger begs.
#[test]
#[ignore = "prints figures"]
fn measure_hellos() {
    for nodes in [4_usize, 32] {
        let mut lab = Lab::new(1);
        lab.group(nodes - 1);
        quiet(&mut lab);
        lab.run(10_000);
        lab.reset_traffic();
        lab.run(10_000);
        let rest = lab.total();
        lab.reset_traffic();
        lab.group(1);
        lab.run(2_000);
        let joins = lab.total();
        // Whoever begs: the smallest hello there is, one every 20 ms.
        lab.reset_traffic();
        let (mut asked, epoch) = (0, 1 << 41);
        for step in 0..10_000_u64 {
            if step % 20 == 0 {
                let frame = wire::hello(0xbad, epoch, (1 << 41) + lab.now, 0, 1, &[]);
                asked += frame.len() as u64;
                for to in 0..nodes {
                    lab.push(0, 99, to, frame.clone());
                }
            }
            lab.run(1);
        }
        let begged = lab.total();
        println!(
            "{nodes} nodes: at rest {} hellos/s, {} kB/s; within 2 s of a join {} hellos; a stranger that begs: {} B/s in, {} kB/s out ({} times)",
            rest.frames[HELLO] / 10,
            rest.bytes[HELLO] / 10_000,
            joins.frames[HELLO],
            asked / 10,
            begged.bytes[HELLO] / 10_000,
            begged.bytes[HELLO] / asked,
        );
    }
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

/// How often a table is sent for one that joins, by the time under way.
#[test]
#[ignore = "prints figures"]
fn measure_a_join_over_a_long_path() {
    for delay in [0_u64, 5, 10, 13, 20, 40, 80, 150] {
        let mut lab = Lab::new(1);
        lab.group(1);
        lab.link = Box::new(move |_, _| Some(delay));
        lab.run(2_000);
        lab.open(0, 0..20_000, Protocol::Udp);
        lab.run(500);
        lab.reset_traffic();
        lab.group(1);
        let took = lab.until(120_000, |lab| lab.count(1) == 20_000);
        let needed = 20_000_u64.div_ceil(26);
        let sent = lab.members[0].sent.frames[REPLAY];
        println!(
            "round trip {} ms: {needed} frames needed, {sent} sent ({:.2} times), requests {}; {took:?} ms",
            2 * delay,
            sent as f64 / needed as f64,
            lab.members[1].sent.frames[REQUEST]
        );
    }
}

/// The same where the path takes so many bytes in a ms, and queues so many ms at most.
#[test]
#[ignore = "prints figures"]
fn measure_a_join_over_a_narrow_path() {
    for (kbit, queue, delay) in [
        (100_000_u64, 50_u64, 5_u64),
        (20_000, 50, 5),
        (10_000, 100, 10),
        (2_000, 100, 10),
        (2_000, 400, 10),
        (1_000, 200, 10),
        // Policers: less than the first frames of an answer.
        (2_000, 20, 10),
        (10_000, 5, 10),
    ] {
        let mut lab = Lab::new(1);
        lab.group(1);
        let (mut free, mut dropped) = (0.0_f64, 0_u64);
        let lost = std::rc::Rc::new(std::cell::Cell::new(0_u64));
        let lost_too = lost.clone();
        lab.link = Box::new(move |sent, _| {
            if sent.from != 0 {
                return Some(delay);
            }
            let now = sent.now as f64;
            free = free.max(now);
            if free - now > queue as f64 {
                dropped += 1;
                lost_too.set(dropped);
                return None;
            }
            free += (sent.bytes.len() + 70) as f64 * 8.0 / kbit as f64;
            Some((free - now) as u64 + delay)
        });
        lab.run(2_000);
        let sessions = 5_000;
        lab.open(0, 0..sessions, Protocol::Udp);
        lab.run(3_000);
        lab.reset_traffic();
        lab.group(1);
        let took = lab.until(240_000, |lab| lab.count(1) == sessions as usize);
        let needed = u64::from(sessions).div_ceil(26);
        let sent = lab.members[0].sent.frames[REPLAY];
        let ideal = needed * 1_520 * 8 / kbit;
        println!(
            "{kbit} kbit/s, queue of {queue} ms: {needed} frames needed, {sent} sent ({:.2} times), {} dropped; {took:?} ms, {ideal} at best; is {}",
            sent as f64 / needed as f64,
            lost.get(),
            lab.state(1)
        );
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

/// Sessions of a stock peer are told again whenever anything is looked for.
#[test]
#[ignore = "prints figures"]
fn measure_what_stock_sessions_cost_when_a_node_is_gone() {
    for stock in [0_u32, 20_000] {
        let mut lab = Lab::new(1);
        lab.group(4);
        quiet(&mut lab);
        lab.run(3_000);
        let sessions: Vec<_> = (0..stock)
            .map(|number| joold::session::Session {
                id: id(number, Protocol::Udp),
                state: TcpState::Established,
                timer: Timer::Established,
                lifetime: 300_000,
            })
            .collect();
        for to in 0..4 {
            for run in sessions.chunks(30) {
                lab.stock(to, run);
            }
        }
        lab.run(5_000);
        lab.reset_traffic();
        // The last words of node 3 are lost, and it is gone.
        let cut = lab.now;
        lab.link = Box::new(move |sent, _| {
            let is_lost = sent.from == 3 && (kind(sent.bytes) == DATA || sent.now > cut + 300)
                || sent.to == 3;
            (!is_lost).then_some(1)
        });
        lab.open(3, 100_000..100_001, Protocol::Udp);
        lab.run(10_000);
        let total = lab.total();
        println!(
            "{stock} sessions of a stock peer, one record lost with its node: replays {} kB in {} frames",
            total.bytes[REPLAY] / 1000,
            total.frames[REPLAY]
        );
    }
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

/// One record is lost with its node: what all others read then.
#[test]
#[ignore = "prints figures"]
fn measure_what_a_lost_record_costs() {
    for (stock, what) in [
        (false, "of nodes that are there"),
        (true, "of a stock peer"),
    ] {
        for nodes in [3_usize, 5, 9, 17] {
            let mut lab = Lab::new(1);
            lab.group(nodes);
            quiet(&mut lab);
            lab.run(3_000);
            if stock {
                let sessions: Vec<_> = (0..10_000)
                    .map(|number| joold::session::Session {
                        id: id(number, Protocol::Udp),
                        state: TcpState::Established,
                        timer: Timer::Established,
                        lifetime: 300_000,
                    })
                    .collect();
                for to in 0..nodes {
                    for run in sessions.chunks(30) {
                        lab.stock(to, run);
                    }
                }
            } else {
                lab.open(0, 0..10_000, Protocol::Udp);
            }
            lab.run(2_000);
            lab.reset_traffic();
            let (cut, gone) = (lab.now, nodes - 1);
            lab.link = Box::new(move |sent, _| {
                let is_lost = sent.from == gone
                    && (kind(sent.bytes) == DATA || sent.now > cut + 300)
                    || sent.to == gone;
                (!is_lost).then_some(1)
            });
            lab.open(gone, 100_000..100_001, Protocol::Udp);
            lab.run(10_000);
            let total = lab.total();
            println!(
                "{nodes} nodes, 10,000 sessions {what}: replays {} kB, {:.0} times the table",
                total.bytes[REPLAY] / 1000,
                total.bytes[REPLAY] as f64 / (10_000.0 * 53.0)
            );
        }
    }
}

/// A node whose clock jumps forward now and then, by less than an hour, while there is some traffic.
#[test]
#[ignore = "prints figures"]
fn measure_a_clock_that_jumps() {
    for jumps in [false, true] {
        let mut lab = Lab::new(1);
        lab.group(8);
        quiet(&mut lab);
        lab.run(3_000);
        lab.open(0, 0..20_000, Protocol::Tcp);
        lab.run(3_000);
        lab.reset_traffic();
        let mut clock = (1_u64 << 41) + lab.now;
        for step in 0..60_000_u64 {
            if step % 1_000 == 0 {
                for node in 0..8 {
                    lab.open(
                        node,
                        30_000 + node as u32 * 1_000 + (step / 1_000) as u32
                            ..30_001 + node as u32 * 1_000 + (step / 1_000) as u32,
                        Protocol::Udp,
                    );
                }
            }
            if step % 250 == 0 {
                clock += 250;
                if jumps && step % 2_000 == 1_000 {
                    clock += 130_000;
                }
                let frame = wire::hello(0xbad, 1 << 41, clock, 0, 2, &[]);
                for to in 0..8 {
                    lab.push(0, 99, to, frame.clone());
                }
            }
            lab.run(1);
        }
        let total = lab.total();
        println!(
            "a ninth node's clock jumps: {jumps}; in a minute: {} kB of replays, {} transfers, {} sessions ended by comparison; counts {:?}",
            total.bytes[REPLAY] / 1000,
            (0..8)
                .map(|node| lab.engine(node).counters().transfers)
                .sum::<u64>(),
            (0..8)
                .map(|node| lab.engine(node).counters().ended)
                .sum::<u64>(),
            (0..8).map(|node| lab.count(node)).collect::<Vec<_>>(),
        );
    }
}
