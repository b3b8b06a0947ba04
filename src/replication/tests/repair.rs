//! What is missing comes from whoever has it.

use super::*;

#[test]
fn the_answer_to_one_request_is_bounded() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    group.local(1, &many(20_000));
    group.run(100);
    let (at, mut frame, mut frames) = (group.at(), Vec::new(), 0);
    let from = Sender {
        log: group.engine(2).group.own,
        ..FROM_A
    };
    let to = group.engine(1).group.own;
    let request = Request {
        to,
        proof: group.engine(1).answers.proof,
        frames: 64,
        ranges: vec![(0, 1 << 32); 16],
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
    let (asker, donor) = (group.engine(2).group.own, group.engine(1).group.own);
    let request = Request {
        to: donor,
        proof: group.engine(1).answers.proof,
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
            assert_eq!(replay.head.covers, (1, 1));
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
    assert!(group.engine(1).own_log.last() > store::RING);
    group.deaf.clear();
    group.run(10_000);
    assert_eq!(group.state(2), State::Synced);
    assert_eq!(group.engine(2).ledger.table.len(), 80_000);
    assert!(group.engine(2).counters().transfers > 0);
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
fn what_our_own_jool_has_is_not_told_to_it_again_after_a_restart_of_the_daemon() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    group.local(1, &many(3000));
    group.run(5_000);
    group.engines.remove(0);
    group.told.remove(0);
    group.run(1_000);
    group.add(1, "4.1.13", Settings::default());
    // What the other knows comes before our own Jool's table has been read.
    let at = group.at();
    group.engine(1).begin_audit(at);
    group.run(3_000);
    assert_eq!(group.engine(1).ledger.table.len(), 3000);
    let at = group.at();
    for session in many(3000) {
        let lifetime = session.lifetime - 9_000;
        let session = Session {
            lifetime,
            ..session
        };
        group.engine(1).handle_dumped(at, &session);
    }
    group.engine(1).end_audit(true);
    group.run(3_000);
    assert_eq!(group.state(1), State::Synced);
    assert_eq!(group.told[1], []);
}
