//! The daemon's name on the bus.

use std::fmt::Write;

use super::INTERFACE;

/// The name on the bus of the instance with this name: `mx.jool.Joold1.` and the name as one
/// element. Letters, digits, `_` and `-` stay; every other byte, and a digit in front, becomes `_`
/// and two hexadecimal digits; no name at all is `_`.
pub fn bus_name(name: &str) -> String {
    let mut element = String::new();
    for (position, byte) in name.bytes().enumerate() {
        let stays = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'-' => true,
            b'0'..=b'9' => position > 0,
            _ => false,
        };
        if stays {
            element.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(element, "_{byte:02x}");
        }
    }
    if element.is_empty() {
        element.push('_');
    }
    format!("{INTERFACE}.{element}")
}

/// The likeliest name of the instance with this name on the bus, if it is one's: only the instance
/// itself knows whether `_2e` stands for a dot.
pub fn likely_name(bus_name: &str) -> Option<String> {
    let element = bus_name.strip_prefix(INTERFACE)?.strip_prefix('.')?;
    let mut bytes = Vec::new();
    let mut rest = element;
    while let Some(first) = rest.bytes().next() {
        let digits = rest.strip_prefix('_').and_then(|rest| rest.get(..2));
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let length = if escaped.is_some() { 3 } else { 1 };
        bytes.push(escaped.unwrap_or(first));
        rest = rest.get(length..).unwrap_or_default();
    }
    let name = String::from_utf8(bytes).ok();
    let name = name.filter(|name| self::bus_name(name) == bus_name);
    Some(name.unwrap_or_else(|| element.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zbus::names::WellKnownName;

    #[test]
    fn a_plain_name_stays_and_any_other_becomes_one_element() {
        for (name, element) in [
            ("eth0", "eth0"),
            ("br-lan", "br-lan"),
            ("my_pair", "my_pair"),
            ("bond0.64", "bond0_2e64"),
            ("10g", "_310g"),
            ("2001:db8::1", "_32001_3adb8_3a_3a1"),
            ("käse", "k_c3_a4se"),
            ("", "_"),
        ] {
            assert_eq!(bus_name(name), format!("mx.jool.Joold1.{element}"));
        }
    }

    #[test]
    fn a_name_is_guessed_from_the_one_on_the_bus() {
        for name in [
            "eth0", "bond0.64", "br-lan", "my_pair", "10g", "my_61", "käse",
        ] {
            assert_eq!(likely_name(&bus_name(name)).as_deref(), Some(name));
        }
        assert_eq!(likely_name("mx.jool.Joold"), None);
        assert_eq!(likely_name("org.freedesktop.DBus"), None);
    }

    proptest::proptest! {
        #[test]
        fn a_guessed_name_is_the_same_on_the_bus(name in "[a-z0-9_.+é]{0,8}") {
            let guessed = likely_name(&bus_name(&name)).unwrap();
            proptest::prop_assert_eq!(bus_name(&guessed), bus_name(&name));
        }

        #[test]
        fn every_short_name_gives_a_name_that_a_bus_accepts(name in "\\PC{0,20}") {
            WellKnownName::try_from(bus_name(&name)).unwrap();
        }
    }
}
