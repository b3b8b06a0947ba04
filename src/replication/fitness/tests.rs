//! The verdict, fact by fact.

use super::*;

/// A pair in which everything is well, seen from one of the two.
const WELL: Facts = Facts {
    has_jool: true,
    is_paused: false,
    has_read: true,
    has_pool4: true,
    has_joined: true,
    is_alone: false,
    lag: 0,
    was_apart: false,
    is_loading: false,
    is_incomplete: false,
    differs: false,
    has_namesake: false,
    worked_at: None,
    had_sessions: false,
    was_emptied: false,
    other_is_fit: true,
    other_is_better: true,
    other_might: true,
};
const ALONE: Facts = Facts {
    is_alone: true,
    other_is_fit: false,
    other_is_better: false,
    other_might: false,
    ..WELL
};
const START: u64 = 1 << 40;

fn judge() -> Judge {
    Judge::new(Policy::default(), false, false)
}

fn resumed() -> Judge {
    Judge::new(Policy::default(), false, true)
}

/// The verdict after so many milliseconds.
fn after(judge: &mut Judge, millis: u64, facts: &Facts) -> Fitness {
    judge.judge(START + millis, facts);
    judge.verdict()
}

/// The same with a Jool that has just translated something.
fn at_work(judge: &mut Judge, millis: u64, facts: &Facts) -> Fitness {
    let facts = Facts {
        worked_at: Some(START + millis),
        ..*facts
    };
    after(judge, millis, &facts)
}

#[test]
fn a_number_in_a_hello_is_the_verdict_that_it_was() {
    for (number, fitness) in (0..).zip(Fitness::ALL) {
        assert_eq!(fitness as u8, number);
        assert_eq!(Fitness::of(number), fitness);
        assert!(!fitness.is_fit() || fitness.rank() > 0);
        assert!(fitness.is_fit() || fitness.rank() < 1);
    }
    assert_eq!(Fitness::of(250), Fitness::Unknown);
}

#[test]
fn a_node_that_joins_is_fit_when_it_has_what_the_others_have() {
    let mut judge = judge();
    let joining = Facts {
        has_joined: false,
        ..WELL
    };
    assert_eq!(after(&mut judge, 0, &joining), Fitness::Joining);
    let loading = Facts {
        is_loading: true,
        ..WELL
    };
    assert_eq!(after(&mut judge, 500, &loading), Fitness::Loading);
    assert_eq!(after(&mut judge, 900, &WELL), Fitness::Synced);
}

#[test]
fn what_no_node_is_fit_with_takes_effect_at_once_and_however_busy_it_is() {
    for (facts, expected) in [
        (
            Facts {
                has_jool: false,
                ..WELL
            },
            Fitness::NoJool,
        ),
        (
            Facts {
                is_paused: true,
                ..WELL
            },
            Fitness::Paused,
        ),
        (
            Facts {
                has_pool4: false,
                ..WELL
            },
            Fitness::NoPool4,
        ),
    ] {
        let mut judge = judge();
        assert_eq!(at_work(&mut judge, 0, &WELL), Fitness::Synced);
        assert_eq!(at_work(&mut judge, 1, &facts), expected);
        assert_eq!(at_work(&mut judge, 2, &WELL), Fitness::Synced);
    }
}

#[test]
fn a_node_that_is_alone_waits_for_others_first() {
    let mut judge = judge();
    assert_eq!(after(&mut judge, 0, &ALONE), Fitness::Waiting);
    assert_eq!(after(&mut judge, 59_999, &ALONE), Fitness::Waiting);
    assert_eq!(after(&mut judge, 60_000, &ALONE), Fitness::Idle);
    assert_eq!(at_work(&mut judge, 60_001, &ALONE), Fitness::Idle);
    assert_eq!(at_work(&mut judge, 60_001 + WORK, &ALONE), Fitness::Alone);
}

#[test]
fn a_node_whose_jool_is_at_work_already_does_not_wait() {
    let mut judge = judge();
    let had_sessions = Facts {
        had_sessions: true,
        ..ALONE
    };
    assert_eq!(at_work(&mut judge, 10, &had_sessions), Fitness::Serving);
    let mut empty = self::judge();
    assert_eq!(at_work(&mut empty, 10, &ALONE), Fitness::Waiting);
}

