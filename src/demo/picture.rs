//! How the demonstration looks: two tables side by side in a terminal, lines elsewhere, JSON for
//! programs.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Lags;
use crate::jool::simulated::Handle;

/// Width of the bars in columns: two and the names fit 80.
const BAR: usize = 28;

/// One node at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) sessions: usize,
    /// Records that left it, or that it took, so far.
    pub(super) records: u64,
}

/// Both nodes at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    at: Duration,
    pub(super) active: Node,
    standby: Node,
    /// Packets translated, each of which made the Jool emit a record.
    translated: u64,
    /// Sessions of the active node that the standby lacks.
    pub(super) lacking: usize,
    /// Median and longest.
    lag: Option<(Duration, Duration)>,
}

impl Frame {
    pub(super) fn new(active: &Handle, standby: &Handle, lags: &Lags, began: Instant) -> Self {
        let (from, to) = (active.counters(), standby.counters());
        Self {
            at: began.elapsed(),
            active: Node {
                sessions: active.len(),
                records: from.sent,
            },
            standby: Node {
                sessions: standby.len(),
                records: to.added,
            },
            translated: from.translated,
            lacking: standby.lacks_of(active),
            lag: lags.summary(),
        }
    }

    fn verdict(&self) -> String {
        let Self {
            active, lacking, ..
        } = self;
        match lacking {
            0 => format!(
                "The standby holds every one of the {} sessions of the node that stopped.",
                active.sessions
            ),
            _ => format!(
                "The standby LACKS {lacking} of the {} sessions of the node that stopped.",
                active.sessions
            ),
        }
    }
}

/// Where it is shown, and how.
pub(super) struct Screen {
    form: Form,
    /// The frame before, for rates.
    last: Option<Frame>,
    /// Lines of the picture that is on the terminal.
    drawn: usize,
}

enum Form {
    Picture { colour: bool },
    Lines,
    Json,
}

impl Screen {
    /// A picture at a terminal, in colour unless `NO_COLOR` is set.
    pub(super) fn new(json: bool) -> Self {
        let form = if json {
            Form::Json
        } else if io::stdout().is_terminal() {
            Form::Picture {
                colour: std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()),
            }
        } else {
            Form::Lines
        };
        Self {
            form,
            last: None,
            drawn: 0,
        }
    }

    pub(super) fn show(&mut self, frame: &Frame) -> io::Result<()> {
        let (sent, taken) = self.rates(frame);
        let mut text = String::new();
        match self.form {
            Form::Json => {
                let line = json!({
                    "seconds": seconds(frame.at),
                    "active": {
                        "sessions": frame.active.sessions,
                        "packets translated": frame.translated,
                        "records per second": sent,
                    },
                    "standby": {
                        "sessions": frame.standby.sessions,
                        "records per second": taken,
                    },
                    "lag": lag_json(frame.lag),
                    "differences": frame.lacking,
                });
                text = format!("{line}\n");
            }
            Form::Lines => {
                // A line a second is enough for a log.
                if self
                    .last
                    .is_some_and(|last| frame.at < last.at + Duration::from_secs(1))
                {
                    return Ok(());
                }
                let _ = writeln!(
                    text,
                    "{:>4.1} s  active: {} sessions, {sent} records/s emitted  standby: {} sessions, \
                     {taken} records/s given to Jool  lag: {}  differences: {}",
                    seconds(frame.at),
                    frame.active.sessions,
                    frame.standby.sessions,
                    lag_text(frame.lag),
                    frame.lacking,
                );
            }
            Form::Picture { colour } => {
                if self.drawn > 0 {
                    // Back to the picture's first line.
                    let _ = write!(text, "\x1b[{}A", self.drawn);
                }
                let lines = picture(frame, sent, taken, colour);
                self.drawn = lines.len();
                for line in lines {
                    let _ = writeln!(text, "\x1b[2K{line}");
                }
            }
        }
        self.last = Some(*frame);
        put(&text)
    }

    /// Something happened.
    pub(super) fn say(&mut self, event: &str) -> io::Result<()> {
        match self.form {
            Form::Json => put(&format!("{}\n", json!({ "event": event }))),
            Form::Lines => put(&format!("{event}\n")),
            Form::Picture { .. } => put(&format!("\x1b[2K  {event}\n")),
        }
    }

    /// The last word.
    pub(super) fn end(&mut self, frame: &Frame) -> io::Result<()> {
        let verdict = frame.verdict();
        match self.form {
            Form::Json => put(&format!(
                "{}\n",
                json!({
                    "result": if frame.lacking == 0 { "complete" } else { "incomplete" },
                    "sessions": frame.active.sessions,
                    "lacking": frame.lacking,
                    "lag": lag_json(frame.lag),
                    "text": verdict,
                })
            )),
            Form::Lines => put(&format!("{verdict}\n")),
            Form::Picture { colour } => {
                let paint = if frame.lacking == 0 {
                    "\x1b[1;32m"
                } else {
                    "\x1b[1;31m"
                };
                let (paint, plain) = if colour { (paint, "\x1b[0m") } else { ("", "") };
                put(&format!("\n{paint}{verdict}{plain}\n"))
            }
        }
    }

    /// Records per second since the last frame: sent by the active node, applied by the standby.
    fn rates(&self, frame: &Frame) -> (u64, u64) {
        let last = self
            .last
            .map(|last| (last.at, last.active.records, last.standby.records));
        let (at, sent, taken) = last.unwrap_or_default();
        let millis = u64::try_from((frame.at - at).as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let rate = |now: u64, then: u64| now.saturating_sub(then) * 1000 / millis;
        (
            rate(frame.active.records, sent),
            rate(frame.standby.records, taken),
        )
    }
}

