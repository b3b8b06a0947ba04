//! The protocol between nodes: what is sent and what is applied. No sockets, no clock, no threads:
//! input is handed in, output is taken out. docs/protocol.md describes it from outside.
//!
//! Every node numbers what it announces: its log. Every node keeps one table of sessions, in which
//! each session has the place in a log that its latest record came from (`store`). So anything
//! can be told again from the table: the records that a datagram took with it, or everything to a
//! node that is new (`repair`). Four times a second each node says how far it is (`group`), so each knows
//! what it lacks and what the others lack.
//!
//! [`Engine`] wires the parts. A part owns its state, is given what it needs, and knows no engine.

mod counters;
mod engine;
mod event;
mod fitness;
mod group;
mod local;
mod repair;
mod report;
mod runs;
mod settings;
mod state;
mod store;
pub(crate) mod wire;

pub use counters::Counters;
pub use engine::Engine;
pub use event::{Audit, Difference, Event};
pub use fitness::{Failback, Fitness, Policy};
pub use report::{Kind, Peer, Status, Successor, TableReading, Transfer, Verified};
pub use settings::{Settings, Transmit};
pub use state::State;
pub use wire::MAX_FRAME;

#[cfg(test)]
mod tests;
