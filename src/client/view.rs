//! How a daemon looks in a terminal.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value as Json};

/// How it may be drawn.
pub(super) struct Style {
    pub(super) terminal: bool,
    pub(super) colour: bool,
}

impl Style {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Counters of what did not get where it was to go, and what each is called here.
const DROPS: &[(&str, &str)] = &[
    ("jool-overflows", "overflows of the socket from Jool"),
    ("jool-malformed", "messages from Jool not understood"),
    ("jool-failures", "failures to read from Jool"),
    ("add-refusals", "refusals by Jool to take records"),
    (
        "acknowledge-refusals",
        "refusals by Jool of an acknowledgement",
    ),
    ("inexpressible", "records that need a pool6 of /96"),
    ("no-jool", "datagrams without a Jool"),
    ("too-long", "datagrams too long"),
    ("strangers", "datagrams from strangers"),
    ("elsewhere", "datagrams over another interface"),
    ("receive-errors", "errors while receiving"),
];

/// Microseconds since 1970, as the daemon gives times.
pub(super) fn clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

fn text<'a>(properties: &'a Map<String, Json>, name: &str) -> &'a str {
    properties.get(name).and_then(Json::as_str).unwrap_or("")
}

fn number(properties: &Map<String, Json>, name: &str) -> u64 {
    properties.get(name).and_then(Json::as_u64).unwrap_or(0)
}

fn counter(properties: &Map<String, Json>, name: &str) -> u64 {
    let counters = properties.get("Counters").and_then(Json::as_object);
    counters.map_or(0, |counters| number(counters, name))
}

fn list(properties: &Map<String, Json>, name: &str) -> Vec<String> {
    let items = properties.get(name).and_then(Json::as_array);
    let items = items.map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

/// `12,345`
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `45 s`, `12 min 5 s`, `3 h 20 min`, `4 d 1 h`.
fn age(now: u64, then: u64) -> String {
    let seconds = Duration::from_micros(now.saturating_sub(then)).as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{minutes} min {} s", seconds % 60),
        3600..=86_399 => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// The counters of drops that are not zero, in words; the reasons of rejected records among them.
fn drops(properties: &Map<String, Json>) -> Vec<String> {
    let mut lines: Vec<String> = DROPS
        .iter()
        .map(|(name, words)| (counter(properties, name), *words))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{} {words}", thousands(count)))
        .collect();
    let counters = properties.get("Counters").and_then(Json::as_object);
    for (name, count) in counters.into_iter().flatten() {
        let count = count.as_u64().unwrap_or(0);
        if count > 0 && (name.contains("reject") || name.starts_with("unsent")) {
            lines.push(format!("{} {}", thousands(count), name.replace('-', " ")));
        }
    }
    lines
}

/// One daemon, much as `systemctl status` shows a unit.
pub(super) fn status(properties: &Map<String, Json>, style: &Style, now: u64) -> String {
    let state = text(properties, "State");
    let (dot, colour) = if state == "running" {
        ("●", "1;32")
    } else {
        ("○", "1;33")
    };
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name:>10}: {value}");
        }
    };
    row(
        "State",
        &format!(
            "{} for {}",
            style.paint(colour, state),
            age(now, number(properties, "StateSince"))
        ),
    );
    row("Reason", text(properties, "StateReason"));
    let instance = text(properties, "Instance");
    match text(properties, "JoolVersion") {
        "" => row("Jool", &format!("instance \"{instance}\"")),
        version => row(
            "Jool",
            &format!(
                "{version}, instance \"{instance}\", pool6 {}, {}-byte records",
                text(properties, "Pool6"),
                text(properties, "RecordFormat")
            ),
        ),
    }
    row("Sessions", &thousands(number(properties, "Sessions")));
    row("Listens", &listens(properties));
    row("Sends to", &list(properties, "ConfiguredPeers").join(", "));
    row("Heard", &heard(properties, now));
    row(
        "Sent",
        &format!(
            "{} records in {} datagrams",
            thousands(counter(properties, "sent-records")),
            thousands(counter(properties, "sent-datagrams"))
        ),
    );
    row(
        "Received",
        &format!(
            "{} records in {} datagrams",
            thousands(counter(properties, "received-records")),
            thousands(counter(properties, "received-datagrams"))
        ),
    );
    let drops = drops(properties);
    if drops.is_empty() {
        row("Dropped", "nothing");
    } else {
        row("Dropped", &style.paint("1;31", &drops.join(", ")));
    }
    if text(properties, "LastError") != text(properties, "StateReason") {
        row("Error", text(properties, "LastError"));
    }
    let files = list(properties, "ConfigurationFiles").join(", ");
    let files = if files.is_empty() { "defaults" } else { &files };
    let loaded = age(now, number(properties, "ConfigurationLoaded"));
    row("Settings", &format!("{files}, read {loaded} ago"));
    for problem in list(properties, "ConfigurationProblems") {
        row("Problem", &style.paint("1;31", &problem));
    }
    format!(
        "{} joold@{} {}\n{out}",
        style.paint(colour, dot),
        text(properties, "Name"),
        text(properties, "Version")
    )
}

