//! This node's NAT64: the kernel's Jool, or a simulated one.

pub mod kernel;
pub mod simulated;
mod version;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::session::{Format, Identity, Pool4, Prefix, Protocol, Reject, Session, Timeouts};

pub use version::{Unsupported, Version};

/// Longest run of records in bytes for one [`Jool::add`]: 1,500 records of 40 bytes, as many as a
/// 4.1.13 was seen to take in one message. An attribute ends at 65,535.
pub const MAX_RUN: usize = 60_000;

/// What the daemon asks of this node's NAT64.
///
/// Everything but [`Jool::readable`] returns at once: the module answers within the system call.
pub trait Jool {
    /// Makes sure of the instance: finds it, subscribes to its sessions, and repairs the settings
    /// that session synchronisation needs. To be called at the start, after
    /// [`Received::ModuleChanged`], and every second or so, because nothing tells when an instance
    /// goes or a setting is changed.
    fn attach(&mut self) -> Result<Instance, Unavailable>;

    /// Uses another instance, or other settings, from the next [`Jool::attach`] on.
    fn configure(&mut self, settings: Settings);

    /// What the module counts of the instance.
    fn counts(&mut self) -> Result<Counts, Refusal>;

    /// Waits until [`Jool::receive`] may have something. Cancel safe.
    fn readable(&mut self) -> impl Future<Output = io::Result<()>>;

    /// Takes one packet of records, of those that were read together; they are acknowledged at once, so that
    /// the next one is under way while these are looked at. Where nothing was told to be there it costs no
    /// system call. After [`Jool::acknowledge`] it goes on to the end of what waits in the module.
    fn receive(&mut self, records: impl FnMut(&[u8])) -> Received;

    /// Tells the module that its last packet was taken. When nothing is in flight this makes it
    /// look at its queue, so that no record waits for the module's own 2 s timer. [`Jool::receive`] is due
    /// then.
    fn acknowledge(&mut self) -> Result<(), Refusal>;

    /// Adds a run of records, at most [`MAX_RUN`] bytes, in [`Instance::format`], to the table.
    fn add(&mut self, run: &[u8]) -> Result<(), Refusal>;

    /// Who has the mask of a session in this Jool: of another client than the session's, if the module does not
    /// take that. `None`: nobody.
    fn client_of(&mut self, mask: &Identity) -> Result<Option<Client>, Refusal>;

    /// Reads one page of the BIB, from behind a mask on, and says whether there are more.
    fn dump_bib(
        &mut self,
        protocol: Protocol,
        after: Option<Mask>,
        page: impl FnMut(Mask, Client),
    ) -> Result<bool, Refusal>;

    /// Reads one page of the table, from behind a session on, and says whether there are more.
    fn dump(
        &mut self,
        protocol: Protocol,
        after: Option<&Identity>,
        page: impl FnMut(Result<Session, Reject>),
    ) -> Result<bool, Refusal>;
}

/// How the instance is to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the instance.
    pub instance: String,
    /// Whether to enable session sync and to keep the two settings below as they are here.
    pub manage: bool,
    /// `ss-flush-deadline`: how long a record may wait in the module for others to go with.
    pub flush_interval: Duration,
    /// `ss-capacity`: how many records the module may queue.
    pub queue_capacity: u32,
}

/// An instance that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// The module's version.
    pub version: Version,
    /// The record format of that version.
    pub format: Format,
    /// The NAT64 prefix.
    pub pool6: Prefix,
    /// The masks of its clients.
    pub pool4: Pool4,
    /// It was told not to translate (`manually-enabled` is false).
    pub is_paused: bool,
    /// The session timeouts.
    pub timeouts: Timeouts,
    /// What else decides how packets are translated, and which: the module's numbers and values, only to be
    /// compared.
    pub settings: Vec<u8>,
    /// What had to be set, because it was otherwise.
    pub repairs: Vec<Repair>,
    /// Why something else could not be set, in Jool's words. Sessions go on all the same.
    pub unrepaired: Option<String>,
}

/// A setting of the instance that was not as it has to be and was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Jool's name of the setting.
    pub setting: &'static str,
    /// What it was.
    pub found: u32,
    /// What it is now.
    pub set: u32,
}

impl Repair {
    /// Jool's names of all settings that may have to be set.
    const SETTINGS: [&'static str; 5] = [
        "ss-flush-asap",
        "ss-flush-deadline",
        "ss-capacity",
        "ss-max-sessions-per-packet",
        "ss-enabled",
    ];

