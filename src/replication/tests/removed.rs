//! What an operator takes out of a Jool, and what a Jool does not take.

use super::*;

/// A comparison, and what comes of it.
fn compare(group: &mut Group, node: u64) {
    group.engine(node).resync();
    group.run(1_000);
}

fn removals(group: &mut Group, node: u64) -> Vec<u64> {
    let events = std::iter::from_fn(|| group.engine(node).poll_event());
    let removed = events.filter_map(|event| match event {
        Event::Removed { sessions } => Some(sessions),
        _ => None,
    });
    removed.collect()
}

#[test]
fn what_is_removed_where_it_was_translated_ends_everywhere() {
    for session in [
        udp(1),
        tcp(TcpState::Established, Timer::Established),
        tcp(TcpState::V4FinV6FinRcv, Timer::Transitory),
    ] {
        let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13"), (3, "4.1.9")]);
        group.local(1, &[session, udp(2)]);
        group.run(1_000);
        assert!(group.has(2, &session) && group.table(2).contains_key(&session.id));
        group.table(1).remove(&session.id);
        compare(&mut group, 1);
        assert_eq!(removals(&mut group, 1), [1], "{session:?}");
        for node in [1, 2, 3] {
            assert!(
                !group.has(node, &session) && group.has(node, &udp(2)),
                "{node}: {session:?}"
            );
            compare(&mut group, node);
            assert!(
                !group.table(node).contains_key(&session.id),
                "{node}: {session:?}"
            );
            assert!(group.table(node).contains_key(&udp(2).id), "{node}");
        }
        assert_eq!(group.engine(1).counters().removed, 1);
        // It may be opened again at once.
        group.local(1, &[session]);
        group.run(1_000);
        compare(&mut group, 2);
        assert!(group.has(2, &session) && group.table(2).contains_key(&session.id));
    }
}

#[test]
fn what_is_removed_elsewhere_is_given_again() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    group.local(1, &[udp(1)]);
    group.run(1_000);
    compare(&mut group, 2);
    group.table(2).clear();
    compare(&mut group, 2);
    assert!(group.table(2).contains_key(&udp(1).id));
    assert!(removals(&mut group, 2).is_empty() && group.has(1, &udp(1)));
}

#[test]
fn another_instance_is_given_everything() {
    for detaches in [false, true] {
        let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
        group.local(1, &many(20));
        group.run(1_000);
        group.table(1).clear();
        let at = group.at();
        if detaches {
            group.engine(1).handle_detached(at);
            group.engine(1).handle_attached(at, &instance("4.1.13"));
        } else {
            group.engine(1).handle_replaced();
        }
        group.run(1_000);
        assert_eq!(group.table(1).len(), 20, "{detaches}");
        // It is the one that it was from then on.
        group.table(1).remove(&udp(3).id);
        compare(&mut group, 1);
        assert!(group.has(1, &udp(3)), "nobody translated it since");
        group.local(1, &[udp(4)]);
        group.run(100);
        group.table(1).remove(&udp(4).id);
        compare(&mut group, 1);
        assert!(!group.has(1, &udp(4)) && !group.has(2, &udp(4)));
    }
}

