//! What a simulation hardly proves.

mod ended;
mod fitness;
mod people;
mod removed;
mod repair;
mod verify;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::wire::tests::{FROM_A, hello, request};
use super::wire::{Content, Data, Frame, Hello, LogKey, Request, Sender, Space};
use super::*;
use crate::jool::{Client, Instance, MAX_RUN, Version};
use crate::session::tests::udp;
use crate::session::{
    Format, Identity, Pool4, Prefix, Protocol, Reject, Session, State as TcpState, Timeouts, Timer,
    parse_run,
};
use proptest::prelude::*;

fn instance(version: &str) -> Instance {
    let version = Version::supported(version).unwrap();
    Instance {
        name: "default".to_owned(),
        version,
        format: version.format(),
        pool6: Prefix::WELL_KNOWN,
        is_paused: false,
        pool4: Pool4::everything(),
        settings: Vec::new(),
        timeouts: Timeouts::default(),
        repairs: Vec::new(),
        unrepaired: None,
    }
}

fn address(node: u64) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, u8::try_from(node).unwrap()], 6400))
}

/// Engines on a network without a flaw, in virtual time.
struct Group {
    start: Instant,
    now: u64,
    engines: Vec<(u64, Engine)>,
    /// What their Jools were told.
    told: Vec<Vec<Session>>,
    /// What their Jools have, and until when.
    tables: Vec<BTreeMap<Identity, (Session, u64)>>,
    /// The datagrams with records, of whom.
    data: Vec<(u64, Vec<u8>)>,
    /// Whose datagrams are lost.
    mute: Vec<u64>,
    /// Who hears nothing.
    deaf: Vec<u64>,
    /// Whose Jool takes nothing for now.
    busy: Vec<u64>,
    /// Length of the longest datagram.
    longest: usize,
}

impl Group {
    fn new(nodes: &[(u64, &str)]) -> Self {
        let mut group = Self {
            start: Instant::now(),
            now: 0,
            engines: Vec::new(),
            told: Vec::new(),
            tables: Vec::new(),
            data: Vec::new(),
            mute: Vec::new(),
            deaf: Vec::new(),
            busy: Vec::new(),
            longest: 0,
        };
        for (node, version) in nodes {
            group.add(*node, version, Settings::default());
        }
        group.run(2000);
        group
    }

    fn add(&mut self, node: u64, version: &str, settings: Settings) {
        let at = self.at();
        let settings = Settings {
            node,
            epoch: settings.epoch + self.now,
            ..settings
        };
        let mut engine = Engine::new(at, settings);
        engine.handle_attached(at, &instance(version));
        self.engines.push((node, engine));
        self.told.push(Vec::new());
        self.tables.push(BTreeMap::new());
    }

