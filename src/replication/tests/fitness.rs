//! The verdict, as the engines of a group give it on one another.

use super::*;

fn group(nodes: &[u64]) -> Group {
    let mut group = Group::new(&[]);
    for node in nodes {
        add(&mut group, *node, Settings::default());
    }
    group.run(2000);
    group
}

fn add(group: &mut Group, node: u64, settings: Settings) {
    let at = group.at();
    let settings = Settings {
        node,
        epoch: settings.epoch + group.now,
        ..settings
    };
    let mut engine = Engine::new(at, settings);
    engine.handle_attached(at, &instance("4.1.13"));
    group.engines.push((node, engine));
    group.told.push(Vec::new());
    group.tables.push(BTreeMap::new());
}

fn fitness(group: &mut Group, node: u64) -> Fitness {
    group.engine(node).fitness()
}

fn status(group: &mut Group, node: u64) -> Status {
    let at = group.at();
    group.engine(node).status(at)
}

fn successors(group: &mut Group, node: u64) -> Vec<String> {
    let failover = status(group, node).failover;
    let successors = failover.unwrap_or_default().into_iter();
    successors.map(|who| who.name).collect()
}

fn name(node: u64) -> String {
    group::display_name("", node)
}

#[test]
fn nodes_that_start_together_are_fit_and_know_it_of_one_another() {
    let mut group = group(&[1, 2, 3]);
    for node in 1..=3 {
        assert_eq!(fitness(&mut group, node), Fitness::Synced);
        let status = status(&mut group, node);
        assert!(
            status
                .peers
                .iter()
                .all(|peer| peer.fitness == Some(Fitness::Synced))
        );
    }
    assert_eq!(successors(&mut group, 1), [name(2), name(3)]);
}

#[test]
fn a_peer_whose_jool_is_paused_or_has_no_pool4_could_not_take_over() {
    let mut paused = instance("4.1.13");
    paused.is_paused = true;
    let mut without_pool4 = instance("4.1.13");
    without_pool4.pool4 = Pool4::default();
    for (lacking, expected) in [(paused, Fitness::Paused), (without_pool4, Fitness::NoPool4)] {
        let mut group = group(&[1, 2]);
        let at = group.at();
        group.engine(2).handle_attached(at, &lacking);
        group.run(300);
        assert_eq!(fitness(&mut group, 2), expected);
        assert!(status(&mut group, 1).failover.is_err());
        assert_eq!(status(&mut group, 1).peers[0].fitness, Some(expected));
        let at = group.at();
        group.engine(2).handle_attached(at, &instance("4.1.13"));
        group.run(300);
        assert_eq!(fitness(&mut group, 2), Fitness::Synced);
        assert_eq!(successors(&mut group, 1), [name(2)]);
    }
}

#[test]
fn pools_that_differ_take_the_fitness_of_who_has_no_traffic() {
    let mut group = group(&[1, 2]);
    group.local(1, &many(50));
    group.run(300);
    let mut other = instance("4.1.13");
    other
        .pool4
        .add(Protocol::Udp, [203, 0, 113, 1].into(), 32, (1, 65535));
    let at = group.at();
    group.engine(2).handle_attached(at, &other);
    group.run(600);
    assert_eq!(fitness(&mut group, 1), Fitness::Serving);
    assert_eq!(fitness(&mut group, 2), Fitness::Differs);
    let reason = status(&mut group, 2).fitness_reason;
    assert_eq!(reason, format!("pool4 of {} is not as here", name(1)));
    assert!(status(&mut group, 1).failover.is_err());
    // An operator who knows better.
    for node in [1, 2] {
        let policy = Policy {
            accepted: vec![Difference::Pool4],
            ..Policy::default()
        };
        let at = group.at();
        group.engine(node).set_policy(at, policy);
    }
    group.run(600);
    assert_eq!(fitness(&mut group, 2), Fitness::Synced);
    assert_eq!(successors(&mut group, 1), [name(2)]);
}