#[test]
fn who_is_left_alone_goes_on_and_yields_until_it_has_work() {
    let mut judge = judge();
    assert_eq!(at_work(&mut judge, 0, &WELL), Fitness::Synced);
    let cut_off = Facts {
        worked_at: Some(START),
        ..ALONE
    };
    // The daemon of the other one may have been restarted.
    assert_eq!(after(&mut judge, 1_250, &cut_off), Fitness::Synced);
    assert_eq!(after(&mut judge, 1_250 + RESTART, &cut_off), Fitness::Idle);
    assert_eq!(after(&mut judge, 9_000_000, &cut_off), Fitness::Idle);
    // Anybody may send it a packet.
    assert_eq!(at_work(&mut judge, 9_000_001, &ALONE), Fitness::Idle);
    assert_eq!(at_work(&mut judge, 9_000_900, &ALONE), Fitness::Idle);
    let work = 9_000_001 + WORK;
    assert_eq!(at_work(&mut judge, work, &ALONE), Fitness::Alone);
    // However quiet it is then.
    let quiet = Facts {
        worked_at: Some(START + work),
        ..ALONE
    };
    assert_eq!(after(&mut judge, 18_000_000, &quiet), Fitness::Alone);
}

#[test]
fn what_is_repaired_soon_changes_nothing() {
    let mut judge = judge();
    assert_eq!(after(&mut judge, 0, &WELL), Fitness::Synced);
    for (millis, lag) in [(100, 90), (5_000, 4_999), (5_100, 0)] {
        let facts = Facts { lag, ..WELL };
        assert_eq!(after(&mut judge, millis, &facts), Fitness::Synced);
    }
    let late = Facts {
        lag: LATEST + 1,
        ..WELL
    };
    assert_eq!(after(&mut judge, 10_000, &late), Fitness::Behind);
    let nearly = Facts {
        lag: NEARLY + 1,
        ..WELL
    };
    assert_eq!(after(&mut judge, 11_000, &nearly), Fitness::Behind);
    let hardly = Facts {
        lag: NEARLY,
        ..WELL
    };
    assert_eq!(after(&mut judge, 12_000, &hardly), Fitness::Synced);
}

#[test]
fn what_stays_lost_takes_the_fitness_after_a_while() {
    let mut judge = judge();
    let lost = Facts {
        is_incomplete: true,
        ..WELL
    };
    assert_eq!(after(&mut judge, 0, &WELL), Fitness::Synced);
    assert_eq!(after(&mut judge, 1, &lost), Fitness::Synced);
    assert_eq!(after(&mut judge, GRACE, &lost), Fitness::Synced);
    assert_eq!(after(&mut judge, GRACE + 2, &lost), Fitness::Incomplete);
    assert_eq!(after(&mut judge, GRACE + 3, &WELL), Fitness::Synced);
}

#[test]
fn who_is_back_from_a_partition_is_not_fit_until_it_has_caught_up() {
    let mut judge = judge();
    assert_eq!(after(&mut judge, 0, &WELL), Fitness::Synced);
    assert_eq!(after(&mut judge, 1_250, &ALONE), Fitness::Synced);
    assert_eq!(after(&mut judge, 10_000, &ALONE), Fitness::Idle);
    let back = Facts {
        was_apart: true,
        ..WELL
    };
    assert_eq!(after(&mut judge, 20_000, &back), Fitness::Behind);
    let loading = Facts {
        is_loading: true,
        ..WELL
    };
    assert_eq!(after(&mut judge, 20_200, &loading), Fitness::Loading);
    assert_eq!(after(&mut judge, 20_500, &WELL), Fitness::Synced);
}

#[test]
fn who_translated_through_a_partition_goes_on_unless_another_knows_more() {
    let mut judge = judge();
    assert_eq!(at_work(&mut judge, 0, &WELL), Fitness::Synced);
    assert_eq!(at_work(&mut judge, 1_250, &ALONE), Fitness::Synced);
    assert_eq!(at_work(&mut judge, 6_500, &ALONE), Fitness::Idle);
    assert_eq!(at_work(&mut judge, 10_000, &ALONE), Fitness::Alone);
    let back = Facts {
        was_apart: true,
        other_is_better: false,
        ..WELL
    };
    assert_eq!(at_work(&mut judge, 20_000, &back), Fitness::Serving);
    let lesser = Facts {
        other_is_better: true,
        ..back
    };
    // Not while both have just heard of one another.
    assert_eq!(at_work(&mut judge, 20_001, &lesser), Fitness::Serving);
    assert_eq!(
        at_work(&mut judge, 20_001 + BETTER, &lesser),
        Fitness::Behind
    );
    // Then for good, as long as the other one is fit.
    assert_eq!(at_work(&mut judge, 22_000, &back), Fitness::Behind);
}