#[test]
fn what_a_jool_does_not_take_is_told_of_and_no_reason_to_be_unfit() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    group.local(1, &[udp(1), udp(2)]);
    group.run(1_000);
    let refused = udp(1).id;
    // Two comparisons: it might only have been lost once.
    for _ in 0..2 {
        group.table(2).remove(&refused);
        group.engine(2).resync();
        group.run(1);
        group.table(2).remove(&refused);
    }
    group.run(3_000);
    assert_eq!(group.engine(2).unexplained(), Some(refused));
    let other = Client {
        address: "2001:db8::77".parse().unwrap(),
        port: 7,
        is_static: true,
    };
    group.engine(2).explain(refused, Some(other));
    let at = group.at();
    let status = group.engine(2).status(at);
    let reasons = status.reasons.join("; ");
    for part in ["does not take 1 session of", "2001:db8::77#7", "static BIB"] {
        assert!(reasons.contains(part), "{reasons}");
    }
    assert_eq!(status.state, State::Degraded);
    assert!(status.fitness.is_fit());
    let told = std::iter::from_fn(|| group.engine(2).poll_event());
    let told: Vec<_> = told
        .filter(|event| matches!(event, Event::NotTaken(_)))
        .collect();
    assert_eq!(told, [Event::NotTaken(reasons)]);
    // An operator mends it.
    compare(&mut group, 2);
    compare(&mut group, 2);
    let at = group.at();
    assert!(group.engine(2).status(at).reasons.is_empty());
    let mut told = std::iter::from_fn(|| group.engine(2).poll_event());
    assert!(told.any(|event| event == Event::NotTaken(String::new())));
}

#[test]
fn what_a_reading_left_out_or_another_instance_lacks_was_not_removed() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    group.local(1, &many(20));
    group.run(1_000);
    compare(&mut group, 1);
    // As many packets as before, and no sessions: that may be another instance.
    group.table(1).clear();
    let at = group.at();
    group.engine(1).handle_fewer(at, 0);
    group.run(1_000);
    assert_eq!(group.table(1).len(), 20);
    group.local(1, &many(20));
    group.table(1).remove(&udp(3).id);
    group.engine(1).handle_left_out();
    compare(&mut group, 1);
    assert!(group.has(2, &udp(3)) && group.table(1).contains_key(&udp(3).id));
    assert!(removals(&mut group, 1).is_empty());
}

#[test]
fn what_went_with_a_pool4_was_removed() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    group.local(1, &many(20));
    group.run(1_000);
    compare(&mut group, 1);
    let without = Instance {
        pool4: Pool4::default(),
        ..instance("4.1.13")
    };
    group.table(1).clear();
    let at = group.at();
    group.engine(1).handle_attached(at, &without);
    group.engine(1).handle_fewer(at, 0);
    group.run(1_000);
    assert_eq!(removals(&mut group, 1), [20]);
    for node in [1, 2] {
        assert!(many(20).iter().all(|it| !group.has(node, it)), "{node}");
    }
    // From then on, whatever is missing at once may be missing since it is another instance.
    let at = group.at();
    group.engine(1).handle_attached(at, &instance("4.1.13"));
    group.local(1, &many(20));
    group.run(1_000);
    compare(&mut group, 1);
    group.table(1).clear();
    let at = group.at();
    group.engine(1).handle_fewer(at, 0);
    group.run(1_000);
    assert_eq!(group.table(1).len(), 20);
}

#[test]
fn what_is_about_to_end_is_not_refused() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let brief = Session {
        lifetime: 900,
        ..udp(1)
    };
    group.local(1, &[brief, udp(2)]);
    group.run(50);
    for _ in 0..3 {
        group.table(2).remove(&brief.id);
        group.engine(2).resync();
        group.run(50);
    }
    let at = group.at();
    assert!(group.engine(2).status(at).reasons.is_empty());
}

#[test]
fn what_waits_for_a_pool4_is_not_refused() {
    let mut group = Group::new(&[(1, "4.1.13"), (2, "4.1.13")]);
    let without = Instance {
        pool4: Pool4::default(),
        ..instance("4.1.13")
    };
    let at = group.at();
    group.engine(2).handle_attached(at, &without);
    group.local(1, &many(5));
    for _ in 0..3 {
        compare(&mut group, 2);
    }
    let at = group.at();
    let status = group.engine(2).status(at);
    assert!(
        group.table(2).is_empty() && status.reasons.is_empty(),
        "{status:?}"
    );
    group.engine(2).handle_attached(at, &instance("4.1.13"));
    group.run(1_000);
    assert_eq!(group.table(2).len(), 5);
}
