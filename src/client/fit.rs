//! Whether a node is fit: for scripts, and for systemd.

use std::time::{Duration, Instant, SystemTime};

use sd_notify::NotifyState;
use tokio::time::{sleep, timeout};

use super::properties::{text, truth};
use super::{Client, Error};
use crate::service::Files;

/// How long an answer may take in all. What elects a node by it must not wait.
const LIMIT: Duration = Duration::from_secs(1);
/// How often the verdict is looked at while it is held.
const LOOK: Duration = Duration::from_millis(250);
/// A verdict that is renewed every second, and was not for so long, is nobody's any more. A restart of the
/// daemon takes less, also of one that hangs: systemd's watchdog waits for 10 s.
const STALE: Duration = Duration::from_secs(15);

/// The verdict on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The name of its daemon.
    pub name: String,
    /// Whether it is fit.
    pub fit: bool,
    /// Whether it would be, and holds back.
    pub held: bool,
    /// Why.
    pub reason: String,
}

impl Answer {
    /// The exit status, which is a plugin's of Nagios, too: 0 fit, 1 held, 2 not fit.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self { fit: true, .. } => 0,
            Self { held: true, .. } => 1,
            _ => 2,
        }
    }

    /// A line for people.
    pub fn line(&self) -> String {
        let Self { name, reason, .. } = self;
        let verdict = if self.fit { "fit" } else { "NOT fit" };
        format!("joold@{name} is {verdict} to take over: {reason}")
    }
}

/// The verdict on the node of the daemon that is named, or the only one.
///
/// # Errors
///
/// The daemon is gone, or hangs: whatever it last said is not true any more.
pub async fn fit(name: Option<&str>) -> Result<Answer, Error> {
    let hangs = || Error::Silent(name.unwrap_or("NAME").to_owned());
    timeout(LIMIT, ask(name))
        .await
        .unwrap_or_else(|_| Err(hangs()))
}

async fn ask(name: Option<&str>) -> Result<Answer, Error> {
    let daemon = Client::connect().await?.daemon(name).await?;
    let properties = daemon.properties().await?;
    Ok(Answer {
        name: daemon.name,
        fit: truth(&properties, "Fit"),
        held: text(&properties, "Fitness") == "held",
        reason: text(&properties, "FitnessReason").to_owned(),
    })
}

/// Waits until the node of a daemon is fit, tells systemd, and waits until it is not any more. By the
/// daemon's file, so that it needs no bus.
pub async fn hold(name: &str) -> String {
    let mut verdict = Verdict::new(Files::of(name));
    while !verdict.is_fit(Instant::now()) {
        sleep(LOOK).await;
    }
    // Whoever started this by hand has no systemd to tell.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    while verdict.is_fit(Instant::now()) {
        sleep(LOOK).await;
    }
    format!("joold@{name} is not fit to take over any more; `jooldctl -i {name} fit` tells why")
}

/// A verdict that counts while it is renewed, whatever the clock says.
struct Verdict {
    files: Files,
    renewed: Option<SystemTime>,
    seen: Option<Instant>,
}

impl Verdict {
    fn new(files: Files) -> Self {
        let renewed = files.renewed().ok();
        Self {
            files,
            renewed,
            // Only a renewal that happens while we look is one.
            seen: None,
        }
    }

    fn is_fit(&mut self, now: Instant) -> bool {
        let renewed = self.files.renewed().ok();
        if renewed != self.renewed {
            self.renewed = renewed;
            self.seen = Some(now);
        }
        self.files.say_fit() && self.seen.is_some_and(|seen| now < seen + STALE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_verdict_counts_while_it_is_renewed() {
        let folder = std::env::temp_dir().join(format!("joold-hold-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("eth0.fitness");
        fs::write(&file, "2\n").unwrap();
        let mut verdict = Verdict::new(Files::within(&folder, "eth0"));
        let start = Instant::now();
        // It may have been left by a daemon that is gone.
        assert!(!verdict.is_fit(start));
        let renew = |seconds| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let open = fs::File::options().write(true).open(&file).unwrap();
            open.set_modified(time).unwrap();
        };
        renew(7);
        assert!(verdict.is_fit(start));
        assert!(verdict.is_fit(start + STALE / 2));
        assert!(!verdict.is_fit(start + STALE));
        // The clock was set back.
        renew(5);
        assert!(verdict.is_fit(start + STALE));
        fs::write(&file, "0\n").unwrap();
        assert!(!verdict.is_fit(start + STALE));
        fs::remove_dir_all(&folder).unwrap();
        assert!(!verdict.is_fit(start + STALE));
    }

    #[test]
    fn the_exit_status_tells_the_verdict() {
        let answer = |fit, held| Answer {
            name: "eth0".to_owned(),
            fit,
            held,
            reason: "so".to_owned(),
        };
        assert_eq!(answer(true, false).exit_status(), 0);
        assert_eq!(answer(false, true).exit_status(), 1);
        assert_eq!(answer(false, false).exit_status(), 2);
        assert_eq!(
            answer(true, false).line(),
            "joold@eth0 is fit to take over: so"
        );
    }
}
