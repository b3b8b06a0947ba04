//! Waiting for a daemon, for scripts.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::properties::text;
use super::{Client, Error};

/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(200);

/// Waits until the daemon is synced, and before that until it is there.
///
/// # Errors
///
/// It was not in time, and why not; or several daemons run, and none was named.
pub async fn wait_synced(name: Option<&str>, limit: Option<Duration>) -> Result<(), Error> {
    let mut seen = "neither the system bus nor the daemon answers".to_owned();
    let waiting = async {
        loop {
            match look(name).await {
                Ok(None) => return Ok(()),
                Ok(Some(reason)) => seen = reason,
                Err(error @ Error::Several(_)) => return Err(error),
                Err(error) => seen = error.to_string(),
            }
            sleep(PAUSE).await;
        }
    };
    let Some(limit) = limit else {
        return waiting.await;
    };
    match timeout(limit, waiting).await {
        Ok(result) => result,
        Err(_) => Err(Error::NotInTime(limit, seen)),
    }
}

/// Why it is not synced, if it is not.
async fn look(name: Option<&str>) -> Result<Option<String>, Error> {
    let daemon = Client::connect().await?.daemon(name).await?;
    let properties = daemon.properties().await?;
    let (state, reason) = (text(&properties, "State"), text(&properties, "StateReason"));
    let mut answer = format!("joold@{} is {state}", daemon.name);
    if !reason.is_empty() {
        answer += &format!(": {reason}");
    }
    Ok((state != "synced").then_some(answer))
}
