//! Which step from an open group to a sealed one, or from one key to another, is safe, and what another one would
//! break.

use super::policy::Policy;
use super::status::{Known, Peer, Status};

/// Another node that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What people call it.
    pub name: String,
    /// Its number; 0: it runs the stock daemon.
    pub node: u64,
}

/// What is known of a key, and of who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holders {
    /// The key.
    pub key: Known,
    /// Whether this node seals with it.
    pub sends: bool,
    /// Other nodes that can open what is sealed with it.
    pub held: Vec<String>,
    /// Other nodes that cannot.
    pub lacking: Vec<String>,
    /// Other nodes with another key of this ID.
    pub differing: Vec<String>,
    /// Other nodes that seal with it.
    pub sealing: Vec<String>,
}

/// What is safe, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// The keys that are here.
    pub keys: Vec<Holders>,
    /// Nodes that send open frames: "require" shuts them out.
    pub open: Vec<String>,
    /// Which steps are safe now, and what others would break, a sentence each.
    pub steps: Vec<String>,
}

/// Looks at what the nodes that are there have told.
pub fn advice(status: &Status, members: &[Member]) -> Advice {
    let peers: Vec<_> = members
        .iter()
        .map(|member| (member.name.as_str(), status.of(member.node)))
        .collect();
    let names = |which: &dyn Fn(&Peer) -> bool, unknown: bool| {
        let chosen = peers.iter().filter(|(_, peer)| peer.map_or(unknown, which));
        let names = chosen.map(|(name, _)| (*name).to_owned());
        names.collect::<Vec<_>>()
    };
    let holders = |key: &Known| {
        let number = key.number;
        let has_number = move |peer: &Peer| peer.keys.iter().any(|key| key.number == number);
        let sends = |peer: &Peer| peer.policy.sends() && peer.sends == number.get();
        Holders {
            key: *key,
            sends: status.sends == number.get(),
            held: names(&|peer| peer.has(key), false),
            lacking: names(&|peer| !has_number(peer), true),
            differing: names(&|peer| has_number(peer) && !peer.has(key), false),
            sealing: names(&sends, false),
        }
    };
    let mut advice = Advice {
        keys: status.keys.iter().map(holders).collect(),
        open: names(&|peer| !peer.policy.sends(), true),
        steps: Vec::new(),
    };
    advice.steps = steps(status, &advice);
    advice
}

fn steps(status: &Status, advice: &Advice) -> Vec<String> {
    if status.keys.is_empty() {
        return Vec::new();
    }
    let mut steps = Vec::new();
    let open = advice.open.join(", ");
    let sending = advice.keys.iter().find(|key| key.sends);
    let deaf = sending.map(cannot_open).unwrap_or_default();
    match status.policy {
        Policy::Off => {}
        Policy::Accept if deaf.is_empty() => steps.push(
            "\"seal\": \"send\" is safe here: every node that is there has the key that this one sends with"
                .to_owned(),
        ),
        Policy::Accept => steps.push(format!(
            "\"seal\": \"send\" here would cut off {deaf}: nothing that this node seals can be opened there"
        )),
        Policy::Send if open.is_empty() => steps.push(
            "\"seal\": \"require\" is safe here: every node that is there seals what it sends".to_owned(),
        ),
        Policy::Send => steps.push(format!(
            "\"seal\": \"require\" here would shut out {open}: what comes from there is open"
        )),
        Policy::Require if !open.is_empty() => steps.push(format!(
            "{open} would be heard again if it sealed what it sends"
        )),
        Policy::Require => {}
    }
    if status.policy.sends() && !deaf.is_empty() {
        steps.push(format!(
            "{deaf} cannot open what this node seals: the key that it sends with is not there"
        ));
    }
    for key in advice.keys.iter().filter(|key| !key.sends) {
        let (number, lacking) = (key.key.number, cannot_open(key));
        steps.push(if lacking.is_empty() {
            format!("`send` may move to key {number}: every node that is there has it")
        } else {
            format!("`send` may not move to key {number} yet: {lacking} cannot open what is sealed with it")
        });
        steps.push(if key.sealing.is_empty() {
            format!("key {number} may be removed: no node that is there seals with it")
        } else {
            let sealing = key.sealing.join(", ");
            format!("key {number} may not be removed yet: {sealing} seals with it")
        });
    }
    for key in advice.keys.iter().filter(|key| !key.differing.is_empty()) {
        steps.push(format!(
            "key {} is another one at {}: give it the same secret everywhere, or another ID",
            key.key.number,
            key.differing.join(", ")
        ));
    }
    steps
}