fn listens(properties: &Map<String, Json>) -> String {
    let local = text(properties, "LocalAddress");
    match text(properties, "ReceiveInterface") {
        "" => local.to_owned(),
        interface => format!("{local} on {interface}"),
    }
}

/// Who was heard and how long ago, in a line.
fn heard(properties: &Map<String, Json>, now: u64) -> String {
    let peers = properties.get("Peers").and_then(Json::as_array);
    let peers = peers.map(Vec::as_slice).unwrap_or_default();
    if peers.is_empty() {
        return "nobody yet".to_owned();
    }
    let one = |peer: &Json| {
        let peer = peer.as_object()?;
        let ago = age(now, number(peer, "LastHeard"));
        Some(format!("{} {ago} ago", text(peer, "Address")))
    };
    let all: Vec<String> = peers.iter().filter_map(one).collect();
    all.join(", ")
}

/// The nodes that were heard, as a table.
pub(super) fn peers(name: &str, peers: &Json, style: &Style, now: u64) -> String {
    let mut out = String::new();
    let rows = peers.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return format!("joold@{name} has heard nobody yet\n");
    }
    let head = format!(
        "{:<40} {:>12} {:>12} {:>9}  {}",
        "PEER", "DATAGRAMS", "RECORDS", "REJECTED", "LAST HEARD"
    );
    let _ = writeln!(out, "{}", style.paint("1", &head));
    for peer in rows.iter().filter_map(Json::as_object) {
        let _ = writeln!(
            out,
            "{:<40} {:>12} {:>12} {:>9}  {} ago",
            text(peer, "Address"),
            thousands(number(peer, "Datagrams")),
            thousands(number(peer, "Records")),
            thousands(number(peer, "Rejected")),
            age(now, number(peer, "LastHeard"))
        );
    }
    out
}

