//! One value at a time: from JSON to what it means. An error says what was found and why it will
//! not do; what is accepted instead is the key's to say.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::net::Interface;
use crate::replication::{Difference, Failback};
use crate::seal;
use crate::session::Format;

/// Characters of a value or a name that a message repeats.
const SHOWN: usize = 60;

/// The port of a `statistics address` without one, as the stock daemon has it since 4.1.13.
pub(super) const STATISTICS_PORT: u16 = 6401;

/// Bytes of the longest name that Linux gives an interface (IFNAMSIZ less the NUL), and Jool an
/// instance.
const NAME_MAX: usize = 15;

/// Looks up a service name: its UDP port, `None` if there is none, or why nobody knows.
pub(super) type Service<'a> = &'a dyn Fn(&str) -> Result<Option<u16>, String>;

/// The beginning of a text from outside.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A text from outside for a message: quoted, escaped, of bounded length.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

pub(super) fn wrong_type(value: &Value) -> String {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string {}", quoted(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    format!("{found} is of the wrong type")
}

pub(super) fn string(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| wrong_type(value))
}

pub(super) fn boolean(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| wrong_type(value))
}

/// The stock daemon has no booleans and writes 0 and 1.
pub(super) fn flag(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(value) => Ok(*value),
        value => integer(value, 0..=1).map(|number| number == 1),
    }
}

pub(super) fn integer(value: &Value, range: RangeInclusive<u32>) -> Result<u32, String> {
    let Value::Number(number) = value else {
        return Err(wrong_type(value));
    };
    // serde_json turns an integer of more than 64 bits into a float, which must not be told that
    // it is no integer. Any other float was written with a fraction or an exponent.
    let huge = number
        .as_f64()
        .is_some_and(|float| float.abs() >= i64::MAX as f64);
    if !number.is_u64() && !number.is_i64() && !huge {
        return Err(format!("{number} is not an integer"));
    }
    number
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("{number} is out of range"))
}

pub(super) fn ttl(value: &Value) -> Result<u8, String> {
    let number = integer(value, 0..=u8::MAX.into())?;
    u8::try_from(number).map_err(|_| format!("{number} is out of range"))
}

pub(super) fn port(value: &Value, service: Service) -> Result<u16, String> {
    match value {
        Value::String(text) => port_text(text, service),
        value => {
            let number = integer(value, 1..=u16::MAX.into())?;
            u16::try_from(number).map_err(|_| format!("{number} is out of range"))
        }
    }
}

/// A port as the stock daemon takes it, on its command line as well: a number or a service name.
pub(super) fn port_text(text: &str, service: Service) -> Result<u16, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return port_digits(text);
    }
    match service(text) {
        Ok(Some(port)) => Ok(port),
        Ok(None) => Err(format!(
            "{} is neither a number nor a UDP service of /etc/services",
            quoted(text)
        )),
        Err(reason) => Err(format!(
            "{} is not a number, and as a service name it cannot be looked up: {reason}; use the \
             number",
            quoted(text)
        )),
    }
}

fn port_digits(digits: &str) -> Result<u16, String> {
    let port = digits.parse().ok().filter(|&port| port != 0);
    port.ok_or_else(|| format!("port {} is out of range", quoted(digits)))
}

/// An address that reaches the same node whoever writes it: neither scoped nor IPv4-mapped.
/// `on_scope` tells what to do about a scope id.
fn address(text: &str, on_scope: &str) -> Result<Option<IpAddr>, String> {
    if text.contains('%') {
        return Err(format!("{} has a scope id; {on_scope}", quoted(text)));
    }
    match text.parse() {
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => Err(format!(
                "{} is an IPv4-mapped IPv6 address; write it as {mapped}",
                quoted(text)
            )),
            None => Ok(Some(address.into())),
        },
        Ok(address) => Ok(Some(address)),
        Err(_) => Ok(None),
    }
}

