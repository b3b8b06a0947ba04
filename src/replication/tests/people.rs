//! What people are told of nodes that hardly differ, or are none.

use super::*;

/// Every event of a node since the last look.
fn events(group: &mut Group, node: u64) -> Vec<Event> {
    std::iter::from_fn(|| group.engine(node).poll_event()).collect()
}

fn status(group: &mut Group, node: u64) -> Status {
    let at = group.at();
    group.engine(node).status(at)
}

fn named(name: &str) -> Settings {
    Settings {
        name: name.to_owned(),
        ..Settings::default()
    }
}

/// A node that says hello to another for a while, four times a second.
fn says_hello(group: &mut Group, to: u64, from: Sender, address: SocketAddr, hello: &Hello) {
    for _ in 0..12 {
        let (at, mut frame) = (group.at(), Vec::new());
        hello.write(from, &mut frame);
        group.engine(to).handle_datagram(at, address, &frame);
        group.run(250);
    }
}

#[test]
fn two_nodes_of_one_number_that_were_started_in_the_same_millisecond_find_each_other() {
    let mut group = Group::new(&[(1, "4.1.13")]);
    let log = group.engine(1).group.own;
    let proof = group.engine(1).answers.proof;
    let sender = Sender { log, ..FROM_A };
    for (proof, is_another) in [(proof, false), (!proof, true)] {
        let hello = Hello { proof, ..hello() };
        says_hello(&mut group, 1, sender, address(9), &hello);
        let told = events(&mut group, 1).contains(&Event::Namesake(address(9)));
        assert_eq!(told, is_another);
        assert_eq!(status(&mut group, 1).namesake.is_some(), is_another);
    }
    assert_eq!(group.state(1), State::Degraded);
}

#[test]
fn nodes_of_one_name_are_told_of_once_and_of_two_names_never() {
    let mut group = Group::new(&[]);
    for (node, name) in [(1, "a"), (2, "a"), (3, "c")] {
        group.add(node, "4.1.13", named(name));
    }
    group.run(10_000);
    for node in [1, 2] {
        let other = 3 - node;
        let shared = Event::NameShared {
            name: "a".to_owned(),
            address: address(other),
        };
        let events = events(&mut group, node);
        let shared = events.iter().filter(|event| **event == shared);
        assert_eq!(shared.count(), 1);
    }
    let shared = |event: &Event| matches!(event, Event::NameShared { .. });
    assert_eq!(
        events(&mut group, 3).iter().filter(|it| shared(it)).count(),
        2
    );
    let mut peers = status(&mut group, 3).peers.into_iter();
    assert!(peers.all(|peer| peer.shares_name));
    let peers = status(&mut group, 1).peers;
    let shares = peers
        .iter()
        .map(|peer| (peer.name.as_str(), peer.shares_name));
    assert_eq!(shares.collect::<Vec<_>>(), [("a", true), ("c", false)]);
}

#[test]
fn a_node_that_comes_back_under_another_number_is_told_of_and_leaves_no_twin() {
    let mut group = Group::new(&[]);
    group.add(1, "4.1.13", named("a"));
    group.run(3_000);
    let hello = Hello {
        name: "b".to_owned(),
        ..hello()
    };
    for node in [7, 8] {
        let log = LogKey { node, epoch: node };
        let sender = Sender { log, ..FROM_A };
        says_hello(&mut group, 1, sender, address(9), &hello);
    }
    let events = events(&mut group, 1);
    let renumbered = Event::Renumbered {
        name: "b".to_owned(),
        address: address(9),
    };
    assert_eq!(
        events.iter().filter(|event| **event == renumbered).count(),
        1
    );
    let shared = |event: &Event| matches!(event, Event::NameShared { .. });
    assert!(!events.iter().any(shared));
    let peers = status(&mut group, 1).peers;
    let there = peers.iter().map(|peer| (peer.name.as_str(), peer.present));
    assert_eq!(there.collect::<Vec<_>>(), [("b", true)]);
}

#[test]
fn a_node_whose_only_peer_has_no_jool_is_alone() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let shown = |group: &mut Group| group.engine(1).shown_state();
    assert_eq!(shown(&mut group), State::Synced);
    let at = group.at();
    group.engine(2).handle_detached(at);
    // It may only be removed and added again.
    group.run(500);
    assert_eq!(shown(&mut group), State::Synced);
    group.run(3_000);
    assert_eq!(shown(&mut group), State::Alone);
    assert!(status(&mut group, 1).failover.is_err());
    let at = group.at();
    group.engine(2).handle_attached(at, &instance("4.1.13"));
    group.run(5_000);
    assert_eq!(shown(&mut group), State::Synced);
}

#[test]
fn sessions_that_have_expired_are_not_counted_for_long() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let short = many(2_000).into_iter().map(|session| Session {
        lifetime: 2_000,
        ..session
    });
    group.local(1, &short.collect::<Vec<_>>());
    group.run(1_000);
    assert_eq!(status(&mut group, 2).sessions, 2_000);
    group.run(1_600);
    for node in [1, 2] {
        assert_eq!(status(&mut group, node).sessions, 0);
    }
}

#[test]
fn whatever_comes_from_a_node_is_counted_as_its() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let peer = status(&mut group, 1).peers.remove(0);
    assert!(peer.datagrams > 0 && peer.records == 0, "{peer:?}");
}

#[test]
fn a_sender_of_garbage_is_no_stock_peer() {
    let mut group = Group::new(&[(1, "4.1.13")]);
    let at = group.at();
    for garbage in [
        &b"GET / HTTP/1.0\r\n"[..],
        b"x",
        b"",
        b"\x08\x00\x01\x80abcd",
    ] {
        group.engine(1).handle_datagram(at, address(9), garbage);
    }
    assert!(status(&mut group, 1).peers.is_empty());
    let mut run = Vec::new();
    Format::Flat40.write(&udp(1), &Prefix::WELL_KNOWN, &mut run);
    group.engine(1).handle_datagram(at, address(9), &run);
    let peers = status(&mut group, 1).peers;
    assert_eq!((peers[0].kind, peers[0].records), (Kind::Stock, 1));
}

#[test]
fn a_peer_that_does_not_hear_this_node_is_no_successor_and_is_shown_as_such() {
    let mut group = Group::new(&[]);
    group.deaf.push(2);
    group.add(1, "4.1.13", Settings::default());
    group.add(2, "4.1.13", Settings::default());
    group.run(5_000);
    let status = |group: &mut Group| status(group, 1);
    assert!(!status(&mut group).peers[0].hears_us);
    let reason = status(&mut group).failover.unwrap_err();
    assert!(reason.contains("does not hear this node"), "{reason}");
    group.deaf.clear();
    group.run(5_000);
    assert!(status(&mut group).peers[0].hears_us);
    assert!(status(&mut group).failover.is_ok());
}
