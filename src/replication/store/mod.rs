//! What this node knows: the sessions, where in the logs their latest records are, and when that was.

mod clock;
mod digest;
mod leaving;
mod ledger;
mod local;
mod own_log;
mod queue;
mod received;
mod record;

pub(crate) use digest::{Buckets, Digest, HORIZON};
pub(crate) use ledger::{Ledger, STOCK_DELAY, TOGETHER, Told};
pub(crate) use local::Missing;
pub(crate) use own_log::{OwnLog, RING};
pub(crate) use received::{Outcome, Way};
pub(crate) use record::{ADOPTED, OWN, Place, Record, UNLOGGED, is_local};
