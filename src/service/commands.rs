//! What the daemon does when it is told to: read its configuration again, send its whole table.

use std::time::{Instant, SystemTime};

use tokio::sync::oneshot;
use tracing::{error, info};

use super::messages;
use super::node::{Node, addresses, open_statistics};
use crate::config;
use crate::jool::Jool;
use crate::session::{Identity, Protocol};

/// Pages of a table, of some 26 sessions each, that are read before the others get their turn.
const ADVERTISEMENT_PAGES: usize = 32;

/// A table on its way to the other nodes.
pub(super) struct Advertisement {
    protocols: &'static [Protocol],
    after: Option<Identity>,
    sessions: u64,
    outcome: oneshot::Sender<Result<u64, String>>,
}

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
            Some(open_statistics(config.statistics).map_err(|failure| failure.to_string())?)
        };
        if config.network != self.config.network {
            let network = self.network.reopen(&config.network);
            let network = network.map_err(|error| error.to_string())?;
            // What waits in the old socket, if it is another one.
            self.read_network();
            self.network = network;
        }
        if let Some(statistics) = statistics {
            self.statistics = statistics;
        }
        self.engine.set_format(config.record_format);
        if config.jool != self.config.jool {
            if config.jool.instance != self.config.jool.instance {
                self.attached = false;
                self.engine.handle_detached();
            }
            self.jool.configure(config.jool.clone());
            self.next_check = Instant::now();
        }
        self.config = config;
        Ok(())
    }

    /// Begins to send the whole table of our own Jool to the other nodes.
    ///
    /// By a dump, not by the module's own advertisement, which goes through its queue and, before
    /// 4.1.11, sends next to nothing.
    pub(super) fn advertise(&mut self, outcome: oneshot::Sender<Result<u64, String>>) {
        let refusal = if !self.attached {
            "there is no Jool whose sessions could be sent"
        } else if self.advertisement.is_some() {
            "the sessions are being sent already"
        } else {
            self.advertisement = Some(Advertisement {
                protocols: &Protocol::ALL,
                after: None,
                sessions: 0,
                outcome,
            });
            return;
        };
        // Whoever asked may be gone.
        let _ = outcome.send(Err(refusal.to_owned()));
    }

    /// Reads the next pages of a table that is on its way.
    pub(super) fn advertise_more(&mut self) {
        let Some(mut advertisement) = self.advertisement.take() else {
            return;
        };
        if !self.outbox.is_empty() {
            self.advertisement = Some(advertisement);
            return;
        }
        for _ in 0..ADVERTISEMENT_PAGES {
            let Some((protocol, others)) = advertisement.protocols.split_first() else {
                self.engine.release_advertised();
                let _ = advertisement.outcome.send(Ok(advertisement.sessions));
                return;
            };
            let engine = &mut self.engine;
            let Advertisement {
                after, sessions, ..
            } = &mut advertisement;
            let last = *after;
            let more = self.jool.dump(*protocol, last.as_ref(), |record| {
                if let Ok(session) = record {
                    *after = Some(session.id);
                    *sessions += 1;
                    engine.handle_advertised(session);
                }
            });
            match more {
                Ok(true) if *after != last => {}
                Ok(_) => {
                    advertisement.protocols = others;
                    advertisement.after = None;
                }
                Err(refusal) => {
                    let _ = advertisement.outcome.send(Err(refusal.to_string()));
                    return;
                }
            }
        }
        self.advertisement = Some(advertisement);
    }
}
