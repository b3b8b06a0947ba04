//! What the engine counts.

use crate::session::Rejects;

use super::store::Outcome;

/// What the engine counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records from our own Jool.
    pub local_records: u64,
    /// Records from our own Jool that were not understood.
    pub local_rejects: Rejects,
    /// Records from our own Jool that told nothing new, so that they were only remembered.
    pub coalesced: u64,
    /// Records that could not be given to our own Jool, because 52-byte records need a pool6 of
    /// /96.
    pub inexpressible: u64,
    /// Records sent, without those sent again.
    pub sent_records: u64,
    /// Hellos sent.
    pub sent_hellos: u64,
    /// Requests for what was missing, sent.
    pub sent_requests: u64,
    /// Records sent again, because somebody asked.
    pub replayed_records: u64,
    /// Records from other nodes, without those that were asked for.
    pub received_records: u64,
    /// Records that came from stock peers.
    pub stock_records: u64,
    /// Records that came because we asked.
    pub recovered_records: u64,
    /// Records from other nodes that were not taken.
    pub received_rejects: Rejects,
    /// Records from other nodes that were known already.
    pub known_records: u64,
    /// Records from other nodes of which something later was known.
    pub older_records: u64,
    /// Records from other nodes of sessions that had expired.
    pub expired_records: u64,
    /// Records from other nodes whose lifetime was cut to our own timeouts.
    pub clamped: u64,
    /// Datagrams from other nodes that came before the first Jool.
    pub no_jool: u64,
    /// Datagrams from nodes that had not said who they are, or that are of another cluster.
    pub unknown_nodes: u64,
    /// Frames that are cut off or make no sense.
    pub malformed_frames: u64,
    /// Frames of a version that is not spoken here.
    pub foreign_versions: u64,
    /// Hellos of nodes of other clusters.
    pub foreign_clusters: u64,
    /// Requests that could not be answered: too many at once, or of nodes that are not there.
    pub refused_requests: u64,
    /// Records that were missing and came.
    pub repaired_records: u64,
    /// Records that were missing and that nobody has any more.
    pub lost_records: u64,
    /// Transfers of whole tables, or of all that was missing, that were completed.
    pub transfers: u64,
    /// Sessions that ended on another node while it was not heard, and so end here.
    pub ended: u64,
    /// Sessions that somebody removed from our own Jool, which ended them.
    pub removed: u64,
    /// Comparisons with other nodes.
    pub verifications: u64,
    /// Sessions that these found to be missing, or in another state, here.
    pub differing: u64,
    /// Comparisons of our own Jool's table with ours.
    pub audits: u64,
    /// Records handed to our own Jool.
    pub injected_records: u64,
}

impl Counters {
    #[inline]
    pub(crate) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Taken | Outcome::Ended => {}
            Outcome::Known | Outcome::Renewed => self.known_records += 1,
            Outcome::Older => self.older_records += 1,
            Outcome::Expired => self.expired_records += 1,
        }
    }
}
