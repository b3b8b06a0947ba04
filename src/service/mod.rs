//! The running daemon: one loop around this node's Jool, the network and the engine between them;
//! and what it shows of itself to systemd, to the log and to whoever asks.

mod alarm;
mod attachment;
mod commands;
mod control;
mod counters;
mod ended;
mod exchange;
mod failure;
mod identity;
pub mod journal;
mod keys;
mod limits;
pub mod messages;
mod node;
mod outlets;
mod publisher;
mod reporter;
mod seals;
mod snapshot;
mod statistics;
pub mod systemd;
mod table_reader;

pub use commands::changed;
pub use control::Control;
pub use counters::Counters;
pub use ended::{Stop, ended};
pub use failure::Failure;
pub use keys::load as load_keys;
pub use limits::allow_open_files;
pub use node::{Node, Setup};
pub use outlets::{FOLDER, Files};
pub use snapshot::{Addresses, Configuration, Snapshot, State};
