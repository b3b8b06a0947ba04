//! The other nodes, as a table.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use super::properties::{age, list, number, span, text, thousands, truth};
use super::terminal::{BAD, DOUBTFUL, FAINT, GOOD, Style};
use super::view::colour_of;

/// Columns of the table besides those of the names, and of the tables of what came and was compared.
const COLUMNS: usize = 58;
const FULL_COLUMNS: usize = 72;
/// Columns of the longest name that is shown whole.
const LONGEST_NAME: usize = 22;

/// The nodes that were heard, each with what is wrong with it, if anything is.
pub(super) fn table(peers: &Json, style: &Style, now: u64) -> String {
    let rows = peers.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = rows.iter().filter_map(Json::as_object).collect();
    if rows.is_empty() {
        return format!("  {}\n", style.paint(DOUBTFUL, "Nobody was heard yet."));
    }
    let names = rows.iter().map(|peer| text(peer, "Name").chars().count());
    let width = names.max().unwrap_or(0).clamp(4, LONGEST_NAME);
    let mut out = String::new();
    let is_narrow = style.columns < width + COLUMNS;
    let head = format!(
        "{:<width$}  {:<3}  {:<8} {:>11} {:>8} {:>8} {:>8}",
        "PEER", "FIT", "STATE", "SESSIONS", "BEHIND", "LAG", "MISSING"
    );
    // Writing to a String cannot fail.
    if !is_narrow {
        let _ = writeln!(out, "  {}", style.paint("1", &head));
    }
    for peer in rows {
        if is_narrow {
            sentence(&mut out, peer, style);
        } else {
            line(&mut out, peer, width, style);
        }
        let wrong = wrong(peer, now);
        for line in style.fold(4, &address(peer)) {
            let _ = writeln!(out, "    {}", style.paint(FAINT, &line));
        }
        for line in wrong.iter().flat_map(|wrong| style.fold(4, wrong)) {
            let _ = writeln!(out, "    {}", style.paint(BAD, &line));
        }
    }
    out
}

/// The same, with what came from each.
pub(super) fn full_table(name: &str, peers: &Json, style: &Style, now: u64) -> String {
    let rows = peers.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = rows.iter().filter_map(Json::as_object).collect();
    if rows.is_empty() {
        return format!("joold@{name} has heard nobody yet\n");
    }
    let mut out = table(peers, style, now);
    if style.columns < FULL_COLUMNS {
        return out + &sentences(&rows, style, now);
    }
    let head = format!(
        "{:<LONGEST_NAME$} {:>11} {:>12} {:>8}  {}",
        "FROM", "DATAGRAMS", "RECORDS", "REFUSED", "HEARD"
    );
    let _ = writeln!(out, "\n  {}", style.paint("1", &head));
    for peer in &rows {
        let _ = writeln!(
            out,
            "  {:<LONGEST_NAME$} {:>11} {:>12} {:>8}  {} ago",
            shortened(text(peer, "Name"), LONGEST_NAME),
            thousands(number(peer, "Datagrams")),
            thousands(number(peer, "Records")),
            thousands(number(peer, "Rejected")),
            age(now, number(peer, "LastHeard"))
        );
    }
    out + &comparisons(&rows, style, now)
}

/// The same in words, for a terminal that is too narrow for a table.
fn sentences(rows: &[&Map<String, Json>], style: &Style, now: u64) -> String {
    let mut out = "\n".to_owned();
    for peer in rows {
        let (name, differing) = (text(peer, "Name"), number(peer, "DifferingSessions"));
        let mut said = format!(
            "{name}: {} datagrams with {} records came, {} refused, the last {} ago",
            thousands(number(peer, "Datagrams")),
            thousands(number(peer, "Records")),
            thousands(number(peer, "Rejected")),
            age(now, number(peer, "LastHeard"))
        );
        if text(peer, "Kind") == "joold" {
            said += &match number(peer, "LastVerified") {
                0 => "; not compared yet".to_owned(),
                then => format!(
                    "; compared {} ago: {} sessions, {} differed",
                    age(now, then),
                    thousands(number(peer, "VerifiedSessions")),
                    thousands(differing)
                ),
            };
        }
        out += &style.hanging(4, &format!("  {said}"));
    }
    out
}

/// What was found when each was last compared with what is here.
fn comparisons(rows: &[&Map<String, Json>], style: &Style, now: u64) -> String {
    let rows = rows.iter().filter(|peer| text(peer, "Kind") == "joold");
    let mut rows = rows.peekable();
    let mut out = String::new();
    if rows.peek().is_none() {
        return out;
    }
    let head = format!(
        "{:<LONGEST_NAME$} {:>11} {:>12} {:>8}  {}",
        "COMPARED WITH", "SESSIONS", "DIFFERED", "", "WHEN"
    );
    let _ = writeln!(out, "\n  {}", style.paint("1", &head));
    for peer in rows {
        let differing = number(peer, "DifferingSessions");
        let when = match number(peer, "LastVerified") {
            0 => "not yet".to_owned(),
            then => format!("{} ago", age(now, then)),
        };
        let _ = writeln!(
            out,
            "  {:<LONGEST_NAME$} {:>11} {} {:>8}  {when}",
            shortened(text(peer, "Name"), LONGEST_NAME),
            thousands(number(peer, "VerifiedSessions")),
            style.paint(
                if differing > 0 { BAD } else { "" },
                &format!("{:>12}", thousands(differing))
            ),
            "",
        );
    }
    out
}

