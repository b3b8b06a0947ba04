//! The daemon: arguments in, library out.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use joold::bus;
use joold::config::{self, Sources};
use joold::jool::kernel::Kernel;
use joold::jool::simulated::{Simulated, traffic};
use joold::jool::{Jool, Version};
use joold::service::systemd::{self, Inherited};
use joold::service::{Failure, Node, Setup, journal, messages};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// Where the configuration of a daemon that has a name is looked for.
const CONFIGURATIONS: &str = "/etc/joold";

/// What the stock daemon reads when it is given nothing.
const STOCK_FILE: &str = "netsocket.json";

/// Synchronises the sessions of this node's Jool, a stateful NAT64, with other nodes.
///
/// Settings are described by `jooldctl check --help`; JOOLD_LOG=debug logs more.
///
/// Exit status: 0 stopped by a signal, 64 usage, 69 no Jool, 71 the system refused something,
/// 77 not permitted, 78 configuration.
#[derive(Parser)]
#[command(name = "joold", version)]
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

    /// Interface to the other nodes; ignored if the configuration names one
    #[arg(short, long, value_name = "NAME|ADDRESS")]
    interface: Option<String>,

    /// Name of this daemon, as in joold@NAME; without NETSOCKET.json the configuration is
    /// /etc/joold/NAME.json, if there is such a file, and NAME is the interface unless that file or
    /// --interface names one
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

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
    journal::open();
    let Arguments {
        mut network,
        instance,
        statistics_port,
        mut interface,
        name,
        simulated_jool,
    } = arguments;
    if let (Some(name), None) = (&name, &network) {
        let file = Path::new(CONFIGURATIONS).join(format!("{name}.json"));
        network = file.exists().then_some(file);
        interface = interface.or_else(|| Some(name.clone()));
    }
    if network.is_none() && interface.is_none() {
        if !Path::new(STOCK_FILE).exists() {
            error!("no configuration: give a file, or --interface, or a {STOCK_FILE} here");
            return ExitCode::from(78);
        }
        network = Some(STOCK_FILE.into());
    }
    let name = name.unwrap_or_else(|| default_name(interface.as_deref(), network.as_deref()));
    let sources = Sources {
        network,
        instance,
        statistics_port,
        interface,
    };
    let config = match config::load(&sources) {
        Ok(config) => config,
        Err(problems) => {
            for problem in &problems.0 {
                error!(MESSAGE_ID = messages::REFUSED.id, "{problem}");
            }
            return ExitCode::from(78);
        }
    };
    let inherited = Inherited::take();
    let setup = Setup {
        config,
        sources: Some(sources),
        socket: inherited.udp,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(setup, inherited.jool, &name, simulated_jool)),
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

fn default_name(interface: Option<&str>, network: Option<&Path>) -> String {
    match (interface, network.and_then(Path::file_stem)) {
        (Some(interface), _) => interface.to_owned(),
        (None, Some(stem)) => stem.to_string_lossy().into_owned(),
        (None, None) => "default".to_owned(),
    }
}

async fn run(
    setup: Setup,
    subscribed: Option<OwnedFd>,
    name: &str,
    simulated_jool: Option<u32>,
) -> Result<(), Failure> {
    let settings = setup.config.jool.clone();
    let Some(rate) = simulated_jool else {
        let jool = Kernel::open(settings, subscribed)
            .map_err(|error| Failure::System("opening a netlink socket", error))?;
        systemd::keep(jool.subscribed(), systemd::JOOL);
        return serve(setup, jool, name).await;
    };
    info!("uses a simulated Jool, not the kernel's, with {rate} new sessions per second");
    let (jool, handle) = Simulated::new(settings, Version::NEWEST);
    tokio::select! {
        result = serve(setup, jool, name) => result,
        () = traffic(&handle, rate) => Ok(()),
    }
}

async fn serve<J: Jool>(setup: Setup, jool: J, name: &str) -> Result<(), Failure> {
    let node = Node::open(setup, jool)?;
    info!(
        MESSAGE_ID = messages::STARTED.id,
        "joold {} listens on {}",
        env!("CARGO_PKG_VERSION"),
        node.network().local_addr()
    );
    for own in node.network().own_peers() {
        info!("the peer {own} is this node itself: nothing is sent to it");
    }
    let catch = |kind| signal(kind).map_err(|error| Failure::System("catching signals", error));
    let mut terminate = catch(SignalKind::terminate())?;
    let mut interrupt = catch(SignalKind::interrupt())?;
    let mut hangup = catch(SignalKind::hangup())?;
    let control = node.control();
    let reload = async {
        while hangup.recv().await.is_some() {
            // The log tells how it went.
            let _ = control.reload().await;
        }
        std::future::pending::<()>().await;
    };
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::select! {
        result = node.run(stop) => result,
        () = reload => Ok(()),
        () = bus::serve(control.clone(), name) => Ok(()),
    }
}
