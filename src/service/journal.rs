//! The log: sentences for operators.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::OnceLock;
use std::time::Duration;

use libsystemd::logging::connected_to_journal;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use tracing::{Level, error};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::snapshot::{Snapshot, State};
use crate::jool::Instance;
use crate::replication;

/// What is logged; there is one log.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// The variable that says what is logged.
pub const LEVEL: &str = "JOOLD_LOG";

/// Opens the log: the journal if stderr leads there, else stderr, with the time of day for a reader at a
/// terminal and in a file, since whoever reads a pipe knows the time. [`LEVEL`] sets the level, in the words of
/// [`set_level`].
///
/// A level that is none is told of, and is as none at all: it must not keep the sessions from anybody.
pub fn open() {
    let wanted = std::env::var_os(LEVEL).filter(|wanted| !wanted.is_empty());
    let wanted = wanted.map(|wanted| level_of(&wanted.to_string_lossy()));
    let level = match &wanted {
        Some(Ok(level)) => *level,
        Some(Err(_)) | None => LevelFilter::INFO,
    };
    open_at(level);
    if let Some(Err(problem)) = wanted {
        error!("{LEVEL}: {problem}; info and what is graver is logged");
    }
}

fn open_at(level: LevelFilter) {
    let filter = EnvFilter::default().add_directive(level.into());
    let (filter, handle) = reload::Layer::new(filter);
    // Opened a second time, which fails below, the log keeps its first filter.
    let _ = FILTER.set(handle);
    let log = tracing_subscriber::registry().with(filter);
    if connected_to_journal()
        && let Ok(journal) = open_journal()
    {
        log.with(journal).init();
        return;
    }
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        // The journal's fields are not for readers of sentences.
        .fmt_fields(debug_fn(|writer, field, value| {
            if field.name() == "message" {
                write!(writer, "{value:?}")
            } else {
                Ok(())
            }
        }))
        .with_ansi(false)
        // A log that cannot be written must not end the daemon, as the panic of an eprintln would.
        .log_internal_errors(false);
    if io::stderr().is_terminal() || is_file(io::stderr().as_fd()) {
        log.with(stderr).init();
    } else {
        log.with(stderr.without_time()).init();
    }
}

/// Whether that is a file, to which nothing adds the time.
fn is_file(descriptor: BorrowedFd<'_>) -> bool {
    let kind = fstat(descriptor).map(|found| SFlag::from_bits_truncate(found.st_mode));
    kind.is_ok_and(|kind| kind & SFlag::S_IFMT == SFlag::S_IFREG)
}

/// The journal, which takes an event or loses it, but never keeps the loop waiting.
#[allow(
    unsafe_code,
    reason = "tracing-journald keeps its descriptor to itself"
)]
fn open_journal() -> io::Result<tracing_journald::Layer> {
    let before = sockets()?;
    let journal = tracing_journald::layer()?
        .with_field_prefix(None)
        .with_syslog_identifier("joold".to_owned())
        .with_priority_mappings(PriorityMappings {
            info: Priority::Informational,
            ..PriorityMappings::new()
        });
    for number in sockets()?.difference(&before) {
        // SAFETY: tracing-journald has just opened this one, and keeps it open as long as the layer
        // lives, which is longer than this borrow.
        let socket = unsafe { BorrowedFd::borrow_raw(*number) };
        fcntl(socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    Ok(journal)
}

/// The numbers of this process's sockets.
fn sockets() -> io::Result<BTreeSet<RawFd>> {
    let mut sockets = BTreeSet::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let is_socket = fs::read_link(entry.path()).is_ok_and(|target| {
            target
                .as_os_str()
                .as_encoded_bytes()
                .starts_with(b"socket:")
        });
        if let (true, Some(Ok(number))) = (is_socket, entry.file_name().to_str().map(str::parse)) {
            sockets.insert(number);
        }
    }
    Ok(sockets)
}

/// The level of the log by syslog's name: the most detailed one that anything is logged at.
pub fn level() -> &'static str {
    let most = FILTER
        .get()
        .and_then(|filter| filter.with_current(EnvFilter::max_level_hint).ok())
        .flatten();
    match most.and_then(LevelFilter::into_level) {
        Some(Level::TRACE | Level::DEBUG) => "debug",
        Some(Level::INFO) => "info",
        Some(Level::WARN) => "warning",
        Some(Level::ERROR) => "err",
        None => "emerg",
    }
}

/// Logs from now on what is at least as grave as one of syslog's levels. Nothing here is a notice,
/// nor graver than an error.
///
/// # Errors
///
/// A sentence, if it is none of them or there is no log.
pub fn set_level(name: &str) -> Result<(), String> {
    let level = level_of(name)?;
    let filter = FILTER.get().ok_or("there is no log")?;
    filter
        .reload(EnvFilter::default().add_directive(level.into()))
        .map_err(|error| format!("the log level cannot be set: {error}"))
}

/// A level by syslog's name, or by its number there.
fn level_of(name: &str) -> Result<LevelFilter, String> {
    match name {
        "debug" | "7" => Ok(LevelFilter::DEBUG),
        "info" | "6" => Ok(LevelFilter::INFO),
        "notice" | "warning" | "5" | "4" => Ok(LevelFilter::WARN),
        "err" | "crit" | "alert" | "emerg" | "3" | "2" | "1" | "0" => Ok(LevelFilter::ERROR),
        _ => Err(format!(
            "{name:?} is no log level; accepted: debug, info, notice, warning, err, crit, alert, emerg, or \
             syslog's number of one, 7 to 0"
        )),
    }
}

/// Where the log goes: `journal`, or `console` for any other standard error.
pub fn target() -> &'static str {
    if connected_to_journal() {
        "journal"
    } else {
        "console"
    }
}

/// The daemon in one line, for `systemctl status`.
pub(super) fn status(snapshot: &Snapshot) -> String {
    let State::Running(instance) = &snapshot.state else {
        return format!("waiting for Jool: {}", snapshot.reason());
    };
    let status = &snapshot.status;
    let there = status.peers.iter().filter(|peer| peer.present).count();
    let fit = if status.fitness.is_fit() {
        "fit".to_owned()
    } else {
        format!("NOT FIT ({})", status.fitness.words())
    };
    let failover = match &status.failover {
        Ok(successors) => {
            let names: Vec<_> = successors.iter().map(|who| who.name.as_str()).collect();
            format!("{} can take over", names.join(", "))
        }
        Err(reason) => format!("no failover: {reason}"),
    };
    let mut text = format!(
        "{}, {fit}, {} sessions in Jool {}, {there} {}, {failover}",
        status.state,
        snapshot.sessions,
        instance.version,
        if there == 1 { "peer" } else { "peers" },
    );
    if let Some(transfer) = &status.transfer {
        text += &format!(", {} % from {}", transfer.percent, transfer.donor);
    }
    let reason = snapshot.reason();
    if !reason.is_empty() && status.state == replication::State::Degraded {
        text += &format!("; {reason}");
    }
    text
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
