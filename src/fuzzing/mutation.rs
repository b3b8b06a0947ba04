//! Input made of other input by a sequence that a seed determines.
//!
//! `JOOLD_FUZZ_SECONDS`: how long for each target, in place of some thousand inputs. `JOOLD_SEED`: another sequence.

use std::env;
use std::time::{Duration, Instant};

use super::TARGETS;

/// Inputs without a time.
const FEW: u64 = 5_000;
/// Inputs between two looks at the clock.
const MANY: u64 = 1_000;
const LONGEST: usize = 4096;

/// The same sequence every time (Knuth's MMIX generator, upper half).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        const LIKELY: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, b'"'];
        match self.below(2) {
            0 => LIKELY[self.below(LIKELY.len())],
            _ => u8::try_from(self.below(256)).unwrap(),
        }
    }
}

/// One change.
fn change(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    let length = input.len();
    let place = random.below(length);
    match random.below(8) {
        0 if length > 0 => input[place] ^= 1 << random.below(8),
        1 if length > 0 => input[place] = random.byte(),
        2 => {
            let byte = random.byte();
            input.insert(place, byte);
        }
        3 if length > 0 => {
            let end = (place + 1 + random.below(8)).min(length);
            input.drain(place..end);
        }
        4 => input.truncate(place),
        // A part of another one, in place of a part of this, or before it.
        5 | 6 if !other.is_empty() => {
            let from = random.below(other.len());
            let part = &other[from..(from + 1 + random.below(64)).min(other.len())];
            let end = (place + part.len() * random.below(2)).min(length);
            input.splice(place..end, part.iter().copied());
        }
        7 => {
            let end = (place + 2 + random.below(3)).min(length);
            let byte = random.byte();
            input[place..end].fill(byte);
        }
        _ => input.push(random.byte()),
    }
}

/// Shows what was read when something panics.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {:?}", self.0, self.1);
        }
    }
}

#[test]
fn whatever_is_made_up_is_read_without_a_panic() {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let seed = number("JOOLD_SEED").unwrap_or(1);
    let time = number("JOOLD_FUZZ_SECONDS").map(Duration::from_secs);
    let mut total = 0;
    for (name, read, corpus) in TARGETS {
        let corpus = corpus();
        for input in &corpus {
            read(input);
        }
        let mut random = Random(seed);
        let began = Instant::now();
        let mut inputs = 0_u64;
        let mut input = Vec::new();
        loop {
            let is_over = match time {
                Some(time) => inputs.is_multiple_of(MANY) && began.elapsed() >= time,
                None => inputs == FEW,
            };
            if is_over {
                break;
            }
            input.clear();
            input.extend_from_slice(&corpus[random.below(corpus.len())]);
            for _ in 0..=random.below(6) {
                let other = random.below(corpus.len());
                change(&mut random, &mut input, &corpus[other]);
            }
            input.truncate(LONGEST);
            let shown = Shown(name, &input);
            read(&input);
            drop(shown);
            inputs += 1;
        }
        total += inputs;
        println!("{name}: {inputs} inputs from seed {seed}");
    }
    println!("{total} inputs");
}
