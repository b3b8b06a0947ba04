//! Once warm, the data path allocates nothing: neither per record nor per datagram.

#![allow(
    unsafe_code,
    reason = "a global allocator, which only hands on to the system's, is an unsafe trait"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use joold::jool::{Instance, Version};
use joold::net::{Destination, Interface, Network, Outbox, Settings};
use joold::replication::{self, Engine};
use joold::session::{
    Format, Identity, Pool4, Prefix, Protocol, Session, State, Timeouts, Timer, parse_run,
};

thread_local! {
    /// Allocations by this thread. Other tests run on other threads.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that ends has no counter any more.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; the counter needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above; the block is the system's.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above; the block is the system's.
        unsafe { System.dealloc(block, layout) }
    }
}

fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// Does the work until it is warm, then as often again, and expects no allocation then.
#[track_caller]
fn allocates_nothing(what: &str, mut work: impl FnMut()) {
    for _ in 0..ROUNDS {
        work();
    }
    let before = allocations();
    for _ in 0..ROUNDS {
        work();
    }
    assert_eq!(allocations() - before, 0, "{what}");
}

const ROUNDS: usize = 20;

/// Records in a run: what one JOOLD_ADD takes of the shortest.
const RECORDS: u16 = 1500;

fn session(port: u16, protocol: Protocol) -> Session {
    Session {
        id: Identity {
            src6: "2001:db8::8".parse().unwrap(),
            src6_port: port,
            src4: Ipv4Addr::new(198, 51, 100, 1),
            src4_port: port,
            dst4: Ipv4Addr::new(192, 0, 2, 8),
            dst4_port: port,
            protocol,
        },
        state: State::Established,
        timer: Timer::Established,
        // Out of order.
        lifetime: 7_200_000 - u32::from(port).wrapping_mul(7919) % 10_000,
    }
}

fn run(format: Format) -> Vec<u8> {
    let mut run = Vec::new();
    for port in 0..RECORDS {
        let protocol = Protocol::ALL[usize::from(port) % 3];
        format.write(&session(port, protocol), &Prefix::WELL_KNOWN, &mut run);
    }
    run
}

fn instance(version: Version) -> Instance {
    Instance {
        name: "default".to_owned(),
        version,
        format: version.format(),
        pool6: Prefix::WELL_KNOWN,
        settings: Vec::new(),
        timeouts: Timeouts::default(),
        repairs: Vec::new(),
        is_paused: false,
        pool4: Pool4::everything(),
        unrepaired: None,
    }
}

fn versions() -> [Version; 3] {
    ["4.1.11", "4.1.12", "4.1.13"].map(|text| Version::supported(text).unwrap())
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    black_box(Vec::<u8>::with_capacity(black_box(100)));
    assert_eq!(allocations() - before, 1);
}

#[test]
fn reading_and_writing_records_allocates_nothing() {
    for from in Format::ALL {
        let mut input = run(from);
        // Refusals are no more expensive.
        input.extend_from_slice(&[40, 0, 2, 0]);
        for to in Format::ALL {
            let mut output = Vec::new();
            allocates_nothing(&format!("{from} to {to}"), || {
                output.clear();
                parse_run(black_box(&input), &Prefix::WELL_KNOWN, |record| {
                    if let Ok(session) = record {
                        let clamped = session.clamped(&Timeouts::default());
                        to.write(&clamped, &Prefix::WELL_KNOWN, &mut output);
                    }
                });
                assert_eq!(output.len(), usize::from(RECORDS) * to.length());
            });
        }
    }
}

fn engine(now: Instant, node: u64, instance: &Instance) -> Engine {
    let mut engine = Engine::new(
        now,
        replication::Settings {
            // Hellos, which are there too, have no names to keep.
            cluster: String::new(),
            node,
            ..replication::Settings::default()
        },
    );
    engine.handle_attached(now, instance);
    // Its Jool is empty. Before that is known it is given nothing.
    engine.begin_audit(now);
    engine.end_audit(true);
    engine.handle_timeout(now);
    engine
}

/// Has the one join, and the other hear of it: what is announced to who has not joined is asked for later.
fn join(active: &mut Engine, standby: &mut Engine, now: &mut Instant, address: SocketAddr) {
    let mut buffer = Vec::new();
    for _ in 0..3 {
        *now += Duration::from_secs(11);
        active.handle_timeout(*now);
        transmit(active, *now, &mut buffer, |datagram| {
            standby.handle_datagram(*now, address, datagram);
        });
    }
}

