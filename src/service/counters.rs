//! What the daemon counts.

use std::fmt;

use crate::session::Reject;
use crate::{net, replication, seal};

/// Everything that is counted, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets of records from our own Jool.
    pub jool_packets: u64,
    /// Their records, in bytes.
    pub jool_bytes: u64,
    /// Times that packets from our own Jool were lost because the daemon was too slow to read them.
    pub jool_overflows: u64,
    /// Records that our own Jool dropped because its queue was full.
    pub jool_dropped: u64,
    /// Messages from our own Jool that were not understood.
    pub jool_malformed: u64,
    /// Times that reading from our own Jool failed.
    pub jool_failures: u64,
    /// JOOLD_ADD messages to our own Jool.
    pub added_packets: u64,
    /// Their records, in bytes.
    pub added_bytes: u64,
    /// JOOLD_ADD messages that our own Jool refused, at least in part.
    pub add_refusals: u64,
    /// Acknowledgements that our own Jool refused.
    pub acknowledge_refusals: u64,
    /// Times that settings of our own Jool had been changed and were set again.
    pub repairs: u64,
    /// What the engine counted.
    pub engine: replication::Counters,
    /// What the seal counted.
    pub seal: seal::Counters,
    /// What the network counted.
    pub network: net::Counters,
}

impl Counters {
    /// Whatever did not get where it was to go, by what it was; but for received records that were
    /// refused, which are counted by reason, and for what the seal refuses, which is told elsewhere.
    fn drops(&self) -> [(&'static str, u64); 20] {
        let Self {
            engine,
            network,
            seal,
            ..
        } = self;
        let local = engine.local_rejects.total();
        [
            ("overflows of the socket from Jool", self.jool_overflows),
            ("records dropped by Jool's own queue", self.jool_dropped),
            ("messages from Jool not understood", self.jool_malformed),
            ("failures to read from Jool", self.jool_failures),
            ("refusals by Jool to take records", self.add_refusals),
            (
                "refusals by Jool of an acknowledgement",
                self.acknowledge_refusals,
            ),
            ("records from Jool not understood", local),
            (
                "records that need a pool6 of /96 in 52 bytes",
                engine.inexpressible,
            ),
            ("datagrams received without a Jool", engine.no_jool),
            (
                "frames cut off or of another version",
                engine.malformed_frames + engine.foreign_versions,
            ),
            ("sealed frames that make no sense", seal.malformed),
            (
                "frames not sealed for want of random numbers",
                seal.unsealed,
            ),
            ("datagrams longer than 64 KiB", network.too_long),
            ("datagrams from strangers", network.strangers),
            ("datagrams over another interface", network.elsewhere),
            ("errors while receiving", network.receive_errors),
            (
                "datagrams not sent for want of a route",
                network.unsent.no_route,
            ),
            (
                "datagrams not sent because a packet filter forbids it",
                network.unsent.refused,
            ),
            (
                "datagrams not sent for want of buffers",
                network.unsent.no_buffers + network.unsent.outbox_full,
            ),
            ("datagrams not sent for other reasons", network.unsent.other),
        ]
    }

    /// What was dropped since an earlier state of the counters, in words, if anything was.
    pub(super) fn drops_since(&self, earlier: &Self) -> Option<String> {
        let drops = self.drops().into_iter().zip(earlier.drops());
        let mut since: Vec<String> = drops
            .filter(|((_, now), (_, then))| now > then)
            .map(|((name, now), (_, then))| format!("{name}: {}", now - then))
            .collect();
        let rejects = |counters: &Self, reason| counters.engine.received_rejects.of(reason);
        for reason in Reject::ALL {
            let count = rejects(self, reason) - rejects(earlier, reason);
            if count > 0 {
                let name = reason.name();
                since.push(format!("refused records ({name}): {count}"));
            }
        }
        (!since.is_empty()).then(|| since.join(", "))
    }

    /// Datagrams that could not be sent.
    pub(super) fn unsent(&self) -> u64 {
        let unsent = &self.network.unsent;
        unsent.no_route + unsent.refused + unsent.no_buffers + unsent.other
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            engine, network, ..
        } = self;
        write!(
            f,
            "{} records from Jool, {} sent in {} datagrams, {} received in {} datagrams, {} given \
             to Jool, dropped: {}",
            engine.local_records,
            engine.sent_records,
            network.sent_datagrams,
            engine.received_records,
            network.received_datagrams,
            engine.injected_records,
            self.drops_since(&Self::default())
                .as_deref()
                .unwrap_or("nothing"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_drops_are_reported() {
        let mut counters = Counters {
            jool_overflows: 2,
            ..Counters::default()
        };
        counters.engine.received_rejects.count(Reject::State);
        let first = counters.drops_since(&Counters::default()).unwrap();
        assert_eq!(
            first,
            "overflows of the socket from Jool: 2, refused records (state): 1"
        );
        assert_eq!(counters.drops_since(&counters), None);
        let earlier = counters;
        counters.network.strangers = 5;
        assert_eq!(
            counters.drops_since(&earlier).unwrap(),
            "datagrams from strangers: 5"
        );
    }
}
