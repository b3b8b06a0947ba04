//! The configuration: a JSON object with the stock daemon's keys and this daemon's own, in one file
//! or in the stock daemon's two.
//!
//! Every key has a default, so that no file at all is a configuration, too. Everything that is
//! wrong is told at once ([`Problems`]). [`load`] opens nothing but the files, and `/etc/services`
//! for a port that is given by name; [`parse`] opens nothing.

mod changes;
mod check;
mod json;
mod keys;
mod meaning;
mod name;
mod problem;
mod reader;
mod services;
mod value;

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use check::{DEFAULT_GROUP, DEFAULT_PORT};
pub use keys::{KEYS, Key, help};
pub use name::{FOLDER, Name, NameError};
pub use problem::{Problem, Problems};

use crate::jool;
use crate::net::{Interface, Settings};
use crate::replication::Policy;
use crate::seal;
use crate::session::Format;

/// A configuration in which everything fits together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where and how datagrams are exchanged. Addresses carry no scope id.
    pub network: Settings,
    /// The Jool instance whose sessions are synchronised, and what is set there.
    pub jool: jool::Settings,
    /// How long a start waits for the instance to appear; `None`: for ever.
    pub wait: Option<Duration>,
    /// The format of the session records on the wire; `None`: that of our own Jool.
    pub record_format: Option<Format>,
    /// What the other nodes call this one; `None`: after the host.
    pub node_name: Option<String>,
    /// Whose sessions are synchronised; `None`: that has the name of the Jool instance.
    pub cluster_name: Option<String>,
    /// Sessions that are remembered.
    pub max_sessions: u32,
    /// Where statistics are given by UDP, if at all.
    pub statistics: Option<SocketAddr>,
    /// When the node is fit to translate.
    pub policy: Policy,
    /// The interface that is up while it is.
    pub gate: Option<String>,
    /// What leaves sealed, and what is taken.
    pub seal: seal::Policy,
    /// Where the keys are; `None`: at one of the usual places.
    pub key_file: Option<PathBuf>,
}

/// Where a configuration comes from: the stock daemon's command line
/// (`joold [NETSOCKET [MODSOCKET [STATSPORT]]]`), or one file with every key, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The stock daemon's first file, which may hold every key here.
    pub network: Option<PathBuf>,
    /// Whether the first file may be missing: then everything in it has its default.
    pub network_is_optional: bool,
    /// The stock daemon's second file, which may hold `instance` only.
    pub instance: Option<PathBuf>,
    /// The stock daemon's third argument: a port number or a UDP service name. It turns statistics
    /// on, at `::` or at the host of `statistics address`, and is stronger than the port there.
    pub statistics_port: Option<String>,
    /// The interface, by name or address, if the files name none.
    pub interface: Option<String>,
}

impl Sources {
    /// The files, in the order of the command line.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        [self.network(), self.instance.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
    }

    /// The first file, unless it is missing and may be.
    fn network(&self) -> Option<&PathBuf> {
        // A link to nowhere is a mistake, and not the absence of a file.
        let missing = |path: &&PathBuf| {
            let found = path.symlink_metadata();
            found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        self.network
            .as_ref()
            .filter(|path| !(self.network_is_optional && missing(path)))
    }
}

/// A file that was read, or tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What problems call it.
    pub name: String,
    /// Its bytes, or a sentence why they could not be read.
    pub content: Result<Vec<u8>, String>,
}

/// [`Sources`] with the files read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// The first file.
    pub network: Option<Document>,
    /// The second file.
    pub instance: Option<Document>,
    /// As in [`Sources`].
    pub statistics_port: Option<String>,
    /// As in [`Sources`].
    pub interface: Option<String>,
}

/// What a configuration asks of the machine that it is read on.
///
/// To check a file before its interfaces are there, or for another machine:
/// `Lookups { interface: &|_| Ok(()), ..Lookups::system() }`.
#[derive(Clone, Copy)]
pub struct Lookups<'a> {
    /// Whether the interface is there now; if not, a sentence about it.
    pub interface: &'a dyn Fn(&Interface) -> Result<(), String>,
    /// The UDP port of a service name, `None` if there is no such service; or why it cannot be
    /// looked up.
    pub service: &'a dyn Fn(&str) -> Result<Option<u16>, String>,
}

impl Lookups<'static> {
    /// This machine's interfaces, in the network namespace of the thread, and its `/etc/services`.
    pub fn system() -> Self {
        Self {
            interface: &|interface| match interface.index() {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            service: &services::look_up,
        }
    }
}

