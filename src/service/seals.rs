//! What is written to the log about what is sealed, and about what was refused.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::messages::{self, Message};
use super::node::Node;
use crate::jool::Jool;
use crate::seal::{Counters, Policy, Status};

/// How often refusals of a kind are told, if there are any: a flood of forgeries is no flood of messages.
const INTERVAL: Duration = Duration::from_secs(60);
/// What the other nodes say of themselves is told when it has lasted so long: a node that starts says it by and by.
const LASTING: Duration = Duration::from_secs(5);

/// What has been written.
#[derive(Debug)]
pub(super) struct SealsTold {
    refused: [Refused; 4],
    open: Lasting,
    keys: Lasting,
}

/// Of one kind of refusals: how many had been told, and when more may be.
#[derive(Clone, Copy, Debug)]
struct Refused {
    told: u64,
    next: Instant,
}

impl Refused {
    /// How many are to be told now, if any.
    fn since(&mut self, now: Instant, count: u64) -> Option<u64> {
        let more = count.saturating_sub(self.told);
        if more == 0 || now < self.next {
            return None;
        }
        *self = Self {
            told: count,
            next: now + INTERVAL,
        };
        Some(more)
    }
}

/// A text that is told when it is another one for a while.
#[derive(Debug)]
struct Lasting {
    told: String,
    seen: String,
    since: Instant,
}

impl Lasting {
    fn new(now: Instant) -> Self {
        Self {
            told: String::new(),
            seen: String::new(),
            since: now,
        }
    }

    /// Whether that is to be told now.
    fn is_news(&mut self, now: Instant, text: &str) -> bool {
        if text != self.seen {
            text.clone_into(&mut self.seen);
            self.since = now;
        }
        let is_news = text != self.told && now >= self.since + LASTING;
        if is_news {
            text.clone_into(&mut self.told);
        }
        is_news
    }
}

impl SealsTold {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            refused: [Refused { told: 0, next: now }; 4],
            open: Lasting::new(now),
            keys: Lasting::new(now),
        }
    }
}

/// What is refused, and what that means.
fn refusals(counters: &Counters) -> [(u64, Message, &'static str); 4] {
    [
        (
            counters.unknown_keys,
            messages::SEAL_UNKNOWN_KEY,
            "frames are sealed with a key that is not here; `jooldctl key list` on the other nodes shows theirs",
        ),
        (
            counters.forged,
            messages::SEAL_FORGED,
            "sealed frames have a wrong tag: somebody makes them up, or has another key under the same ID",
        ),
        (
            counters.replayed,
            messages::SEAL_REPLAYED,
            "sealed frames came that had been there before; the network, or somebody, repeats them",
        ),
        (
            counters.open_refused,
            messages::SEAL_OPEN_FRAMES,
            "open frames are refused, since \"seal\" is \"require\"",
        ),
    ]
}

/// What is sealed, and what is taken, in words.
fn standing(status: &Status) -> String {
    let key = status
        .keys
        .iter()
        .find(|key| key.number.get() == status.sends);
    let key = key.map_or_else(String::new, |key| {
        format!("key {} ({})", key.number, key.fingerprint)
    });
    match status.policy {
        Policy::Off => {
            "OPEN: frames are not sealed; whoever reaches the network of the nodes can read sessions and make some up"
                .to_owned()
        }
        Policy::Accept => {
            format!("OPEN: frames leave open; those that are sealed, as with {key}, are taken, too")
        }
        Policy::Send => format!("sealed: frames leave sealed with {key}; open ones are still taken"),
        Policy::Require => format!("sealed: frames leave sealed with {key}, and no others are taken"),
    }
}

impl<J: Jool> Node<J> {
    /// Writes what is sealed from now on, and whom that shuts out.
    pub(super) fn tell_seal(&self) {
        const ID: &str = messages::SEAL_CHANGED.id;
        let status = self.seal.status();
        info!(MESSAGE_ID = ID, "{}", standing(&status));
        let mut snapshot = self.publisher.snapshot.borrow().clone();
        snapshot.seal = status;
        let open = snapshot.seal_advice().open;
        if snapshot.seal.policy == Policy::Require && !open.is_empty() {
            warn!(
                MESSAGE_ID = ID,
                "shut out, since what they send is open: {}",
                open.join(", ")
            );
        }
    }

    /// Writes what was refused since the last time, and which nodes are not as far as this one.
    pub(super) fn tell_seals(&mut self, now: Instant) {
        let told = &mut self.reporter.seals;
        let refusals = refusals(self.seal.counters());
        for ((count, message, words), refused) in refusals.into_iter().zip(&mut told.refused) {
            if let Some(more) = refused.since(now, count) {
                warn!(MESSAGE_ID = message.id, "dropped {more}: {words}");
            }
        }
        let snapshot = self.publisher.snapshot.borrow();
        if snapshot.seal.policy == Policy::Off {
            return;
        }
        let advice = snapshot.seal_advice();
        let open = if snapshot.seal.policy.sends() {
            advice.open.join(", ")
        } else {
            String::new()
        };
        if told.open.is_news(now, &open) {
            const ID: &str = messages::SEAL_OPEN_PEERS.id;
            if open.is_empty() {
                info!(
                    MESSAGE_ID = ID,
                    "every node that is there seals what it sends"
                );
            } else {
                warn!(MESSAGE_ID = ID, "what these nodes send is open: {open}");
            }
        }
        let keys = advice.keys.iter().filter_map(|key| {
            let not_there: Vec<_> = key.lacking.iter().chain(&key.differing).cloned().collect();
            let names = not_there.join(", ");
            (!names.is_empty()).then(|| format!("key {} is not at {names}", key.key.number))
        });
        let keys = keys.collect::<Vec<_>>().join("; ");
        if told.keys.is_news(now, &keys) {
            const ID: &str = messages::SEAL_KEYS.id;
            if keys.is_empty() {
                info!(
                    MESSAGE_ID = ID,
                    "every node that is there has all keys of this one"
                );
            } else {
                warn!(MESSAGE_ID = ID, "{keys}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_told_once_a_minute_and_nothing_is_left_out() {
        let start = Instant::now();
        let mut refused = Refused {
            told: 0,
            next: start,
        };
        assert_eq!(refused.since(start, 0), None);
        assert_eq!(refused.since(start, 5), Some(5));
        assert_eq!(refused.since(start + INTERVAL / 2, 50), None);
        assert_eq!(refused.since(start + INTERVAL, 70), Some(65));
        assert_eq!(refused.since(start + 3 * INTERVAL, 70), None);
    }

    #[test]
    fn what_passes_is_not_told() {
        let start = Instant::now();
        let mut lasting = Lasting::new(start);
        assert!(
            !lasting.is_news(start + 2 * LASTING, ""),
            "nothing was told"
        );
        assert!(!lasting.is_news(start, "b"));
        assert!(!lasting.is_news(start + LASTING / 2, ""));
        assert!(!lasting.is_news(start + LASTING, "b"));
        assert!(lasting.is_news(start + 2 * LASTING, "b"));
        assert!(!lasting.is_news(start + 3 * LASTING, "b"));
    }

    #[test]
    fn what_is_open_is_called_so() {
        for policy in Policy::ALL {
            let status = Status {
                policy,
                ..Status::default()
            };
            assert_eq!(standing(&status).starts_with("OPEN"), !policy.sends());
        }
    }
}
