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

    proptest::proptest! {
        #[test]
        fn every_short_name_gives_a_name_that_a_bus_accepts(name in "\\PC{0,20}") {
            WellKnownName::try_from(bus_name(&name)).unwrap();
        }
    }
}
