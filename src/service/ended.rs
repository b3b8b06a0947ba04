//! What is to do when the daemon is about to end, and what is left to do when it has: `ExecStopPost=` of its
//! unit.
//!
//! A node without its daemon falls behind, or its traffic is not synchronised, so it is not fit. Unless
//! the daemon is about to run again: a restart takes the traffic from nobody.

use std::env;

use super::outlets::Files;
use super::systemd::Systemd;
use crate::bus::{self, Prospects};
use crate::config::{Config, Name};
use crate::jool::kernel::Kernel;
use crate::jool::{self, Refusal, Unavailable};

/// Exit statuses after which systemd does not try again, as in `RestartPreventExitStatus=`.
const FINAL: [&str; 3] = ["64", "77", "78"];

/// How the daemon ended, as systemd tells in the environment (systemd.exec(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct End {
    /// `SERVICE_RESULT`: `success`, or how it failed.
    result: String,
    /// `EXIT_CODE` and `EXIT_STATUS`: `exited` and the status, or the signal.
    code: String,
    status: String,
}

impl End {
    /// Whether systemd starts the daemon again by itself, with that `Restart=`.
    fn is_tried_again(&self, restart: &str) -> bool {
        let is_final = self.code == "exited" && FINAL.contains(&self.status.as_str());
        let is_failure = !matches!(self.result.as_str(), "" | "success");
        is_failure && !is_final && !matches!(restart, "" | "no")
    }
}

/// Whether a daemon that was told to stop will run again, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It will not.
    ForGood,
    /// It may: systemd restarts it, or nobody knows.
    Perhaps,
}

impl Stop {
    /// What systemd says of the service of this process.
    pub async fn of_service() -> Self {
        if Systemd::is_there() && bus::prospects().await.job == "stop" {
            Self::ForGood
        } else {
            Self::Perhaps
        }
    }
}

/// Withdraws the verdict of `joold@NAME`, and leaves Jool as it was found, unless its daemon is about to run
/// again: then only a verdict that nobody has renewed lately. Needs a tokio runtime.
///
/// # Errors
///
/// What could not be done, in a sentence; the rest is.
pub async fn ended(name: &Name) -> Result<(), String> {
    let variable = |name| env::var(name).unwrap_or_default();
    let end = End {
        result: variable("SERVICE_RESULT"),
        code: variable("EXIT_CODE"),
        status: variable("EXIT_STATUS"),
    };
    let files = Files::of(&name.to_string());
    if runs_again(&bus::prospects().await, &end) {
        files.withdraw_stale()
    } else {
        let withdrawn = files.withdraw();
        let restored = restore(&files).map_err(|reason| {
            format!("what was set in Jool for session synchronisation stays so: {reason}")
        });
        withdrawn.and(restored)
    }
}

/// A Jool that nobody listens to would queue its sessions, and complain of it.
fn restore(files: &Files) -> Result<(), Unavailable> {
    let Some((instance, repairs)) = files.take_found() else {
        return Ok(());
    };
    let settings = jool::Settings {
        instance,
        ..Config::default().jool
    };
    let mut jool = Kernel::open(settings, None).map_err(Refusal::Io)?;
    match jool.restore(&repairs) {
        // With its module it has lost what was set.
        Err(Unavailable::NoModule | Unavailable::Refused(Refusal::NotAttached)) => Ok(()),
        result => result,
    }
}

/// Whether a unit that ended so is started again.
fn runs_again(prospects: &Prospects, end: &End) -> bool {
    match prospects.job.as_str() {
        "restart" | "try-restart" | "start" | "reload-or-start" => true,
        "stop" => false,
        _ => end.is_tried_again(&prospects.restart),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(result: &str, code: &str, status: &str) -> End {
        End {
            result: result.to_owned(),
            code: code.to_owned(),
            status: status.to_owned(),
        }
    }

    #[test]
    fn only_who_runs_again_keeps_its_verdict() {
        let stopped = end("success", "exited", "0");
        let killed = end("signal", "killed", "KILL");
        let hung = end("watchdog", "killed", "ABRT");
        let failed = end("exit-code", "exited", "69");
        let refused = end("exit-code", "exited", "78");
        for (job, restart, end, again) in [
            ("restart", "on-failure", &stopped, true),
            ("stop", "on-failure", &stopped, false),
            ("stop", "on-failure", &killed, false),
            ("", "on-failure", &stopped, false),
            ("", "on-failure", &killed, true),
            ("", "on-failure", &hung, true),
            ("", "on-failure", &failed, true),
            ("", "on-failure", &refused, false),
            ("", "no", &killed, false),
            // systemd did not answer, or did not start it.
            ("", "", &killed, false),
            ("", "on-failure", &End::default(), false),
        ] {
            let prospects = Prospects {
                job: job.to_owned(),
                restart: restart.to_owned(),
            };
            assert_eq!(runs_again(&prospects, end), again, "{prospects:?} {end:?}");
        }
    }

    #[test]
    fn the_statuses_are_those_of_the_unit() {
        let unit = include_str!("../../systemd/joold@.service");
        let line = format!("\nRestartPreventExitStatus={}\n", FINAL.join(" "));
        assert!(unit.contains(&line));
    }
}
