//! Whether the other nodes have the same, for operators and scripts.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json};
use tokio::time::sleep;

use super::properties::{age, clock, list, number, peers, text, thousands, truth};
use super::{Client, Error, INTERFACE, PATH, put};

/// How often the end of a comparison is looked for.
const PAUSE: Duration = Duration::from_millis(200);

/// What a comparison with all other nodes led to, the worst of them. Its number is the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agreement {
    /// Nothing that one of them has was missing here.
    Whole = 0,
    /// Something was, and has been taken.
    Repaired = 1,
    /// One of them could not be compared with.
    Unknown = 2,
}

impl Agreement {
    /// The exit status.
    pub fn exit_status(self) -> u8 {
        self as u8
    }
}

/// What is known of one of the other nodes.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// So many sessions here were compared, and so many of its own were taken.
    Compared { sessions: u64, differing: u64 },
    /// It is not there: this is how long it was not heard.
    Gone(String),
    /// It cannot be compared with, for this reason.
    Never(String),
    /// It has not been yet; this is why, if it will not be in time.
    NotYet(String),
}

/// How often each of the other nodes had been compared with.
struct Before<'a>(HashMap<(&'a str, &'a str), u64>);

impl<'a> Before<'a> {
    fn new(properties: &'a Map<String, Json>) -> Self {
        let counts = peers(properties).map(|peer| {
            let (name, address) = (text(peer, "Name"), text(peer, "Address"));
            ((name, address), number(peer, "Verifications"))
        });
        Self(counts.collect())
    }

    fn of(&self, peer: &Map<String, Json>) -> u64 {
        let (name, address) = (text(peer, "Name"), text(peer, "Address"));
        let exactly = self.0.get(&(name, address)).copied();
        // It may have another address now.
        let by_name = || self.0.iter().find(|((known, _), _)| *known == name);
        exactly
            .or_else(|| by_name().map(|(_, count)| *count))
            .unwrap_or(0)
    }

    /// What is known of a node since then. `own_state`: of the daemon that compares.
    fn finding(&self, peer: &Map<String, Json>, own_state: &str, now: u64) -> Finding {
        if number(peer, "Verifications") > self.of(peer) {
            return Finding::Compared {
                sessions: number(peer, "VerifiedSessions"),
                differing: number(peer, "DifferingSessions"),
            };
        }
        let never = |reason: &str| Finding::Never(reason.to_owned());
        // Other differences keep no session from being compared.
        let of_sessions = ["pool6", "pool4", "timeouts"];
        let mut drift = list(peer, "Drift");
        drift.retain(|what| of_sessions.contains(&what.as_str()));
        let drift = drift.join(", ");
        match text(peer, "State") {
            _ if text(peer, "Kind") == "stock" => {
                never("it runs the stock daemon, which does not tell what it has")
            }
            _ if !truth(peer, "Present") => Finding::Gone(age(now, number(peer, "LastHeard"))),
            _ if !drift.is_empty() => Finding::Never(format!(
                "its Jool is not set up as ours: {drift}; make that the same"
            )),
            "" => never("it is of a later version"),
            "synced" | "alone" if matches!(own_state, "waiting" | "joining") => {
                Finding::NotYet(format!("this node is {own_state}"))
            }
            "alone" => Finding::NotYet("it hears no other node".to_owned()),
            "synced" => Finding::NotYet("it was not done".to_owned()),
            state => Finding::Never(format!("it is {state}, not synced")),
        }
    }
}

impl Finding {
    fn agreement(&self) -> Agreement {
        match self {
            Self::Compared { differing: 0, .. } => Agreement::Whole,
            Self::Compared { .. } => Agreement::Repaired,
            Self::Gone(_) | Self::Never(_) | Self::NotYet(_) => Agreement::Unknown,
        }
    }

    /// It in words, after so long.
    fn words(&self, limit: Duration) -> String {
        match self {
            Self::Compared {
                sessions,
                differing: 0,
            } => format!(
                "{} sessions compared, they agree: nothing that it has is missing here",
                thousands(*sessions)
            ),
            Self::Compared {
                sessions,
                differing,
            } => format!(
                "{} sessions compared, {} of its own differed or were missing here, and have been taken",
                thousands(*sessions),
                thousands(*differing)
            ),
            Self::Gone(ago) => format!("not compared: it is gone, and was not heard for {ago}"),
            Self::Never(reason) => format!("not compared: {reason}"),
            Self::NotYet(reason) => {
                format!("not compared within {} s: {reason}", limit.as_secs_f64())
            }
        }
    }
}

/// A line for each of the other nodes, and what it all amounts to.
fn report(name: &str, findings: &[(&str, Finding)], limit: Duration) -> (String, Agreement) {
    let lines = findings
        .iter()
        .map(|(peer, finding)| format!("{peer}: {}\n", finding.words(limit)));
    // Who is gone, perhaps for good, is no reason to doubt what the others agree on.
    let is_there = |finding: &Finding| !matches!(finding, Finding::Gone(_));
    let all_gone = !findings.iter().any(|(_, finding)| is_there(finding));
    let agreements = findings
        .iter()
        .filter(|(_, finding)| all_gone || is_there(finding))
        .map(|(_, finding)| finding.agreement());
    match agreements.max() {
        Some(worst) => (lines.collect(), worst),
        None => (
            format!("joold@{name} has heard nobody yet: there is nothing to compare with\n"),
            Agreement::Unknown,
        ),
    }
}

