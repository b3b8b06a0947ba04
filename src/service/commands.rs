//! What the daemon does when it is told to: read its configuration again, announce its whole
//! table.

use std::time::{Instant, SystemTime};

use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::messages;
use super::node::{Node, addresses, open_statistics};
use crate::config;
use crate::jool::Jool;

impl<J: Jool> Node<J> {
    /// Reads the configuration again, all or nothing.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        self.systemd.reloading();
        let result = self.try_reload();
        match &result {
            Ok(()) => info!(
                MESSAGE_ID = messages::RELOADED.id,
                "read the configuration again"
            ),
            Err(problems) => {
                let problems = problems.lines().collect::<Vec<_>>().join("; ");
                error!(
                    MESSAGE_ID = messages::REFUSED.id,
                    "the configuration stays as it was: {problems}"
                );
            }
        }
        let addresses = addresses(&self.network, &self.config);
        let instance = self.config.jool.instance.clone();
        self.snapshot.send_modify(|snapshot| {
            snapshot.addresses = addresses;
            snapshot.instance = instance;
            snapshot.configuration.loaded = SystemTime::now();
            snapshot.configuration.problems = result.clone().err().unwrap_or_default();
        });
        self.systemd.reloaded();
        result
    }

    fn try_reload(&mut self) -> Result<(), String> {
        let sources = self.sources.as_ref();
        let sources = sources.ok_or("there is no file to read again")?;
        let config = config::load(sources).map_err(|problems| problems.to_string())?;
        // Everything that can fail comes before anything changes.
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
        }
        if let Some(statistics) = statistics {
            self.statistics = statistics;
        }
        self.engine.set_format(config.record_format);
        if config.jool != self.config.jool {
            if config.jool.instance != self.config.jool.instance {
                self.attached = false;
                self.abandon_audit();
                self.engine.handle_detached(Instant::now());
            }
            self.jool.configure(config.jool.clone());
            self.next_check = Instant::now();
        }
        let (old, new) = (&self.config, &config);
        if (&old.node_name, old.max_sessions) != (&new.node_name, new.max_sessions) {
            warn!("\"node name\" and \"max sessions\" take effect with the next restart");
        }
        self.config = config;
        Ok(())
    }

    /// Announces the whole table, for stock peers, which cannot ask for it.
    pub(super) fn advertise(&mut self, outcome: oneshot::Sender<Result<u64, String>>) {
        let result = if self.attached {
            Ok(self.engine.advertise())
        } else {
            Err("there is no Jool whose sessions could be sent".to_owned())
        };
        // Whoever asked may be gone.
        let _ = outcome.send(result);
    }

    /// Begins to compare everything.
    pub(super) fn resync(&mut self, outcome: oneshot::Sender<Result<u64, String>>) {
        let result = if self.attached {
            self.engine.resync();
            Ok(0)
        } else {
            Err("there is no Jool whose sessions could be compared".to_owned())
        };
        // Whoever asked may be gone.
        let _ = outcome.send(result);
    }
}
