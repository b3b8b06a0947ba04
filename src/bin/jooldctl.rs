//! The operator's client: arguments in, library out.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use joold::client::{self, Client};
use joold::config::{self, Sources};
use joold::demo;

/// Shows and tells the joold daemons of this machine, checks their configurations, and shows what
/// joold does.
///
/// Exit status: 0 done, 1 refused, 64 usage, 69 no daemon, 77 not permitted, 78 configuration.
#[derive(Parser)]
#[command(name = "jooldctl", version, arg_required_else_help = true)]
struct Arguments {
    /// Name of the daemon, as in joold@NAME; needed if several run
    #[arg(short, long, value_name = "NAME", global = true)]
    instance: Option<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
            module,
            interface,
        } => check(&Sources {
            network: Some(network),
            instance: module,
            interface,
            statistics_port: None,
        }),
        Command::Demo { json } => match demo::run(json) {
            Ok(complete) => ExitCode::from(u8::from(!complete)),
            Err(failure) => failed(71, &format!("the demonstration could not run: {failure}")),
        },
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let instance = arguments.instance.as_deref();
            match runtime.map(|runtime| runtime.block_on(talk(instance, command))) {
                Ok(Ok(())) => ExitCode::SUCCESS,
                Ok(Err(error)) => failed(error.exit_status(), &error.to_string()),
                Err(error) => failed(71, &format!("starting failed: {error}")),
            }
        }
    }
}

async fn talk(instance: Option<&str>, command: Command) -> Result<(), client::Error> {
    let client = Client::connect().await?;
    match command {
        Command::Status { json } => client::status(&client.daemons(instance)?, json).await,
        Command::Peers { json } => client::peers(&client.daemons(instance)?, json).await,
        Command::Watch => client::watch(&client.daemons(instance)?).await,
        Command::Reload => client.daemon(instance)?.reload().await,
        Command::Advertise => {
            let sessions = client.daemon(instance)?.advertise().await?;
            client::put(&format!("sent {sessions} sessions\n"))
        }
        Command::LogLevel { level } => {
            let level = client.daemon(instance)?.log_level(level.as_deref()).await?;
            client::put(&format!("{level}\n"))
        }
        Command::Check { .. } | Command::Demo { .. } => Ok(()),
    }
}

fn failed(status: u8, reason: &str) -> ExitCode {
    // A reader who has gone has the exit status.
    let _ = writeln!(io::stderr(), "jooldctl: {reason}");
    ExitCode::from(status)
}

fn check(sources: &Sources) -> ExitCode {
    match config::load(sources) {
        Ok(_) => {
            let _ = writeln!(io::stdout(), "the configuration is good");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            let _ = writeln!(io::stderr(), "{problems}");
            ExitCode::from(78)
        }
    }
}
