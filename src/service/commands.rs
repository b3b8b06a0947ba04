//! What the daemon does when it is told to: read its configuration again, announce its whole
//! table.

use std::time::{Instant, SystemTime};

use tokio::sync::oneshot;
use tracing::{error, info};

use super::node::{Node, addresses, open_statistics};
use super::outlets::FOLDER;
use super::{keys, messages};
use crate::config::{self, Sources};
use crate::jool::Jool;

/// What a reload has changed, in words, and what waits for a restart.
pub fn changed<T: AsRef<str>>(changes: &[T], pending: &[T]) -> String {
    let quoted = |keys: &[T]| {
        let keys = keys.iter().map(|key| format!("{:?}", key.as_ref()));
        keys.collect::<Vec<_>>().join(", ")
    };
    let changes = match quoted(changes) {
        keys if keys.is_empty() => "nothing has changed".to_owned(),
        keys => format!("changed: {keys}"),
    };
    match quoted(pending) {
        keys if keys.is_empty() => changes,
        keys => format!("{changes}; takes effect with the next restart: {keys}"),
    }
}

impl<J: Jool> Node<J> {
    /// Reads the configuration again, all or nothing.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        self.publisher.systemd.reloading();
        let result = self.try_reload();
        match &result {
            Ok(changes) => info!(
                MESSAGE_ID = messages::RELOADED.id,
                "read the configuration again: {}",
                changed(changes, &self.started.pending(&self.config))
            ),
            Err(problems) => {
                let problems = problems.lines().collect::<Vec<_>>().join("; ");
                error!(
                    MESSAGE_ID = messages::REFUSED.id,
                    "the configuration stays as it was: {problems}"
                );
            }
        }
        let pending = self.started.pending(&self.config);
        let addresses = addresses(&self.network, &self.config);
        let instance = self.config.jool.instance.clone();
        let files = self.sources.iter().flat_map(Sources::files).collect();
        self.publisher.follow_clock();
        self.publisher.snapshot.send_modify(|snapshot| {
            snapshot.addresses = addresses;
            snapshot.instance = instance;
            // One that may be missing may have come or gone.
            snapshot.configuration.files = files;
            snapshot.configuration.loaded = SystemTime::now();
            if let Ok(changes) = &result {
                snapshot.configuration.changes.clone_from(changes);
            }
            snapshot.configuration.pending = pending;
            snapshot.configuration.problems = result.clone().err().unwrap_or_default();
        });
        self.publisher.systemd.reloaded();
        result.map(drop)
    }

    /// Returns the keys whose values have changed.
    fn try_reload(&mut self) -> Result<Vec<&'static str>, String> {
        let sources = self.sources.as_ref();
        let sources = sources.ok_or("there is no file to read again")?;
        let config = config::load(sources).map_err(|problems| problems.to_string())?;
        // Everything that can fail comes before anything changes.
        let sealing = keys::load(&config)?;
        let statistics = if config.statistics == self.config.statistics {
            None
        } else {
            let opened = open_statistics(config.statistics, self.statistics.as_ref());
            Some(opened.map_err(|failure| failure.to_string())?)
        };
        if config.network != self.config.network {
            let network = self.network.reopen(&config.network);
            let mut network = network.map_err(|error| error.to_string())?;
            // What waits in the old socket, if it is another one.
            self.read_network();
            network.take_over(&self.network);
            self.network = network;
            self.outbox.begin_again();
        }
        if let Some(statistics) = statistics {
            self.statistics = statistics;
        }
        let sealed = self.seal.status();
        self.seal.configure(Instant::now(), sealing);
        let now = self.seal.status();
        if (sealed.policy, &sealed.keys, sealed.sends) != (now.policy, &now.keys, now.sends) {
            self.tell_seal();
        }
        self.engine.set_overhead(self.seal.overhead());
        self.engine.set_format(config.record_format);
        self.engine.set_flush_interval(config.jool.flush_interval);
        self.engine.set_shared(config.network.is_shared());
        if config.policy != self.config.policy {
            self.engine
                .set_policy(Instant::now(), config.policy.clone());
        }
        self.publisher.outlets.set_interface(config.gate.as_ref());
        if config.jool != self.config.jool {
            if config.jool.instance != self.config.jool.instance {
                self.attachment.forget();
                self.table.abandon(&mut self.engine);
                self.engine.handle_detached(Instant::now());
            }
            self.jool.configure(config.jool.clone());
            self.attachment.check_by(Instant::now());
        }
        if config.wait != self.config.wait {
            self.attachment.wait_for(Instant::now(), config.wait);
        }
        let changes = self.config.changes(&config);
        self.config = config;
        Ok(changes)
    }

    /// Announces the whole table, for stock peers, which cannot ask for it.
    pub(super) fn advertise(&mut self, outcome: oneshot::Sender<Result<u64, String>>) {
        let result = if self.attachment.is_there() {
            Ok(self.engine.advertise())
        } else {
            Err("there is no Jool whose sessions could be sent".to_owned())
        };
        // Whoever asked may be gone.
        let _ = outcome.send(result);
    }

    /// Has the traffic moved to another node.
    pub(super) fn drain_traffic(&mut self, anyway: bool) -> Result<(), String> {
        if !anyway {
            self.engine.may_drain()?;
        }
        self.keep_drained(true)?;
        self.engine.drain(Instant::now());
        Ok(())
    }

    /// Has the traffic moved back.
    pub(super) fn undrain_traffic(&mut self) -> Result<(), String> {
        self.keep_drained(false)?;
        self.engine.undrain(Instant::now());
        Ok(())
    }

    fn keep_drained(&self, is_drained: bool) -> Result<(), String> {
        let Some(files) = self.publisher.outlets.files() else {
            return Ok(());
        };
        files.keep_drained(is_drained).map_err(|error| {
            format!("that cannot be kept over a restart of the daemon: {FOLDER}: {error}")
        })
    }

    /// Begins to compare everything.
    pub(super) fn resync(&mut self, outcome: oneshot::Sender<Result<u64, String>>) {
        let result = if self.attachment.is_there() {
            self.engine.resync();
            Ok(0)
        } else {
            Err("there is no Jool whose sessions could be compared".to_owned())
        };
        // Whoever asked may be gone.
        let _ = outcome.send(result);
    }

    /// Begins to compare with each of the other nodes.
    pub(super) fn verify(&mut self) -> Result<(), String> {
        if !self.attachment.is_there() {
            return Err("there is no Jool whose sessions could be compared".to_owned());
        }
        self.engine.may_verify()?;
        self.engine.verify(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::net::UdpSocket;
    use std::path::PathBuf;

    use super::*;
    use crate::jool::Version;
    use crate::jool::simulated::Simulated;
    use crate::service::Setup;

    /// A node, not attached yet, and its file, which is removed afterwards.
    pub(in crate::service) struct Reloaded {
        pub(in crate::service) node: Node<Simulated>,
        file: PathBuf,
        port: u16,
    }

    impl Reloaded {
        /// A node whose file is not there yet.
        pub(in crate::service) fn new(test: &str) -> Self {
            let name = format!("joold-reload-{test}-{}.json", std::process::id());
            let file = std::env::temp_dir().join(name);
            let free = UdpSocket::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let sources = Sources {
                network: Some(file.clone()),
                network_is_optional: true,
                interface: Some("lo".to_owned()),
                ..Sources::default()
            };
            let config = config::load(&sources).unwrap();
            let (jool, _) = Simulated::new(config.jool.clone(), Version::NEWEST);
            let setup = Setup {
                config,
                sources: Some(sources),
                socket: None,
                files: None,
            };
            let node = Node::open(setup, jool).unwrap();
            Self { node, file, port }
        }

        pub(in crate::service) fn reload(&mut self, key: &str) {
            let port = self.port;
            let comma = if key.is_empty() { "" } else { "," };
            let text = format!(r#"{{ "multicast port": {port}{comma} {key} }}"#);
            fs::write(&self.file, text).unwrap();
            self.node.reload().unwrap();
        }
    }

    impl Drop for Reloaded {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.file);
        }
    }

    #[tokio::test]
    async fn what_a_reload_changed_and_what_waits_for_a_restart_is_shown() {
        let mut reloaded = Reloaded::new("changes");
        reloaded.reload("");
        let shown = |reloaded: &Reloaded| {
            let configuration = reloaded.node.control().snapshot().configuration;
            (configuration.changes, configuration.pending)
        };
        for (keys, changes, pending) in [
            (r#""ttl": 2"#, &["ttl"][..], &[][..]),
            (
                r#""ttl": 2, "node name": "a""#,
                &["node name"],
                &["node name"],
            ),
            (r#""ttl": 2, "node name": "a""#, &[], &["node name"]),
            (r#""ttl": 2"#, &["node name"], &[]),
        ] {
            reloaded.reload(keys);
            let expected = (changes.to_vec(), pending.to_vec());
            assert_eq!(shown(&reloaded), expected, "{keys}");
        }
        assert_eq!(changed::<&str>(&[], &[]), "nothing has changed");
        assert_eq!(
            changed(&["ttl", "node name"], &["node name"]),
            r#"changed: "ttl", "node name"; takes effect with the next restart: "node name""#
        );
    }

    #[tokio::test]
    async fn a_file_that_came_after_the_start_is_shown() {
        let mut reloaded = Reloaded::new("file");
        let files = |reloaded: &Reloaded| reloaded.node.control().snapshot().configuration.files;
        assert!(files(&reloaded).is_empty());
        reloaded.reload(r#""ttl": 2"#);
        assert_eq!(files(&reloaded), [reloaded.file.clone()]);
    }
}