/// One daemon with its rates since the last look, in a few lines.
pub(super) fn live(
    properties: &Map<String, Json>,
    before: Option<&Map<String, Json>>,
    style: &Style,
    now: u64,
) -> String {
    let rate = |name: &str| {
        let then = before.map_or_else(|| counter(properties, name), |before| counter(before, name));
        thousands(counter(properties, name).saturating_sub(then))
    };
    let mut out = String::new();
    let state = text(properties, "State");
    let colour = if state == "running" { "1;32" } else { "1;33" };
    let _ = writeln!(
        out,
        "{}  {} for {}  {} sessions",
        style.paint("1", &format!("joold@{}", text(properties, "Name"))),
        style.paint(colour, state),
        age(now, number(properties, "StateSince")),
        thousands(number(properties, "Sessions"))
    );
    let _ = writeln!(
        out,
        "  from Jool {:>8} records/s   sent     {:>8} records/s in {:>6} datagrams/s",
        rate("local-records"),
        rate("sent-records"),
        rate("sent-datagrams")
    );
    let _ = writeln!(
        out,
        "  to Jool   {:>8} records/s   received {:>8} records/s in {:>6} datagrams/s",
        rate("injected-records"),
        rate("received-records"),
        rate("received-datagrams")
    );
    let drops = drops(properties);
    let drops = if drops.is_empty() {
        "nothing".to_owned()
    } else {
        drops.join(", ")
    };
    let _ = writeln!(out, "  heard: {}", heard(properties, now));
    let _ = writeln!(out, "  dropped: {drops}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PLAIN: Style = Style {
        terminal: false,
        colour: false,
    };

    fn properties() -> Map<String, Json> {
        let json = json!({
            "Name": "eth0", "Version": "0.1.0", "State": "running", "StateSince": 0,
            "JoolVersion": "4.1.13", "Instance": "default", "Pool6": "64:ff9b::/96",
            "RecordFormat": "40", "Sessions": 41_233, "LocalAddress": "[ff15::6a6f:6f6c]:6400",
            "ReceiveInterface": "eth0", "ConfigurationFiles": [], "ConfigurationLoaded": 0,
            "Peers": [{ "Address": "[fe80::1]:6400", "Datagrams": 7, "Records": 12_345,
                        "Rejected": 0, "LastHeard": 58_000_000 }],
            "Counters": { "sent-records": 1000, "sent-datagrams": 40, "strangers": 0,
                          "received-records": 12_345, "received-datagrams": 7 },
        });
        json.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn the_status_of_a_daemon_reads_like_a_units() {
        assert_eq!(
            status(&properties(), &PLAIN, 60_000_000),
            "● joold@eth0 0.1.0\n\
             \x20    State: running for 1 min 0 s\n\
             \x20     Jool: 4.1.13, instance \"default\", pool6 64:ff9b::/96, 40-byte records\n\
             \x20 Sessions: 41,233\n\
             \x20  Listens: [ff15::6a6f:6f6c]:6400 on eth0\n\
             \x20    Heard: [fe80::1]:6400 2 s ago\n\
             \x20     Sent: 1,000 records in 40 datagrams\n\
             \x20 Received: 12,345 records in 7 datagrams\n\
             \x20  Dropped: nothing\n\
             \x20 Settings: defaults, read 1 min 0 s ago\n"
        );
    }

    #[test]
    fn what_is_wrong_stands_out() {
        let mut properties = properties();
        properties.insert("State".to_owned(), json!("waiting"));
        properties.insert("StateReason".to_owned(), json!("no module"));
        properties.insert("Counters".to_owned(), json!({ "strangers": 1200 }));
        properties.insert("ConfigurationProblems".to_owned(), json!(["a.json: bad"]));
        let shown = status(&properties, &PLAIN, 60_000_000);
        for part in [
            "○ joold@eth0",
            "State: waiting",
            "Reason: no module",
            "Dropped: 1,200 datagrams from strangers",
            "Problem: a.json: bad",
        ] {
            assert!(shown.contains(part), "{part}:\n{shown}");
        }
    }

    #[test]
    fn rates_are_differences_to_the_look_before() {
        let before = properties();
        let mut after = before.clone();
        after.insert(
            "Counters".to_owned(),
            json!({ "sent-records": 1500, "sent-datagrams": 41 }),
        );
        let shown = live(&after, Some(&before), &PLAIN, 60_000_000);
        assert!(
            shown.contains("sent          500 records/s in      1 datagrams/s"),
            "{shown}"
        );
    }

    #[test]
    fn nothing_that_a_daemon_lacks_stops_the_picture() {
        assert!(status(&Map::new(), &PLAIN, 0).contains("nobody yet"));
        assert!(peers("eth0", &Json::Null, &PLAIN, 0).contains("nobody"));
    }

    #[test]
    fn ages_and_numbers_are_written_for_people() {
        for (seconds, expected) in [
            (5, "5 s"),
            (65, "1 min 5 s"),
            (3700, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(age(seconds * 1_000_000, 0), expected);
        }
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(999), "999");
    }
}
