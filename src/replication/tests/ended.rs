//! What ended unseen ends, and nothing else does.

use super::*;

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
    group.run(15_000);
    assert_eq!(group.ended(1), 1);
    group.deaf.clear();
    group.run(3_000);
    // It ends in Jool, too, and as one that is over.
    let told = group.told[1].last().copied();
    assert_eq!(
        told.map(|it| (it.id, it.state, it.lifetime)),
        Some((closed.id, closed.state, 1))
    );
    let mut events = std::iter::from_fn(|| group.engine(2).poll_event());
    assert!(events.any(|event| matches!(event, Event::Ended { sessions: 1, .. })));
    group.run(15_000);
    assert!(!group.has(2, &established) && !group.has(1, &established));
    assert!(group.has(1, &other) && group.has(2, &other));
    // Nobody needs to know any more.
    assert_eq!((group.ended(1), group.ended(2)), (0, 0));
}

#[test]
fn what_ends_before_jool_could_be_told_of_its_end_ends_there_too() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    let closed = tcp(TcpState::V4FinV6FinRcv, Timer::Transitory);
    group.local(1, &[established]);
    group.run(1000);
    group.busy = vec![2];
    group.local(1, &[closed]);
    // Until after the table was looked through for what has expired.
    group.run(u64::from(closed.lifetime) + 15_000);
    group.busy.clear();
    group.run(100);
    let told = group.told[1].last().copied().unwrap();
    assert_eq!((told.id, told.state), (closed.id, closed.state));
    assert_eq!(told.lifetime, 1);
    group.run(15_000);
    assert_eq!(group.engine(2).ledger.table.len(), 0);
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
