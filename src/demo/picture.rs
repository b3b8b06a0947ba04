//! How the demonstration looks: tables side by side in a terminal, lines elsewhere, JSON for
//! programs.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::NAMES;
use super::relay::LOSS;

/// Width of a column: three and the names of the rows fit 80.
const COLUMN: usize = 22;
/// Width of the bars.
const BAR: usize = 18;

/// One node at a moment.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// What it is about.
    pub(super) state: String,
    /// How much of another's table has come, if that is on its way.
    pub(super) percent: Option<u8>,
    pub(super) sessions: usize,
    /// Records that its Jool emitted, or was given, so far.
    pub(super) records: u64,
    /// Records that were lost on the way and came all the same.
    pub(super) repaired: u64,
    /// Sessions of the active node that it lacks.
    pub(super) lacking: usize,
    /// Median and longest.
    pub(super) lag: Option<(Duration, Duration)>,
}

/// All nodes at a moment, the active one first.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) at: Duration,
    pub(super) tables: [Table; 3],
    /// Packets translated, each of which made the Jool emit a record.
    pub(super) translated: u64,
    /// Datagrams between the nodes, and those of them that were lost.
    pub(super) datagrams: (u64, u64),
}

impl Frame {
    /// Sessions of the active node.
    fn sessions(&self) -> usize {
        let [active, ..] = &self.tables;
        active.sessions
    }

    /// How many of them the worse standby lacks.
    fn lacking(&self) -> usize {
        let [_, standbys @ ..] = &self.tables;
        standbys
            .iter()
            .map(|table| table.lacking)
            .max()
            .unwrap_or(0)
    }

    /// Whether the standbys hold every session of the active node, and that there are any.
    fn is_complete(&self) -> bool {
        self.lacking() == 0 && self.sessions() > 0
    }

    fn verdict(&self) -> String {
        let sessions = self.sessions();
        match self.lacking() {
            0 => format!(
                "Both standbys hold every one of the {sessions} sessions of the node that stopped."
            ),
            lacking => format!(
                "A standby LACKS {lacking} of the {sessions} sessions of the node that stopped."
            ),
        }
    }
}

/// Where it is shown, and how.
pub(super) struct Screen {
    form: Form,
    /// The frame before, for rates.
    last: Option<Frame>,
    /// What happened so far.
    events: Vec<String>,
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
            events: Vec::new(),
            drawn: 0,
        }
    }

    pub(super) fn show(&mut self, frame: &Frame) -> io::Result<()> {
        // A line a second is enough for a log.
        if let (Form::Lines, Some(last)) = (&self.form, &self.last)
            && frame.at < last.at + Duration::from_secs(1)
        {
            return Ok(());
        }
        let rates = self.rates(frame);
        let text = match self.form {
            Form::Json => format!("{}\n", json_of(frame, rates)),
            Form::Lines => line_of(frame, rates),
            Form::Picture { colour } => {
                let mut text = String::new();
                if self.drawn > 0 {
                    // Back to the picture's first line.
                    let _ = write!(text, "\x1b[{}A", self.drawn);
                }
                let mut lines = picture(frame, rates, colour);
                lines.extend(self.events.iter().cloned());
                self.drawn = lines.len();
                for line in lines {
                    let _ = writeln!(text, "\x1b[2K{line}");
                }
                text
            }
        };
        self.last = Some(frame.clone());
        put(&text)
    }

    /// Something happened.
    pub(super) fn say(&mut self, at: Duration, event: &str) -> io::Result<()> {
        match self.form {
            Form::Json => put(&format!(
                "{}\n",
                json!({ "seconds": seconds(at), "event": event })
            )),
            Form::Lines => put(&format!("{:>4.1} s  {event}\n", seconds(at))),
            Form::Picture { .. } => {
                // Shown with the next picture.
                let event = format!("  {:>4.1} s  {event}", seconds(at));
                self.events.push(event);
                Ok(())
            }
        }
    }

    /// The last word: whether the standbys have everything.
    pub(super) fn end(&mut self, frame: &Frame) -> io::Result<bool> {
        let complete = frame.is_complete();
        let verdict = frame.verdict();
        let [_, b, c] = &frame.tables;
        let text = match self.form {
            Form::Json => format!(
                "{}\n",
                json!({
                    "result": if complete { "complete" } else { "incomplete" },
                    "sessions": frame.sessions(),
                    "lacking": frame.lacking(),
                    "lag": [lag_json(b.lag), lag_json(c.lag)],
                    "text": verdict,
                })
            ),
            Form::Lines => format!("{verdict}\n"),
            Form::Picture { colour } => {
                let code = if complete { "1;32" } else { "1;31" };
                format!("\n{}\n", paint(colour, code, &verdict))
            }
        };
        put(&text)?;
        Ok(complete)
    }

    /// Records per second since the last frame, of each node.
    fn rates(&self, frame: &Frame) -> [u64; 3] {
        let Some(last) = &self.last else {
            return [0; 3];
        };
        let millis = u64::try_from((frame.at - last.at).as_millis()).unwrap_or(u64::MAX);
        let [a, b, c] = &last.tables;
        let [x, y, z] = &frame.tables;
        [(a, x), (b, y), (c, z)]
            .map(|(then, now)| now.records.saturating_sub(then.records) * 1000 / millis.max(1))
    }
}

fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
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
            "{:.0} ms (max {:.0} ms)",
            milliseconds(median),
            milliseconds(longest)
        )
    })
}

fn lag_json(lag: Option<(Duration, Duration)>) -> Value {
    lag.map_or(Value::Null, |(median, longest)| {
        json!({ "median ms": milliseconds(median), "longest ms": milliseconds(longest) })
    })
}

fn json_of(frame: &Frame, [emitted, to_b, to_c]: [u64; 3]) -> Value {
    let [a, b, c] = &frame.tables;
    let standby = |name: &str, table: &Table, rate: u64| {
        json!({
            "name": name,
            "state": table.state,
            "sessions": table.sessions,
            "records per second": rate,
            "repaired": table.repaired,
            "lag": lag_json(table.lag),
            "differences": table.lacking,
        })
    };
    let [first, second, third] = NAMES;
    let (datagrams, lost) = frame.datagrams;
    json!({
        "seconds": seconds(frame.at),
        "active": {
            "name": first,
            "state": a.state,
            "sessions": a.sessions,
            "packets translated": frame.translated,
            "records per second": emitted,
        },
        "standbys": [standby(second, b, to_b), standby(third, c, to_c)],
        "datagrams": datagrams,
        "lost": lost,
    })
}

fn line_of(frame: &Frame, [emitted, ..]: [u64; 3]) -> String {
    let [a, b, c] = &frame.tables;
    let [first, second, third] = NAMES;
    let standby = |name: &str, table: &Table| {
        format!(
            "{name} {}: {} sessions, {} differences, lag {}",
            table.state,
            table.sessions,
            table.lacking,
            lag_text(table.lag)
        )
    };
    format!(
        "{:>4.1} s  {first} {}: {} sessions, {emitted} records/s  {}  {}\n",
        seconds(frame.at),
        a.state,
        a.sessions,
        standby(second, b),
        standby(third, c),
    )
}

fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour && !code.is_empty() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

