//! The daemon: arguments in, library out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use joold::config::{self, Config, Sources};
use joold::jool::kernel::Kernel;
use joold::jool::simulated::{Simulated, traffic};
use joold::jool::{Jool, Version};
use joold::service::{self, Failure, Node};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// What the stock daemon reads when it is given nothing.
const STOCK_FILE: &str = "netsocket.json";

/// Synchronises the sessions of this node's Jool, a stateful NAT64, with other nodes.
///
/// Exit status: 0 stopped by a signal, 64 usage, 69 no Jool, 71 the system refused something,
/// 77 not permitted, 78 configuration.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration; without it, and without --interface, ./netsocket.json
    #[arg(value_name = "NETSOCKET.json")]
    network: Option<PathBuf>,

    /// The stock daemon's second file: the name of the Jool instance
    #[arg(value_name = "MODSOCKET.json")]
    instance: Option<PathBuf>,

    /// UDP port to give statistics on, on every address
    #[arg(value_name = "STATS_PORT")]
    statistics_port: Option<String>,

    /// Interface to the other nodes, unless the configuration names one
    #[arg(short, long, value_name = "NAME|ADDRESS")]
    interface: Option<String>,

    /// In place of the kernel's Jool use one in memory, with this many new sessions per second
    #[arg(long, value_name = "SESSIONS", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    simulated_jool: Option<u32>,
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
    service::log_to_stderr();
    let Arguments {
        mut network,
        instance,
        statistics_port,
        interface,
        simulated_jool,
    } = arguments;
    if network.is_none() && interface.is_none() {
        if !Path::new(STOCK_FILE).exists() {
            error!("no configuration: give a file, or --interface, or a {STOCK_FILE} here");
            return ExitCode::from(78);
        }
        network = Some(STOCK_FILE.into());
    }
    let config = match config::load(&Sources {
        network,
        instance,
        statistics_port,
        interface,
    }) {
        Ok(config) => config,
        Err(problems) => {
            for problem in &problems.0 {
                error!("{problem}");
            }
            return ExitCode::from(78);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(&config, simulated_jool)),
        Err(error) => Err(Failure::System("starting", error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!("{failure}");
            ExitCode::from(failure.exit_status())
        }
    }
}

async fn run(config: &Config, simulated_jool: Option<u32>) -> Result<(), Failure> {
    let Some(rate) = simulated_jool else {
        let jool = Kernel::open(config.jool.clone())
            .map_err(|error| Failure::System("opening a netlink socket", error))?;
        return serve(config, jool).await;
    };
    info!("uses a simulated Jool, not the kernel's, with {rate} new sessions per second");
    let (jool, handle) = Simulated::new(config.jool.clone(), Version::NEWEST);
    tokio::select! {
        result = serve(config, jool) => result,
        () = traffic(&handle, rate) => Ok(()),
    }
}

async fn serve<J: Jool>(config: &Config, jool: J) -> Result<(), Failure> {
    let node = Node::open(config, jool)?;
    info!(
        "joold {} listens on {}",
        env!("CARGO_PKG_VERSION"),
        node.network().local_addr()
    );
    let failed = |error| Failure::System("catching signals", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    node.run(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
    .await
}