/// Reads the files and checks everything, the presence of the interfaces included.
///
/// # Errors
///
/// Everything that is wrong with the files and the command line; see [`parse`].
pub fn load(sources: &Sources) -> Result<Config, Problems> {
    load_with(sources, &Lookups::system())
}

/// [`load`], with other answers about the machine.
///
/// # Errors
///
/// Everything that is wrong with the files and the command line; see [`parse`].
pub fn load_with(sources: &Sources, lookups: &Lookups) -> Result<Config, Problems> {
    let document = |path: Option<&PathBuf>| {
        path.map(|path| Document {
            name: path.display().to_string(),
            content: read(path),
        })
    };
    let input = Input {
        network: document(sources.network()),
        instance: document(sources.instance.as_ref()),
        statistics_port: sources.statistics_port.clone(),
        interface: sources.interface.clone(),
    };
    parse(&input, lookups)
}

/// Checks what was read, without any input or output but the lookups.
///
/// # Errors
///
/// Everything that is wrong. A file that is no JSON object has this one problem and hides those of
/// its keys; the other file and the command line are checked all the same.
pub fn parse(input: &Input, lookups: &Lookups) -> Result<Config, Problems> {
    check::config(input, lookups)
}

/// The bytes of a file, up to one more than a configuration may have.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let open = || -> io::Result<Option<Vec<u8>>> {
        // To open a pipe would wait for its writer, and a reload must not wait.
        if !path.metadata()?.is_file() {
            return Ok(None);
        }
        let limit = json::MAX_SIZE as u64 + 1;
        let mut bytes = Vec::new();
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    };
    match open() {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err("this is not a regular file; name a JSON file".to_owned()),
        Err(error) => Err(format!(
            "the file cannot be read ({error}); check its name and who may read it"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::replication::{Difference, Failback};

    const STOCK_IPV4: &str = include_str!("../../tests/samples/stock-ipv4.json");
    const STOCK_IPV6: &str = include_str!("../../tests/samples/stock-ipv6.json");
    const STOCK_INSTANCE: &str = include_str!("../../tests/samples/stock-instance.json");
    const UNICAST: &str = include_str!("../../tests/samples/unicast.json");
    const COMPLETE: &str = include_str!("../../tests/samples/complete.json");

    /// Lookups that find every interface and no service.
    const ANYWHERE: Lookups = Lookups {
        interface: &|_| Ok(()),
        service: &|_| Ok(None),
    };

    fn document(name: &str, content: impl Into<Vec<u8>>) -> Option<Document> {
        Some(Document {
            name: name.into(),
            content: Ok(content.into()),
        })
    }

    fn accepted(text: impl Into<Vec<u8>>) -> Config {
        let input = Input {
            network: document("a.json", text),
            ..Input::default()
        };
        parse(&input, &ANYWHERE).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn eth(number: u8) -> Option<Interface> {
        Some(Interface::Name(format!("eth{number}")))
    }

    /// A folder of its own, removed afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let name = format!("joold-config-{test}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, content: impl AsRef<[u8]>) -> Option<PathBuf> {
            let path = self.0.join(name);
            fs::write(&path, content).unwrap();
            Some(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_stock_manuals_ipv6_example_is_accepted() {
        let group = Some("[ff08::db8:64:64]:6464".parse().unwrap());
        let network = Settings {
            group,
            port: 6464,
            receive_interface: eth(0),
            send_interface: eth(0),
            hop_limit: 3,
            ..Config::default().network
        };
        assert_eq!(
            accepted(STOCK_IPV6),
            Config {
                network,
                ..Config::default()
            }
        );
    }

    #[test]
    fn the_stock_manuals_ipv4_example_is_accepted() {
        let interface = Some(Interface::Address("192.0.2.1".parse().unwrap()));
        let network = Settings {
            group: Some("233.252.0.64:6464".parse().unwrap()),
            port: 6464,
            receive_interface: interface.clone(),
            send_interface: interface,
            hop_limit: 3,
            ..Config::default().network
        };
        assert_eq!(
            accepted(STOCK_IPV4),
            Config {
                network,
                ..Config::default()
            }
        );
    }

    #[test]
    fn the_unicast_sample_has_peers_and_no_group() {
        let network = accepted(UNICAST).network;
        assert_eq!(network.group, None);
        let peers = ["192.0.2.2:6400", "192.0.2.3:6400"];
        assert_eq!(network.peers, peers.map(|peer| peer.parse().unwrap()));
    }

    #[test]
    fn the_complete_sample_sets_everything() {
        let config = accepted(COMPLETE);
        let expected = Config {
            network: Settings {
                group: Some("[ff15::db8:64:64]:6464".parse().unwrap()),
                port: 6464,
                peers: vec![
                    "[2001:db8::7]:6464".parse().unwrap(),
                    "[2001:db8::8]:6465".parse().unwrap(),
                ],
                receive_interface: eth(0),
                send_interface: eth(1),
                reuse_address: false,
                hop_limit: 3,
            },
            jool: jool::Settings {
                instance: "nat64".into(),
                manage: false,
                flush_interval: Duration::from_millis(15),
                queue_capacity: 16_384,
            },
            wait: None,
            record_format: Some(Format::Flat40),
            node_name: Some("nat64-a".to_owned()),
            cluster_name: Some("site-1".to_owned()),
            max_sessions: 100_000,
            statistics: Some("[::1]:45678".parse().unwrap()),
            policy: Policy {
                failback: Failback::Manual,
                alone_wait: Duration::from_secs(20),
                accepted: vec![Difference::Pool4],
            },
            gate: Some("nat64".to_owned()),
            seal: seal::Policy::Send,
            key_file: Some(PathBuf::from("/etc/joold/keys.eth0")),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn the_complete_sample_has_every_key_and_each_has_an_effect() {
        let complete: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(COMPLETE).unwrap();
        assert_eq!(complete.len(), KEYS.len());
        for key in KEYS {
            let mut without = complete.clone();
            assert!(without.remove(key.name).is_some(), "{}", key.name);
            let text = serde_json::to_vec(&without).unwrap();
            assert_ne!(accepted(text), accepted(COMPLETE), "{}", key.name);
        }
    }

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let mut given = 0;
        for key in KEYS {
            let value: Result<serde_json::Value, _> = serde_json::from_str(key.default);
            if let Ok(value) = value {
                given += 1;
                let text = format!("{{ {:?}: {value} }}", key.name);
                assert_eq!(accepted(text), Config::default(), "{}", key.name);
            }
        }
        // The others have a phrase: the group, the interfaces, `reuseaddr`, the names, the statistics address, and
        // the file of the keys.
        assert_eq!(given, KEYS.len() - 9);
        assert!(KEYS[0].default.contains(&DEFAULT_GROUP.to_string()));
        assert_eq!(accepted("{}"), Config::default());
    }

    #[test]
    fn without_files_everything_has_its_default() {
        assert_eq!(load(&Sources::default()), Ok(Config::default()));
    }

    #[test]
    fn the_stock_command_lines_two_files_are_read() {
        let folder = Folder::new("two-files");
        let sources = Sources {
            network: folder.file("netsocket.json", STOCK_IPV6),
            instance: folder.file("modsocket.json", STOCK_INSTANCE),
            ..Sources::default()
        };
        let config = load_with(&sources, &ANYWHERE).unwrap();
        assert_eq!(config.network, accepted(STOCK_IPV6).network);
        assert_eq!(config.jool.instance, "nat64");
    }

    #[test]
    fn an_optional_file_is_read_if_it_is_there() {
        let folder = Folder::new("optional");
        let mut sources = Sources {
            network: Some(folder.0.join("eth0.json")),
            network_is_optional: true,
            ..Sources::default()
        };
        assert_eq!(load(&sources), Ok(Config::default()));
        assert_eq!(sources.files().count(), 0);
        sources.network = folder.file("eth0.json", STOCK_INSTANCE);
        assert_eq!(load(&sources).unwrap().jool.instance, "nat64");
        assert_eq!(sources.files().count(), 1);
    }

    #[test]
    fn a_link_to_nowhere_is_no_missing_optional_file() {
        let folder = Folder::new("dangling");
        let file = folder.0.join("eth0.json");
        std::os::unix::fs::symlink(folder.0.join("nowhere.json"), &file).unwrap();
        let sources = Sources {
            network: Some(file),
            network_is_optional: true,
            ..Sources::default()
        };
        let Problems(problems) = load(&sources).unwrap_err();
        assert!(problems[0].message.contains("No such file or directory"));
    }

    #[test]
    fn files_that_cannot_be_read_are_refused_by_name_and_reason() {
        let folder = Folder::new("unreadable");
        let sources = Sources {
            network: Some(folder.0.join("missing.json")),
            instance: Some(folder.0.clone()),
            ..Sources::default()
        };
        let Problems(problems) = load(&sources).unwrap_err();
        let [missing, directory] = problems.as_slice() else {
            panic!("{problems:?}");
        };
        assert!(missing.file.ends_with("missing.json"));
        assert!(missing.message.contains("No such file or directory"));
        assert_eq!(directory.file, folder.0.display().to_string());
        assert!(directory.message.contains("not a regular file"));
    }

    #[test]
    fn a_pipe_is_refused_without_waiting_for_its_writer() {
        let folder = Folder::new("pipe");
        let pipe = folder.0.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert!(read(&pipe).unwrap_err().contains("not a regular file"));
    }

    #[test]
    fn a_huge_file_is_read_no_further_than_the_limit() {
        let folder = Folder::new("huge");
        let path = folder.0.join("huge.json");
        File::create(&path).unwrap().set_len(1 << 32).unwrap();
        assert_eq!(read(&path).unwrap().len(), json::MAX_SIZE + 1);
        let sources = Sources {
            network: Some(path),
            ..Sources::default()
        };
        let problems = load(&sources).unwrap_err();
        assert!(problems.to_string().contains("larger than 1048576 bytes"));
    }

    #[test]
    fn an_interface_that_is_not_there_is_refused_by_this_machine() {
        let with = |interface: &str| Sources {
            interface: Some(interface.into()),
            ..Sources::default()
        };
        assert!(load(&with("lo")).is_ok());
        let Problems(problems) = load(&with("no-such-one")).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].file, "command line");
        assert_eq!(problems[0].key.as_deref(), Some("interface"));
        assert!(problems[0].message.contains("no-such-one"));
    }

    /// JSON values of every shape, with the texts and numbers that configurations are made of.
    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            (0u32..70_000).prop_map(Into::into),
            ".*".prop_map(Into::into),
            "[0-9a-f:.%\\[\\]]{0,24}".prop_map(Into::into),
            proptest::sample::select(vec![
                "ff02::1",
                "224.0.0.1",
                "192.0.2.7",
                "[2001:db8::7]:1",
                "fe80::1",
                "eth0",
                "auto",
                "forever",
                "::",
            ])
            .prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 32, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(".*", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Value>()),
            ]
        })
    }

    /// The text of an object with known and unknown keys, in any order, repeated or not.
    fn any_object() -> impl Strategy<Value = String> {
        let known = (0..KEYS.len()).prop_map(|index| KEYS[index].name.to_owned());
        let key = prop_oneof![8 => known, 1 => ".*"];
        prop::collection::vec((key, any_value()), 0..12).prop_map(|entries| {
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}: {value}", serde_json::Value::from(key)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        })
    }

    /// What every answer must be: a configuration within its bounds, or problems that can be shown.
    fn check(input: &Input) {
        match parse(input, &ANYWHERE) {
            Ok(config) => {
                let network = &config.network;
                assert!(network.group.is_some() || !network.peers.is_empty());
                assert!(network.peers.len() <= 64);
                let family = |address: &SocketAddr| address.is_ipv4();
                let all: Vec<bool> = network
                    .group
                    .iter()
                    .chain(&network.peers)
                    .map(family)
                    .collect();
                assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
                assert!(network.port != 0);
                assert!((1..=15).contains(&config.jool.instance.len()));
            }
            Err(problems) => {
                assert!(!problems.0.is_empty());
                assert_eq!(problems.to_string().lines().count(), problems.0.len());
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            network in any::<Vec<u8>>(),
            instance in any::<Vec<u8>>(),
            statistics_port in ".*",
            interface in ".*",
        ) {
            check(&Input {
                network: document("a.json", network),
                instance: document("b.json", instance),
                statistics_port: Some(statistics_port),
                interface: Some(interface),
            });
        }

        #[test]
        fn arbitrary_json_never_panics(
            network in any_object(),
            instance in any_value(),
            interface in prop::option::of("[a-f0-9:.%]{1,12}"),
        ) {
            check(&Input {
                network: document("a.json", network),
                instance: document("b.json", instance.to_string()),
                statistics_port: None,
                interface,
            });
        }

        #[test]
        fn a_damaged_configuration_never_panics(
            place in 0..COMPLETE.len(),
            byte in any::<u8>(),
            cut in any::<bool>(),
        ) {
            let mut bytes = COMPLETE.as_bytes().to_vec();
            bytes[place] = byte;
            if cut {
                bytes.truncate(place);
            }
            check(&Input { network: document("a.json", bytes), ..Input::default() });
        }
    }
}
