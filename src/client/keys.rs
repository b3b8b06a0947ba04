//! What is sealed with which keys, and who has them.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::properties::{list, number, text, truth};
use super::terminal::{BAD, DOUBTFUL, GOOD, Style};
use super::{Daemon, Error, look, put};

/// Prints the keys of daemons, and which step is safe: a table, or a JSON array.
///
/// # Errors
///
/// A daemon has gone, or hangs.
pub async fn keys(daemons: &[Daemon], json: bool) -> Result<(), Error> {
    let style = Style::of_stdout();
    let (all, failure) = look(daemons).await;
    let text = if json {
        let part = |properties: &Map<String, Json>, name| properties.get(name).cloned();
        let objects = all.iter().map(|all| {
            json!({
                "Name": part(all, "Name"), "Seal": part(all, "Seal"),
                "SealKeys": part(all, "SealKeys"), "SealSteps": part(all, "SealSteps"),
            })
        });
        format!("{}\n", Json::from_iter(objects))
    } else {
        let tables: Vec<_> = all.iter().map(|all| table(all, &style)).collect();
        tables.join("\n")
    };
    put(&text)?;
    failure.map_or(Ok(()), Err)
}

/// What leaves sealed and what is taken, in words, and how that is painted.
pub(super) fn standing(properties: &Map<String, Json>) -> (String, &'static str) {
    let key = of(properties).find(|key| truth(key, "Sends"));
    let key = key.map_or(0, |key| number(key, "Id"));
    match text(properties, "Seal") {
        "off" => (
            "OPEN: whoever reaches this network can read sessions and make some up".to_owned(),
            DOUBTFUL,
        ),
        "accept" => (
            "OPEN still: frames leave open, sealed ones are taken, too".to_owned(),
            DOUBTFUL,
        ),
        "send" => (
            format!("frames leave sealed with key {key}, but OPEN ones are still taken"),
            DOUBTFUL,
        ),
        "require" => (
            format!("frames leave sealed with key {key}, and no others are taken"),
            GOOD,
        ),
        _ => (String::new(), ""),
    }
}

/// The keys that a daemon has.
fn of(properties: &Map<String, Json>) -> impl Iterator<Item = &Map<String, Json>> {
    let keys = properties.get("SealKeys").and_then(Json::as_array);
    keys.into_iter().flatten().filter_map(Json::as_object)
}

/// The keys of one daemon, and which step is safe next.
pub(super) fn table(properties: &Map<String, Json>, style: &Style) -> String {
    let (standing, colour) = standing(properties);
    let name = text(properties, "Name");
    let line = format!("joold@{name}: {standing}");
    let mut out = String::new();
    // Writing to a String cannot fail.
    for line in style.fold(2, &line) {
        let _ = writeln!(out, "{}", style.paint(colour, &line));
    }
    if of(properties).next().is_some() {
        let head = format!("{:<5}  {:<11}  NODES THAT HAVE IT", "KEY", "FINGERPRINT");
        let _ = writeln!(out, "\n  {}", style.paint("1", &head));
    }
    for key in of(properties) {
        let sends = truth(key, "Sends");
        let mut held = vec![
            if sends {
                "this one (sends)"
            } else {
                "this one"
            }
            .to_owned(),
        ];
        let sealing = list(key, "Sealing");
        held.extend(list(key, "Held").into_iter().map(|name| {
            if sealing.contains(&name) {
                format!("{name} (sends)")
            } else {
                name
            }
        }));
        let mut names = held.join(", ");
        for (nodes, words) in [
            ("Lacking", "NOT"),
            ("Differing", "another key with this ID:"),
        ] {
            let nodes = list(key, nodes).join(", ");
            if !nodes.is_empty() {
                let _ = write!(names, "; {words} {nodes}");
            }
        }
        let mut begin = format!("{:<5}  {:<11}", number(key, "Id"), text(key, "Fingerprint"));
        for line in style.fold(22, &names) {
            let _ = writeln!(out, "  {begin}  {line}");
            begin = " ".repeat(18);
        }
    }
    let steps = list(properties, "SealSteps");
    if !steps.is_empty() {
        out.push('\n');
    }
    for step in steps {
        // Each says what may be done, or what is not to be.
        let is_safe = step.contains(" safe ") || step.contains(" may ") && !step.contains(" not ");
        let colour = if is_safe { GOOD } else { BAD };
        for line in style.fold(2, &step) {
            let _ = writeln!(out, "  {}", style.paint(colour, &line));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::terminal::WIDTH;
    use super::*;

    const PLAIN: Style = Style {
        terminal: false,
        colour: false,
        columns: WIDTH,
        lines: usize::MAX,
    };

    #[test]
    fn each_key_is_shown_with_who_has_it_and_the_next_step() {
        let properties = json!({
            "Name": "eth0", "Seal": "require",
            "SealKeys": [
                { "Id": 1, "Fingerprint": "b7d0ab7d", "Sends": true, "Held": ["nat64-b", "nat64-c"],
                  "Lacking": [], "Differing": [], "Sealing": ["nat64-b"] },
                { "Id": 2, "Fingerprint": "0123abcd", "Sends": false, "Held": [],
                  "Lacking": ["nat64-b"], "Differing": ["nat64-c"], "Sealing": [] },
            ],
            "SealSteps": ["`send` may not move to key 2 yet: nat64-b, nat64-c cannot open it"],
        });
        let shown = table(properties.as_object().unwrap(), &PLAIN);
        assert_eq!(
            shown,
            "joold@eth0: frames leave sealed with key 1, and no others are taken\n\
             \n\
             \x20 KEY    FINGERPRINT  NODES THAT HAVE IT\n\
             \x20 1      b7d0ab7d     this one (sends), nat64-b (sends), nat64-c\n\
             \x20 2      0123abcd     this one; NOT nat64-b; another key with this ID: nat64-c\n\
             \n\
             \x20 `send` may not move to key 2 yet: nat64-b, nat64-c cannot open it\n"
        );
    }

    #[test]
    fn what_is_open_is_called_so() {
        for (seal, is_open) in [
            ("off", true),
            ("accept", true),
            ("send", true),
            ("require", false),
        ] {
            let properties = json!({ "Seal": seal });
            let (words, _) = standing(properties.as_object().unwrap());
            assert_eq!(words.contains("OPEN"), is_open, "{words}");
        }
    }
}
