//! The UDP sockets between nodes: a multicast group, unicast peers, or both.
//!
//! [`Network`] owns one socket, exchanges datagrams over it in batches, and follows the interfaces
//! that it uses: one that vanishes and returns is joined again. What the datagrams mean is nobody's
//! business here.
//!
//! Without unicast peers the socket is bound as the stock daemon of Jool binds it: to the group's
//! own address and port. Then it hears the group and nothing else, no unicast answer either. With
//! peers it is bound to an address of this node or to the wildcard (see
//! [`Settings::listen_address`]).
//!
//! In a VRF it is bound to the interface, too: a socket that is not hears nothing there. Elsewhere it is not,
//! since peers may be reached over other interfaces.

mod batch;
mod counters;
mod error;
mod gate;
mod interface;
mod link;
mod membership;
mod network;
mod outbox;
mod place;
mod rtnetlink;
mod settings;
mod socket;
mod watch;

pub use counters::{Counters, SendErrors, SendFailure};
pub use error::OpenError;
pub use gate::{GateError, set_up};
pub use interface::{Interface, InterfaceError, vrf_of};
pub use link::InterfaceEvent;
pub use network::{Datagram, Network};
pub use outbox::{Destination, Outbox};
pub use place::Place;
pub use settings::{Family, Settings, needs_scope};
