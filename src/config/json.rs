//! From the bytes of a file to its entries: in file order, and with the repeated keys that
//! `serde_json`'s own map would swallow.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Bytes that a configuration file may have.
pub(super) const MAX_SIZE: usize = 1 << 20;

/// The entries of the JSON object that a file holds, in file order. The error is a sentence about
/// the whole file, with line and column where there is such a place.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<(String, Value)>, String> {
    if bytes.len() > MAX_SIZE {
        return Err(format!(
            "the file is larger than {MAX_SIZE} bytes, the limit; is it a configuration file?"
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        format!("line {line} is not UTF-8 text; save the file as UTF-8")
    })?;
    // Editors of other systems write it; the stock daemon's parser skips it as well.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let content = text.trim_start_matches([' ', '\t', '\r', '\n']);
    if content.is_empty() {
        return Err("the file is empty; a configuration without any key is {}".into());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let Entries(entries) = Entries::deserialize(&mut deserializer).map_err(|error| {
        if error.is_data() {
            format!(
                "the file holds {}; accepted: an object, {{ \"key\": value, … }}",
                kind(content)
            )
        } else {
            format!("{}: {}", place(text, &error), reason(&error))
        }
    })?;
    deserializer.end().map_err(|error| {
        format!(
            "{}: something follows the end of the object; remove it",
            place(text, &error)
        )
    })?;
    Ok(entries)
}

/// What JSON value begins here.
fn kind(content: &str) -> &'static str {
    match content.as_bytes().first() {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Line and column in characters, both from 1; serde_json counts columns in bytes.
fn place(text: &str, error: &serde_json::Error) -> String {
    let before = text
        .split('\n')
        .nth(error.line().saturating_sub(1))
        .and_then(|line| line.get(..error.column()));
    let column = before.map_or(error.column(), |before| before.chars().count());
    format!("line {}, column {}", error.line(), column.max(1))
}

/// serde_json's sentence without the place, which it appends.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&place).unwrap_or(&text);
    match reason {
        "recursion limit exceeded" => "arrays or objects are nested too deeply".into(),
        reason if error.is_eof() => format!("the JSON is cut short ({reason})"),
        reason => format!("this is not JSON ({reason})"),
    }
}

struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: impl AsRef<[u8]>) -> String {
        entries(bytes.as_ref()).expect_err("it was accepted")
    }

    #[test]
    fn entries_keep_their_order_and_repeat() {
        let entries = entries(br#"{ "b": 1, "a": [2], "b": null }"#).unwrap();
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "a", "b"]);
        assert_eq!(entries[2].1, Value::Null);
    }

    #[test]
    fn an_object_without_keys_and_a_byte_order_mark_are_accepted() {
        assert_eq!(entries(b" {}\r\n").unwrap(), []);
        assert_eq!(entries("\u{feff}{}".as_bytes()).unwrap(), []);
    }

    #[test]
    fn an_empty_file_is_refused_and_the_smallest_good_one_named() {
        for text in ["", " \r\n\t", "\u{feff}"] {
            let message = refused(text);
            assert_eq!(
                message,
                "the file is empty; a configuration without any key is {}"
            );
        }
    }

    #[test]
    fn anything_but_an_object_at_the_top_is_refused_by_its_kind() {
        for (text, kind) in [
            ("[1]", "an array"),
            ("\n\"x\"", "a string"),
            ("true", "a boolean"),
            ("null", "null"),
            ("-1.5", "a number"),
        ] {
            let expected =
                format!("the file holds {kind}; accepted: an object, {{ \"key\": value, … }}");
            assert_eq!(refused(text), expected);
        }
    }

    #[test]
    fn a_syntax_error_is_refused_with_line_and_column() {
        assert_eq!(
            refused("{\n  \"ttl\": 1\n  \"peers\": []\n}"),
            "line 3, column 3: this is not JSON (expected `,` or `}`)"
        );
        assert_eq!(
            refused("{ \"é\": x }"),
            "line 1, column 8: this is not JSON (expected value)"
        );
        assert_eq!(
            refused("{ \"ttl\": 1, }"),
            "line 1, column 13: this is not JSON (trailing comma)"
        );
        assert_eq!(
            refused("ttl: 1"),
            "line 1, column 2: this is not JSON (expected ident)"
        );
    }

    #[test]
    fn a_file_that_is_cut_short_is_refused_as_such() {
        assert_eq!(
            refused("{ \"ttl\": 1"),
            "line 1, column 10: the JSON is cut short (EOF while parsing an object)"
        );
    }

    #[test]
    fn trailing_garbage_is_refused_with_line_and_column() {
        for garbage in ["}", "{}", "x", "\0"] {
            assert_eq!(
                refused(format!("{{ }}\n{garbage}")),
                "line 2, column 1: something follows the end of the object; remove it"
            );
        }
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused_with_its_line() {
        assert_eq!(
            refused(b"{\n\"instance\": \"caf\xe9\" }"),
            "line 2 is not UTF-8 text; save the file as UTF-8"
        );
    }

    #[test]
    fn a_nesting_bomb_is_refused() {
        for opening in ["[", "{\"a\":"] {
            let message = refused(format!("{{\"peers\": {}", opening.repeat(100_000)));
            assert!(
                message.ends_with("arrays or objects are nested too deeply"),
                "{message}"
            );
        }
        assert!(refused("[".repeat(100_000)).starts_with("the file holds an array"));
    }

    #[test]
    fn a_file_of_more_than_a_mebibyte_is_refused() {
        let mut text = b"{}".to_vec();
        text.resize(MAX_SIZE, b' ');
        assert_eq!(entries(&text).unwrap(), []);
        text.push(b' ');
        assert!(refused(&text).starts_with("the file is larger than 1048576 bytes"));
    }
}