    fn at(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    fn engine(&mut self, node: u64) -> &mut Engine {
        let mut engines = self.engines.iter_mut();
        engines
            .find_map(|(it, engine)| (*it == node).then_some(engine))
            .unwrap()
    }

    /// Our own Jool of a node translates packets of these sessions.
    fn local(&mut self, node: u64, sessions: &[Session]) {
        let (at, mut run) = (self.at(), Vec::new());
        for session in sessions {
            Format::Flat40.write(session, &Prefix::WELL_KNOWN, &mut run);
            let until = self.now + u64::from(session.lifetime);
            self.table(node).insert(session.id, (*session, until));
        }
        self.engine(node).handle_local(at, &run);
    }

    /// What the Jool of a node has.
    fn table(&mut self, node: u64) -> &mut BTreeMap<Identity, (Session, u64)> {
        let index = self.engines.iter().position(|(it, _)| *it == node);
        &mut self.tables[index.unwrap()]
    }

    fn run(&mut self, milliseconds: u64) {
        let (mut buffer, end) = (Vec::new(), self.now + milliseconds);
        while self.now < end {
            let at = self.at();
            let mut sent = Vec::new();
            let tables = self.told.iter_mut().zip(&mut self.tables);
            for ((node, engine), (told, table)) in self.engines.iter_mut().zip(tables) {
                if engine.wants_audit() {
                    engine.begin_audit(at);
                    table.retain(|_, (_, until)| *until > self.now);
                    for (session, until) in table.values() {
                        let lifetime = u32::try_from(until - self.now).unwrap();
                        let session = Session {
                            lifetime,
                            ..*session
                        };
                        engine.handle_dumped(at, &session);
                    }
                    engine.end_audit(true);
                }
                while engine.poll_timeout().is_none_or(|due| due <= at) {
                    engine.handle_timeout(at);
                    if engine.poll_timeout().is_some() {
                        break;
                    }
                }
                while engine.poll_transmit(at, &mut buffer).is_some() {
                    sent.push((*node, buffer.clone()));
                }
                while !self.busy.contains(node) && engine.poll_inject(at, &mut buffer) {
                    parse_run(&buffer, &Prefix::WELL_KNOWN, |it| {
                        let session = it.unwrap();
                        told.push(session);
                        let until = self.now + u64::from(session.lifetime);
                        table.insert(session.id, (session, until));
                    });
                }
            }
            for (from, datagram) in sent {
                self.longest = self.longest.max(datagram.len());
                if !datagram.starts_with(&[0xff, 0xff]) {
                    self.data.push((from, datagram.clone()));
                }
                for (node, engine) in &mut self.engines {
                    let lost = self.mute.contains(&from) || self.deaf.contains(node);
                    if *node != from && !lost {
                        engine.handle_datagram(at, address(from), &datagram);
                    }
                }
            }
            self.now += 1;
        }
    }

    fn state(&mut self, node: u64) -> State {
        self.engine(node).state()
    }

    fn has(&mut self, node: u64, session: &Session) -> bool {
        self.knows(node, &session.id).is_some()
    }

    /// What a node knows of a session that lives.
    fn knows(&mut self, node: u64, id: &Identity) -> Option<(TcpState, Timer)> {
        let at = self.at();
        let engine = self.engine(node);
        let (now, table) = (engine.clock(at), &engine.ledger.table);
        let entry = table.get(table.find(table.key(id), id)?)?;
        (entry.expires > now).then_some((entry.state, entry.timer))
    }

    /// What is kept of sessions that have ended.
    fn ended(&mut self, node: u64) -> usize {
        let ledger = &self.engine(node).ledger;
        ledger.table.len() - ledger.sessions()
    }
}

fn many(count: u16) -> Vec<Session> {
    (1..=count).map(udp).collect()
}

proptest! {
    #[test]
    fn nothing_that_arrives_makes_an_engine_panic(
        datagrams in prop::collection::vec((
            prop_oneof![Just(0_u8), Just(1), Just(2), Just(3), any::<u8>()],
            prop::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 0..300),
        ), 0..20)
    ) {
        let start = Instant::now();
        let mut engine = Engine::new(start, Settings::default());
        engine.handle_attached(start, &instance("4.1.13"));
        let mut buffer = Vec::new();
        for (kind, bytes) in datagrams {
            let mut datagram = b"\xff\xffjd\x02".to_vec();
            datagram.extend([kind, 0, 0]);
            datagram.extend(bytes);
            let _ = Frame::parse(&datagram);
            engine.handle_datagram(start, address(2), &datagram);
            engine.handle_datagram(start, address(2), datagram.get(6..).unwrap());
        }
        for second in 0..10 {
            let now = start + Duration::from_secs(second);
            engine.handle_timeout(now);
            for _ in 0..1000 {
                if engine.poll_transmit(now, &mut buffer).is_none() {
                    break;
                }
            }
            let _ = engine.status(now);
        }
    }
}

#[test]
fn a_stock_peer_reads_the_records_and_nothing_else() {
    for version in ["4.1.9", "4.1.12", "4.1.13"] {
        let mut group = Group::new(&[(1, version), (2, version)]);
        group.local(1, &many(100));
        group.run(5);
        let mut read = Vec::new();
        for (_, datagram) in &group.data {
            let trailing = parse_run(datagram, &Prefix::WELL_KNOWN, |it| {
                read.push(it.unwrap().id);
            });
            assert!(trailing.starts_with(&[0xff, 0xff]));
        }
        read.sort_unstable();
        let mut expected: Vec<Identity> = many(100).iter().map(|session| session.id).collect();
        expected.sort_unstable();
        assert_eq!(read, expected);
    }
}

