//! What the system has to allow before anything is opened.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::Failure;

/// Descriptors that the daemon may have at a time, with some to spare.
const OPEN_FILES: u64 = 32;

/// Makes sure that the daemon may open what it needs, as far as it is allowed to: what lacks a descriptor says
/// so in many ways, or panics.
///
/// # Errors
///
/// It may not, with how many it may.
pub fn allow_open_files() -> Result<(), Failure> {
    let system =
        |errno: nix::Error| Failure::System("reading the limit of open files", errno.into());
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE).map_err(system)?;
    if now >= OPEN_FILES {
        return Ok(());
    }
    if most < OPEN_FILES {
        return Err(Failure::OpenFiles {
            allowed: most,
            needed: OPEN_FILES,
        });
    }
    setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES, most).map_err(system)
}
