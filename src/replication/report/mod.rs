//! How this node and the others stand.

mod hello;
mod shown;
mod status;
mod view;

pub use status::{Kind, Peer, Status, Successor, TableReading, Transfer, Verified};

pub(crate) use shown::Shown;
pub(crate) use view::View;