#[test]
fn records_of_any_format_reach_a_jool_of_any() {
    for from in ["4.1.9", "4.1.12", "4.1.13"] {
        for to in ["4.1.9", "4.1.12", "4.1.13"] {
            let mut group = Group::new(&[(1, from), (2, to)]);
            group.local(1, &many(3));
            group.run(50);
            let mut ids: Vec<_> = group.told[1].iter().map(|session| session.id).collect();
            ids.sort_unstable();
            assert_eq!(
                ids,
                many(3).iter().map(|session| session.id).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn ten_flows_with_much_traffic_make_few_records() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    for _ in 0..2000 {
        group.local(1, &many(10));
        group.run(5);
    }
    let counters = *group.engine(1).counters();
    assert_eq!(counters.local_records, 20_000);
    assert!(counters.sent_records <= 200, "{counters:?}");
}

#[test]
fn what_is_injected_ascends_and_fits() {
    let start = Instant::now();
    let mut engine = Engine::new(start, Settings::default());
    engine.handle_attached(start, &instance("4.1.13"));
    engine.begin_audit(start);
    engine.end_audit(true);
    engine.handle_timeout(start);
    let (mut run, mut buffer, mut total) = (Vec::new(), Vec::new(), 0);
    for round in 0..3_u16 {
        run.clear();
        for port in 0..2000_u16 {
            let lifetime = 1_000 + u32::from(port.wrapping_mul(7919)) * 4;
            let session = Session {
                lifetime,
                ..udp(1 + round * 2000 + port)
            };
            Format::Flat40.write(&session, &Prefix::WELL_KNOWN, &mut run);
        }
        engine.handle_datagram(start, address(2), &run);
        // The rest leaves with the next ones.
        while engine.poll_inject(start, &mut buffer) {
            assert!(buffer.len() <= MAX_RUN);
            let (mut last, mut count) = (0, 0);
            parse_run(&buffer, &Prefix::WELL_KNOWN, |session| {
                let session = session.unwrap();
                assert!(session.lifetime >= last);
                (last, count) = (session.lifetime, count + 1);
            });
            total += count;
            if round < 2 {
                break;
            }
        }
    }
    assert_eq!(total, 6000);
}

#[test]
fn a_session_that_pool4_does_not_mask_is_not_injected() {
    let start = Instant::now();
    let mut engine = Engine::new(start, Settings::default());
    let mut instance = instance("4.1.13");
    instance.pool4 = Pool4::default();
    instance
        .pool4
        .add(Protocol::Udp, udp(1).id.src4, 32, (100, 200));
    engine.handle_attached(start, &instance);
    engine.begin_audit(start);
    engine.end_audit(true);
    engine.handle_timeout(start);
    let (mut run, mut buffer) = (Vec::new(), Vec::new());
    let mut strange = udp(150);
    strange.id.src4_port = 99;
    Format::Flat40.write(&strange, &Prefix::WELL_KNOWN, &mut run);
    engine.handle_datagram(start, address(2), &run);
    assert!(!engine.poll_inject(start, &mut buffer));
    assert!(engine.has_doubts());
    engine.settle_doubts();
    assert!(!engine.poll_inject(start, &mut buffer) && !engine.has_doubts());
    assert_eq!(engine.counters().received_rejects.of(Reject::Pool4), 1);
}

#[test]
fn a_full_table_gives_up_the_oldest_and_says_so() {
    let mut group = Group::new(&[]);
    let settings = Settings {
        most_sessions: 50,
        ..Settings::default()
    };
    group.add(1, "4.1.13", settings);
    group.run(2000);
    group.local(1, &many(50));
    group.run(100);
    group.local(1, &[udp(60)]);
    group.run(100);
    assert_eq!(group.state(1), State::Degraded);
    assert!(group.has(1, &udp(60)));
    assert_eq!(group.engine(1).ledger.table.len(), 50);
    assert_eq!(group.engine(1).ledger.given_up, 1);
}

#[test]
fn two_nodes_of_one_identity_are_told_of() {
    let mut group = Group::new(&[(1, "4.1.13")]);
    let at = group.at();
    let mut frame = Vec::new();
    let namesake = Sender {
        log: LogKey { node: 1, epoch: 99 },
        ..FROM_A
    };
    hello().write(namesake, &mut frame);
    group.engine(1).handle_datagram(at, address(9), &frame);
    let mut events = std::iter::from_fn(|| group.engine(1).poll_event());
    assert!(events.any(|event| event == Event::Namesake(address(9))));
}

#[test]
fn two_clusters_on_one_link_have_nothing_to_do_with_each_other() {
    let mut group = Group::new(&[]);
    let of = |cluster: &str| Settings {
        name: format!("of-{cluster}"),
        cluster: cluster.to_owned(),
        ..Settings::default()
    };
    for (node, cluster) in [(1, "x"), (2, "x"), (3, "y"), (4, "y")] {
        group.add(node, "4.1.13", of(cluster));
    }
    group.run(3_000);
    group.local(1, &[udp(1)]);
    group.local(3, &[udp(2)]);
    group.run(3_000);
    for (node, has, has_not) in [(2, udp(1), udp(2)), (4, udp(2), udp(1))] {
        assert!(
            group.has(node, &has) && !group.has(node, &has_not),
            "{node}"
        );
        let at = group.at();
        let status = group.engine(node).status(at);
        assert_eq!(status.peers.len(), 1, "{node}: {:?}", status.peers);
        assert_eq!(status.failover.unwrap().len(), 1);
        let mut events = std::iter::from_fn(|| group.engine(node).poll_event());
        let foreign = events
            .by_ref()
            .filter(|event| matches!(event, Event::ForeignCluster { .. }));
        let foreign: Vec<_> = foreign.collect();
        let [Event::ForeignCluster { name, cluster, .. }] = foreign.as_slice() else {
            panic!("{node}: {foreign:?}");
        };
        assert_eq!(*name, format!("of-{cluster}"));
        assert!(group.engine(node).counters().foreign_clusters > 10);
    }
}

#[test]
fn what_a_node_of_another_cluster_sends_changes_nothing() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let at = group.at();
    let before = group.engine(1).status(at);
    let far = Sender {
        log: LogKey { node: 1, epoch: 99 },
        clock: crate::session::Stamp(u64::MAX / 4),
    };
    for node in [1, 2, 77] {
        let from = Sender {
            log: LogKey { node, epoch: 99 },
            ..far
        };
        let foreign = Hello {
            cluster: "other".to_owned(),
            ..hello()
        };
        let mut frame = Vec::new();
        foreign.write(from, &mut frame);
        group.engine(1).handle_datagram(at, address(9), &frame);
        frame.clear();
        request().write(from, &mut frame);
        group.engine(1).handle_datagram(at, address(9), &frame);
        frame.clear();
        Format::Flat40.write(&udp(7), &Prefix::WELL_KNOWN, &mut frame);
        Data::write(from, 1, &[0], &mut frame);
        group.engine(1).handle_datagram(at, address(9), &frame);
    }
    group.run(1);
    let after = group.engine(1).status(at);
    assert_eq!(
        (before.peers.len(), before.node),
        (after.peers.len(), after.node)
    );
    assert!(after.namesake.is_none() && !group.has(1, &udp(7)) && !group.has(2, &udp(7)));
    assert!(
        after.peers.iter().all(|peer| peer.present),
        "{:?}",
        after.peers
    );
}

#[test]
fn what_a_stock_peer_told_is_announced_when_its_own_jool_goes_on_with_it() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let (at, mut run) = (group.at(), Vec::new());
    Format::Flat40.write(&udp(1), &Prefix::WELL_KNOWN, &mut run);
    group.engine(1).handle_datagram(at, address(9), &run);
    assert!(group.has(1, &udp(1)));
    group.run(1_000);
    assert!(!group.has(2, &udp(1)));
    group.local(1, &[udp(1)]);
    group.run(100);
    assert!(group.has(2, &udp(1)));
}

fn tcp(state: TcpState, timer: Timer) -> Session {
    let mut session = udp(1);
    session.id.protocol = Protocol::Tcp;
    let lifetime = Timeouts::default().of(Protocol::Tcp, timer);
    Session {
        state,
        timer,
        lifetime,
        ..session
    }
}

#[test]
fn what_a_node_says_after_it_heard_of_a_session_is_later_whatever_its_clock_says() {
    let established = tcp(TcpState::Established, Timer::Established);
    let reset = tcp(TcpState::Trans, Timer::Transitory);
    for (first, second) in [
        (1, 1),
        (1, 1 << 40),
        (1 << 40, 1),
        (u64::MAX - 2_100, 1 << 40),
    ] {
        let mut group = Group::new(&[]);
        for (node, epoch) in [(1, first), (2, second)] {
            let settings = Settings {
                epoch,
                ..Settings::default()
            };
            group.add(node, "4.1.13", settings);
        }
        group.run(2000);
        for _ in 0..3 {
            // Translated here, and a moment later there: a failover.
            group.local(1, &[established]);
            group.run(2);
            group.local(2, &[reset]);
            group.run(20);
            let id = established.id;
            assert_eq!(group.knows(1, &id), Some((reset.state, reset.timer)));
            assert_eq!(group.knows(2, &id), Some((reset.state, reset.timer)));
            assert_eq!(group.told[0].last().map(|it| it.state), Some(reset.state));
        }
        assert_eq!(
            (group.state(1), group.state(2)),
            (State::Synced, State::Synced)
        );
    }
}

#[test]
fn two_that_were_cut_off_from_one_another_agree_on_who_was_last() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    let reset = tcp(TcpState::Trans, Timer::Transitory);
    let other = Session {
        id: Identity {
            src4_port: 7,
            src6_port: 7,
            ..established.id
        },
        ..established
    };
    group.deaf = vec![1, 2];
    group.local(1, &[established]);
    group.local(
        2,
        &[Session {
            id: other.id,
            ..reset
        }],
    );
    group.run(5);
    group.local(2, &[reset]);
    group.local(1, &[other]);
    group.run(2000);
    group.deaf.clear();
    group.run(5000);
    for node in [1, 2] {
        assert_eq!(
            group.knows(node, &reset.id).map(|it| it.0),
            Some(TcpState::Trans)
        );
        assert_eq!(
            group.knows(node, &other.id).map(|it| it.0),
            Some(TcpState::Established)
        );
    }
}

