//! The operator's client: arguments in, library out.

use std::cell::RefCell;
use std::io::{self, Write};
use std::num::NonZeroU16;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use joold::client::{self, Agreement, Client, Wanted};
use joold::command_line::{Command, Jooldctl, KeyCommand};
use joold::config::{self, Lookups, Name, Sources};
use joold::{demo, seal, service};

fn main() -> ExitCode {
    let arguments = match Jooldctl::try_parse() {
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
        } => check(Sources {
            network: Some(network),
            instance: module,
            interface,
            ..Sources::default()
        }),
        Command::Key(KeyCommand::Generate { id, send }) => generate(id, send),
        Command::Demo { json } => match demo::run(json) {
            Ok(complete) => ExitCode::from(u8::from(!complete)),
            // A reader who has gone has seen enough.
            Err(failure) if failure.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(failure) => failed(71, &format!("the demonstration could not run: {failure}")),
        },
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let instance = arguments.instance.map(|name| name.to_string());
            match runtime.map(|runtime| runtime.block_on(talk(instance.as_deref(), command))) {
                Ok(Ok(status)) => ExitCode::from(status),
                Ok(Err(error)) => failed(error.exit_status(), &error.to_string()),
                Err(error) => failed(71, &format!("starting failed: {error}")),
            }
        }
    }
}

/// Does it, and returns the exit status.
async fn talk(instance: Option<&str>, command: Command) -> Result<u8, client::Error> {
    match command {
        Command::Wait {
            fit,
            synced,
            timeout,
        } => {
            let wanted = match (fit, synced) {
                (true, true) => Wanted::FitAndSynced,
                (true, false) => Wanted::Fit,
                (false, _) => Wanted::Synced,
            };
            return client::wait(instance, wanted, timeout).await.map(|()| 0);
        }
        Command::Fit { hold: false } => return tell_fit(instance).await,
        Command::Fit { hold: true } => {
            let Some(name) = instance else {
                return Ok(usage("--hold needs the name of the daemon, with -i"));
            };
            let end = client::hold(name).await;
            return client::put(&format!("{end}\n")).map(|()| 0);
        }
        Command::Drain { anyway, timeout } => {
            return client::drain(instance, anyway, timeout).await.map(|()| 0);
        }
        Command::Verify { timeout } => return verify(instance, timeout).await,
        _ => {}
    }
    let client = Client::connect().await?;
    match command {
        Command::Status { json } => client::status(&client.daemons(instance).await?, json).await,
        Command::Peers { json } => client::peers(&client.daemons(instance).await?, json).await,
        Command::Key(KeyCommand::List { json }) => {
            client::keys(&client.daemons(instance).await?, json).await
        }
        Command::Watch { json } => client::watch(&client.daemons(instance).await?, json).await,
        Command::Reload => {
            let changed = client.daemon(instance).await?.reload().await?;
            client::put(&format!("{changed}\n"))
        }
        Command::Undrain => client.daemon(instance).await?.undrain().await,
        Command::Advertise => {
            let sessions = client.daemon(instance).await?.advertise().await?;
            client::put(&format!("announces {sessions} sessions from now on\n"))
        }
        Command::Resync => {
            let found = client.daemon(instance).await?.resync().await?;
            client::put_folded(&found, 4)
        }
        Command::LogLevel { level } => {
            let level = client
                .daemon(instance)
                .await?
                .log_level(level.as_deref())
                .await?;
            client::put(&format!("{level}\n"))
        }
        Command::Check { .. }
        | Command::Demo { .. }
        | Command::Key(KeyCommand::Generate { .. })
        | Command::Wait { .. }
        | Command::Fit { .. }
        | Command::Verify { .. }
        | Command::Drain { .. } => Ok(()),
    }
    .map(|()| 0)
}

/// Prints a new key.
fn generate(id: NonZeroU16, sends: bool) -> ExitCode {
    let Some(secret) = seal::random().map(seal::Secret::new) else {
        return failed(71, "the system gives no random numbers");
    };
    let line = seal::new_line(id, &secret, sends);
    match io::stdout().write_all(line.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(1, &format!("cannot write: {error}")),
    }
}

/// Prints the verdict, or why there is none.
async fn tell_fit(instance: Option<&str>) -> Result<u8, client::Error> {
    match client::fit(instance).await {
        Ok(answer) => {
            client::put(&format!("{}\n", answer.line()))?;
            Ok(answer.exit_status())
        }
        Err(error @ client::Error::Several(_)) => Err(error),
        Err(error) => {
            client::put(&format!("not known to be fit: {error}\n"))?;
            Ok(UNKNOWN)
        }
    }
}

/// Prints what the other nodes have that was missing here. What is refused is not compared.
async fn verify(instance: Option<&str>, timeout: Duration) -> Result<u8, client::Error> {
    match client::verify(instance, timeout).await {
        Ok(agreement) => Ok(agreement.exit_status()),
        Err(error) if error.exit_status() == Agreement::Repaired.exit_status() => {
            let status = Agreement::Unknown.exit_status();
            failed(status, &error.to_string());
            Ok(status)
        }
        Err(error) => Err(error),
    }
}

/// Columns to the left of what a configuration means.
const MEANING: usize = 14;
/// Exit status if it cannot be told whether a node is fit.
const UNKNOWN: u8 = 3;

fn usage(reason: &str) -> u8 {
    failed(64, reason);
    64
}

fn failed(status: u8, reason: &str) -> ExitCode {
    // A reader who has gone has the exit status.
    let _ = writeln!(io::stderr(), "jooldctl: {reason}");
    ExitCode::from(status)
}

fn check(mut sources: Sources) -> ExitCode {
    let name = sources.network.as_deref().and_then(Name::of_path);
    // As joold@NAME takes it.
    if let (None, Some(name)) = (&sources.interface, &name) {
        sources.interface = name.sources().interface;
    }
    let system = Lookups::system();
    let elsewhere = RefCell::new(Vec::new());
    let lookups = Lookups {
        // A file that no unit here reads may be another host's.
        interface: &|interface| match (system.interface)(interface) {
            Err(reason) if name.is_none() => {
                elsewhere.borrow_mut().push(reason);
                Ok(())
            }
            result => result,
        },
        ..system
    };
    match config::load_with(&sources, &lookups) {
        Ok(config) => {
            if let Err(problems) = service::load_keys(&config) {
                let _ = writeln!(io::stderr(), "{problems}");
                return ExitCode::from(78);
            }
            let mut good = format!("the configuration is good:\n{}", config.meaning());
            if let Some(event) = config.network.moved() {
                good += &format!("  now         {event}\n");
            }
            // A reader who has gone has the exit status.
            let _ = client::put_folded(&good, MEANING);
            for reason in elsewhere.take() {
                let _ = writeln!(io::stderr(), "jooldctl: on this host {reason}");
            }
            for caution in config.cautions() {
                let _ = writeln!(io::stderr(), "jooldctl: {caution}");
            }
            ExitCode::SUCCESS
        }
        Err(problems) => {
            let _ = writeln!(io::stderr(), "{problems}");
            ExitCode::from(78)
        }
    }
}
