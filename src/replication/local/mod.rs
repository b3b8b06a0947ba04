//! Our own Jool as the engine sees it: whether it is there, whether its table and ours are the same, and how
//! far its node is in becoming one of the group.

mod audit;
mod join;
mod jool;
mod walk;

pub(crate) use audit::{AUDIT_INTERVAL_BLIND, AuditState};
pub(crate) use join::{Join, Next, Phase};
pub(crate) use jool::{Attached, Local};
pub(crate) use walk::{Walk, Walks};
