//! What the daemon counts.

use std::fmt;

use crate::{net, replication};

/// Everything that is counted, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets of records from our own Jool.
    pub jool_packets: u64,
    /// Their records, in bytes.
    pub jool_bytes: u64,
    /// Times that packets from our own Jool were lost because the daemon was too slow to read them.
    pub jool_overflows: u64,
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
    /// What the network counted.
    pub network: net::Counters,
}

impl Counters {
    /// Whatever did not get where it was to go, by reason.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self {
            engine, network, ..
        } = self;
        let rejects = |rejects: &crate::session::Rejects, names: [&'static str; 10]| {
            let counts = crate::session::Reject::ALL.map(|reason| rejects.of(reason));
            names.into_iter().zip(counts)
        };
        let received = rejects(
            &engine.received_rejects,
            [
                "received bytes that are no record",
                "received records of an unknown type",
                "received records of a wrong length",
                "received records of a wrong layout",
                "received records of an unknown protocol",
                "received records of a wrong state",
                "received records of a wrong timer",
                "received records of an impossible address",
                "received records of contradicting ports",
                "received records outside our pool6",
            ],
        );
        let local = engine.local_rejects.total();
        [
            (
                "times that packets from Jool overflowed our socket",
                self.jool_overflows,
            ),
            (
                "messages from Jool that were not understood",
                self.jool_malformed,
            ),
            ("failures to read from Jool", self.jool_failures),
            ("refusals by Jool to take records", self.add_refusals),
            (
                "refusals by Jool of an acknowledgement",
                self.acknowledge_refusals,
            ),
            ("records from Jool that were not understood", local),
            (
                "records that need a pool6 of /96 in 52 bytes",
                engine.inexpressible,
            ),
            ("datagrams received without a Jool", engine.no_jool),
            ("received datagrams longer than 64 KiB", network.too_long),
            ("received datagrams from strangers", network.strangers),
            (
                "datagrams received over another interface",
                network.elsewhere,
            ),
            ("errors while receiving", network.receive_errors),
            (
                "datagrams unsent for want of a route",
                network.unsent.no_route,
            ),
            (
                "datagrams that a packet filter refused to send",
                network.unsent.refused,
            ),
            (
                "datagrams unsent for want of buffers",
                network.unsent.no_buffers,
            ),
            (
                "datagrams unsent because the network took none",
                network.unsent.outbox_full,
            ),
            ("datagrams unsent for other reasons", network.unsent.other),
        ]
        .into_iter()
        .chain(received)
    }

    /// A sentence about what was dropped since an earlier state of the counters, if anything was.
    pub(super) fn drops_since(&self, earlier: &Self) -> Option<String> {
        let since: Vec<String> = self
            .drops()
            .zip(earlier.drops())
            .filter(|((_, now), (_, then))| now > then)
            .map(|((name, now), (_, then))| format!("{} {name}", now - then))
            .collect();
        (!since.is_empty()).then(|| since.join(", "))
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
    use crate::session::Reject;

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
            "2 times that packets from Jool overflowed our socket, 1 received records of a wrong \
             state"
        );
        assert_eq!(counters.drops_since(&counters), None);
        let earlier = counters;
        counters.network.strangers = 5;
        assert_eq!(
            counters.drops_since(&earlier).unwrap(),
            "5 received datagrams from strangers"
        );
    }
}
