//! The daemon: arguments in, library out.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use joold::bus;
use joold::command_line::Joold;
use joold::config::{self, Lookups, Name, Sources};
use joold::jool::kernel::Kernel;
use joold::jool::simulated::{Simulated, traffic};
use joold::jool::{Jool, Version};
use joold::service::systemd::{self, Inherited};
use joold::service::{self, Failure, Files, Node, Setup, Stop, journal, messages};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// What the stock daemon reads when it is given nothing.
const STOCK_FILE: &str = "netsocket.json";

fn main() -> ExitCode {
    let arguments = match Joold::try_parse() {
        Ok(arguments) => arguments,
        Err(problem) => {
            // What cannot be printed has no reader.
            let _ = problem.print();
            return ExitCode::from(if problem.use_stderr() { 64 } else { 0 });
        }
    };
    journal::open();
    if let (true, Some(name)) = (arguments.ended, &arguments.name) {
        return after_end(name);
    }
    if let Err(failure) = service::allow_open_files() {
        return ends(&failure);
    }
    let Some(sources) = sources(&arguments) else {
        error!("no configuration: give a file, or --name, or --interface, or a {STOCK_FILE} here");
        return ExitCode::from(78);
    };
    // Only a name is known to be this daemon's alone.
    let files = arguments
        .name
        .as_ref()
        .map(|name| Files::of(&name.to_string()));
    let name = arguments
        .name
        .map_or_else(|| default_name(&sources), |name| name.to_string());
    // An interface that is not there yet is no mistake in the configuration: opening the network
    // tells of it, with an exit status that lets systemd try again.
    let lookups = Lookups {
        interface: &|_| Ok(()),
        ..Lookups::system()
    };
    let config = match config::load_with(&sources, &lookups) {
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
        files,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            runtime.block_on(run(setup, inherited.jool, &name, arguments.simulated_jool))
        }
        Err(error) => Err(Failure::System("starting", error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ends(&failure),
    }
}

/// The daemon ends by itself.
fn ends(failure: &Failure) -> ExitCode {
    error!(MESSAGE_ID = messages::FAILED.id, "{failure}");
    systemd::failed(&failure.to_string());
    ExitCode::from(failure.exit_status())
}

/// The daemon of this name has ended.
fn after_end(name: &Name) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(service::ended(name)),
        Err(error) => Err(format!("starting failed: {error}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            error!(MESSAGE_ID = messages::OUTLET_FAILED.id, "{problem}");
            ExitCode::from(71)
        }
    }
}

/// Where the configuration comes from; `None`: there is none.
fn sources(arguments: &Joold) -> Option<Sources> {
    let Joold {
        network,
        instance,
        statistics_port,
        interface,
        name,
        ..
    } = arguments;
    let mut sources = match (network, name) {
        (None, Some(name)) => name.sources(),
        (network, _) => Sources {
            network: network.clone(),
            ..Sources::default()
        },
    };
    if sources.network.is_none() && interface.is_none() {
        if !Path::new(STOCK_FILE).exists() {
            return None;
        }
        sources.network = Some(STOCK_FILE.into());
    }
    sources.instance.clone_from(instance);
    sources.statistics_port.clone_from(statistics_port);
    sources.interface = interface.clone().or(sources.interface);
    Some(sources)
}

fn default_name(sources: &Sources) -> String {
    let stem = sources.network.as_deref().and_then(Path::file_stem);
    match (&sources.interface, stem) {
        (Some(interface), _) => interface.clone(),
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
    warn!(
        MESSAGE_ID = messages::SIMULATED.id,
        "uses a simulated Jool, not the kernel's, with {rate} new sessions per second, which are made up; every \
         node that hears this one takes them for real"
    );
    let (jool, handle) = Simulated::new(settings, Version::NEWEST);
    tokio::select! {
        result = serve(setup, jool, name) => result,
        () = traffic(&handle, rate) => Ok(()),
    }
}

async fn serve<J: Jool>(setup: Setup, jool: J, name: &str) -> Result<(), Failure> {
    let cautions = setup.config.cautions();
    let node = Node::open(setup, jool)?;
    for caution in cautions {
        warn!("{caution}");
    }
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
        Stop::of_service().await
    };
    tokio::select! {
        result = node.run(stop) => result,
        () = reload => Ok(()),
        () = bus::serve(control.clone(), name) => Ok(()),
    }
}
