//! What this node tells the others about itself.

use crate::replication::wire::{Hello, Position, Progress};
use crate::session::Format;

use super::View;

impl View<'_> {
    /// What this node says now. `format`: of the records that it sends, if it is not that of its Jool.
    /// `proof`: what has to come back with questions.
    pub(crate) fn hello(&self, format: Option<Format>, proof: u32) -> Hello {
        let jool = self.local.jool.as_ref();
        let format = jool.map(|jool| format.unwrap_or(jool.format));
        let nodes = &self.group.nodes;
        let followed = self.group.followed(self.now, self.ledger);
        let mut logs: Vec<(bool, u32, Progress)> = followed
            .map(|(index, log)| {
                let position = Position {
                    log: log.key,
                    seq: log.have(),
                };
                // What nobody has is not looked for by others again.
                let last = if log.given_up { log.have() } else { log.last };
                let is_there = nodes.present(log.key).is_some();
                let entries = self.ledger.entries_of(index);
                (is_there, entries, Progress { position, last })
            })
            .collect();
        logs.sort_unstable_by_key(|(is_there, entries, _)| (!is_there, u32::MAX - entries));
        let logs = logs.into_iter().take(Hello::most_logs(self.group.room()));
        Hello {
            last: self.own_log.last(),
            state: self.state() as u8,
            fitness: self.judge.verdict() as u8,
            record_length: format.map_or(0, |format| u8::try_from(format.length()).unwrap_or(0)),
            proof,
            takes: u16::try_from(nodes.takes()).unwrap_or(u16::MAX),
            jool: jool.map_or(0, |jool| jool.version),
            daemon: own_version(),
            sessions: u32::try_from(self.ledger.sessions()).unwrap_or(u32::MAX),
            digests: self.local.digests().unwrap_or_default(),
            name: self.group.own_name().to_owned(),
            cluster: self.group.cluster().to_owned(),
            logs: logs.map(|(_, _, progress)| progress).collect(),
        }
    }
}

/// Of the program itself, a byte each.
fn own_version() -> u32 {
    let number = |text: &str| text.parse::<u8>().unwrap_or(0);
    u32::from_be_bytes([
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
        0,
    ])
}