fn picture(frame: &Frame, rates: [u64; 3], colour: bool) -> Vec<String> {
    let most = frame.tables.iter().map(|table| table.sessions).max();
    let full = most.unwrap_or(0).max(5000);
    // Each cell is filled up to the column's width before it is painted.
    let row = |name: &str, cells: [(&str, String); 3]| {
        let cells = cells.map(|(code, text)| paint(colour, code, &format!("{text:<COLUMN$}")));
        format!(
            "  {}{}",
            paint(colour, "2", &format!("{name:<11}")),
            cells.concat()
        )
        .trim_end()
        .to_owned()
    };
    let [a, b, c] = &frame.tables;
    let of = |cell: &dyn Fn(&Table) -> (&'static str, String)| [cell(a), cell(b), cell(c)];
    let [first, second, third] = NAMES;
    let [emitted, to_b, to_c] = rates;
    let state = |table: &Table| {
        let code = match table.state.as_str() {
            "synced" => "1;32",
            "down" => "1;31",
            _ => "1;33",
        };
        let percent = table.percent.map(|percent| format!(" {percent} %"));
        (code, table.state.clone() + &percent.unwrap_or_default())
    };
    let bar = |table: &Table| {
        let filled = table.sessions * BAR / full;
        ("32", "█".repeat(filled) + &"░".repeat(BAR - filled))
    };
    let lacking = |table: &Table| {
        let code = if table.lacking > 0 { "1;33" } else { "" };
        (code, table.lacking.to_string())
    };
    let nothing = || ("", String::new());
    let (datagrams, lost) = frame.datagrams;
    vec![
        format!(
            "{}  {:>4.1} s",
            paint(
                colour,
                "1",
                "joold: three nodes with simulated Jools, UDP over 127.0.0.1"
            ),
            seconds(frame.at)
        ),
        format!("  {lost} of {datagrams} datagrams lost ({LOSS} %), some overtaken by others"),
        String::new(),
        row(
            "",
            [
                ("1", format!("{first}, active")),
                ("1", second.to_owned()),
                ("1", third.to_owned()),
            ],
        ),
        row("", of(&bar)),
        row("state", of(&state)),
        row("sessions", of(&|table| ("", table.sessions.to_string()))),
        row(
            "records",
            [
                ("", format!("{emitted}/s from Jool")),
                ("", format!("{to_b}/s to Jool")),
                ("", format!("{to_c}/s to Jool")),
            ],
        ),
        row(
            "repaired",
            [
                nothing(),
                ("", b.repaired.to_string()),
                ("", c.repaired.to_string()),
            ],
        ),
        row(
            "lag",
            [nothing(), ("", lag_text(b.lag)), ("", lag_text(c.lag))],
        ),
        row("differences", [nothing(), lacking(b), lacking(c)]),
        String::new(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(lacking: [usize; 2]) -> Frame {
        let table = |state: &str, lacking| Table {
            state: state.to_owned(),
            percent: (state == "joining").then_some(43),
            sessions: 123_456,
            records: 1_234_567,
            repaired: 12_345,
            lacking,
            lag: Some((Duration::from_millis(999), Duration::from_millis(1999))),
        };
        let [b, c] = lacking;
        Frame {
            at: Duration::from_millis(12_345),
            tables: [table("stopped", 0), table("joining", b), table("down", c)],
            translated: 1_000_000,
            datagrams: (100_000, 5000),
        }
    }

    #[test]
    fn the_picture_fits_80_columns_and_says_how_far_a_join_is() {
        let picture = picture(&frame([0, 123_456]), [123_456; 3], false);
        for line in &picture {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let all = picture.join("\n");
        assert!(
            all.contains("stopped               joining 43 %          down\n"),
            "{all}"
        );
    }

    #[test]
    fn one_standby_that_lacks_a_session_is_enough_for_a_failure() {
        let complete = frame([0, 0]);
        assert!(complete.is_complete());
        assert!(complete.verdict().contains("hold every one of the 123456"));
        for lacking in [[1, 0], [0, 1]] {
            let frame = frame(lacking);
            assert!(!frame.is_complete());
            assert!(
                frame.verdict().contains("LACKS 1 of"),
                "{}",
                frame.verdict()
            );
        }
        let mut empty = frame([0, 0]);
        for table in &mut empty.tables {
            table.sessions = 0;
        }
        assert!(!empty.is_complete());
    }
}
