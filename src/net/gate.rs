//! An interface that is up or down as the daemon says, over rtnetlink(7).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use super::{Interface, InterfaceError};

/// nlmsghdr: length (u32), type (u16), flags (u16), sequence (u32), port (u32).
const HEADER: usize = 16;
/// ifinfomsg: family (u8), padding (u8), type (u16), index (i32), flags (u32), change (u32).
const LINK: usize = 16;
/// Larger than the report on any link.
const BUFFER: usize = 32 << 10;

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
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let is_up = flags(&socket, index)? & IFF_UP != 0;
    if is_up == up {
        return Ok(false);
    }
    let flags = if up { IFF_UP } else { 0 };
    let answer = ask(
        &socket,
        libc::RTM_NEWLINK,
        libc::NLM_F_ACK.cast_unsigned(),
        (index, flags, IFF_UP),
    )?;
    acknowledged(&answer)?;
    Ok(true)
}

const IFF_UP: u32 = libc::IFF_UP.cast_unsigned();

/// The flags of an interface, IFF_….
fn flags(socket: &OwnedFd, index: u32) -> io::Result<u32> {
    let answer = ask(socket, libc::RTM_GETLINK, 0, (index, 0, 0))?;
    if kind(&answer)? != libc::RTM_NEWLINK {
        acknowledged(&answer)?;
        return Err(odd());
    }
    let flags = answer.get(HEADER + 8..HEADER + 12);
    let flags = flags
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(odd)?;
    Ok(u32::from_ne_bytes(flags))
}

/// Sends a request about one link and returns the answer, which is there when the request is sent.
fn ask(
    socket: &OwnedFd,
    kind: u16,
    request_flags: u32,
    (index, flags, change): (u32, u32, u32),
) -> io::Result<Vec<u8>> {
    let mut request = Vec::with_capacity(HEADER + LINK);
    let length = u32::try_from(HEADER + LINK).unwrap_or(0);
    let request_flags = libc::NLM_F_REQUEST.cast_unsigned() | request_flags;
    request.extend_from_slice(&length.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&u16::try_from(request_flags).unwrap_or(0).to_ne_bytes());
    request.extend_from_slice(&[0; 8 + 4]);
    request.extend_from_slice(&index.to_ne_bytes());
    request.extend_from_slice(&flags.to_ne_bytes());
    request.extend_from_slice(&change.to_ne_bytes());
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), &request, &kernel, MsgFlags::empty())?;
    let mut answer = vec![0; BUFFER];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    answer.truncate(length);
    Ok(answer)
}

fn kind(answer: &[u8]) -> io::Result<u16> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok());
    kind.map(u16::from_ne_bytes).ok_or_else(odd)
}

/// What an NLMSG_ERROR says: 0 is success.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let code = answer.get(HEADER..HEADER + 4);
    let code = code
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_ne_bytes);
    match (kind(answer)?, code) {
        (2, Some(0)) => Ok(()),
        (2, Some(code)) => Err(Errno::from_raw(-code).into()),
        _ => Err(odd()),
    }
}

fn odd() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the kernel's answer makes no sense",
    )
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
