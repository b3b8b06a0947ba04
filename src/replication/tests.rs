//! What a simulation hardly proves.

use super::frame::tests::{FROM_A, hello, request};
use super::frame::{Content, Frame, Hello, Space};
use super::*;
use crate::jool::Version;
use crate::session::tests::udp;
use crate::session::{Identity, Protocol, Session, State as TcpState, Timeouts, Timer};
use proptest::prelude::*;

fn instance(version: &str) -> Instance {
    let version = Version::supported(version).unwrap();
    Instance {
        name: "default".to_owned(),
        version,
        format: version.format(),
        pool6: Prefix::WELL_KNOWN,
        pool4: Pool4::default(),
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
    /// The datagrams with records, of whom.
    data: Vec<(u64, Vec<u8>)>,
    /// Whose datagrams are lost.
    mute: Vec<u64>,
    /// Who hears nothing.
    deaf: Vec<u64>,
}

impl Group {
    fn new(nodes: &[(u64, &str)]) -> Self {
        let mut group = Self {
            start: Instant::now(),
            now: 0,
            engines: Vec::new(),
            told: Vec::new(),
            data: Vec::new(),
            mute: Vec::new(),
            deaf: Vec::new(),
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
        }
        self.engine(node).handle_local(at, &run);
    }

    fn run(&mut self, milliseconds: u64) {
        let (mut buffer, end) = (Vec::new(), self.now + milliseconds);
        while self.now < end {
            let at = self.at();
            let mut sent = Vec::new();
            for ((node, engine), told) in self.engines.iter_mut().zip(&mut self.told) {
                if engine.wants_audit() {
                    engine.begin_audit(at);
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
                while engine.poll_inject(at, &mut buffer) {
                    parse_run(&buffer, &Prefix::WELL_KNOWN, |it| told.push(it.unwrap()));
                }
            }
            for (from, datagram) in sent {
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

    /// What a node knows of a session.
    fn knows(&mut self, node: u64, id: &Identity) -> Option<(TcpState, Timer)> {
        let table = &self.engine(node).ledger.table;
        let entry = table.get(table.find(table.key(id), id)?)?;
        Some((entry.state, entry.timer))
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
            let mut datagram = b"\xff\xffjd\x01".to_vec();
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
fn the_answer_to_one_request_is_bounded() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    group.local(1, &many(20_000));
    group.run(100);
    let (at, mut frame, mut frames) = (group.at(), Vec::new(), 0);
    let from = Sender {
        log: group.engine(2).own,
        ..FROM_A
    };
    let to = group.engine(1).own;
    let request = Request {
        to,
        ranges: vec![(0, 1 << 32); 32],
        since: Vec::new(),
        ..request()
    };
    request.write(from, &mut frame);
    group.engine(1).handle_datagram(at, address(2), &frame);
    while group.engine(1).poll_transmit(at, &mut frame).is_some() {
        frames += 1;
    }
    assert!(frames <= 65, "{frames}");
}

#[test]
fn a_place_that_a_session_has_left_is_answered_with_where_it_is() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let states = [
        (TcpState::V6Init, Timer::Transitory),
        (TcpState::Established, Timer::Established),
    ];
    for (state, timer) in states {
        group.local(1, &[tcp(state, timer)]);
        group.run(10);
    }
    let (at, mut frame) = (group.at(), Vec::new());
    let (asker, donor) = (group.engine(2).own, group.engine(1).own);
    let request = Request {
        to: donor,
        space: Space::Log,
        ranges: vec![(1, 1)],
        since: Vec::new(),
        ..request()
    };
    let from = Sender {
        log: asker,
        ..FROM_A
    };
    request.write(from, &mut frame);
    group.engine(1).handle_datagram(at, address(2), &frame);
    let mut answers = Vec::new();
    while group.engine(1).poll_transmit(at, &mut frame).is_some() {
        if let Ok(Content::Replay(replay)) = Frame::parse(&frame).map(|it| it.content) {
            assert_eq!(replay.covers, (1, 1));
            answers.extend(replay.records().map(Result::unwrap));
        }
    }
    let places: Vec<_> = answers
        .iter()
        .map(|it| (it.place, it.session.state))
        .collect();
    assert_eq!(places, [(Some((donor, 2)), TcpState::Established)]);
}

#[test]
fn who_catches_up_from_a_node_that_lacks_something_says_so_and_asks_others() {
    for has_another in [false, true] {
        let mut group = Group::new(&[(1, "4.1.13"), (3, "4.1.13"), (4, "4.1.13")]);
        if has_another {
            group.add(2, "4.1.13", Settings::default());
        }
        let mut short = instance("4.1.13");
        short.timeouts.udp = 20_000;
        let at = group.at();
        group.engine(4).handle_attached(at, &short);
        group.deaf = vec![3];
        group.local(1, &many(10));
        group.run(25_000);
        let at = group.at();
        group.engine(4).handle_attached(at, &instance("4.1.13"));
        group.deaf.clear();
        group.mute = vec![1];
        group.run(10_000);
        assert!(!group.has(4, &udp(1)));
        assert_eq!(group.has(3, &udp(1)), has_another);
        let at = group.at();
        let mut lack = |node| {
            let engine = group.engine(node);
            let now = engine.clock(at);
            engine.lacks_for(now)
        };
        assert!(has_another || (lack(3) > 0 && lack(3) <= lack(4)));
    }
}

#[test]
fn what_was_skipped_is_read_as_soon_as_somebody_has_it() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13"), (3, "4.1.13"), (4, "4.1.13")]);
    // Node 2 lets go what node 1 announces, nodes 3 and 4 do not hear it, and node 1 is out of reach.
    let mut short = instance("4.1.13");
    short.timeouts.udp = 20_000;
    let at = group.at();
    group.engine(2).handle_attached(at, &short);
    group.deaf = vec![3, 4];
    group.local(1, &many(10));
    group.run(25_000);
    let at = group.at();
    group.engine(2).handle_attached(at, &instance("4.1.13"));
    group.deaf.clear();
    group.mute = vec![1];
    group.run(5_000);
    for node in [3, 4] {
        assert!(!group.has(node, &udp(1)));
        assert_eq!(group.state(node), State::Synced);
    }
    group.mute.clear();
    group.run(2_000);
    for session in many(10) {
        assert!(group.has(3, &session) && group.has(4, &session));
    }
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

#[test]
fn a_forged_end_of_a_log_is_not_looked_for_without_end() {
    for forged_by_data in [false, true] {
        let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13"), (3, "4.1.13")]);
        group.local(1, &many(10));
        group.run(1_000);
        let (at, mut frame) = (group.at(), Vec::new());
        let now = group.engine(1).clock(at);
        let from = group.engine(1).sender(now);
        if forged_by_data {
            Format::Flat40.write(&udp(1), &Prefix::WELL_KNOWN, &mut frame);
            Data::write(from, (1 << 48) - 1, &[0], &mut frame);
        } else {
            let last = 1 << 48;
            Hello { last, ..hello() }.write(from, &mut frame);
        }
        group.engine(2).handle_datagram(at, address(1), &frame);
        assert_eq!(group.state(2), State::Degraded);
        group.run(5_000);
        let counters = *group.engine(2).counters();
        assert_eq!(group.state(2), State::Synced);
        assert!(counters.sent_requests < 100, "{counters:?}");
        // The others still read what it says.
        assert_eq!(group.state(3), State::Synced);
        assert_eq!(group.engine(3).counters().malformed_frames, 0);
        group.deaf.push(3);
        group.local(1, &many(20));
        group.run(100);
        group.deaf.clear();
        group.run(1_000);
        assert!(group.has(2, &udp(20)) && group.has(3, &udp(20)));
    }
}

#[test]
fn the_tail_of_a_dead_node_comes_from_a_third_one() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13"), (3, "4.1.13")]);
    group.deaf.push(3);
    group.local(1, &many(10));
    group.run(20);
    group.deaf.clear();
    group.mute.push(1);
    assert!(group.has(2, &udp(1)) && !group.has(3, &udp(1)));
    group.run(3000);
    for session in many(10) {
        assert!(group.has(3, &session));
    }
    assert_eq!(group.state(3), State::Synced);
}

#[test]
fn what_two_nodes_have_in_pieces_of_a_dead_one_both_have_in_the_end() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13"), (3, "4.1.13")]);
    for (session, deaf) in [(1, vec![2, 3]), (2, vec![3]), (3, vec![2])] {
        group.deaf = deaf;
        group.local(1, &[udp(session)]);
        group.run(2);
    }
    group.deaf.clear();
    group.mute.push(1);
    group.run(8000);
    for node in [2, 3] {
        assert!(group.has(node, &udp(2)) && group.has(node, &udp(3)));
        assert_eq!(group.engine(node).counters().lost_records, 1);
        assert_eq!(group.state(node), State::Synced);
    }
    // A node that comes later is told of no loss that is none of its own.
    group.add(4, "4.1.13", Settings::default());
    group.run(2000);
    assert!(group.has(4, &udp(2)) && group.has(4, &udp(3)));
    assert_eq!(group.state(4), State::Synced);
    let events = std::iter::from_fn(|| group.engine(4).poll_event());
    assert!(
        !events
            .into_iter()
            .any(|event| matches!(event, Event::Lost { .. }))
    );
}

#[test]
fn what_is_too_old_for_the_ring_comes_from_the_table() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    group.deaf.push(2);
    for round in 0..4_u32 {
        let sessions: Vec<_> = (1..=20_000_u16)
            .map(|port| {
                let mut session = udp(port);
                session.id.src6_port = u16::try_from(round + 1).unwrap();
                session
            })
            .collect();
        group.local(1, &sessions);
        group.run(100);
    }
    assert!(group.engine(1).ring.last() > logs::RING);
    group.deaf.clear();
    group.run(10_000);
    assert_eq!(group.state(2), State::Synced);
    assert_eq!(group.engine(2).ledger.table.len(), 80_000);
    assert!(group.engine(2).counters().transfers > 0);
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
fn what_ended_while_a_node_was_cut_off_ends_there_too() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    let closed = tcp(TcpState::V4FinV6FinRcv, Timer::Transitory);
    let other = udp(1);
    group.local(1, &[established, other]);
    group.run(1000);
    assert!(group.has(2, &established) && group.has(2, &other));
    group.deaf = vec![1, 2];
    group.local(1, &[closed]);
    group.run(u64::from(closed.lifetime) + 1_000);
    assert!(!group.has(1, &closed) && group.has(2, &established));
    group.deaf.clear();
    group.run(3_000);
    // It ends in Jool, too, and as one that is over.
    let told = group.told[1].last().copied();
    assert_eq!(
        told.map(|it| (it.id, it.state)),
        Some((closed.id, TcpState::Trans))
    );
    let mut events = std::iter::from_fn(|| group.engine(2).poll_event());
    assert!(events.any(|event| matches!(event, Event::Ended { sessions: 1, .. })));
    group.run(15_000);
    assert!(!group.has(2, &established) && !group.has(1, &established));
    assert!(group.has(1, &other) && group.has(2, &other));
}

#[test]
fn what_ended_ends_at_a_node_that_joined_one_that_had_missed_it() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    let closed = tcp(TcpState::V4FinV6FinRcv, Timer::Transitory);
    group.local(1, &[established]);
    group.run(1000);
    (group.mute, group.deaf) = (vec![1], vec![1]);
    group.local(1, &[closed]);
    group.run(u64::from(closed.lifetime));
    // Just before they hear node 1 again.
    group.add(3, "4.1.13", Settings::default());
    group.run(500);
    assert!(!group.has(1, &closed) && group.has(2, &established) && group.has(3, &established));
    (group.mute, group.deaf) = (Vec::new(), Vec::new());
    group.run(15_000);
    for node in [1, 2, 3] {
        assert!(!group.has(node, &closed), "node {node}");
    }
}

#[test]
fn what_moved_to_a_node_and_ended_there_ends_where_it_was_too() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    let closed = tcp(TcpState::V4FinV6FinRcv, Timer::Transitory);
    let (idle, busy) = (udp(1), udp(2));
    group.local(1, &[established, idle, busy]);
    group.run(1000);
    // What it says now is not announced, since nothing has changed.
    group.local(1, &[established, idle]);
    group.run(100);
    (group.mute, group.deaf) = (vec![1], vec![1]);
    group.local(2, &[closed]);
    group.run(u64::from(closed.lifetime) - 20_000);
    group.local(1, &[busy, udp(3)]);
    group.run(35_000);
    assert!(group.has(1, &established) && !group.has(2, &closed));
    (group.mute, group.deaf) = (Vec::new(), Vec::new());
    group.run(15_000);
    for node in [1, 2] {
        assert!(!group.has(node, &closed), "node {node}");
        for session in [idle, busy, udp(3)] {
            assert!(group.has(node, &session), "node {node}");
        }
    }
}