#[test]
fn a_restart_of_the_daemon_takes_the_traffic_from_nobody_who_has_it() {
    let mut judge = resumed();
    let joining = Facts {
        has_joined: false,
        ..WELL
    };
    assert_eq!(after(&mut judge, 0, &joining), Fitness::Serving);
    assert_eq!(at_work(&mut judge, 900, &joining), Fitness::Serving);
    let later = Facts {
        worked_at: Some(START + 900),
        ..joining
    };
    assert_eq!(after(&mut judge, 20_000, &later), Fitness::Serving);
    assert_eq!(after(&mut judge, 20_001, &WELL), Fitness::Synced);
}

#[test]
fn a_node_at_work_yields_nothing_when_its_donor_is_restarted_too() {
    let mut judge = resumed();
    let joining = Facts {
        has_joined: false,
        had_sessions: true,
        ..WELL
    };
    let alone = Facts {
        had_sessions: true,
        ..ALONE
    };
    for millis in (0..10_000).step_by(100) {
        let facts = if millis < 3_000 { &joining } else { &alone };
        let verdict = at_work(&mut judge, millis, facts);
        assert_eq!(verdict.rank(), 2, "{verdict:?} after {millis} ms");
    }
    assert_eq!(judge.verdict(), Fitness::Alone);
}

#[test]
fn a_standby_whose_daemon_was_restarted_has_to_join_first() {
    let mut judge = resumed();
    let joining = Facts {
        has_joined: false,
        ..WELL
    };
    assert_eq!(after(&mut judge, 0, &joining), Fitness::Serving);
    let verdict = after(&mut judge, FIRST_RECORDS, &joining);
    assert_eq!(verdict, Fitness::Joining);
}

#[test]
fn a_node_whose_jool_went_with_the_daemon_resumes_nothing() {
    let mut judge = resumed();
    let gone = Facts {
        has_jool: false,
        has_joined: false,
        ..WELL
    };
    assert_eq!(after(&mut judge, 0, &gone), Fitness::NoJool);
    let empty = Facts {
        has_jool: true,
        ..gone
    };
    assert_eq!(at_work(&mut judge, 10, &empty), Fitness::Joining);
}

#[test]
fn a_restart_together_with_jool_is_none() {
    let mut judge = resumed();
    let joining = Facts {
        has_joined: false,
        ..WELL
    };
    assert_eq!(at_work(&mut judge, 0, &joining), Fitness::Serving);
    let empty = Facts {
        was_emptied: true,
        ..joining
    };
    assert_eq!(at_work(&mut judge, 300, &empty), Fitness::Joining);
}

#[test]
fn the_last_node_is_fit_whatever_is_lost() {
    let mut judge = judge();
    assert_eq!(at_work(&mut judge, 0, &WELL), Fitness::Synced);
    let lost = Facts {
        is_incomplete: true,
        worked_at: Some(START),
        ..ALONE
    };
    assert_eq!(after(&mut judge, 1_250, &lost), Fitness::Synced);
    assert_eq!(after(&mut judge, 9_000_000, &lost), Fitness::Idle);
}

#[test]
fn who_held_back_still_does_after_the_daemon_of_the_active_node_was_restarted() {
    let policy = Policy {
        failback: Failback::Manual,
        ..Policy::default()
    };
    let mut judge = Judge::new(policy, false, false);
    assert_eq!(after(&mut judge, 0, &WELL), Fitness::Held);
    assert_eq!(after(&mut judge, 5_000, &ALONE), Fitness::Idle);
    assert_eq!(after(&mut judge, 6_000, &WELL), Fitness::Held);
}

