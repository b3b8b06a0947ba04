//! The systemd generator: makes the socket units listen where the configurations say.
//!
//! systemd runs it at boot and at every `daemon-reload`, before any unit is loaded, so that nobody
//! has to write an address into two files. A configuration that is not acceptable is left alone:
//! the daemon tells what is wrong with it.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::config::{self, Lookups, Name, Sources};
use crate::net::{Settings, needs_scope};

const DROP_IN: &str = "50-joold.conf";

/// Writes into `units` a drop-in for `joold@NAME.socket` of each `NAME.json` in `configurations`.
///
/// # Errors
///
/// The first folder or file that could not be read or written; those that can be are.
pub fn run(configurations: &Path, units: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(configurations) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut result = Ok(());
    for entry in entries {
        result = result.and(entry.and_then(|entry| write(&entry.path(), units)));
    }
    result
}

fn write(file: &Path, units: &Path) -> io::Result<()> {
    let file_name = file.file_name().and_then(|name| name.to_str());
    let Some(name) = file_name.and_then(Name::of_file) else {
        return Ok(());
    };
    let sources = Sources {
        network: Some(file.to_owned()),
        interface: Some(name.to_string()),
        ..Sources::default()
    };
    // At boot hardly any interface is there yet.
    let lookups = Lookups {
        interface: &|_| Ok(()),
        ..Lookups::system()
    };
    let Ok(config) = config::load_with(&sources, &lookups) else {
        return Ok(());
    };
    let folder = units.join(format!("joold@{}.socket.d", name.unit_instance()));
    fs::create_dir_all(&folder)?;
    let address = socket_address(&config.network);
    fs::write(
        folder.join(DROP_IN),
        format!(
            "# Written by joold-generator; it is the configuration's file that is to be edited.\n\
             [Unit]\n\
             SourcePath={}\n\
             [Socket]\n\
             ListenDatagram=\n\
             ListenDatagram={address}\n",
            file.display().to_string().replace('%', "%%"),
        ),
    )
}

/// Where the socket unit is to listen. That is any address if the right one needs an interface:
/// systemd looks interfaces up while it loads the unit, and one that it does not find then breaks
/// the unit.
fn socket_address(settings: &Settings) -> SocketAddr {
    let mut address = settings.listen_address();
    if needs_scope(address.ip()) {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Two folders of their own, removed afterwards.
    struct Folders(PathBuf);

    impl Folders {
        fn new(test: &str, files: &[(&str, &str)]) -> Self {
            let name = format!("joold-generator-{test}-{}", std::process::id());
            let folders = Self(std::env::temp_dir().join(name));
            fs::create_dir_all(folders.configurations()).unwrap();
            fs::create_dir_all(folders.units()).unwrap();
            for (name, text) in files {
                fs::write(folders.configurations().join(name), text).unwrap();
            }
            folders
        }

        fn configurations(&self) -> PathBuf {
            self.0.join("etc")
        }

        fn units(&self) -> PathBuf {
            self.0.join("run")
        }

        /// Every drop-in that the generator writes: the unit and the address.
        fn drop_ins(&self) -> Vec<(String, String)> {
            run(&self.configurations(), &self.units()).unwrap();
            let mut found: Vec<_> = fs::read_dir(self.units())
                .unwrap()
                .map(|entry| {
                    let entry = entry.unwrap();
                    let text = fs::read_to_string(entry.path().join(DROP_IN)).unwrap();
                    let (_, address) = text.rsplit_once("ListenDatagram=").unwrap();
                    assert!(text.contains("\nListenDatagram=\n"), "{text}");
                    (
                        entry.file_name().into_string().unwrap(),
                        address.trim_end().to_owned(),
                    )
                })
                .collect();
            found.sort();
            found
        }
    }

    impl Drop for Folders {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn each_acceptable_file_gets_a_drop_in_and_no_other_does() {
        let folders = Folders::new(
            "each",
            &[
                ("eth0.json", "{}"),
                ("bond0.64.json", r#"{ "multicast port": 6464 }"#),
                ("br-lan.json", r#"{ "multicast address": "233.252.0.64" }"#),
                ("veth+1.json", r#"{ "peers": ["192.0.2.2"] }"#),
                (
                    "a-site-of-its-own.json",
                    r#"{ "peers": ["2001:db8::2"], "in interface": "2001:db8::1" }"#,
                ),
                ("broken.json", "{"),
                ("unknown.json", r#"{ "port": 6400 }"#),
                ("eth1.json~", "{}"),
                ("README", "no configuration"),
            ],
        );
        fs::create_dir(folders.configurations().join("folder.json")).unwrap();
        let expected = [
            ("joold@a-site-of-its-own.socket.d", "[2001:db8::1]:6400"),
            ("joold@bond0.64.socket.d", "[ff15::6a6f:6f6c]:6464"),
            ("joold@br-lan.socket.d", "233.252.0.64:6400"),
            ("joold@eth0.socket.d", "[ff15::6a6f:6f6c]:6400"),
            (r"joold@veth\x2b1.socket.d", "0.0.0.0:6400"),
        ];
        let expected = expected.map(|(unit, address)| (unit.to_owned(), address.to_owned()));
        assert_eq!(folders.drop_ins(), expected);
    }

    #[test]
    fn an_address_that_needs_an_interface_becomes_any_address() {
        let folders = Folders::new(
            "scope",
            &[
                ("a.json", r#"{ "multicast address": "ff02::db8:64:64" }"#),
                (
                    "b.json",
                    r#"{ "peers": ["fe80::2"], "in interface": "fe80::1", "out interface": "eth0" }"#,
                ),
            ],
        );
        let drop_ins = folders.drop_ins();
        assert!(
            drop_ins.iter().all(|(_, address)| address == "[::]:6400"),
            "{drop_ins:?}"
        );
        assert_eq!(drop_ins.len(), 2);
    }

    #[test]
    fn without_configurations_nothing_happens() {
        let folders = Folders::new("none", &[]);
        assert_eq!(folders.drop_ins(), []);
        run(&folders.0.join("missing"), &folders.units()).unwrap();
    }

    #[test]
    fn the_socket_unit_listens_where_a_configuration_without_keys_does() {
        let unit = include_str!("../systemd/joold@.socket");
        let address = socket_address(&config::Config::default().network);
        assert!(unit.contains(&format!("\nListenDatagram={address}\n")));
    }
}
