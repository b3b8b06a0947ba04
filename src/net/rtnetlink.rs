//! One link, as the kernel tells of it and as it is told to have it, over rtnetlink(7).

use std::os::fd::{AsRawFd, OwnedFd};
use std::{io, iter};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// nlmsghdr: length (u32), type (u16), flags (u16), sequence (u32), port (u32).
const HEADER: usize = 16;
/// ifinfomsg: family (u8), padding (u8), type (u16), index (i32), flags (u32), change (u32).
const LINK: usize = 16;
/// rtattr: length (u16), type (u16).
const ATTRIBUTE: usize = 4;
/// The bits of an attribute's type that say which it is.
const ATTRIBUTE_TYPE: u16 = 0x3fff;
/// Larger than the report on any link.
const BUFFER: usize = 32 << 10;

/// IFLA_…, in linux/if_link.h.
const MASTER: u16 = 10;
const LINK_INFO: u16 = 18;
/// IFLA_INFO_…, within LINK_INFO.
const KIND: u16 = 1;
const MASTER_KIND: u16 = 4;

/// What the kernel tells of a link.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// IFF_….
    pub(super) flags: u32,
    /// The index of the link that it is a part of, if of any.
    pub(super) master: Option<u32>,
    /// What it is, where that is no hardware: `veth`, `vrf`, ….
    pub(super) kind: Option<String>,
    /// What its master is: `bridge`, `vrf`, ….
    pub(super) master_kind: Option<String>,
}

/// A socket to ask in the network namespace of this thread.
pub(super) fn open() -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?)
}

/// What the kernel tells of the link of that index.
pub(super) fn link(socket: &OwnedFd, index: u32) -> io::Result<Report> {
    let answer = ask(socket, libc::RTM_GETLINK, 0, (index, 0, 0))?;
    if kind(&answer)? != libc::RTM_NEWLINK {
        acknowledged(&answer)?;
        return Err(odd());
    }
    report(&answer).ok_or_else(odd)
}

/// Sets those flags of the link that are set in `change`.
pub(super) fn set_flags(socket: &OwnedFd, index: u32, flags: u32, change: u32) -> io::Result<()> {
    let acknowledge = libc::NLM_F_ACK.cast_unsigned();
    let answer = ask(
        socket,
        libc::RTM_NEWLINK,
        acknowledge,
        (index, flags, change),
    )?;
    acknowledged(&answer)
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

/// Reads an RTM_NEWLINK.
fn report(answer: &[u8]) -> Option<Report> {
    let flags = answer.get(HEADER + 8..)?.first_chunk()?;
    let mut report = Report {
        flags: u32::from_ne_bytes(*flags),
        ..Report::default()
    };
    for (kind, value) in attributes(answer.get(HEADER + LINK..)?) {
        match kind {
            MASTER => report.master = value.first_chunk().copied().map(u32::from_ne_bytes),
            LINK_INFO => {
                for (kind, value) in attributes(value) {
                    match kind {
                        KIND => report.kind = Some(text(value)),
                        MASTER_KIND => report.master_kind = Some(text(value)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(report)
}

/// The attributes in `bytes`, each with its type, up to the first that makes no sense.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?);
        let value = bytes.get(ATTRIBUTE..length)?;
        bytes = bytes
            .get(length.next_multiple_of(ATTRIBUTE)..)
            .unwrap_or_default();
        Some((kind & ATTRIBUTE_TYPE, value))
    })
}

/// A text that ends with a NUL.
fn text(value: &[u8]) -> String {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
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

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(ATTRIBUTE + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn answer(attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + LINK];
        bytes[HEADER + 8..HEADER + 12].copy_from_slice(&0x1043_u32.to_ne_bytes());
        bytes.extend(attributes.concat());
        bytes
    }

    /// An interface called eth0 that is a veth, in a VRF of index 7.
    fn in_a_vrf() -> Vec<u8> {
        let kinds = [
            attribute(KIND, b"veth\0"),
            attribute(5, &attribute(1, &[100, 0, 0, 0])),
            attribute(MASTER_KIND, b"vrf\0"),
        ];
        let nested = 0x8000;
        answer(&[
            attribute(3, b"eth0\0"),
            attribute(MASTER, &7_u32.to_ne_bytes()),
            attribute(LINK_INFO | nested, &kinds.concat()),
        ])
    }

    #[test]
    fn what_an_interface_is_a_part_of_is_read() {
        let expected = Report {
            flags: 0x1043,
            master: Some(7),
            kind: Some("veth".to_owned()),
            master_kind: Some("vrf".to_owned()),
        };
        assert_eq!(report(&in_a_vrf()), Some(expected));
    }

    #[test]
    fn an_answer_that_was_cut_off_is_read_as_far_as_it_goes() {
        let whole = in_a_vrf();
        for length in 0..whole.len() {
            let read = report(&whole[..length]);
            assert_eq!(read.is_some(), length >= HEADER + LINK, "{length}");
        }
        assert_eq!(report(&answer(&[vec![0; 8]])).unwrap().master, None);
        assert_eq!(report(&answer(&[vec![0xff; 8]])).unwrap().master, None);
    }

    #[test]
    fn the_kernel_tells_of_the_loopback_and_of_nothing_that_is_not_there() {
        let socket = open().unwrap();
        let report = link(&socket, 1).unwrap();
        assert!(report.master.is_none() && report.master_kind.is_none());
        let error = link(&socket, 0x7fff_fffe).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
