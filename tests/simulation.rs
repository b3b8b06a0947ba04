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
    clippy::cast_possible_truncation
)]

#[path = "simulation/kernel.rs"]
mod kernel;
#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/node.rs"]
mod node;
#[path = "simulation/random.rs"]
mod random;
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

fn live(seed: u64) {
    let _replay = Replay(seed);
    World::new(seed).run();
}

#[test]
fn whatever_happens_the_nodes_agree_when_it_is_quiet() {
    if let Some(seed) = number("JOOLD_SEED") {
        return live(seed);
    }
    let first = number("JOOLD_FIRST").unwrap_or(1);
    let runs = number("JOOLD_RUNS").unwrap_or(8);
    if std::env::var_os("JOOLD_ALL").is_none() {
        return (first..first + runs).for_each(live);
    }
    // Goes on after a failure, to see how many there are.
    let failed: Vec<_> = (first..first + runs)
        .filter(|seed| std::panic::catch_unwind(|| live(*seed)).is_err())
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {runs} failed: {failed:?}",
        failed.len()
    );
}
