//! The operator's client: arguments in, library out.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use joold::config::{self, Sources};
use joold::demo;

/// Checks configurations of joold, and shows what it does.
#[derive(Parser)]
#[command(name = "jooldctl", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say everything that is wrong with a configuration, without running it; exit status 0 or 78
    #[command(after_help = config::help())]
    Check {
        /// The configuration
        #[arg(value_name = "NETSOCKET.json")]
        network: PathBuf,

        /// The stock daemon's second file
        #[arg(value_name = "MODSOCKET.json")]
        instance: Option<PathBuf>,

        /// Interface to the other nodes, unless the configuration names one
        #[arg(short, long, value_name = "NAME|ADDRESS")]
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

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(problem) => {
            // What cannot be printed has no reader.
            let _ = problem.print();
            return ExitCode::from(if problem.use_stderr() { 64 } else { 0 });
        }
    };
    match arguments.command {
        Command::Check {
            network,
            instance,
            interface,
        } => check(&Sources {
            network: Some(network),
            instance,
            interface,
            statistics_port: None,
        }),
        Command::Demo { json } => match demo::run(json) {
            Ok(complete) => ExitCode::from(u8::from(!complete)),
            Err(failure) => {
                let _ = writeln!(
                    io::stderr(),
                    "jooldctl: the demonstration could not run: {failure}"
                );
                ExitCode::from(71)
            }
        },
    }
}

fn check(sources: &Sources) -> ExitCode {
    match config::load(sources) {
        Ok(_) => {
            // A reader who has gone has the exit status.
            let _ = writeln!(io::stdout(), "the configuration is good");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            let _ = writeln!(io::stderr(), "{problems}");
            ExitCode::from(78)
        }
    }
}