/// Takes everything out that is to be sent.
fn transmit(engine: &mut Engine, now: Instant, buffer: &mut Vec<u8>, mut each: impl FnMut(&[u8])) {
    while engine.poll_transmit(now, buffer).is_some() {
        each(buffer);
    }
}

#[test]
fn the_engine_allocates_nothing_between_its_jool_and_the_network() {
    let start = Instant::now();
    for version in versions() {
        let instance = instance(version);
        let input = run(instance.format);
        let peer = SocketAddr::from(([127, 0, 0, 1], 6400));
        let mut active = engine(start, 1, &instance);
        let mut standby = engine(start, 2, &instance);
        let mut buffer = Vec::new();
        // Each round later than the refresh window, so that every session is announced again.
        let mut now = start;
        join(&mut active, &mut standby, &mut now, peer);
        allocates_nothing(&format!("{version}, announced and received"), || {
            now += Duration::from_secs(11);
            active.handle_timeout(now);
            active.handle_local(now, black_box(&input));
            transmit(&mut active, now, &mut buffer, |datagram| {
                standby.handle_datagram(now, peer, datagram);
            });
            while standby.poll_inject(now, &mut buffer) {
                black_box(&buffer);
            }
        });
        allocates_nothing(&format!("{version}, only remembered"), || {
            active.handle_local(now, black_box(&input));
            transmit(&mut active, now, &mut buffer, |_| {});
        });
        let records = 2 * ROUNDS as u64 * u64::from(RECORDS);
        let (active, standby) = (active.counters(), standby.counters());
        assert_eq!(active.sent_records, records);
        assert_eq!(active.coalesced, records);
        assert_eq!(standby.received_records, records);
        assert_eq!(standby.injected_records, records);
    }
}

/// A network by unicast over loopback, to a peer of its own address.
fn network(local: IpAddr, port: u16, peer: u16) -> Network {
    Network::open(&Settings {
        group: None,
        port,
        peers: vec![SocketAddr::new(local, peer)],
        receive_interface: Some(Interface::Address(local)),
        send_interface: None,
        reuse_address: true,
        hop_limit: 1,
    })
    .unwrap()
}

/// Two UDP ports that were free a moment ago.
fn free_ports(local: IpAddr) -> [u16; 2] {
    [(); 2]
        .map(|()| UdpSocket::bind((local, 0)).unwrap())
        .map(|socket| socket.local_addr().unwrap().port())
}

/// Sends records from one engine to another over loopback, both ways through the library.
async fn exchange_allocates_nothing(local: IpAddr) {
    let [one, other] = free_ports(local);
    let (mut from, mut to) = (network(local, one, other), network(local, other, one));
    let instance = instance(Version::NEWEST);
    let mut now = Instant::now();
    let mut active = engine(now, 1, &instance);
    let mut standby = engine(now, 2, &instance);
    let address = SocketAddr::new(local, one);
    join(&mut active, &mut standby, &mut now, address);
    let input = run(instance.format);
    let (mut outbox, mut buffer) = (Outbox::new(), Vec::new());
    let mut before = 0;
    for round in 0..2 * ROUNDS {
        if round == ROUNDS {
            before = allocations();
        }
        now += Duration::from_secs(11);
        active.handle_timeout(now);
        active.handle_local(now, &input);
        transmit(&mut active, now, &mut buffer, |datagram| {
            outbox.push(Destination::Everyone, datagram);
        });
        while !outbox.is_empty() {
            from.send(&mut outbox);
            if !outbox.is_empty() {
                from.writable().await.unwrap();
            }
        }
        while to.counters().received_datagrams < from.counters().sent_datagrams {
            to.readable().await.unwrap();
            to.receive(|datagram| {
                standby.handle_datagram(now, datagram.from, datagram.bytes);
            })
            .unwrap();
        }
        while standby.poll_inject(now, &mut buffer) {
            black_box(&buffer);
        }
    }
    assert_eq!(allocations() - before, 0, "over {local}");
    let records = 2 * ROUNDS as u64 * u64::from(RECORDS);
    assert_eq!(standby.counters().received_records, records);
    assert!(from.counters().sent_datagrams > ROUNDS as u64);
}

#[test]
fn sending_and_receiving_over_loopback_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for local in ["127.0.0.1", "::1"] {
        runtime.block_on(async {
            let exchange = exchange_allocates_nothing(local.parse().unwrap());
            let limit = Duration::from_secs(30);
            let ended = tokio::time::timeout(limit, exchange).await;
            ended.expect("a datagram was lost on loopback");
        });
    }
}
