//! Waiting for a daemon, for scripts.

use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json};
use tokio::time::{sleep, timeout_at};

use super::properties::{clock, number, peers, text, truth};
use super::{ANSWER_LIMIT, Client, Daemon, Error, put};

/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(200);
/// Within this a node that is fit has said so again: hellos come each second.
const CONFIRMATION: Duration = Duration::from_secs(4);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The node is fit to take over.
    Fit,
    /// Nothing that other nodes have is missing.
    Synced,
    /// Both.
    FitAndSynced,
}

impl Wanted {
    fn name(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Synced => "synced",
            Self::FitAndSynced => "fit and synced",
        }
    }

    /// Why it is not so, if it is not.
    fn lacks(self, properties: &Map<String, Json>) -> Option<String> {
        let fit = matches!(self, Self::Fit | Self::FitAndSynced);
        let synced = matches!(self, Self::Synced | Self::FitAndSynced);
        if fit && !truth(properties, "Fit") {
            return Some(format!("not fit: {}", text(properties, "FitnessReason")));
        }
        let (state, reason) = (text(properties, "State"), text(properties, "StateReason"));
        let missing = number(properties, "Missing");
        match reason {
            _ if !synced => None,
            _ if state == "synced" && missing == 0 => None,
            _ if state == "synced" => Some(format!("{missing} records are missing just now")),
            "" => Some(state.to_owned()),
            reason => Some(format!("{state}: {reason}")),
        }
    }
}

/// A limit on waiting: it is looked once at least.
struct Limit {
    end: Option<Instant>,
    limit: Duration,
}

impl Limit {
    fn new(limit: Option<Duration>) -> Self {
        Self {
            end: limit.map(|limit| Instant::now() + limit),
            limit: limit.unwrap_or_default(),
        }
    }

    /// Waits for an answer as long as the limit allows, and a moment at least. Somebody may have to be asked
    /// for a password.
    async fn bound(
        &self,
        answer: impl Future<Output = Result<(), Error>>,
        daemon: &Daemon,
    ) -> Result<(), Error> {
        let Some(end) = self.end else {
            return answer.await;
        };
        let end = end.max(Instant::now() + ANSWER_LIMIT);
        let answer = timeout_at(end.into(), answer).await;
        answer.unwrap_or_else(|_| Err(Error::Silent(daemon.name.clone())))
    }

    /// Waits for the next look.
    ///
    /// # Errors
    ///
    /// The time is over, and this was in the way.
    async fn pause(&self, what: &'static str, seen: String) -> Result<(), Error> {
        if self.end.is_some_and(|end| Instant::now() >= end) {
            return Err(Error::NotInTime(what, self.limit, seen));
        }
        sleep(PAUSE).await;
        Ok(())
    }
}

/// Waits until a daemon is what is wanted, and before that until it is there.
///
/// # Errors
///
/// It was not in time, and why not; or several daemons run, and none was named.
pub async fn wait(
    name: Option<&str>,
    wanted: Wanted,
    limit: Option<Duration>,
) -> Result<(), Error> {
    let limit = Limit::new(limit);
    loop {
        let seen = match look(name, wanted).await {
            Ok(None) => return Ok(()),
            Ok(Some(reason)) => reason,
            Err(error @ Error::Several(_)) => return Err(error),
            Err(error) => error.to_string(),
        };
        limit.pause(wanted.name(), seen).await?;
    }
}

/// Why it is not so, if it is not.
async fn look(name: Option<&str>, wanted: Wanted) -> Result<Option<String>, Error> {
    let daemon = Client::connect().await?.daemon(name).await?;
    let lacks = wanted.lacks(&daemon.properties().await?);
    Ok(lacks.map(|reason| format!("joold@{} is {reason}", daemon.name)))
}

/// Waits until another node has everything, and makes this one unfit.
///
/// # Errors
///
/// It was not in time, and why not; or it is not permitted.
pub async fn drain(name: Option<&str>, anyway: bool, limit: Option<Duration>) -> Result<(), Error> {
    let daemon = Client::connect().await?.daemon(name).await?;
    let was_drained = text(&daemon.properties().await?, "Fitness") == "drained";
    let limit = Limit::new(limit);
    let mut told = String::new();
    loop {
        match limit.bound(daemon.drain(anyway), &daemon).await {
            Ok(()) => {
                let to = if was_drained || anyway {
                    "wherever it can".to_owned()
                } else if let Some(to) = taker(&daemon).await {
                    to
                } else {
                    daemon.undrain().await?;
                    return Err(Error::NoTaker);
                };
                return put(&format!(
                    "drained: the traffic moves to {to} now; `jooldctl -i {} undrain` takes it back\n",
                    daemon.name
                ));
            }
            Err(Error::Refused(reason)) => {
                if reason != told {
                    put(&format!("waiting: {reason}\n"))?;
                    told.clone_from(&reason);
                }
                limit.pause("drained", reason).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Who takes the traffic of a daemon that was drained just now, as they say themselves since they can know of
/// that. Two that are drained at one moment would each think it of the other.
async fn taker(daemon: &Daemon) -> Option<String> {
    let end = Instant::now() + CONFIRMATION;
    let known = clock() + u64::try_from(PAUSE.as_micros()).unwrap_or(u64::MAX);
    loop {
        sleep(PAUSE).await;
        // It is drained, whatever becomes of one look.
        let properties = daemon.properties().await.unwrap_or_default();
        let taker = text(&properties, "FailoverTo");
        let is_confirmed = peers(&properties)
            .any(|peer| number(peer, "LastHeard") >= known && text(peer, "Name") == taker);
        if is_confirmed {
            return Some(taker.to_owned());
        }
        // Nobody may have everything for a moment, while the traffic moves.
        if Instant::now() >= end {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lacks(wanted: Wanted, properties: &Json) -> Option<String> {
        wanted.lacks(properties.as_object().unwrap())
    }

    #[test]
    fn a_node_that_misses_something_for_a_moment_is_not_waited_for_in_vain() {
        let synced = json!({ "State": "synced", "Missing": 0, "Fit": false,
                             "FitnessReason": "it is drained" });
        assert_eq!(lacks(Wanted::Synced, &synced), None);
        let reason = Some("not fit: it is drained".to_owned());
        assert_eq!(lacks(Wanted::Fit, &synced), reason);
        assert_eq!(lacks(Wanted::FitAndSynced, &synced), reason);
        let missing = json!({ "State": "synced", "Missing": 3, "Fit": true });
        let reason = Some("3 records are missing just now".to_owned());
        assert_eq!(lacks(Wanted::Synced, &missing), reason);
        assert_eq!(lacks(Wanted::Fit, &missing), None);
        let joining = json!({ "State": "joining", "StateReason": "so" });
        assert_eq!(
            lacks(Wanted::Synced, &joining),
            Some("joining: so".to_owned())
        );
    }
}
