//! Comparing everything: with this node's Jool, and with the table of another node.

use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json};
use tokio::time::sleep;

use super::properties::{counter, number, peers, text, thousands, truth};
use super::{Daemon, Error, INTERFACE, PATH, view};

/// How often the end of a comparison is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// How long after the comparison with Jool the reading of another node's table may take to begin.
const BEGINNING: Duration = Duration::from_secs(5);

impl Daemon {
    /// Has everything compared, and waits for the end of it. Returns what was found, in lines of words.
    ///
    /// # Errors
    ///
    /// Why that is not possible now.
    pub async fn resync(&self) -> Result<String, Error> {
        let before = self.properties().await?;
        let () = self.ask((PATH, INTERFACE, "Resync"), &()).await?;
        let mut compared_at = None;
        loop {
            sleep(LOOK).await;
            let properties = self.properties().await?;
            if text(&properties, "State") == "waiting" {
                let reason = text(&properties, "StateReason");
                return Err(Error::Refused(format!("Jool is lost: {reason}")));
            }
            let Some(audit) = audit_since(&before, &properties) else {
                continue;
            };
            let is_late = compared_at.get_or_insert_with(Instant::now).elapsed() > BEGINNING;
            if let Some(others) = others(&before, &properties, is_late) {
                return Ok(format!(
                    "compared with Jool: {}\n{others}\n",
                    view::findings(audit)
                ));
            }
        }
    }
}

/// The comparison with Jool, if there was one since.
fn audit_since<'a>(
    before: &Map<String, Json>,
    properties: &'a Map<String, Json>,
) -> Option<&'a Map<String, Json>> {
    let audit = properties.get("LastAudit").and_then(Json::as_object)?;
    (counter(properties, "audits") > counter(before, "audits")).then_some(audit)
}

/// What came of the comparison with another node since; `None`: it is not over, unless it is late.
fn others(
    before: &Map<String, Json>,
    properties: &Map<String, Json>,
    is_late: bool,
) -> Option<String> {
    let object =
        |of: &Map<String, Json>, name: &str| of.get(name).and_then(Json::as_object).cloned();
    let ended =
        |of: &Map<String, Json>| object(of, "LastReading").map_or(0, |it| number(&it, "Ended"));
    if let Some(reading) =
        object(properties, "LastReading").filter(|_| ended(properties) != ended(before))
    {
        let (records, taken) = (number(&reading, "Records"), number(&reading, "Taken"));
        return Some(format!(
            "compared with {}: {} sessions there, {} of them were missing here or known less of, and have been taken",
            text(&reading, "Donor"),
            thousands(records),
            thousands(taken)
        ));
    }
    let is_read = object(properties, "Transfer").is_some_and(|transfer| !transfer.is_empty());
    let has_table = |peer: &&Map<String, Json>| {
        let state = text(peer, "State");
        truth(peer, "Present") && matches!(state, "synced" | "alone" | "degraded")
    };
    match peers(properties).find(has_table) {
        _ if is_read => None,
        None => Some("compared with no other node: none is there that has joined".to_owned()),
        Some(peer) if is_late => Some(format!(
            "compared with no other node yet: {} has not answered; `jooldctl peers` tells how it stands",
            text(peer, "Name")
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn properties(peers: &Json, ended: u64, transfer: &Json) -> Map<String, Json> {
        let reading = json!({ "Donor": "b", "Ended": ended, "Records": 41_229, "Taken": 3 });
        let all = json!({ "Peers": peers, "LastReading": reading, "Transfer": transfer });
        all.as_object().unwrap().clone()
    }

    #[test]
    fn both_comparisons_are_waited_for_and_told_of() {
        let peer = json!([{ "Name": "b", "Present": true, "State": "synced" }]);
        let before = properties(&peer, 7, &json!({}));
        let said = |peers: &Json, ended, transfer: &Json, is_late| {
            let after = properties(peers, ended, transfer);
            others(&before, &after, is_late)
        };
        let found = said(&peer, 8, &json!({}), false).unwrap();
        let whole =
            "compared with b: 41,229 sessions there, 3 of them were missing here or known less of";
        assert!(found.starts_with(whole), "{found}");
        assert_eq!(said(&peer, 7, &json!({}), false), None);
        assert_eq!(said(&peer, 7, &json!({ "Percent": 3 }), true), None);
        let unanswered = said(&peer, 7, &json!({}), true).unwrap();
        assert!(unanswered.contains("b has not answered"), "{unanswered}");
        for nobody in [
            json!([]),
            json!([{ "Name": "b", "Present": false, "State": "synced" }]),
            json!([{ "Name": "b", "Present": true, "State": "waiting" }]),
        ] {
            let found = said(&nobody, 7, &json!({}), false).unwrap();
            assert!(found.starts_with("compared with no other node:"), "{found}");
        }
    }
}