#[test]
fn a_node_that_was_cut_off_and_emptied_yields_until_it_has_everything() {
    let mut group = group(&[1, 2]);
    group.local(1, &many(40));
    group.run(500);
    // Node 1 is cut off, its Jool is emptied, and the traffic goes through node 2.
    (group.mute, group.deaf) = (vec![1], vec![1]);
    let at = group.at();
    group.engine(1).handle_detached(at);
    assert_eq!(fitness(&mut group, 1), Fitness::NoJool);
    group.run(2000);
    for _ in 0..6 {
        group.local(2, &many(3000));
        group.run(1000);
    }
    assert_eq!(fitness(&mut group, 2), Fitness::Alone);
    let at = group.at();
    group.engine(1).handle_attached(at, &instance("4.1.13"));
    group.run(80_000);
    assert_eq!(fitness(&mut group, 1), Fitness::Idle);
    let rank = |group: &mut Group, node| fitness(group, node).rank();
    assert!(rank(&mut group, 1) < rank(&mut group, 2));
    // It is back: not for a moment is it as good as the other, before it has all.
    group.local(2, &many(3000));
    (group.mute, group.deaf) = (Vec::new(), Vec::new());
    for _ in 0..5000 {
        group.run(1);
        let (returned, active) = (rank(&mut group, 1), rank(&mut group, 2));
        assert_eq!(active, 2);
        if returned == active {
            break;
        }
        assert!(returned < active);
    }
    assert_eq!(fitness(&mut group, 1), Fitness::Synced);
    assert_eq!(group.engine(1).ledger.table.len(), 3000);
    assert_eq!(group.engine(1).ledger.injections(), 0);
}

#[test]
fn a_restart_of_the_daemon_of_the_active_node_is_seen_by_no_verdict() {
    let mut group = group(&[1, 2]);
    let sessions = many(2000);
    group.local(1, &sessions);
    group.run(500);
    group.engines.remove(0);
    group.told.remove(0);
    group.run(1500);
    let resumes = Settings {
        resumes: true,
        ..Settings::default()
    };
    add(&mut group, 1, resumes);
    let at = group.at();
    group.engine(1).begin_audit(at);
    for session in &sessions {
        group.engine(1).handle_dumped(at, session);
    }
    group.engine(1).end_audit(true);
    for _ in 0..3000 {
        group.local(1, &sessions[..10]);
        group.run(1);
        assert!(fitness(&mut group, 1).is_fit());
        assert!(fitness(&mut group, 2).is_fit());
    }
    assert_eq!(fitness(&mut group, 1), Fitness::Synced);
}

#[test]
fn loss_on_the_link_changes_neither_the_state_that_is_shown_nor_the_verdict() {
    let mut group = group(&[1, 2]);
    let mut next = 0;
    for turn in 0..1500_u64 {
        // Now and then a datagram is lost, always too soon for the one before to be forgotten.
        group.mute = if turn % 20 < 2 { vec![1] } else { Vec::new() };
        next = next % 60_000 + 1;
        group.local(1, &[udp(next)]);
        group.run(5);
        for node in [1, 2] {
            let status = status(&mut group, node);
            assert_eq!(status.state, State::Synced, "{turn}: {status:?}");
            assert_eq!(status.fitness, Fitness::Synced, "{turn}: {status:?}");
        }
        assert_eq!(successors(&mut group, 1), [name(2)]);
    }
}

#[test]
fn who_hears_nothing_is_seen_as_behind_by_itself_and_by_the_other() {
    let mut group = group(&[1, 2, 3]);
    group.local(1, &many(20));
    group.run(500);
    // Node 2 hears what 3 says, and of 1 nothing but hellos.
    for turn in 0..60 {
        group.local(1, &many(20 + turn * 10));
        group.mute = vec![1];
        group.run(20);
        group.mute = Vec::new();
        group.run(80);
    }
    assert!(fitness(&mut group, 2).is_fit());
    group.deaf = vec![2];
    group.run(8000);
    assert_eq!(successors(&mut group, 1), [name(3)]);
    assert_eq!(fitness(&mut group, 2), Fitness::Idle);
}

