//! What nobody noticed to be missing is found.

use super::*;

/// What the node found when it last compared what it has with the other one.
fn verified(group: &mut Group, node: u64) -> (u64, u64) {
    let at = group.at();
    group.engine(node).verify(at);
    group.run(1_000);
    let at = group.at();
    let status = group.engine(node).status(at);
    let verified = status.peers[0].verified.unwrap();
    (verified.sessions, verified.differed)
}

#[test]
fn nodes_that_have_the_same_agree() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    group.local(1, &many(300));
    group.run(20_000);
    for node in [1, 2] {
        assert_eq!(verified(&mut group, node), (300, 0));
        assert_eq!(group.state(node), State::Synced);
    }
}

#[test]
fn what_is_missing_or_in_another_state_unnoticed_is_taken_and_told_of() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    group.local(1, &many(300));
    group.local(1, &[established]);
    group.run(20_000);
    // What no fault of the network could do.
    let table = &mut group.engine(2).ledger.table;
    let lost = table.find(table.key(&udp(7).id), &udp(7).id).unwrap();
    table.remove(lost);
    let other = table.find(table.key(&established.id), &established.id);
    let other = table.get_mut(other.unwrap()).unwrap();
    (other.state, other.seq) = (TcpState::V6Init, other.seq - 1);
    assert_eq!(verified(&mut group, 1), (301, 0));
    assert!(!group.has(2, &udp(7)));
    assert_eq!(verified(&mut group, 2), (300, 2));
    assert!(group.has(2, &udp(7)));
    let state = group.knows(2, &established.id).map(|it| it.0);
    assert_eq!(state, Some(established.state));
    let told = group.told[1].iter().rev().take(2).map(|it| it.id);
    assert!(told.clone().any(|id| id == udp(7).id) && told.clone().any(|id| id == established.id));
    let mut events = std::iter::from_fn(|| group.engine(2).poll_event());
    assert!(events.any(|event| matches!(event, Event::Differed { sessions: 2, .. })));
    assert_eq!(verified(&mut group, 2), (301, 0));
}

/// How often a node has compared what it has with each of the others.
fn counts(group: &mut Group, node: u64) -> Vec<u64> {
    let at = group.at();
    let peers = group.engine(node).status(at).peers;
    let counts = peers
        .iter()
        .map(|peer| peer.verified.map_or(0, |it| it.count));
    counts.collect()
}

#[test]
fn a_node_that_does_not_answer_keeps_nobody_from_the_others_and_is_tried_again() {
    for silent in [2, 3] {
        let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13"), (3, "4.1.13")]);
        group.local(1, &many(10));
        group.run(20_000);
        group.deaf = vec![silent];
        let at = group.at();
        group.engine(1).verify(at);
        group.run(10_000);
        let mut expected = vec![1, 1];
        expected[usize::try_from(silent).unwrap() - 2] = 0;
        assert_eq!(counts(&mut group, 1), expected);
        group.deaf.clear();
        group.run(10_000);
        assert_eq!(counts(&mut group, 1), [1, 1]);
    }
}

#[test]
fn a_node_that_never_answers_does_not_take_the_turn_of_the_others() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13"), (3, "4.1.13")]);
    group.local(1, &many(10));
    group.deaf = vec![2];
    // Two turns.
    group.run(620_000);
    assert_eq!(counts(&mut group, 1), [0, 1]);
}

#[test]
fn a_node_compares_only_when_it_has_joined_and_waits_for_who_has_not() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    group.local(1, &many(10));
    group.run(20_000);
    group.add(3, "4.1.13", Settings::default());
    group.run(1);
    assert!(group.engine(3).may_verify().is_err());
    assert!(group.engine(1).may_verify().is_ok());
    let at = group.at();
    for node in [1, 3] {
        group.engine(node).verify(at);
    }
    group.run(10_000);
    assert!(group.engine(3).may_verify().is_ok());
    for node in [1, 3] {
        assert_eq!(counts(&mut group, node), [1, 1], "node {node}");
    }
}

#[test]
fn what_a_donor_had_let_go_comes_from_who_kept_it() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13"), (3, "4.1.13")]);
    let established = tcp(TcpState::Established, Timer::Established);
    // Node 2 lets go what node 1 announces, node 3 does not hear it and reads the table of node 2.
    let mut short = instance("4.1.13");
    short.timeouts.tcp_established = 20_000;
    let at = group.at();
    group.engine(2).handle_attached(at, &short);
    group.deaf = vec![3];
    group.local(1, &[established]);
    group.run(35_000);
    let at = group.at();
    group.engine(2).handle_attached(at, &instance("4.1.13"));
    group.deaf.clear();
    group.mute = vec![1];
    group.run(5_000);
    assert!(!group.has(2, &established) && !group.has(3, &established));
    group.mute.clear();
    // Every five minutes it is compared with one of them.
    group.run(700_000);
    for node in [1, 2, 3] {
        assert!(group.has(node, &established), "node {node}");
    }
}

#[test]
fn sums_are_made_for_one_at_a_time_and_only_for_who_has_heard_us() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    group.local(1, &many(10));
    group.run(20_000);
    let (at, mut frame) = (group.at(), Vec::new());
    let (own, asker) = (group.engine(1).group.own, group.engine(2).group.own);
    let from = Sender {
        log: asker,
        ..FROM_A
    };
    let proof = group.engine(1).answers.proof;
    for (proof, frames) in [(!proof, 0), (proof, 3)] {
        let request = Request {
            to: own,
            proof,
            space: Space::Sums,
            length: 1_452,
            ..request()
        };
        frame.clear();
        request.write(from, &mut frame);
        let engine = group.engine(1);
        engine.handle_datagram(at, address(2), &frame);
        engine.handle_timeout(at);
        let mut count = 0;
        while engine.poll_transmit(at, &mut frame).is_some() {
            let content = Frame::parse(&frame).map(|frame| frame.content);
            count += usize::from(matches!(content, Ok(Content::Sums(_))));
        }
        assert_eq!(count, frames);
    }
}
