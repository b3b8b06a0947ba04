//! Service names as the stock daemon takes them for a port: `/etc/services`, services(5).

use std::fs::File;
use std::io::{self, Read};

const PATH: &str = "/etc/services";

/// Bytes of `/etc/services` that are read; Debian's has 13 KiB.
const MAX_SIZE: u64 = 4 << 20;

/// The UDP port of a service name or alias, looked up in `/etc/services` now; `None` if it is not
/// listed there. The error says that the file could not be read, and why.
pub(super) fn look_up(name: &str) -> Result<Option<u16>, String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(PATH)?.take(MAX_SIZE).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| format!("{PATH} cannot be read ({error})"))?;
    Ok(udp_port(&String::from_utf8_lossy(&bytes), name))
}

/// The UDP port of a service name or alias, in text of the format of services(5).
fn udp_port(services: &str, name: &str) -> Option<u16> {
    services.lines().find_map(|line| {
        let line = line.split('#').next()?;
        let mut fields = line.split_ascii_whitespace();
        let official = fields.next()?;
        let port = fields.next()?.strip_suffix("/udp")?.parse().ok()?;
        let named = official == name || fields.any(|alias| alias == name);
        (named && port != 0).then_some(port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICES: &str = "\
# comment 1/udp
ntp\t\t123/udp\t\t\t# Network Time Protocol
domain 53/tcp
domain 53/udp nameserver dns#alias
ftp 21/tcp
zero 0/udp
huge 65536/udp
lonely
";

    #[test]
    fn a_service_is_found_by_name_and_by_alias() {
        assert_eq!(udp_port(SERVICES, "ntp"), Some(123));
        assert_eq!(udp_port(SERVICES, "domain"), Some(53));
        assert_eq!(udp_port(SERVICES, "nameserver"), Some(53));
        assert_eq!(udp_port(SERVICES, "dns"), Some(53));
    }

    #[test]
    fn what_is_not_a_udp_service_with_a_usable_port_is_not_found() {
        for name in [
            "ftp", "alias", "comment", "zero", "huge", "lonely", "NTP", "",
        ] {
            assert_eq!(udp_port(SERVICES, name), None, "{name}");
        }
    }
}