#[test]
fn who_knows_more_by_turns_makes_no_verdict_flap() {
    let mut judge = judge();
    assert_eq!(at_work(&mut judge, 0, &WELL), Fitness::Synced);
    let mut changes = 0;
    for turn in 1..400 {
        let facts = Facts {
            is_incomplete: true,
            other_is_better: turn % 2 == 0,
            ..WELL
        };
        let before = judge.verdict();
        changes += u32::from(at_work(&mut judge, turn * 250, &facts) != before);
    }
    assert_eq!((changes, judge.verdict()), (1, Fitness::Serving));
}

#[test]
fn pools_that_differ_leave_somebody_fit_when_it_is_quiet() {
    let mut judge = judge();
    assert_eq!(at_work(&mut judge, 0, &WELL), Fitness::Synced);
    let differs = Facts {
        differs: true,
        other_is_fit: false,
        other_is_better: false,
        other_might: false,
        ..WELL
    };
    assert_eq!(at_work(&mut judge, 1, &differs), Fitness::Serving);
    let quiet = Facts {
        worked_at: Some(START),
        ..differs
    };
    assert_eq!(after(&mut judge, 9_000_000, &quiet), Fitness::Serving);
}

#[test]
fn a_node_alone_that_was_fit_stays_so_over_a_restart_of_its_daemon() {
    let mut judge = resumed();
    assert_eq!(after(&mut judge, 0, &ALONE), Fitness::Idle);
}

#[test]
fn settings_that_differ_leave_the_traffic_where_it_is() {
    let differs = Facts {
        differs: true,
        other_is_better: false,
        other_is_fit: false,
        ..WELL
    };
    let (mut active, mut standby) = (judge(), judge());
    assert_eq!(at_work(&mut active, 0, &WELL), Fitness::Synced);
    assert_eq!(after(&mut standby, 0, &WELL), Fitness::Synced);
    assert_eq!(at_work(&mut active, 1, &differs), Fitness::Serving);
    assert_eq!(after(&mut standby, 1, &differs), Fitness::Differs);
}

#[test]
fn a_drain_lasts_until_it_is_taken_back() {
    let mut judge = judge();
    assert_eq!(at_work(&mut judge, 0, &WELL), Fitness::Synced);
    judge.drain(true);
    assert_eq!(at_work(&mut judge, 1, &WELL), Fitness::Drained);
    assert_eq!(at_work(&mut judge, 2, &ALONE), Fitness::Drained);
    judge.drain(false);
    assert_eq!(after(&mut judge, 3, &WELL), Fitness::Synced);
    let drained = Judge::new(Policy::default(), true, true);
    assert_eq!(at_work(&mut { drained }, 0, &WELL), Fitness::Drained);
}

#[test]
fn a_failback_is_when_the_operator_wants_it() {
    let joining = Facts {
        has_joined: false,
        ..WELL
    };
    let with = |failback| {
        let policy = Policy {
            failback,
            ..Policy::default()
        };
        let mut judge = Judge::new(policy, false, false);
        assert_eq!(after(&mut judge, 0, &joining), Fitness::Joining);
        judge
    };
    let mut at_once = with(Failback::Auto);
    assert_eq!(after(&mut at_once, 1, &WELL), Fitness::Synced);

    let mut later = with(Failback::After(Duration::from_secs(5)));
    assert_eq!(after(&mut later, 1, &WELL), Fitness::Held);
    assert_eq!(after(&mut later, 5_000, &WELL), Fitness::Held);
    assert_eq!(after(&mut later, 5_001, &WELL), Fitness::Synced);

    let mut manual = with(Failback::Manual);
    assert_eq!(after(&mut manual, 9_000_000, &WELL), Fitness::Held);
    manual.drain(false);
    assert_eq!(after(&mut manual, 9_000_001, &WELL), Fitness::Synced);
    assert_eq!(after(&mut manual, 9_000_002, &joining), Fitness::Joining);
    assert_eq!(after(&mut manual, 9_000_003, &WELL), Fitness::Held);
    // Whoever had the traffic is gone, or not fit any more.
    let mut others = [ALONE, WELL];
    others[1].other_is_fit = false;
    for facts in others {
        let mut manual = with(Failback::Manual);
        assert_eq!(after(&mut manual, 1, &WELL), Fitness::Held);
        assert!(after(&mut manual, 2, &facts).is_fit(), "{facts:?}");
    }
}
