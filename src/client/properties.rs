//! What a daemon says of itself, read from its properties and written for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value as Json};

/// Microseconds since 1970, as the daemon gives times.
pub(super) fn clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

pub(super) fn text<'a>(properties: &'a Map<String, Json>, name: &str) -> &'a str {
    properties.get(name).and_then(Json::as_str).unwrap_or("")
}

pub(super) fn number(properties: &Map<String, Json>, name: &str) -> u64 {
    properties.get(name).and_then(Json::as_u64).unwrap_or(0)
}

pub(super) fn truth(properties: &Map<String, Json>, name: &str) -> bool {
    properties.get(name).and_then(Json::as_bool) == Some(true)
}

pub(super) fn counter(properties: &Map<String, Json>, name: &str) -> u64 {
    let counters = properties.get("Counters").and_then(Json::as_object);
    counters.map_or(0, |counters| number(counters, name))
}

pub(super) fn list(properties: &Map<String, Json>, name: &str) -> Vec<String> {
    let items = properties.get(name).and_then(Json::as_array);
    let items = items.map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

/// The other nodes.
pub(super) fn peers(properties: &Map<String, Json>) -> impl Iterator<Item = &Map<String, Json>> {
    let peers = properties.get("Peers").and_then(Json::as_array);
    peers.into_iter().flatten().filter_map(Json::as_object)
}

/// `12,345`
pub(super) fn thousands(number: u64) -> String {
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
pub(super) fn age(now: u64, then: u64) -> String {
    let seconds = Duration::from_micros(now.saturating_sub(then)).as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{minutes} min {} s", seconds % 60),
        3600..=86_399 => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// `35 ms`, `1.2 s`, from microseconds.
pub(super) fn span(microseconds: u64) -> String {
    match microseconds {
        0 => "0 ms".to_owned(),
        1..1000 => "<1 ms".to_owned(),
        1000..1_000_000 => format!("{} ms", microseconds / 1000),
        1_000_000..60_000_000 => {
            let tenths = microseconds / 100_000;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        _ => age(microseconds, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for (microseconds, expected) in [
            (0, "0 ms"),
            (700, "<1 ms"),
            (20_900, "20 ms"),
            (1_250_000, "1.2 s"),
            (65_000_000, "1 min 5 s"),
        ] {
            assert_eq!(span(microseconds), expected);
        }
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(999), "999");
    }
}