/// A name in so many columns.
fn shortened(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    let start: String = name.chars().take(width - 1).collect();
    start + "…"
}

fn line(out: &mut String, peer: &Map<String, Json>, width: usize, style: &Style) {
    let name = shortened(text(peer, "Name"), width);
    let stock = text(peer, "Kind") == "stock";
    let (state, colour) = match text(peer, "State") {
        _ if !truth(peer, "Present") => ("gone", BAD),
        // What it is about, it does not say.
        "" => ("-", ""),
        state => (state, colour_of(state)),
    };
    let (fit, fit_colour) = match text(peer, "Fitness") {
        _ if stock || !truth(peer, "Present") => ("-", ""),
        _ if truth(peer, "Fit") => ("yes", GOOD),
        _ => ("NO", BAD),
    };
    let known = |value: String| if stock { "-".to_owned() } else { value };
    // What it had when it was last heard may be gone with it.
    let now = |value: String| {
        if truth(peer, "Present") {
            known(value)
        } else {
            "-".to_owned()
        }
    };
    let missing = number(peer, "Missing");
    let _ = writeln!(
        out,
        "  {name:<width$}  {}  {} {:>11} {:>8} {:>8} {}",
        style.paint(fit_colour, &format!("{fit:<3}")),
        style.paint(colour, &format!("{state:<8}")),
        now(thousands(number(peer, "Sessions"))),
        now(thousands(number(peer, "Behind"))),
        now(span(number(peer, "Lag"))),
        style.paint(
            if missing > 0 { BAD } else { "" },
            &format!("{:>8}", known(thousands(missing)))
        ),
    );
}

/// A row of the table in words.
fn sentence(out: &mut String, peer: &Map<String, Json>, style: &Style) {
    let name = text(peer, "Name");
    let (said, colour) = match text(peer, "State") {
        _ if !truth(peer, "Present") => (format!("{name}: gone"), BAD),
        "" => (format!("{name}: there"), ""),
        state => {
            let (fit, colour) = if truth(peer, "Fit") {
                ("fit", colour_of(state))
            } else {
                ("NOT fit", BAD)
            };
            let said = format!(
                "{name}: {fit}, {state}, {} sessions, {} behind ({}), {} missing",
                thousands(number(peer, "Sessions")),
                thousands(number(peer, "Behind")),
                span(number(peer, "Lag")),
                thousands(number(peer, "Missing"))
            );
            (said, colour)
        }
    };
    for line in style.hanging(4, &format!("  {said}")).lines() {
        let _ = writeln!(out, "{}", style.paint(colour, line));
    }
}

/// Where it is, and what it runs.
fn address(peer: &Map<String, Json>) -> String {
    let seal = match text(peer, "Seal") {
        "" => String::new(),
        "open" => ", OPEN".to_owned(),
        seal => format!(", {seal}"),
    };
    if text(peer, "Kind") == "stock" {
        let address = text(peer, "Address");
        return format!("{address}, the stock daemon, which does not tell what it has{seal}");
    }
    let mut parts = vec![text(peer, "Address").to_owned()];
    for (key, before, after) in [
        ("Version", "joold ", ""),
        ("JoolVersion", "Jool ", ""),
        ("RecordFormat", "", "-byte records"),
    ] {
        let value = text(peer, key);
        if !value.is_empty() {
            parts.push(format!("{before}{value}{after}"));
        }
    }
    let keys = peer.get("Keys").and_then(Json::as_array);
    let keys = keys.into_iter().flatten().map(ToString::to_string);
    let keys = match keys.collect::<Vec<_>>().join(", ") {
        keys if keys.is_empty() => keys,
        keys => format!(", has the keys {keys}"),
    };
    parts.join(", ") + &seal + &keys
}

/// What an operator should look into, a sentence each.
fn wrong(peer: &Map<String, Json>, now: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    if !truth(peer, "Present") {
        let ago = age(now, number(peer, "LastHeard"));
        wrong.push(format!("not heard for {ago}"));
    }
    if truth(peer, "Present") && text(peer, "Kind") == "joold" && !truth(peer, "Fit") {
        wrong.push(format!(
            "not fit to take over: {}",
            text(peer, "FitnessWords")
        ));
    }
    if truth(peer, "Present") && peer.get("HearsUs") == Some(&Json::Bool(false)) {
        wrong.push(
            "does not hear this node: does a packet filter there stop it, or is it missing in the \"peers\" there?"
                .to_owned(),
        );
    }
    if truth(peer, "SharesName") {
        wrong.push(
            "not the only node of this name; give one of them another \"node name\"".to_owned(),
        );
    }
    let drift = list(peer, "Drift").join(", ");
    if !drift.is_empty() {
        wrong.push(format!(
            "its Jool is not set up as ours: {drift}; make that the same"
        ));
    }
    wrong
}
