//! The operator's client: arguments in, library out.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use joold::client::{self, Client};
use joold::command_line::{Command, Jooldctl};
use joold::config::{self, Sources};
use joold::demo;

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
        } => check(&Sources {
            network: Some(network),
            instance: module,
            interface,
            ..Sources::default()
        }),
        Command::Demo { json } => match demo::run(json) {
            Ok(complete) => ExitCode::from(u8::from(!complete)),
            Err(failure) => failed(71, &format!("the demonstration could not run: {failure}")),
        },
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let instance = arguments.instance.map(|name| name.to_string());
            match runtime.map(|runtime| runtime.block_on(talk(instance.as_deref(), command))) {
                Ok(Ok(())) => ExitCode::SUCCESS,
                Ok(Err(error)) => failed(error.exit_status(), &error.to_string()),
                Err(error) => failed(71, &format!("starting failed: {error}")),
            }
        }
    }
}

async fn talk(instance: Option<&str>, command: Command) -> Result<(), client::Error> {
    if let Command::Wait { timeout, .. } = command {
        return client::wait_synced(instance, timeout).await;
    }
    let client = Client::connect().await?;
    match command {
        Command::Status { json } => client::status(&client.daemons(instance).await?, json).await,
        Command::Peers { json } => client::peers(&client.daemons(instance).await?, json).await,
        Command::Watch { json } => client::watch(&client.daemons(instance).await?, json).await,
        Command::Reload => client.daemon(instance).await?.reload().await,
        Command::Advertise => {
            let sessions = client.daemon(instance).await?.advertise().await?;
            client::put(&format!("announces {sessions} sessions from now on\n"))
        }
        Command::Resync => {
            let found = client.daemon(instance).await?.resync().await?;
            client::put(&format!("compared: {found}\n"))
        }
        Command::LogLevel { level } => {
            let level = client
                .daemon(instance)
                .await?
                .log_level(level.as_deref())
                .await?;
            client::put(&format!("{level}\n"))
        }
        Command::Check { .. } | Command::Demo { .. } | Command::Wait { .. } => Ok(()),
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
