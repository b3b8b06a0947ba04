//! The counters under names for programs, which never change. `docs/dbus.md` says what they mean.

use crate::net::{self, SendErrors};
use crate::replication;
use crate::seal;
use crate::service::Counters;
use crate::session::{Reject, Rejects};

/// Every counter by name.
pub(super) fn all(counters: &Counters) -> impl Iterator<Item = (String, u64)> {
    // Taken apart to the last field, so that a new counter does not compile without a name.
    let Counters {
        jool_packets,
        jool_bytes,
        jool_overflows,
        jool_dropped,
        jool_malformed,
        jool_failures,
        added_packets,
        added_bytes,
        add_refusals,
        acknowledge_refusals,
        repairs,
        engine,
        seal,
        network,
    } = *counters;
    let replication::Counters {
        local_records,
        local_rejects,
        coalesced,
        inexpressible,
        sent_records,
        sent_hellos,
        sent_requests,
        replayed_records,
        received_records,
        stock_records,
        recovered_records,
        received_rejects,
        known_records,
        older_records,
        expired_records,
        clamped,
        no_jool,
        unknown_nodes,
        malformed_frames,
        foreign_versions,
        foreign_clusters,
        refused_requests,
        repaired_records,
        lost_records,
        transfers,
        ended,
        removed,
        verifications,
        differing,
        audits,
        injected_records,
    } = engine;
    let seal::Counters {
        sealed,
        opened,
        open_refused,
        unknown_keys,
        forged,
        replayed,
        unproven,
        malformed,
        unsealed,
    } = seal;
    let net::Counters {
        received_datagrams,
        received_bytes,
        too_long,
        strangers,
        last_stranger: _,
        elsewhere,
        receive_errors,
        last_receive_error: _,
        sent_datagrams,
        sent_bytes,
        unsent:
            SendErrors {
                no_route,
                refused,
                no_buffers,
                other,
                outbox_full,
            },
        last_failure: _,
    } = network;
    [
        ("jool-packets", jool_packets),
        ("jool-bytes", jool_bytes),
        ("jool-overflows", jool_overflows),
        ("jool-dropped", jool_dropped),
        ("jool-malformed", jool_malformed),
        ("jool-failures", jool_failures),
        ("added-packets", added_packets),
        ("added-bytes", added_bytes),
        ("add-refusals", add_refusals),
        ("acknowledge-refusals", acknowledge_refusals),
        ("repairs", repairs),
        ("local-records", local_records),
        ("coalesced", coalesced),
        ("inexpressible", inexpressible),
        ("sent-records", sent_records),
        ("sent-hellos", sent_hellos),
        ("sent-requests", sent_requests),
        ("replayed-records", replayed_records),
        ("received-records", received_records),
        ("stock-records", stock_records),
        ("recovered-records", recovered_records),
        ("known-records", known_records),
        ("older-records", older_records),
        ("expired-records", expired_records),
        ("clamped", clamped),
        ("no-jool", no_jool),
        ("unknown-nodes", unknown_nodes),
        ("malformed-frames", malformed_frames),
        ("foreign-versions", foreign_versions),
        ("foreign-clusters", foreign_clusters),
        ("refused-requests", refused_requests),
        ("repaired-records", repaired_records),
        ("lost-records", lost_records),
        ("transfers", transfers),
        ("verifications", verifications),
        ("differing-sessions", differing),
        ("audits", audits),
        ("ended", ended),
        ("removed", removed),
        ("injected-records", injected_records),
        ("sealed-frames", sealed),
        ("opened-frames", opened),
        ("open-refused", open_refused),
        ("unknown-keys", unknown_keys),
        ("forged-frames", forged),
        ("replayed-frames", replayed),
        ("unproven-frames", unproven),
        ("malformed-seals", malformed),
        ("unsealed-frames", unsealed),
        ("received-datagrams", received_datagrams),
        ("received-bytes", received_bytes),
        ("too-long", too_long),
        ("strangers", strangers),
        ("elsewhere", elsewhere),
        ("receive-errors", receive_errors),
        ("sent-datagrams", sent_datagrams),
        ("sent-bytes", sent_bytes),
        ("unsent-no-route", no_route),
        ("unsent-refused", refused),
        ("unsent-no-buffers", no_buffers),
        ("unsent-outbox-full", outbox_full),
        ("unsent-other", other),
    ]
    .into_iter()
    .map(|(name, count)| (name.to_owned(), count))
    .chain(rejects("local-rejected", local_rejects))
    .chain(rejects("received-rejected", received_rejects))
}

fn rejects(prefix: &'static str, rejects: Rejects) -> impl Iterator<Item = (String, u64)> {
    let name = move |reason: Reject| format!("{prefix}-{}", reason.name());
    Reject::ALL
        .into_iter()
        .map(move |reason| (name(reason), rejects.of(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_counter_has_a_name_of_its_own_that_the_documentation_explains() {
        let documentation = include_str!("../../docs/dbus.md");
        let mut names = BTreeSet::new();
        for (name, count) in all(&Counters::default()) {
            assert_eq!(count, 0);
            let (row, reject) = match name.split_once("-rejected-") {
                Some((_, reason)) => ("-rejected-".to_owned(), Some(reason)),
                None => (format!("| `{name}` |"), None),
            };
            assert!(documentation.contains(&row), "{name}");
            if let Some(reason) = reject {
                assert!(documentation.contains(&format!("| `{reason}` |")), "{name}");
            }
            assert!(names.insert(name));
        }
        assert_eq!(names.len(), 62 + 2 * Reject::ALL.len());
    }

    #[test]
    fn a_count_is_found_under_its_name() {
        let mut counters = Counters {
            added_bytes: 7,
            ..Counters::default()
        };
        counters.engine.received_rejects.count(Reject::Pool6);
        counters.network.unsent.no_route = 3;
        let mut counted: Vec<_> = all(&counters).filter(|(_, count)| *count > 0).collect();
        counted.sort();
        let names: Vec<_> = counted
            .iter()
            .map(|(name, n)| (name.as_str(), *n))
            .collect();
        assert_eq!(
            names,
            [
                ("added-bytes", 7),
                ("received-rejected-pool6", 1),
                ("unsent-no-route", 3),
            ]
        );
    }
}
