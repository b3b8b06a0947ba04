//! The log: sentences for operators.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::jool::Instance;

/// Sends the log to stderr; with the time of day only for a reader at a terminal, since whatever
/// else reads it knows the time. `JOOLD_LOG` sets the level (`debug`, `info`, `warn`, …).
pub fn log_to_stderr() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::from_level(Level::INFO).into())
        .with_env_var("JOOLD_LOG")
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal());
    if io::stderr().is_terminal() {
        log.init();
    } else {
        log.without_time().init();
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
