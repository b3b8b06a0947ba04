use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Messages read at most before the caller gets its turn again.
const BUDGET: usize = 256;

/// Larger than any message about one link or address of an ordinary node.
const BUFFER: usize = 32 << 10;

/// nlmsghdr, in netlink(7): length (u32), type (u16), flags (u16), sequence (u32), port (u32).
const HEADER: usize = 16;

/// ifinfomsg, in rtnetlink(7): family (u8), padding (u8), type (u16), index (i32), and more.
const LINK_FAMILY: usize = HEADER;
const LINK_INDEX: usize = HEADER + 4;

/// What the kernel reports about interfaces and their addresses (rtnetlink(7)) in the network
/// namespace in which it was opened.
#[derive(Debug)]
pub(super) struct Watch {
    socket: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
}

/// What happened since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    deleted: Vec<u32>,
    /// Reports were lost, so that any interface may have been deleted.
    pub(super) incomplete: bool,
}

impl Changes {
    /// Whether the interface `index` was deleted, even if one of the same index is back.
    pub(super) fn deleted(&self, index: u32) -> bool {
        self.deleted.contains(&index)
    }

    /// Whether any interface may have been deleted.
    pub(super) fn any_deleted(&self) -> bool {
        self.incomplete || !self.deleted.is_empty()
    }
}

impl Watch {
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        bind(
            socket.as_raw_fd(),
            &NetlinkAddr::new(0, groups.cast_unsigned()),
        )?;
        // The successor asks the caller to vouch, in an unsafe block, for what OwnedFd guarantees:
        // it keeps one descriptor open.
        #[allow(deprecated)]
        let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER],
        })
    }

    /// Resolves when there is something for [`Self::changes`]. Cancel safe.
    pub(super) async fn changed(&self) -> io::Result<()> {
        self.socket.readable().await.map(drop)
    }

    /// Reads what was reported.
    pub(super) fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        let buffer = &mut self.buffer;
        // The result says only whether to expect more, which the readiness knows by then.
        let _ = self.socket.try_io(Interest::READABLE, |socket| {
            for _ in 0..BUDGET {
                match recvfrom::<NetlinkAddr>(socket.as_raw_fd(), buffer) {
                    Ok((length, from)) => {
                        // Only the kernel, whose port is 0, is believed.
                        if from.is_some_and(|from| from.pid() == 0) {
                            note_deleted(buffer.get(..length).unwrap_or_default(), &mut changes);
                        }
                    }
                    Err(Errno::EAGAIN) => return Err(Errno::EAGAIN.into()),
                    Err(Errno::EINTR) => {}
                    // More was reported than the socket could hold.
                    Err(Errno::ENOBUFS) => changes.incomplete = true,
                    // Taken for "nothing there", so that an error that stays does not keep us awake.
                    Err(_) => {
                        changes.incomplete = true;
                        return Err(Errno::EAGAIN.into());
                    }
                }
            }
            Ok(())
        });
        changes
    }
}

/// Notes the links that the netlink messages in `bytes` report as deleted.
fn note_deleted(mut bytes: &[u8], changes: &mut Changes) {
    while !bytes.is_empty() {
        let length = field(bytes, 0).map(u32::from_ne_bytes);
        let Some(length) = length.and_then(|length| usize::try_from(length).ok()) else {
            changes.incomplete = true;
            return;
        };
        // A message that does not fit the buffer is cut off, and its length tells.
        let (Some(message), true) = (bytes.get(..length), length >= HEADER) else {
            changes.incomplete = true;
            return;
        };
        if field(message, 4).map(u16::from_ne_bytes) == Some(libc::RTM_DELLINK) {
            match (message.get(LINK_FAMILY), field(message, LINK_INDEX)) {
                // A bridge reports a port that left it as a deleted link of family AF_BRIDGE.
                (Some(0), Some(index)) => changes.deleted.push(u32::from_ne_bytes(index)),
                (Some(_), Some(_)) => {}
                _ => changes.incomplete = true,
            }
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AF_BRIDGE: u8 = 7;

    fn link(kind: u16, family: u8, index: u32) -> Vec<u8> {
        let mut message = vec![0; 32];
        message[0..4].copy_from_slice(&32_u32.to_ne_bytes());
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message[16] = family;
        message[20..24].copy_from_slice(&index.to_ne_bytes());
        message
    }

    fn noted(bytes: &[u8]) -> Changes {
        let mut changes = Changes::default();
        note_deleted(bytes, &mut changes);
        changes
    }

    fn deleted(indexes: &[u32]) -> Changes {
        Changes {
            deleted: indexes.to_vec(),
            incomplete: false,
        }
    }

    #[test]
    fn deleted_links_are_noted_by_their_index() {
        let mut bytes = link(libc::RTM_DELLINK, 0, 5);
        bytes.extend(link(libc::RTM_NEWLINK, 0, 6));
        bytes.extend(link(libc::RTM_DELLINK, 0, 0x0102_0304));
        assert_eq!(noted(&bytes), deleted(&[5, 0x0102_0304]));
        assert!(noted(&bytes).deleted(5));
        assert!(!noted(&bytes).deleted(6));
    }

    #[test]
    fn a_port_that_left_a_bridge_is_not_deleted() {
        assert_eq!(noted(&link(libc::RTM_DELLINK, AF_BRIDGE, 5)), deleted(&[]));
    }

    #[test]
    fn a_message_that_was_cut_off_may_have_been_anything() {
        let whole = link(libc::RTM_DELLINK, 0, 5);
        for length in 1..whole.len() {
            assert!(noted(&whole[..length]).incomplete, "{length}");
        }
        let mut senseless = whole;
        senseless[0..4].copy_from_slice(&15_u32.to_ne_bytes());
        assert!(noted(&senseless).incomplete);
    }
}