/// Who cannot open what is sealed with a key.
fn cannot_open(key: &Holders) -> String {
    let names: Vec<_> = key.lacking.iter().chain(&key.differing).cloned().collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::super::keys::Fingerprint;
    use super::*;

    fn key(number: u16, secret: u8) -> Known {
        Known {
            number: NonZeroU16::new(number).unwrap(),
            fingerprint: Fingerprint([secret; 4]),
        }
    }

    fn peer(node: u64, policy: Policy, keys: &[Known], sends: u16) -> Peer {
        let keys = keys.to_vec();
        Peer {
            node,
            policy,
            keys,
            sends,
        }
    }

    fn told(policy: Policy, keys: &[Known], peers: Vec<Peer>) -> Vec<String> {
        let status = Status {
            policy,
            keys: keys.to_vec(),
            sends: 1,
            peers,
        };
        let members = [("a", 1), ("b", 2)].map(|(name, node)| Member {
            name: name.to_owned(),
            node,
        });
        advice(&status, &members).steps
    }

    #[track_caller]
    fn says(steps: &[String], expected: &[&str]) {
        assert_eq!(steps.len(), expected.len(), "{steps:?}");
        for (step, expected) in steps.iter().zip(expected) {
            assert!(step.contains(expected), "{steps:?}");
        }
    }

    #[test]
    fn the_next_step_of_a_migration_is_told_and_what_it_would_break() {
        let keys = [key(1, 1)];
        let has = |node, policy| peer(node, policy, &keys, 1);
        let accept = Policy::Accept;
        says(
            &told(accept, &keys, vec![has(1, accept)]),
            &["\"send\" here would cut off b"],
        );
        let both = || vec![has(1, accept), has(2, Policy::Send)];
        says(&told(accept, &keys, both()), &["\"send\" is safe"]);
        says(
            &told(Policy::Send, &keys, both()),
            &["\"require\" here would shut out a:"],
        );
        let all = vec![has(1, Policy::Require), has(2, Policy::Send)];
        says(&told(Policy::Send, &keys, all), &["\"require\" is safe"]);
    }

    #[test]
    fn the_next_step_of_a_rotation_is_told_and_what_it_would_break() {
        let keys = [key(1, 1), key(2, 2)];
        let has = |node, keys: &[Known], sends| peer(node, Policy::Require, keys, sends);
        let require = Policy::Require;
        says(
            &told(
                require,
                &keys,
                vec![has(1, &keys, 1), has(2, &keys[..1], 1)],
            ),
            &["may not move to key 2 yet: b", "key 2 may be removed"],
        );
        says(
            &told(require, &keys, vec![has(1, &keys, 1), has(2, &keys, 2)]),
            &["may move to key 2", "key 2 may not be removed yet: b"],
        );
        let other = [key(1, 1), key(2, 9)];
        says(
            &told(require, &keys, vec![has(1, &keys, 1), has(2, &other, 1)]),
            &[
                "may not move to key 2 yet: b",
                "key 2 may be removed",
                "key 2 is another one at b",
            ],
        );
    }

    #[test]
    fn who_cannot_open_what_is_sealed_is_told() {
        let keys = [key(1, 1)];
        let peers = vec![peer(1, Policy::Send, &[key(2, 2)], 2)];
        says(
            &told(Policy::Send, &keys, peers),
            &["would shut out b", "a, b cannot open"],
        );
    }
}