#[test]
fn a_timeout_that_was_lowered_makes_no_old_record_a_new_one() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    let closing = tcp(TcpState::V4FinRcv, Timer::Established);
    group.local(1, &[established]);
    group.run(1000);
    let mut instance = instance("4.1.13");
    instance.timeouts.tcp_established = 600_000;
    let at = group.at();
    for node in [1, 2] {
        group.engine(node).handle_attached(at, &instance);
    }
    group.run(1000);
    let lifetime = instance.timeouts.tcp_established;
    group.local(
        2,
        &[Session {
            lifetime,
            ..closing
        }],
    );
    group.run(1000);
    for node in [1, 2] {
        let state = group.knows(node, &closing.id).map(|it| it.0);
        assert_eq!(state, Some(closing.state));
    }
    assert!(group.told[0].iter().all(|it| it.lifetime <= lifetime));
}

#[test]
fn what_waited_for_a_daemon_that_stood_still_is_not_later_than_what_others_say() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    let reset = tcp(TcpState::Trans, Timer::Transitory);
    group.run(1000);
    // Node 1's Jool said something, its daemon stood still, and the traffic moved to node 2.
    let mut stands_still = group.engines.remove(0);
    group.run(500);
    group.local(2, &[reset]);
    group.run(2_500);
    let mut run = Vec::new();
    Format::Flat40.write(&established, &Prefix::WELL_KNOWN, &mut run);
    stands_still.1.handle_local(group.at(), &run);
    group.engines.insert(0, stands_still);
    group.run(3_000);
    for node in [1, 2] {
        let state = group.knows(node, &reset.id).map(|it| it.0);
        assert_eq!(state, Some(reset.state), "node {node}");
    }
}

#[test]
fn frames_leave_room_for_what_is_put_around_them() {
    for overhead in [0, 64] {
        let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
        for node in [1, 2] {
            group.engine(node).set_overhead(overhead);
        }
        group.deaf = vec![2];
        group.local(1, &(0..200).map(udp).collect::<Vec<_>>());
        group.run(100);
        group.deaf.clear();
        group.run(1_000);
        assert_eq!(group.told[1].len(), 200, "what was missed is asked for");
        group.add(3, "4.1.13", Settings::default());
        group.engine(3).set_overhead(overhead);
        group.run(3_000);
        assert_eq!(group.told[2].len(), 200, "and so is a whole table");
        let at = group.at();
        group.engine(3).verify(at);
        group.run(20_000);
        // With less there would be room for another record of a replay.
        let longest = MAX_FRAME - overhead;
        assert!(
            (longest - 180..=longest).contains(&group.longest),
            "{}",
            group.longest
        );
    }
}
