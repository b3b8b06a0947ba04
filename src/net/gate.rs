//! An interface that is up or down as the daemon says, over rtnetlink(7).

use std::io;

use nix::libc;

use super::{Interface, InterfaceError, rtnetlink};

const IFF_UP: u32 = libc::IFF_UP.cast_unsigned();

/// Why an interface could not be set up or down.
#[derive(Debug)]
pub enum GateError {
    /// There is none of that name.
    Interface(InterfaceError),
    /// The kernel refused, or could not be asked.
    Refused(io::Error),
}

impl std::fmt::Display for GateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Interface(error) => error.fmt(f),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for GateError {}

/// Sets an interface of this network namespace up or down, unless it is. Says whether it was not.
///
/// # Errors
///
/// There is no such interface, or it is not permitted (CAP_NET_ADMIN).
pub fn set_up(name: &str, up: bool) -> Result<bool, GateError> {
    let index = Interface::Name(name.to_owned()).index();
    let index = index.map_err(GateError::Interface)?;
    set_link_up(index, up).map_err(GateError::Refused)
}

fn set_link_up(index: u32, up: bool) -> io::Result<bool> {
    let socket = rtnetlink::open()?;
    let is_up = rtnetlink::link(&socket, index)?.flags & IFF_UP != 0;
    if is_up == up {
        return Ok(false);
    }
    let flags = if up { IFF_UP } else { 0 };
    rtnetlink::set_flags(&socket, index, flags, IFF_UP)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_as_wanted_is_left_alone() {
        assert!(!set_up("lo", true).unwrap());
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let error = set_up("nowhere", true).unwrap_err().to_string();
        assert!(error.contains("nowhere"), "{error}");
    }
}