/// An address, alone or with a port: `A.B.C.D`, `A.B.C.D:PORT`, `A::D` or `[A::D]:PORT`.
fn endpoint(text: &str, on_scope: &str) -> Result<(IpAddr, Option<u16>), String> {
    if let Some(address) = address(text, on_scope)? {
        return Ok((address, None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => text.split_once(':'),
    }
    .unwrap_or_default();
    match address(host, on_scope)? {
        Some(address) if address.is_ipv6() == text.starts_with('[') => {
            if port.bytes().all(|byte| byte.is_ascii_digit()) {
                Ok((address, Some(port_digits(port)?)))
            } else {
                Err(format!("the port of {} is not a number", quoted(text)))
            }
        }
        _ => Err(format!(
            "{} is not an IP address, alone or with a port (host names are not looked up)",
            quoted(text)
        )),
    }
}

const SCOPE_IS_OUT_INTERFACE: &str =
    "leave it out and name the interface with \"out interface\" instead";

pub(super) fn multicast_address(value: &Value) -> Result<IpAddr, String> {
    let text = string(value)?;
    match address(text, SCOPE_IS_OUT_INTERFACE)? {
        Some(address) if address.is_multicast() => Ok(address),
        Some(_) => Err(format!(
            "{} is not a multicast address (224.0.0.0/4 or ff00::/8)",
            quoted(text)
        )),
        None => Err(format!("{} is not an IP address", quoted(text))),
    }
}

/// A unicast address with its port, if it has one of its own.
pub(super) fn peer(value: &Value) -> Result<(IpAddr, Option<u16>), String> {
    let text = string(value)?;
    let (address, port) = endpoint(text, SCOPE_IS_OUT_INTERFACE)?;
    if let Some(kind) = not_unicast(address) {
        return Err(format!("{} is {kind}", quoted(text)));
    }
    Ok((address, port))
}

fn not_unicast(address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if matches!(address, IpAddr::V4(address) if address.is_broadcast()) {
        Some("the broadcast address")
    } else {
        None
    }
}

pub(super) fn statistics_address(value: &Value) -> Result<SocketAddr, String> {
    let text = string(value)?;
    let (address, port) = endpoint(text, "use an address that needs none, or ::")?;
    if matches!(address, IpAddr::V6(address) if address.is_unicast_link_local()) {
        return Err(format!(
            "{} is a link-local address, which needs a scope id; use one that needs none, or ::",
            quoted(text)
        ));
    }
    match not_unicast(address) {
        Some(kind) if !address.is_unspecified() => Err(format!("{} is {kind}", quoted(text))),
        _ => Ok(SocketAddr::new(address, port.unwrap_or(STATISTICS_PORT))),
    }
}

pub(super) fn interface(value: &Value) -> Result<Interface, String> {
    interface_text(string(value)?)
}

/// The name of an interface, as Linux takes it, or one of its addresses.
pub(super) fn interface_text(text: &str) -> Result<Interface, String> {
    const ON_SCOPE: &str = "write the name of the interface alone";
    // A name may have a percent sign, an address may not.
    let before_scope = text.split('%').next().unwrap_or_default();
    if before_scope.parse::<IpAddr>().is_ok()
        && let Some(address) = address(text, ON_SCOPE)?
    {
        return match not_unicast(address) {
            Some(kind) => Err(format!(
                "{} is {kind}, which no interface has; leave the key out to let the kernel choose",
                quoted(text)
            )),
            None => Ok(Interface::Address(address)),
        };
    }
    let reason = if text.is_empty() {
        "is empty"
    } else if text.len() > NAME_MAX {
        "is longer than any name of an interface, and no address"
    } else if matches!(text, "." | "..")
        || text.contains(|c: char| matches!(c, '/' | ':' | '\0') || c.is_ascii_whitespace())
    {
        "cannot be the name of an interface, and is no address"
    } else {
        return Ok(Interface::Name(text.to_owned()));
    };
    Err(format!("{} {reason}", quoted(text)))
}

pub(super) fn instance(value: &Value) -> Result<String, String> {
    let text = string(value)?;
    let reason = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > NAME_MAX {
        format!("is {} bytes long", text.len())
    } else if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        "has a character that is not printable ASCII".to_owned()
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("{} {reason}", quoted(text)))
}

/// A name of at most so many bytes, as it is sent to other nodes.
pub(super) fn shown_name(value: &Value, most: usize) -> Result<String, String> {
    let text = string(value)?;
    let reason = if text.trim().is_empty() {
        "is empty".to_owned()
    } else if text.len() > most {
        format!("is {} bytes long", text.len())
    } else if text.chars().any(char::is_control) {
        "has a character that is not printable".to_owned()
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("{} {reason}", quoted(text)))
}

pub(super) fn milliseconds(value: &Value, range: RangeInclusive<u32>) -> Result<Duration, String> {
    integer(value, range).map(|number| Duration::from_millis(number.into()))
}

pub(super) fn record_format(value: &Value) -> Result<Option<Format>, String> {
    let format = match value {
        Value::String(text) => match text.as_str() {
            "auto" => return Ok(None),
            "40" => 40,
            "52" => 52,
            "140" => 140,
            other => return Err(format!("{} is no record format", quoted(other))),
        },
        value => integer(value, 0..=u32::MAX)?,
    };
    match format {
        40 => Ok(Some(Format::Flat40)),
        52 => Ok(Some(Format::Flat52)),
        140 => Ok(Some(Format::Tlv140)),
        other => Err(format!("{other} is the length of no record format")),
    }
}

/// `None`: for ever.
pub(super) fn wait(value: &Value) -> Result<Option<Duration>, String> {
    match value {
        Value::String(text) if text == "forever" => Ok(None),
        value => {
            integer(value, 0..=86_400).map(|seconds| Some(Duration::from_secs(seconds.into())))
        }
    }
}

pub(super) fn seconds(value: &Value, range: RangeInclusive<u32>) -> Result<Duration, String> {
    integer(value, range).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(super) fn failback(value: &Value) -> Result<Failback, String> {
    match value {
        Value::String(text) => match text.as_str() {
            "auto" => Ok(Failback::Auto),
            "manual" => Ok(Failback::Manual),
            _ => Err(format!("{} is neither", quoted(text))),
        },
        value => seconds(value, 1..=86_400).map(Failback::After),
    }
}

pub(super) fn seal(value: &Value) -> Result<seal::Policy, String> {
    let text = string(value)?;
    seal::Policy::named(text).ok_or_else(|| format!("{} is none of them", quoted(text)))
}

pub(super) fn path(value: &Value) -> Result<PathBuf, String> {
    let text = string(value)?;
    if !text.starts_with('/') || text.contains('\0') {
        return Err(format!("{} is no absolute path", quoted(text)));
    }
    Ok(PathBuf::from(text))
}

pub(super) fn differences(value: &Value) -> Result<Vec<Difference>, String> {
    let Value::Array(items) = value else {
        return Err(wrong_type(value));
    };
    let mut accepted = Vec::new();
    for item in items {
        let text = string(item)?;
        let mut all = Difference::ALL.into_iter();
        let what = all.find(|what| what.name() == text);
        let what = what.ok_or_else(|| format!("{} is none of them", quoted(text)))?;
        if !accepted.contains(&what) {
            accepted.push(what);
        }
    }
    Ok(accepted)
}

pub(super) fn interface_name(value: &Value) -> Result<String, String> {
    match interface(value)? {
        Interface::Name(name) => Ok(name),
        Interface::Address(address) => Err(format!("{address} is an address")),
    }
}

pub(super) use crate::net::needs_scope;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_decided_about_fitness_is_read() {
        assert_eq!(failback(&json!("manual")), Ok(Failback::Manual));
        let after = Failback::After(Duration::from_secs(30));
        assert_eq!(failback(&json!(30)), Ok(after));
        let both = vec![Difference::Pool4, Difference::Timeouts];
        let given = json!(["pool4", "timeouts", "pool4"]);
        assert_eq!(differences(&given), Ok(both));
        assert_eq!(differences(&json!([])), Ok(Vec::new()));
        assert_eq!(interface_name(&json!("nat64")), Ok("nat64".to_owned()));
        refused(
            failback,
            &[(json!("never"), "neither"), (json!(0), "range")],
        );
        refused(failback, &[(json!(true), "wrong type")]);
        refused(differences, &[(json!(["mtu"]), "none of them")]);
        refused(
            differences,
            &[(json!([1]), "wrong type"), (json!("pool4"), "wrong type")],
        );
        refused(interface_name, &[(json!("192.0.2.1"), "is an address")]);
    }

    #[test]
    fn what_is_sealed_with_which_keys_is_read() {
        assert_eq!(seal(&json!("require")), Ok(seal::Policy::Require));
        refused(
            seal,
            &[(json!("on"), "none of them"), (json!(true), "wrong type")],
        );
        assert_eq!(path(&json!("/a/b")), Ok(PathBuf::from("/a/b")));
        refused(
            path,
            &[
                (json!("keys"), "no absolute"),
                (json!("/\0"), "no absolute"),
            ],
        );
    }

    fn services(name: &str) -> Result<Option<u16>, String> {
        match name {
            "broken" => Err("/etc/services cannot be read (no such file)".into()),
            "ntp" => Ok(Some(123)),
            _ => Ok(None),
        }
    }

    /// Each value with a part of the message that must refuse it.
    fn refused<T: std::fmt::Debug>(
        check: impl Fn(&Value) -> Result<T, String>,
        cases: &[(Value, &str)],
    ) {
        for (value, expected) in cases {
            let message = check(value).expect_err(&format!("{value} was accepted"));
            assert!(message.contains(expected), "{value}: {message}");
        }
    }

    #[test]
    fn values_of_another_type_are_refused_by_what_they_are() {
        refused(
            |value| integer(value, 1..=9),
            &[
                (json!(null), "null is of the wrong type"),
                (json!(true), "true is of the wrong type"),
                (json!("5"), "the string \"5\" is of the wrong type"),
                (json!([5]), "an array is of the wrong type"),
                (json!({}), "an object is of the wrong type"),
            ],
        );
        refused(
            |value| string(value).map(str::to_owned),
            &[(json!(5), "the number 5 is of the wrong type")],
        );
        refused(boolean, &[(json!(1), "the number 1 is of the wrong type")]);
    }

    #[test]
    fn an_integer_is_accepted_within_its_range_only() {
        assert_eq!(integer(&json!(1), 1..=9), Ok(1));
        assert_eq!(integer(&json!(9), 1..=9), Ok(9));
        let number = |text: &str| serde_json::from_str(text).unwrap();
        refused(
            |value| integer(value, 1..=9),
            &[
                (number("0"), "0 is out of range"),
                (number("10"), "10 is out of range"),
                (number("-1"), "-1 is out of range"),
                (number("4294967297"), "4294967297 is out of range"),
                (number("99999999999999999999999"), "is out of range"),
                (number("-99999999999999999999999"), "is out of range"),
                (number("1.5"), "1.5 is not an integer"),
                (number("3.0"), "3.0 is not an integer"),
            ],
        );
        assert_eq!(ttl(&json!(255)), Ok(255));
        refused(ttl, &[(json!(256), "256 is out of range")]);
    }

    #[test]
    fn a_flag_is_a_boolean_or_0_or_1() {
        for (value, meaning) in [
            (json!(0), false),
            (json!(1), true),
            (json!(false), false),
            (json!(true), true),
        ] {
            assert_eq!(flag(&value), Ok(meaning));
        }
        refused(
            flag,
            &[(json!(2), "out of range"), (json!("1"), "wrong type")],
        );
    }

    #[test]
    fn a_port_is_a_number_or_a_string_with_one_or_a_service_name() {
        for (value, number) in [
            (json!(1), 1),
            (json!(65535), 65535),
            (json!("6464"), 6464),
            (json!("06464"), 6464),
            (json!("ntp"), 123),
        ] {
            assert_eq!(port(&value, &services), Ok(number));
        }
        refused(
            |value| port(value, &services),
            &[
                (json!(0), "0 is out of range"),
                (json!(65536), "65536 is out of range"),
                (json!("0"), "port \"0\" is out of range"),
                (json!("65536"), "port \"65536\" is out of range"),
                (json!("99999999999999999999"), "is out of range"),
                (json!(""), "\"\" is neither a number nor"),
                (json!("+1"), "\"+1\" is neither a number nor"),
                (json!("nonsense"), "neither a number nor a UDP service"),
                (json!("broken"), "cannot be looked up: /etc/services"),
                (json!(1.5), "is not an integer"),
                (json!(null), "wrong type"),
            ],
        );
    }

    #[test]
    fn a_group_is_a_multicast_address_without_scope() {
        for text in ["ff15::6a6f:6f6c", "ff02::1", "224.0.0.1", "239.255.255.255"] {
            assert_eq!(
                multicast_address(&json!(text)),
                Ok(text.parse::<IpAddr>().unwrap())
            );
        }
        refused(
            multicast_address,
            &[
                (json!("192.0.2.1"), "not a multicast address"),
                (json!("2001:db8::1"), "not a multicast address"),
                (json!("::ffff:224.0.0.1"), "write it as 224.0.0.1"),
                (json!("ff02::1%eth0"), "has a scope id"),
                (json!("ff15::1:zz"), "\"ff15::1:zz\" is not an IP address"),
                (json!("224.0.0.1:6400"), "is not an IP address"),
                (json!(""), "is not an IP address"),
                (json!(224), "wrong type"),
            ],
        );
    }

    #[test]
    fn a_peer_is_a_unicast_address_with_or_without_a_port() {
        for (text, address, port) in [
            ("192.0.2.7", "192.0.2.7", None),
            ("192.0.2.7:6400", "192.0.2.7", Some(6400)),
            ("2001:db8::7", "2001:db8::7", None),
            ("[2001:db8::7]:6400", "2001:db8::7", Some(6400)),
            ("fe80::1", "fe80::1", None),
        ] {
            assert_eq!(peer(&json!(text)), Ok((address.parse().unwrap(), port)));
        }
        refused(
            peer,
            &[
                (json!("0.0.0.0"), "is the unspecified address"),
                (json!("::"), "is the unspecified address"),
                (json!("[::]:6400"), "is the unspecified address"),
                (json!("255.255.255.255"), "is the broadcast address"),
                (json!("ff02::1"), "is a multicast address"),
                (json!("224.0.0.1:6400"), "is a multicast address"),
                (json!("::ffff:192.0.2.7"), "write it as 192.0.2.7"),
                (json!("[::ffff:192.0.2.7]:1"), "write it as 192.0.2.7"),
                (
                    json!("fe80::1%eth0"),
                    "name the interface with \"out interface\"",
                ),
                (json!("[fe80::1%2]:6400"), "has a scope id"),
                (json!("192.0.2.7:0"), "port \"0\" is out of range"),
                (json!("192.0.2.7:65536"), "port \"65536\" is out of range"),
                (json!("192.0.2.7:"), "port \"\" is out of range"),
                (json!("192.0.2.7:+1"), "is not a number"),
                (json!("[2001:db8::7]:ntp"), "is not a number"),
                (json!("[192.0.2.7]:6400"), "is not an IP address"),
                (json!("[2001:db8::7]"), "is not an IP address"),
                (json!("node2.example:6400"), "host names are not looked up"),
                (json!("192.0.2.300"), "is not an IP address"),
                (json!(""), "is not an IP address"),
                (json!(7), "wrong type"),
            ],
        );
    }

    #[test]
    fn statistics_are_given_on_an_address_of_this_node() {
        for (text, address) in [
            ("::", "[::]:6401"),
            ("0.0.0.0:1", "0.0.0.0:1"),
            ("[::1]:45678", "[::1]:45678"),
            ("127.0.0.1", "127.0.0.1:6401"),
        ] {
            assert_eq!(
                statistics_address(&json!(text)),
                Ok(address.parse().unwrap())
            );
        }
        refused(
            statistics_address,
            &[
                (json!("ff02::1"), "is a multicast address"),
                (json!("255.255.255.255"), "is the broadcast address"),
                (json!("fe80::1"), "is a link-local address"),
                (json!("fe80::1%eth0"), "has a scope id; use an address"),
                (json!("::ffff:127.0.0.1"), "write it as 127.0.0.1"),
                (json!("localhost"), "is not an IP address"),
                (json!("[::1]:0"), "out of range"),
                (json!(6401), "wrong type"),
            ],
        );
    }

    #[test]
    fn an_interface_is_a_name_that_linux_takes_or_an_address() {
        for text in [
            "eth0",
            "br-lan",
            "bond0.64",
            "a%b",
            "éth",
            "fifteen-letters",
        ] {
            assert_eq!(interface_text(text), Ok(Interface::Name(text.into())));
        }
        for text in ["192.0.2.1", "2001:db8::1", "fe80::1"] {
            let address = text.parse().unwrap();
            assert_eq!(interface_text(text), Ok(Interface::Address(address)));
        }
        refused(
            interface,
            &[
                (json!(""), "is empty"),
                (json!("sixteen-letters!"), "is longer than any name"),
                (json!("eth0:1"), "cannot be the name"),
                (json!("a/b"), "cannot be the name"),
                (json!("a b"), "cannot be the name"),
                (json!("a\u{0}b"), "cannot be the name"),
                (json!(".."), "cannot be the name"),
                (
                    json!("fe80::1%eth0"),
                    "write the name of the interface alone",
                ),
                (json!("::ffff:192.0.2.1"), "write it as 192.0.2.1"),
                (json!("0.0.0.0"), "leave the key out"),
                (json!("ff02::1"), "is a multicast address"),
                (json!(0), "wrong type"),
            ],
        );
    }

    #[test]
    fn an_instance_has_a_name_that_jool_takes() {
        for text in ["default", "a", "fifteen-letters", "with space"] {
            assert_eq!(instance(&json!(text)), Ok(text.to_owned()));
        }
        refused(
            instance,
            &[
                (json!(""), "is empty"),
                (json!("sixteen-letters!"), "is 16 bytes long"),
                (
                    json!("a\u{0}"),
                    "\"a\\0\" has a character that is not printable",
                ),
                (json!("é"), "not printable ASCII"),
                (json!("a\u{7f}"), "not printable ASCII"),
                (json!(1), "wrong type"),
            ],
        );
    }

    #[test]
    fn a_record_format_is_named_by_its_length() {
        for (value, format) in [
            (json!("auto"), None),
            (json!(40), Some(Format::Flat40)),
            (json!("40"), Some(Format::Flat40)),
            (json!(52), Some(Format::Flat52)),
            (json!("52"), Some(Format::Flat52)),
            (json!(140), Some(Format::Tlv140)),
            (json!("140"), Some(Format::Tlv140)),
        ] {
            assert_eq!(record_format(&value), Ok(format));
        }
        refused(
            record_format,
            &[
                (json!(41), "41 is the length of no record format"),
                (json!("Auto"), "\"Auto\" is no record format"),
                (json!(40.5), "is not an integer"),
                (json!(-40), "out of range"),
                (json!(null), "wrong type"),
            ],
        );
    }

    #[test]
    fn the_wait_for_jool_is_in_seconds_or_for_ever() {
        assert_eq!(wait(&json!(0)), Ok(Some(Duration::ZERO)));
        assert_eq!(wait(&json!(86_400)), Ok(Some(Duration::from_secs(86_400))));
        assert_eq!(wait(&json!("forever")), Ok(None));
        refused(
            wait,
            &[
                (json!(86_401), "out of range"),
                (json!("60"), "wrong type"),
                (json!(null), "wrong type"),
            ],
        );
    }

    #[test]
    fn addresses_that_mean_nothing_without_an_interface_are_known() {
        for text in ["fe80::1", "ff02::1", "ff12::1", "ff01::1"] {
            assert!(needs_scope(text.parse().unwrap()), "{text}");
        }
        for text in [
            "ff15::1",
            "ff05::1",
            "2001:db8::1",
            "224.0.0.1",
            "169.254.0.1",
        ] {
            assert!(!needs_scope(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn long_and_unprintable_texts_are_shown_short_and_escaped() {
        assert_eq!(quoted("a\u{1b}[31m"), r#""a\u{1b}[31m""#);
        assert_eq!(quoted(&"é".repeat(60)).chars().count(), 62);
        assert!(quoted(&"é".repeat(61)).ends_with("é…\""));
    }
}
