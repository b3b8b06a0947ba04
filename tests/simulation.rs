//! Clusters in virtual time, each from a seed: engines between made-up Jools and a network that
//! loses, repeats, delays and cuts, through crashes, restarts and joins. Afterwards all is quiet, and
//! what the protocol promises has to be true.
//!
//! `JOOLD_SEED=123` replays one, `JOOLD_TRACE=1` with its faults; `JOOLD_RUNS=10000` makes so many,
//! from `JOOLD_FIRST` on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[path = "simulation/costs.rs"]
mod costs;
#[path = "simulation/kernel.rs"]
mod kernel;
#[path = "simulation/lab.rs"]
mod lab;
#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/node.rs"]
mod node;
#[path = "simulation/promises.rs"]
mod promises;
#[path = "simulation/random.rs"]
mod random;
#[path = "simulation/wire.rs"]
mod wire;
#[path = "simulation/world.rs"]
mod world;

use world::World;

/// Says how to see it again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("replay: JOOLD_SEED={seed} cargo test --release --test simulation");
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Lives through as many seeds as are wanted, in worlds with so many nodes that are changed like this; one of
/// so many runs is of this kind.
fn live(nodes: (u64, u64), share: u64, change: impl Fn(&mut World)) {
    let one = |seed: u64| {
        let _replay = Replay(seed);
        let mut world = World::sized(seed, nodes);
        change(&mut world);
        world.run();
    };
    if let Some(seed) = number("JOOLD_SEED") {
        return one(seed);
    }
    let first = number("JOOLD_FIRST").unwrap_or(1);
    let runs = number("JOOLD_RUNS").unwrap_or(8).div_ceil(share);
    if std::env::var_os("JOOLD_ALL").is_none() {
        return (first..first + runs).for_each(one);
    }
    // Goes on after a failure, to see how many there are.
    let failed: Vec<_> = (first..first + runs)
        .filter(|seed| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| one(*seed))).is_err()
        })
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {runs} failed: {failed:?}",
        failed.len()
    );
}

#[test]
fn whatever_happens_the_nodes_agree_when_it_is_quiet() {
    live((2, 5), 1, |_| ());
}

#[test]
fn nodes_that_are_far_apart_agree() {
    live((2, 3), 10, |world| {
        world.network.delay = (110, 140);
        world.skews = &[0];
    });
}

#[test]
fn some_hear_others_that_do_not_hear_them() {
    live((3, 5), 10, |world| {
        world.hook = Some(|world| {
            if world.now % 5_000 != 1_000 {
                return;
            }
            let count = world.nodes.len();
            world.network.one_way.clear();
            for from in 0..count {
                for to in 0..count {
                    let loss = world.random.one(&[0, 0, 0, 600, 1_000]);
                    if from != to && loss > 0 {
                        world.network.one_way.push((from, to, loss));
                    }
                }
            }
        });
    });
}

#[test]
fn frames_are_too_long_now_and_then() {
    live((2, 4), 10, |world| {
        world.hook = Some(|world| {
            if world.now % 3_000 == 500 {
                world.network.mtu = world.random.one(&[usize::MAX, 1_200, 600, 300]);
            }
        });
    });
}

#[test]
fn there_are_many_nodes() {
    live((8, 16), 30, |_| ());
}

#[test]
fn readers_are_slow() {
    live((2, 5), 10, |world| {
        for node in &mut world.nodes {
            (node.socket, node.reads) = (40, 2);
        }
        world.most_flows = 400;
    });
}

#[test]
fn daemons_restart_all_the_time() {
    live((2, 4), 30, |world| {
        world.chaos = 60_000;
        world.hook = Some(|world| {
            if !world.now.is_multiple_of(300) || world.now <= 3_000 {
                return;
            }
            let victim = world.random.index(world.nodes.len());
            let back = world.now + 5;
            let node = &mut world.nodes[victim];
            if node.is_up && node.daemon_back.is_none() && node.pause.is_none() {
                node.stop_daemon(world.now, &mut world.random);
                node.daemon_back = Some(back);
            }
        });
    });
}

#[test]
fn machines_are_suspended_and_their_clocks_are_wrong() {
    live((2, 5), 10, |world| {
        for (_, kind) in &mut world.faults {
            *kind = [1, 8, 9, 8, 2, 7][usize::from(*kind) % 6];
        }
        // Frames that were cut off pass for records of a stock peer, which do not tell when they were said.
        world.network.garbage = 0;
        world.skews = &world::SKEWS;
    });
}

#[test]
fn timeouts_change() {
    live((2, 4), 10, |world| {
        world.hook = Some(|world| {
            if world.now % 7_000 != 2_000 {
                return;
            }
            // Till a daemon hears of it, it counts a lifetime from another moment.
            world.tolerance += 20_000;
            for node in &mut world.nodes {
                node.tolerance += 20_000;
                node.timeouts.tcp_established += 20_000;
                node.timeouts.udp += 20_000;
                if let Some(kernel) = &mut node.kernel {
                    kernel.set_timeouts(node.timeouts);
                }
            }
        });
    });
}

#[test]
fn operators_remove_sessions_and_pools() {
    live((2, 4), 10, |world| {
        world.hook = Some(World::operate);
    });
}

#[test]
fn tables_are_too_small() {
    live((2, 4), 10, |world| {
        for node in &mut world.nodes {
            node.most_sessions = 60;
        }
        world.most_flows = 100;
        world.may_be_degraded = true;
    });
}
