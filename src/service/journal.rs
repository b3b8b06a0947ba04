//! The log: sentences for operators.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::snapshot::{Snapshot, State};
use crate::jool::Instance;

/// Opens the log: the journal if stderr leads there, else stderr, with the time of day only for a
/// reader at a terminal, since whatever else reads it knows the time. `JOOLD_LOG` sets the level
/// (`debug`, `info`, `warn`, …).
pub fn open() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::from_level(Level::INFO).into())
        .with_env_var("JOOLD_LOG")
        .from_env_lossy();
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal());
    let log = tracing_subscriber::registry().with(filter);
    if io::stderr().is_terminal() {
        log.with(stderr).init();
    } else {
        log.with(stderr.without_time()).init();
    }
}

/// The daemon in one line, for `systemctl status`.
pub(super) fn status(snapshot: &Snapshot) -> String {
    match &snapshot.state {
        State::Waiting(reason) => format!("waiting for Jool: {reason}"),
        State::Running(instance) => format!(
            "running with Jool {}, instance \"{}\": {} sessions, {} {} heard",
            instance.version,
            instance.name,
            snapshot.sessions,
            snapshot.peers.len(),
            if snapshot.peers.len() == 1 {
                "peer"
            } else {
                "peers"
            },
        ),
    }
}

/// An instance in words.
pub(super) fn instance(instance: &Instance) -> String {
    let Instance {
        name,
        version,
        format,
        pool6,
        ..
    } = instance;
    format!("Jool {version}, instance \"{name}\", pool6 {pool6}, {format} records")
}

/// Things with commas between them.
pub(super) fn list(things: &[impl Display]) -> String {
    things
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// How long something is waited for, in brackets.
pub(super) fn limit(limit: Option<Duration>) -> String {
    match limit {
        Some(limit) => format!(" (for up to {} s)", limit.as_secs_f64().ceil()),
        None => String::new(),
    }
}
