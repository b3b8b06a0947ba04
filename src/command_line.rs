//! The command lines of both programs: for the programs, and for the manual pages and completions
//! that are made of them.

use std::path::PathBuf;

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

    /// In place of the kernel's Jool use one in memory, with this many new sessions per second
    #[arg(long, value_name = "SESSIONS", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub simulated_jool: Option<u32>,
}

/// Shows and tells the joold daemons of this machine, checks their configurations, and shows what
/// joold does.
///
/// Exit status: 0 done, 1 refused, 64 usage, 69 no daemon, 77 not permitted, 78 configuration.
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
    /// Show the state of the daemons
    Status {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show the nodes that the daemons have heard
    Peers {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show the daemons, anew every second
    Watch,
    /// Have the daemon read its configuration again, all or nothing
    Reload,
    /// Have the daemon send its Jool's whole table to the other nodes
    Advertise,
    /// Show or set what the daemon logs: debug, info, warning or err
    LogLevel {
        /// The new level
        level: Option<String>,
    },
    /// Say everything that is wrong with a configuration, without running it; exit status 0 or 78
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
    /// Run two nodes with simulated Jools on this machine for ten seconds; exit status 0 if the
    /// standby ends up with every session, else 1
    Demo {
        /// Print a JSON object per line instead of a picture
        #[arg(long)]
        json: bool,
    },
}
