//! What the promises of docs/protocol.md cost, measured and printed:
//!
//! `cargo test --release --test simulation -- --ignored --nocapture --test-threads=1`

use joold::session::{Protocol, State as TcpState, Timer};

use super::kernel::Segment;
use super::lab::{DATA, HELLO, Lab, REPLAY, REQUEST, id, kind};
use super::promises::quiet;
use super::wire;

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
