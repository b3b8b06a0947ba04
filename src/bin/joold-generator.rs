//! The systemd generator, see `joold::generator`: systemd gives three folders, and the first is the
//! one for what comes from configuration files (systemd.generator(7)).

use std::path::Path;
use std::process::ExitCode;

use joold::config::FOLDER;

fn main() -> ExitCode {
    let Some(units) = std::env::args_os().nth(1) else {
        eprintln!("usage: joold-generator FOLDER...; see systemd.generator(7)");
        return ExitCode::from(64);
    };
    if let Err(error) = joold::generator::run(Path::new(FOLDER), Path::new(&units)) {
        eprintln!("joold-generator: {FOLDER}: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