    /// What [`fmt::Display`] wrote; `None`: it did not.
    pub fn parse(line: &str) -> Option<Self> {
        let (setting, values) = line.split_once(" from ")?;
        let (found, set) = values.split_once(" to ")?;
        Some(Self {
            setting: Self::SETTINGS.into_iter().find(|name| *name == setting)?,
            found: found.parse().ok()?,
            set: set.parse().ok()?,
        })
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {}", self.setting, self.found, self.set)
    }
}

/// What a client looks like to IPv4: an address of pool4, and a port or ICMP identifier.
pub type Mask = (Ipv4Addr, u16);

/// A client that has a mask: an entry of the module's BIB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: Ipv6Addr,
    /// Its port, or ICMP identifier.
    pub port: u16,
    /// An operator gave it the mask (`jool bib add`).
    pub is_static: bool,
}

/// What [`Jool::counts`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// How many sessions the instance has.
    pub sessions: u64,
    /// How many packets it was given, since it was made: fewer than before are another instance's.
    pub packets: u64,
    /// How many records the module dropped before they left it, since it was loaded; `None`: it does
    /// not count them.
    pub dropped: Option<u64>,
}

/// What [`Jool::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing.
    Nothing,
    /// A packet of this instance, this many bytes of records long.
    Records(usize),
    /// Something that is not for this instance.
    Other,
    /// The socket's buffer had overflowed: packets were lost.
    Overflow,
    /// A message that is not as a Jool of a version that is spoken here sends it.
    Malformed,
    /// The module was loaded or removed: attach again.
    ModuleChanged,
    /// The socket failed; the error has been kept for the log.
    Failed(io::ErrorKind),
}

/// Jool did not do what it was asked.
#[derive(Debug)]
pub enum Refusal {
    /// The module answered with an error.
    Jool {
        /// The positive errno.
        errno: i32,
        /// Its own words; may be empty.
        message: String,
    },
    /// There was no answer, or none that makes sense.
    Answer(&'static str),
    /// The module is not there.
    NotAttached,
    /// The system call failed.
    Io(io::Error),
}

impl Refusal {
    /// Whether the instance, or the whole module, is gone.
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::NotAttached
                | Self::Jool {
                    errno: nix::libc::ESRCH,
                    ..
                }
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jool { errno, message } if message.is_empty() => {
                write!(f, "Jool refused: {}", io::Error::from_raw_os_error(*errno))
            }
            Self::Jool { message, .. } => {
                // One line, however many it was.
                let lines = message.split_whitespace().collect::<Vec<_>>().join(" ");
                write!(f, "Jool refused: {}", lines.trim_end_matches('.'))
            }
            Self::Answer(what) => write!(f, "Jool's answer {what}"),
            Self::NotAttached => f.write_str("no Jool instance is attached"),
            Self::Io(error) => write!(f, "the netlink socket failed: {error}"),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// Why there is no instance to work with.
#[derive(Debug)]
pub enum Unavailable {
    /// The module is not loaded.
    NoModule,
    /// The module is of a version that is not spoken here.
    Unsupported(Unsupported),
    /// The module has no instance of that name in this network namespace.
    NoInstance(String),
    /// Session sync is off and it is not for the daemon to enable it.
    SyncDisabled(String),
    /// The process may not talk to Jool.
    Permission,
    /// Anything else that Jool or the socket said.
    Refused(Refusal),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModule => {
                f.write_str("the kernel module jool is not loaded; load it with `modprobe jool`")
            }
            Self::Unsupported(unsupported) => unsupported.fmt(f),
            Self::NoInstance(name) => write!(
                f,
                "Jool has no NAT64 instance \"{name}\" in this network namespace; add it with \
                 `jool -i {name} instance add …`, or name another one with \"instance\""
            ),
            Self::SyncDisabled(name) => write!(
                f,
                "session sync is off in Jool's instance \"{name}\" and \"manage jool\" is false; \
                 enable it with `jool -i {name} global update ss-enabled true`"
            ),
            Self::Permission => f.write_str(
                "talking to Jool needs the capability CAP_NET_ADMIN in the initial user \
                 namespace; run joold as root or grant it",
            ),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl std::error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Unsupported(unsupported) => Some(unsupported),
            _ => None,
        }
    }
}

impl Unavailable {
    /// Whether this can change without anybody changing how the daemon is run.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_is_read_as_it_was_written() {
        for setting in Repair::SETTINGS {
            let repair = Repair {
                setting,
                found: 0,
                set: u32::MAX,
            };
            assert_eq!(Repair::parse(&repair.to_string()), Some(repair));
        }
        for line in [
            "",
            "ss-enabled",
            "ss-enabled from 0",
            "ss-enabled from 0 to x",
            "x from 0 to 1",
        ] {
            assert_eq!(Repair::parse(line), None, "{line}");
        }
    }
}
