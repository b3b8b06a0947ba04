//! Session synchronisation for Jool, the Linux kernel's stateful NAT64.
//!
//! [`session`] knows what a session is and how records of it look; [`jool`] talks with this node's
//! NAT64; [`replication`] decides what is sent and what is applied; [`seal`] keeps strangers out of that;
//! [`net`] owns the UDP sockets; [`config`] reads the JSON file; [`service`] wires them into the running daemon; [`bus`] shows it
//! on the system bus; [`demo`] shows two of them. [`command_line`] is what both programs take,
//! [`generator`] what systemd runs at boot.

pub mod bus;
pub mod client;
pub mod command_line;
pub mod config;
pub mod demo;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod generator;
pub mod jool;
pub mod net;
pub mod replication;
pub mod seal;
pub mod service;
pub mod session;