/// Has a daemon compare what it has with what every other node has, waits until that is done, or for so
/// long, and prints a line for each of them.
///
/// # Errors
///
/// Why that is not possible now.
pub async fn verify(name: Option<&str>, limit: Duration) -> Result<Agreement, Error> {
    let daemon = Client::connect().await?.daemon(name).await?;
    let before = daemon.properties().await?;
    let before = Before::new(&before);
    let () = daemon.ask((PATH, INTERFACE, "Verify"), &()).await?;
    let end = Instant::now() + limit;
    loop {
        sleep(PAUSE).await;
        let is_late = Instant::now() >= end;
        let properties = daemon.properties().await?;
        let (own_state, now) = (text(&properties, "State"), clock());
        let findings: Vec<_> = peers(&properties)
            .map(|peer| (text(peer, "Name"), before.finding(peer, own_state, now)))
            .collect();
        let is_over = |(_, finding): &(&str, Finding)| !matches!(finding, Finding::NotYet(_));
        if is_late || findings.iter().all(is_over) {
            let (lines, agreement) = report(&daemon.name, &findings, limit);
            return put(&lines).map(|()| agreement);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn object(json: &Json) -> Map<String, Json> {
        json.as_object().unwrap().clone()
    }

    fn peer(changes: &Json) -> Json {
        let mut peer = object(&json!({
            "Kind": "joold", "Name": "b", "Address": "192.0.2.2:6400", "Present": true,
            "State": "synced", "Drift": [], "Verifications": 3, "VerifiedSessions": 41_229,
            "DifferingSessions": 0, "LastHeard": 58_000_000,
        }));
        peer.extend(object(changes));
        Json::Object(peer)
    }

    /// What is printed of a peer that had been compared with twice.
    fn printed(changes: &Json) -> (String, Agreement) {
        let before = object(&json!({ "Peers": [peer(&json!({ "Verifications": 2 }))] }));
        let peer = object(&peer(changes));
        let finding = Before::new(&before).finding(&peer, "synced", 60_000_000);
        report("a", &[(text(&peer, "Name"), finding)], LIMIT)
    }

    #[test]
    fn a_line_tells_what_was_found_or_why_nothing_was() {
        for (changes, line, agreement) in [
            (
                json!({}),
                "b: 41,229 sessions compared, they agree: nothing that it has is missing here\n",
                Agreement::Whole,
            ),
            (
                json!({ "Address": "192.0.2.3:6400", "DifferingSessions": 1_200 }),
                "b: 41,229 sessions compared, 1,200 of its own differed or were missing here, \
                 and have been taken\n",
                Agreement::Repaired,
            ),
            (
                json!({ "Present": false }),
                "b: 41,229 sessions compared, they agree: nothing that it has is missing here\n",
                Agreement::Whole,
            ),
            (
                json!({ "Verifications": 2, "Present": false }),
                "b: not compared: it is gone, and was not heard for 2 s\n",
                Agreement::Unknown,
            ),
            (
                json!({ "Verifications": 2, "State": "joining" }),
                "b: not compared: it is joining, not synced\n",
                Agreement::Unknown,
            ),
            (
                json!({ "Verifications": 2, "Drift": ["pool4"] }),
                "b: not compared: its Jool is not set up as ours: pool4; make that the same\n",
                Agreement::Unknown,
            ),
            (
                json!({ "Drift": ["settings", "static BIB"] }),
                "b: 41,229 sessions compared, they agree: nothing that it has is missing here\n",
                Agreement::Whole,
            ),
            (
                json!({ "Verifications": 2 }),
                "b: not compared within 60 s: it was not done\n",
                Agreement::Unknown,
            ),
            (
                json!({ "Verifications": 0, "Kind": "stock", "Name": "192.0.2.7", "State": "" }),
                "192.0.2.7: not compared: it runs the stock daemon, which does not tell what it has\n",
                Agreement::Unknown,
            ),
        ] {
            assert_eq!(printed(&changes), (line.to_owned(), agreement), "{changes}");
        }
    }

    #[test]
    fn who_is_gone_counts_if_nobody_is_there() {
        let gone = || ("b", Finding::Gone("2 h".to_owned()));
        let compared = |differing| {
            let sessions = 5;
            (
                "c",
                Finding::Compared {
                    sessions,
                    differing,
                },
            )
        };
        for (findings, agreement) in [
            (vec![gone()], Agreement::Unknown),
            (vec![gone(), compared(0)], Agreement::Whole),
            (vec![compared(1), gone()], Agreement::Repaired),
            (
                vec![gone(), ("d", Finding::Never("so".to_owned()))],
                Agreement::Unknown,
            ),
        ] {
            assert_eq!(report("a", &findings, LIMIT).1, agreement, "{findings:?}");
        }
    }

    #[test]
    fn the_worst_of_all_nodes_counts_and_nobody_is_no_agreement() {
        let compared = |differing| Finding::Compared {
            sessions: 5,
            differing,
        };
        let gone = || Finding::Never("gone".to_owned());
        for (findings, agreement) in [
            (vec![compared(0), compared(0)], Agreement::Whole),
            (vec![compared(1), compared(0)], Agreement::Repaired),
            (vec![gone(), compared(1), compared(0)], Agreement::Unknown),
            (vec![], Agreement::Unknown),
        ] {
            let findings: Vec<_> = findings.into_iter().map(|found| ("b", found)).collect();
            assert_eq!(report("a", &findings, LIMIT).1, agreement);
        }
        let statuses = [Agreement::Whole, Agreement::Repaired, Agreement::Unknown];
        assert_eq!(statuses.map(Agreement::exit_status), [0, 1, 2]);
    }
}