/// A reader who has gone is no reason to stop measuring.
fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

fn lag_text(lag: Option<(Duration, Duration)>) -> String {
    lag.map_or("-".to_owned(), |(median, longest)| {
        format!(
            "{:.0} ms (longest {:.0} ms)",
            milliseconds(median),
            milliseconds(longest)
        )
    })
}

fn lag_json(lag: Option<(Duration, Duration)>) -> serde_json::Value {
    lag.map_or(serde_json::Value::Null, |(median, longest)| {
        json!({ "median ms": milliseconds(median), "longest ms": milliseconds(longest) })
    })
}

fn picture(frame: &Frame, sent: u64, taken: u64, colour: bool) -> Vec<String> {
    let (bold, dim, green, plain) = if colour {
        ("\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[0m")
    } else {
        ("", "", "", "")
    };
    let full = frame.active.sessions.max(frame.standby.sessions).max(4000);
    let bar = |sessions: usize| {
        let filled = sessions * BAR / full;
        format!(
            "{green}{}{plain}{dim}{}{plain}",
            "█".repeat(filled),
            "░".repeat(BAR - filled)
        )
    };
    let row = |name: &str, left: String, right: String| {
        format!("  {dim}{name:<12}{plain}{left:<BAR$}    {right}")
    };
    vec![
        format!(
            "{bold}joold: two nodes with simulated Jools, UDP over 127.0.0.1{plain}  {:>4.1} s",
            seconds(frame.at)
        ),
        String::new(),
        row("", "active node".to_owned(), "standby".to_owned()),
        format!(
            "  {:<12}{}    {}",
            "",
            bar(frame.active.sessions),
            bar(frame.standby.sessions)
        ),
        row(
            "sessions",
            frame.active.sessions.to_string(),
            frame.standby.sessions.to_string(),
        ),
        row(
            "records",
            format!("{sent}/s emitted by Jool"),
            format!("{taken}/s given to Jool"),
        ),
        row("lag", String::new(), lag_text(frame.lag)),
        row("differences", String::new(), frame.lacking.to_string()),
        String::new(),
    ]
}