#[test]
fn what_a_node_with_shorter_timeouts_has_no_longer_has_not_ended() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    group.local(1, &[established]);
    group.run(1000);
    let mut short = instance("4.1.13");
    short.timeouts.tcp_established = 20_000;
    let at = group.at();
    group.engine(2).handle_attached(at, &short);
    group.run(35_000);
    assert!(group.has(1, &established) && !group.has(2, &established));
    let at = group.at();
    group.engine(2).handle_attached(at, &instance("4.1.13"));
    group.run(1000);
    for node in [1, 2] {
        group.engine(node).resync();
    }
    group.run(15_000);
    for node in [1, 2] {
        let state = group.knows(node, &established.id).map(|it| it.0);
        assert_eq!(state, Some(TcpState::Established), "node {node}");
    }
}

#[test]
fn what_a_degraded_donor_lacks_keeps_nobody_from_finding_what_has_ended() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    let closed = tcp(TcpState::V4FinV6FinRcv, Timer::Transitory);
    // Of what node 1 announced, node 2 hears only that there is something, and node 1 is gone.
    group.mute = vec![1];
    group.local(1, &[udp(1)]);
    group.run(100);
    group.mute.clear();
    while group.state(2) != State::Degraded {
        group.run(1);
    }
    group.mute = vec![1];
    group.deaf = vec![1];
    group.run(5_000);
    assert_eq!(group.state(2), State::Degraded);
    group.add(3, "4.1.13", Settings::default());
    group.run(2_000);
    group.local(3, &[established]);
    group.run(1_000);
    group.deaf = vec![1, 2];
    group.local(3, &[closed]);
    group.run(u64::from(closed.lifetime) + 1_000);
    assert!(group.has(2, &established) && !group.has(3, &closed));
    group.deaf = vec![1];
    group.run(25_000);
    assert!(!group.has(2, &established));
}

#[test]
fn a_donor_that_answers_again_is_asked_again() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    let closed = tcp(TcpState::V4FinV6FinRcv, Timer::Transitory);
    group.local(1, &[established]);
    group.run(1000);
    // Node 1 hears none of its questions.
    group.deaf = vec![1];
    group.engine(2).resync();
    group.run(4_000);
    group.deaf.clear();
    group.run(4_000);
    group.deaf = vec![1, 2];
    group.local(1, &[closed]);
    group.run(u64::from(closed.lifetime) + 1_000);
    group.deaf.clear();
    group.run(25_000);
    assert!(!group.has(1, &closed) && !group.has(2, &closed));
}

#[test]
fn a_session_is_told_again_as_it_was_announced() {
    let mut group = Group::new(&[(1, "4.1.13")]);
    group.local(1, &[udp(1)]);
    group.run(2_000);
    group.local(1, &[udp(1)]);
    group.run(1_000);
    group.add(2, "4.1.13", Settings::default());
    group.run(1_000);
    let left = group.told[1].last().map(|it| it.lifetime);
    assert!(left.is_some_and(|left| left <= udp(1).lifetime - 3_000));
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