#[test]
fn a_drain_needs_somebody_to_take_over() {
    let mut group = group(&[1, 2]);
    let at = group.at();
    group.engine(1).may_drain().unwrap();
    group.engine(1).drain(at);
    assert_eq!(fitness(&mut group, 1), Fitness::Drained);
    group.run(300);
    let at = group.at();
    let refused = group.engine(2).may_drain().unwrap_err();
    assert_eq!(refused, format!("{} is not fit: drained", name(1)));
    assert_eq!(fitness(&mut group, 2), Fitness::Synced);
    group.engine(2).drain(at);
    assert_eq!(fitness(&mut group, 2), Fitness::Drained);
    group.engine(2).undrain(at);
    assert_eq!(fitness(&mut group, 2), Fitness::Synced);
}

#[test]
fn two_that_fail_back_by_hand_never_leave_nobody_fit() {
    let by_hand = || Settings {
        policy: Policy {
            failback: Failback::Manual,
            ..Policy::default()
        },
        ..Settings::default()
    };
    let mut group = Group::new(&[]);
    for node in [1, 2] {
        add(&mut group, node, by_hand());
    }
    group.run(3000);
    let fit = |group: &mut Group| [1, 2].map(|node| fitness(group, node).is_fit());
    assert!(fit(&mut group).contains(&true));
    // The one goes, and comes back; the other keeps the traffic until somebody says so.
    group.engines.remove(0);
    group.told.remove(0);
    group.run(3000);
    assert!(fitness(&mut group, 2).is_fit());
    add(&mut group, 1, by_hand());
    group.run(3000);
    assert_eq!(fitness(&mut group, 1), Fitness::Held);
    assert_eq!(successors(&mut group, 2), [name(1)]);
    let at = group.at();
    group.engine(1).undrain(at);
    assert_eq!(fitness(&mut group, 1), Fitness::Synced);
}

#[test]
fn what_waits_for_our_own_jool_is_not_there_yet() {
    let mut group = group(&[1, 2]);
    group.local(1, &many(5000));
    group.run(300);
    add(&mut group, 3, Settings::default());
    let mut seen = Vec::new();
    for _ in 0..3000 {
        group.run(1);
        let fitness = fitness(&mut group, 3);
        if seen.last() != Some(&fitness) {
            seen.push(fitness);
        }
        let waiting = group.engine(3).ledger.injections();
        assert!(!fitness.is_fit() || waiting <= 1500, "{waiting}");
    }
    assert_eq!(seen.last(), Some(&Fitness::Synced), "{seen:?}");
}

/// Sessions with these numbers.
fn from(first: u16, count: u16) -> Vec<Session> {
    (first..first + count).map(udp).collect()
}

/// Sessions by the thousand that a node translates, a thousand each so many milliseconds.
fn thousands(group: &mut Group, node: u64, count: u16, pause: u64) {
    for turn in 0..count {
        group.local(node, &from(5000 + turn * 1000, 1000));
        group.run(pause);
    }
}

/// For so many milliseconds: a node that is as good as any has all that others told, and its Jool, too.
#[track_caller]
fn is_fit_only_with_everything(group: &mut Group, node: u64, milliseconds: u64) {
    for passed in 0..milliseconds {
        group.run(1);
        let engine = group.engine(node);
        let missing = engine.group.logs.missing();
        let waiting = engine.ledger.injections();
        let fitness = engine.fitness();
        assert!(
            fitness.rank() < 2 || (missing == 0 && waiting <= 1500),
            "{fitness:?} after {passed} ms with {missing} records missing and {waiting} waiting for Jool"
        );
    }
}

