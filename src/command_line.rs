//! The command lines of both programs: for the programs, and for the manual pages and completions
//! that are made of them.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::{self, Name};

/// Synchronises the sessions of this node's Jool, a stateful NAT64, with other nodes.
///
/// Settings are described by `jooldctl check --help`; JOOLD_LOG=debug logs more.
///
/// Exit status: 0 stopped by a signal, 64 usage, 69 no Jool, 71 an interface is missing or the
/// system refused something, 77 not permitted, 78 configuration.
#[derive(Debug, Parser)]
#[command(name = "joold", version)]
pub struct Joold {
    /// The configuration; without it, and without --interface and --name, ./netsocket.json
    #[arg(value_name = "NETSOCKET.json")]
    pub network: Option<PathBuf>,

    /// The stock daemon's second file: the name of the Jool instance
    #[arg(value_name = "MODSOCKET.json")]
    pub instance: Option<PathBuf>,

    /// UDP port to give statistics on, on every address
    #[arg(value_name = "STATS_PORT")]
    pub statistics_port: Option<String>,

    /// Interface to the other nodes; ignored if the configuration names one
    #[arg(short, long, value_name = "NAME|ADDRESS")]
    pub interface: Option<String>,

    /// Name of this daemon, as in joold@NAME; without NETSOCKET.json the configuration is
    /// /etc/joold/NAME.json, if there is such a file, and NAME is the interface unless that file or
    /// --interface names one
    #[arg(long, value_name = "NAME")]
    pub name: Option<Name>,

    /// What is left to do when joold@NAME has ended: its node is not fit any more, unless systemd starts
    /// it again
    #[arg(long, hide = true, requires = "name")]
    pub ended: bool,

    /// In place of the kernel's Jool use one in memory, with this many new sessions per second
    #[arg(long, value_name = "SESSIONS", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub simulated_jool: Option<u32>,
}

/// Shows and tells the joold daemons of this machine, checks their configurations, and shows what
/// joold does.
///
/// Exit status: 0 done, 1 refused, 64 usage, 69 no daemon, 75 not in time, 77 not permitted,
/// 78 configuration.
#[derive(Debug, Parser)]
#[command(name = "jooldctl", version, arg_required_else_help = true)]
pub struct Jooldctl {
    /// Name of the daemon, as in joold@NAME; needed if several run
    #[arg(short, long, value_name = "NAME", global = true)]
    pub instance: Option<Name>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What jooldctl can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show whether this node may take over, and who has everything if it dies; and how the daemons and
    /// their peers stand
    Status {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show the nodes that the daemons have heard, and how far each is
    Peers {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show the daemons with rates per second, anew every second
    Watch {
        /// Print a JSON array every second
        #[arg(long)]
        json: bool,
    },
    /// Say whether this node is fit to take over, and why; exit status 0 fit, 1 ready but holding back,
    /// 2 not fit, 3 it cannot be told
    Fit {
        /// Tell systemd when the node is fit, and end when it is not any more
        #[arg(long)]
        hold: bool,
    },
    /// Wait until the node is fit, or the daemon is synced, and before that until the daemon is there;
    /// exit status 75 if that takes too long
    Wait {
        /// Wait until the node is fit to take over
        #[arg(long, required_unless_present = "synced")]
        fit: bool,

        /// Wait for the state "synced" with nothing missing
        #[arg(long)]
        synced: bool,

        /// How long at most, as in 30s, 500ms or 2m; 0: only look; without it for ever
        #[arg(long, value_name = "TIME", value_parser = duration)]
        timeout: Option<Duration>,
    },
    /// Wait until another node has everything, and make this one unfit, so that its traffic moves
    /// there; this is kept until undrain or the next boot
    Drain {
        /// Do it at once, whether or not another node has everything
        #[arg(long)]
        anyway: bool,

        /// How long to wait at most, as in 30s, 500ms or 2m; without it for ever
        #[arg(long, value_name = "TIME", value_parser = duration)]
        timeout: Option<Duration>,
    },
    /// Take a drain back, and have a node that holds back take the traffic
    Undrain,
    /// Have the daemon read its configuration again, all or nothing, and say what that changed
    Reload,
    /// Have the daemon send its Jool's whole table to the other nodes
    Advertise,
    /// Have the daemon compare its sessions with those of its Jool and of another node, and say what
    /// it found
    Resync,
    /// Have the daemon compare what it has with what every other joold has, and say of each how many
    /// sessions differed and were taken; exit status 0 all agree, 1 some differed, 2 a node could not be
    /// compared
    Verify {
        /// How long to wait at most, as in 30s, 500ms or 2m
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
        timeout: Duration,
    },
    /// Make and show the keys that the nodes seal what they send with
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show or set what the daemon logs: debug, info, warning or err
    LogLevel {
        /// The new level
        level: Option<String>,
    },
    /// Say everything that is wrong with a configuration, without running it; exit status 0 or 78. An
    /// interface has to be there if the file is in /etc/joold; any other file may be another host's
    #[command(after_help = config::help())]
    Check {
        /// The configuration
        #[arg(value_name = "NETSOCKET.json")]
        network: PathBuf,

        /// The stock daemon's second file
        #[arg(value_name = "MODSOCKET.json")]
        module: Option<PathBuf>,

        /// Interface to the other nodes; ignored if the configuration names one
        #[arg(long, value_name = "NAME|ADDRESS")]
        interface: Option<String>,
    },
    /// Run three nodes with simulated Jools on this machine for some twelve seconds, with loss and a
    /// crash; exit status 0 if the standbys end up with every session, else 1
    Demo {
        /// Print a JSON object per line instead of a picture
        #[arg(long)]
        json: bool,
    },
}

/// What jooldctl can do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Print a new key, as a line for the file of the keys; whoever reads it has the key
    Generate {
        /// Its ID, which no other key of the group has
        #[arg(default_value = "1")]
        id: NonZeroU16,

        /// Seal with it: one key of the file has this
        #[arg(long)]
        send: bool,
    },
    /// Show the keys of the daemons by fingerprint, which nodes have them, and which step is safe next
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
}

/// A time with its unit; seconds without.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("ms") => 1,
        Some("s" | "") => 1000,
        Some("m" | "min") => 60_000,
        Some("h") => 3_600_000,
        _ => 0,
    };
    match digits.parse::<u32>() {
        Ok(number) if unit > 0 => Ok(Duration::from_millis(u64::from(number) * unit)),
        _ => Err("accepted: a whole number with ms, s, m or h, as in 30s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_its_unit() {
        for (text, millis) in [
            ("30s", 30_000),
            ("30", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("2min", 120_000),
            ("1h", 3_600_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1s", "1.5s", "30 s", "3d", "1s2", "99999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
