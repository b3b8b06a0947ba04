//! The engine with a million live sessions in its table: records that are only remembered, that are
//! announced, that are received; and what a session costs in memory. Throughput is in records.
//!
//! Sessions are touched in an order that no cache foresees.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::fs;
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use joold::jool::{Instance, Version};
use joold::replication::{Engine, Settings};
use joold::session::{Format, Identity, Pool4, Prefix, Protocol, Session, State, Timeouts, Timer};

const SESSIONS: u32 = 1 << 20;
/// Records in a packet from Jool.
const PACKET: u32 = 36;

fn session(number: u32) -> Session {
    // A permutation, so that neighbours are far apart.
    let number = number.wrapping_mul(741_103_597) % SESSIONS;
    let low = u16::try_from(number & 0xffff).unwrap_or(0);
    let id = Identity {
        src6: Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(number)),
        src6_port: low,
        src4: Ipv4Addr::from(0xc633_6400 | number >> 16),
        src4_port: low,
        dst4: Ipv4Addr::new(192, 0, 2, 8),
        dst4_port: 443,
        protocol: Protocol::Tcp,
    };
    Session {
        id,
        state: State::Established,
        timer: Timer::Established,
        lifetime: 7_200_000,
    }
}

fn instance() -> Instance {
    Instance {
        name: "default".to_owned(),
        version: Version::NEWEST,
        format: Format::Flat40,
        pool6: Prefix::WELL_KNOWN,
        settings: Vec::new(),
        timeouts: Timeouts::default(),
        repairs: Vec::new(),
        is_paused: false,
        pool4: Pool4::everything(),
        unrepaired: None,
    }
}

/// Every session, in packets as Jool sends them.
fn packets() -> Vec<Vec<u8>> {
    let numbers: Vec<u32> = (0..SESSIONS).collect();
    let packet = |numbers: &[u32]| {
        let mut run = Vec::new();
        for number in numbers {
            Format::Flat40.write(&session(*number), &Prefix::WELL_KNOWN, &mut run);
        }
        run
    };
    numbers.chunks(PACKET as usize).map(packet).collect()
}

/// Bytes of memory in use by this process.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn engine(now: Instant, node: u64) -> Engine {
    let settings = Settings {
        node,
        ..Settings::default()
    };
    let mut engine = Engine::new(now, settings);
    engine.handle_attached(now, &instance());
    // Its Jool is empty. Before that is known it is given nothing.
    engine.begin_audit(now);
    engine.end_audit(true);
    let mut buffer = Vec::new();
    // It finds nobody, and so has joined.
    for second in 0..4 {
        let now = now + Duration::from_secs(second);
        engine.handle_timeout(now);
        exchange(now, &mut engine, None, &mut buffer);
    }
    engine
}

/// Sends everything that waits from one to the other, and into its Jool.
fn exchange(now: Instant, from: &mut Engine, to: Option<&mut Engine>, buffer: &mut Vec<u8>) {
    let address = SocketAddr::from(([127, 0, 0, 1], 6400));
    let mut to = to;
    while from.poll_transmit(now, buffer).is_some() {
        if let Some(to) = &mut to {
            to.handle_datagram(now, address, buffer);
        }
        black_box(&buffer);
    }
    if let Some(to) = to {
        while to.poll_inject(now, buffer) {
            black_box(&buffer);
        }
    }
}

fn replication(c: &mut Criterion) {
    let packets = packets();
    let made = Instant::now();
    let start = made + Duration::from_secs(4);
    let mut buffer = Vec::new();
    let before = resident();
    let mut active = engine(made, 1);
    for packet in &packets {
        active.handle_local(start, packet);
        exchange(start, &mut active, None, &mut buffer);
    }
    let bytes = resident() - before;
    println!(
        "{} sessions in {} bytes of resident memory: {} each",
        active.status(start).sessions,
        bytes,
        bytes / u64::from(SESSIONS)
    );
    let mut standby = engine(made, 2);
    let mut group = c.benchmark_group("a million sessions");
    group.throughput(Throughput::Elements(u64::from(SESSIONS)));
    group.sample_size(10);
    group.bench_function("only remembered", |b| {
        b.iter(|| {
            for packet in &packets {
                active.handle_local(start, black_box(packet));
            }
        });
    });
    let mut now = start;
    group.bench_function("announced", |b| {
        b.iter(|| {
            // Every session is due for another announcement.
            now += Duration::from_secs(11);
            active.handle_timeout(now);
            for packet in &packets {
                active.handle_local(now, black_box(packet));
                exchange(now, &mut active, None, &mut buffer);
            }
        });
    });
    // As datagrams of the active node, taken by the standby in the order in which they left.
    let address = SocketAddr::from(([127, 0, 0, 1], 6400));
    group.bench_function("received and given to Jool", |b| {
        b.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            for _ in 0..iterations {
                now += Duration::from_secs(11);
                let mut datagrams = Vec::new();
                active.handle_timeout(now);
                for packet in &packets {
                    active.handle_local(now, packet);
                    while active.poll_transmit(now, &mut buffer).is_some() {
                        datagrams.push(buffer.clone());
                    }
                }
                let began = Instant::now();
                for (number, datagram) in datagrams.iter().enumerate() {
                    standby.handle_datagram(now, address, black_box(datagram));
                    if number % 32 == 0 {
                        while standby.poll_inject(now, &mut buffer) {
                            black_box(&buffer);
                        }
                    }
                }
                while standby.poll_inject(now, &mut buffer) {
                    black_box(&buffer);
                }
                took += began.elapsed();
            }
            took
        });
    });
    group.finish();
    let counters = standby.counters();
    assert!(counters.injected_records >= u64::from(SESSIONS));
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(10)).warm_up_time(Duration::from_secs(1));
    targets = replication
}
criterion_main!(benches);
