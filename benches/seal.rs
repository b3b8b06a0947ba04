//! What sealing costs: a frame sealed and opened, and what is refused. Throughput is in frames.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use joold::seal::{Keys, Policy, Seal, Settings, random};

const KEYS: &[u8] = b"1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= send\n";

fn seal(now: Instant) -> Seal {
    let keys = Keys::parse(KEYS).ok();
    let policy = Policy::Require;
    Seal::new(now, Settings { policy, keys }, random)
}

/// A hello of so many bytes, as far as a seal looks at it.
fn frame(node: u64, length: usize) -> Vec<u8> {
    let mut frame = b"\xff\xffjd\x02\x01\x00\x00".to_vec();
    frame.extend_from_slice(&node.to_be_bytes());
    frame.extend_from_slice(&1_u64.to_be_bytes());
    frame.resize(length, 7);
    frame
}

/// What leaves for a frame.
fn send(seal: &mut Seal, now: Instant, frame: &[u8]) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    seal.prepare(frame);
    sent.extend(seal.introduction(now).map(<[u8]>::to_vec));
    sent.extend(seal.seal(frame).map(<[u8]>::to_vec));
    sent
}

/// Two that have introduced themselves.
fn pair(now: &mut Instant) -> (Seal, Seal) {
    let (mut a, mut b) = (seal(*now), seal(*now));
    for _ in 0..3 {
        *now += Duration::from_millis(100);
        for datagram in send(&mut a, *now, &frame(1, 100)) {
            b.open(*now, &datagram);
        }
        for datagram in send(&mut b, *now, &frame(2, 100)) {
            a.open(*now, &datagram);
        }
    }
    (a, b)
}

fn seals(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal");
    group.throughput(Throughput::Elements(1));
    for length in [100, 1_388] {
        let mut now = Instant::now();
        let (mut a, mut b) = pair(&mut now);
        let plain = frame(1, length);
        group.bench_function(BenchmarkId::new("seal", length), |bencher| {
            bencher.iter(|| black_box(a.seal(black_box(&plain))).is_some());
        });
        group.bench_function(BenchmarkId::new("seal and open", length), |bencher| {
            bencher.iter(|| {
                let sealed = a.seal(black_box(&plain)).unwrap_or_default();
                assert!(b.open(now, sealed).is_some());
            });
        });
        let sealed = a.seal(&plain).unwrap_or_default().to_vec();
        b.open(now, &sealed);
        group.bench_function(BenchmarkId::new("repeated", length), |bencher| {
            bencher.iter(|| assert!(b.open(now, black_box(&sealed)).is_none()));
        });
        let mut forged = sealed.clone();
        if let Some(last) = forged.last_mut() {
            *last ^= 1;
        }
        group.bench_function(BenchmarkId::new("made up", length), |bencher| {
            bencher.iter(|| assert!(b.open(now, black_box(&forged)).is_none()));
        });
        let mut stranger = sealed.clone();
        if let Some(salt) = stranger.get_mut(32) {
            *salt ^= 1;
        }
        group.bench_function(BenchmarkId::new("of an unknown run", length), |bencher| {
            bencher.iter(|| assert!(b.open(now, black_box(&stranger)).is_none()));
        });
    }
    // As many of these as are looked at.
    let mut now = Instant::now();
    let (mut a, mut b) = pair(&mut now);
    now += Duration::from_millis(100);
    let mut stranger = send(&mut a, now, &frame(1, 100)).swap_remove(0);
    if let Some(salt) = stranger.get_mut(32) {
        *salt ^= 1;
    }
    group.bench_function("introduction of an unknown run", |bencher| {
        bencher.iter(|| {
            now += Duration::from_millis(1);
            assert!(b.open(now, black_box(&stranger)).is_none());
        });
    });
    group.finish();
}

criterion_group!(benches, seals);
criterion_main!(benches);