#[test]
fn a_node_back_from_a_short_partition_is_not_fit_before_its_jool_has_everything() {
    let mut group = group(&[1, 2]);
    group.local(2, &many(3000));
    group.run(1000);
    (group.mute, group.deaf) = (vec![2], vec![2]);
    group.run(4000);
    thousands(&mut group, 1, 20, 500);
    assert_eq!(fitness(&mut group, 2), Fitness::Idle);
    assert_eq!(fitness(&mut group, 1), Fitness::Alone);
    (group.mute, group.deaf, group.busy) = (vec![], vec![], vec![2]);
    is_fit_only_with_everything(&mut group, 2, 4000);
    group.busy.clear();
    group.run(1000);
    assert_eq!(fitness(&mut group, 2), Fitness::Synced);
}

#[test]
fn a_node_that_stood_still_is_not_fit_before_it_has_caught_up() {
    let mut group = group(&[1, 2]);
    group.local(1, &many(100));
    group.run(500);
    let (frozen, told) = (group.engines.remove(0), group.told.remove(0));
    let table = group.tables.remove(0);
    group.run(4000);
    thousands(&mut group, 2, 16, 1000);
    group.engines.push(frozen);
    group.told.push(told);
    group.tables.push(table);
    is_fit_only_with_everything(&mut group, 1, 3000);
    assert_eq!(fitness(&mut group, 1), Fitness::Synced);
}

#[test]
fn who_hears_the_others_late_in_its_join_is_not_fit_before_it_has_everything() {
    let mut group = group(&[2]);
    group.run(70_000);
    thousands(&mut group, 2, 20, 50);
    group.mute = vec![2];
    add(&mut group, 1, Settings::default());
    let at = group.at();
    group.engine(1).begin_audit(at);
    group.run(1000);
    group.mute.clear();
    group.run(300);
    group.engine(1).end_audit(true);
    is_fit_only_with_everything(&mut group, 1, 3000);
    assert_eq!(fitness(&mut group, 1), Fitness::Synced);
}

#[test]
fn who_comes_back_to_a_node_that_joins_waits_for_what_that_one_had() {
    let mut group = group(&[1, 2]);
    group.local(2, &many(100));
    group.run(500);
    (group.mute, group.deaf) = (vec![1], vec![1]);
    group.run(5000);
    group.local(2, &from(1000, 1000));
    group.run(5000);
    assert_eq!(fitness(&mut group, 1), Fitness::Idle);
    // The daemon of 2 starts anew, with a Jool that has everything and takes long to be read.
    group.engines.remove(1);
    group.told.remove(1);
    add(&mut group, 2, Settings::default());
    let at = group.at();
    group.engine(2).begin_audit(at);
    for session in from(1000, 1000) {
        group.engine(2).handle_dumped(at, &session);
    }
    (group.mute, group.deaf) = (vec![], vec![]);
    group.run(600);
    assert!(fitness(&mut group, 1).rank() < 2);
    group.engine(2).end_audit(true);
    group.run(3000);
    assert_eq!(fitness(&mut group, 1), Fitness::Synced);
    assert_eq!(group.engine(1).ledger.table.len(), 1100);
}

#[test]
fn a_jool_that_lost_its_sessions_between_two_looks_is_not_fit_until_it_has_them_again() {
    let mut group = group(&[1, 2]);
    thousands(&mut group, 1, 20, 50);
    group.run(500);
    assert_eq!(fitness(&mut group, 2), Fitness::Synced);
    let at = group.at();
    group.engine(2).handle_fewer(at, 0);
    assert!(fitness(&mut group, 2).rank() < 2);
    group.busy = vec![2];
    is_fit_only_with_everything(&mut group, 2, 5000);
    group.busy.clear();
    group.run(1000);
    assert_eq!(fitness(&mut group, 2), Fitness::Synced);
}

#[test]
fn a_peer_that_could_not_translate_anyway_takes_nobodys_fitness() {
    let mut group = group(&[1]);
    add(&mut group, 2, Settings::default());
    let mut without_pool4 = instance("4.1.13");
    without_pool4.pool4 = Pool4::default();
    let at = group.at();
    group.engine(2).handle_attached(at, &without_pool4);
    group.run(3000);
    assert_eq!(fitness(&mut group, 2), Fitness::NoPool4);
    assert_eq!(fitness(&mut group, 1), Fitness::Synced);
}
