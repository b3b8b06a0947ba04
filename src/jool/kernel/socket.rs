//! A nonblocking Generic Netlink socket, and the ids that nlctrl gives out.

use std::array;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use neli::consts::genl::{CtrlAttr, CtrlAttrMcastGrp, CtrlCmd, Index};
use neli::consts::nl::{GenlId, NlmF};
use neli::consts::socket::{Msg, NlFamily};
use neli::genl::{AttrTypeBuilder, Genlmsghdr, GenlmsghdrBuilder, NlattrBuilder};
use neli::nl::{NlPayload, Nlmsghdr, NlmsghdrBuilder};
use neli::socket::NlSocket;
use neli::types::GenlBuffer;
use neli::utils::Groups;
use neli::{FromBytes, ToBytes};
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, setsockopt, sockopt};

use socket2::{Domain, SockRef};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::message::{FAMILY, GROUP};

/// A Generic Netlink socket.
pub(super) struct Socket(NlSocket);

/// The family's ids, as long as the module stays loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub(super) id: u16,
    pub(super) group: u32,
}

impl Socket {
    /// Opens a socket in the caller's network namespace, with a receive buffer of this many bytes
    /// as far as the system allows.
    pub(super) fn open(receive_buffer: usize) -> io::Result<Self> {
        let socket = Self(NlSocket::connect(NlFamily::Generic, None, Groups::empty())?);
        socket.prepare(receive_buffer)
    }

    /// Takes over a socket that an earlier run opened.
    #[allow(unsafe_code, reason = "neli takes descriptors as numbers only")]
    pub(super) fn adopt(descriptor: OwnedFd, receive_buffer: usize) -> io::Result<Self> {
        if SockRef::from(&descriptor).domain()? != Domain::from(nix::libc::AF_NETLINK) {
            let what = "the inherited socket is not a netlink socket";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        // SAFETY: the descriptor is owned, and its owner gives it up to the NlSocket.
        let socket = unsafe { NlSocket::from_raw_fd(descriptor.into_raw_fd()) };
        Self(socket).prepare(receive_buffer)
    }

    fn prepare(self, receive_buffer: usize) -> io::Result<Self> {
        self.0.nonblock()?;
        if setsockopt(&self, sockopt::RcvBufForce, &receive_buffer).is_err() {
            setsockopt(&self, sockopt::RcvBuf, &receive_buffer)?;
        }
        Ok(self)
    }

    /// Registers the socket with the current tokio runtime, for reading.
    #[allow(unsafe_code, reason = "tokio asks for a promise about the descriptor")]
    pub(super) fn into_async(self) -> io::Result<AsyncFd<Self>> {
        // SAFETY: the descriptor belongs to the NlSocket inside, which opened it, never changes it
        // and closes it only when it is dropped.
        Ok(unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) }?)
    }

    /// Hands a message to the kernel, which deals with it before this returns.
    pub(super) fn send(&self, message: &[u8]) -> io::Result<()> {
        retry(|| self.0.send(message, Msg::empty())).map(drop)
    }

    /// Reads one message; `WouldBlock` when there is none, `InvalidData` when it is longer than
    /// the buffer.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (length, _) = retry(|| self.0.recv(&mut *buffer, Msg::TRUNC))?;
        if length > buffer.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(length)
    }

    /// Joins a multicast group; once more does no harm.
    pub(super) fn join(&self, group: u32) -> io::Result<()> {
        self.0.add_mcast_membership(Groups::new_groups(&[group]))
    }

    /// Leaves a multicast group.
    pub(super) fn leave(&self, group: u32) {
        // One that went with its module is left already.
        let _ = self.0.drop_mcast_membership(Groups::new_groups(&[group]));
    }

    /// Asks nlctrl for Jool's ids; `None` when the family is not there.
    pub(super) fn resolve(&self, buffer: &mut [u8]) -> io::Result<Option<Family>> {
        self.send(&get_family().map_err(io::Error::other)?)?;
        loop {
            let length = self.receive(buffer)?;
            let answer = buffer.get(..length).unwrap_or_default();
            match parse_family(answer) {
                Ok(Answer::Family(family)) => return Ok(Some(family)),
                Ok(Answer::Unknown) => return Ok(None),
                Ok(Answer::Other) => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
    }
}

/// Messages that are read together.
const BATCH: usize = 8;

/// Room for each, in bytes: the module's packets have 1,500 at most, and no notice was longer than a page.
const MESSAGE: usize = 8 << 10;

/// Messages that were read with one system call, until each has been looked at.
pub(super) struct Batch {
    headers: MultiHeaders<()>,
    /// [`BATCH`] times [`MESSAGE`] bytes; pages that were never written to take no memory.
    buffers: Vec<u8>,
    /// How long each message was, which may be more than there was room for.
    lengths: [usize; BATCH],
    read: usize,
    next: usize,
}

/// One without room, in place of one that is being looked at.
impl Default for Batch {
    fn default() -> Self {
        Self::of(0)
    }
}

impl Batch {
    pub(super) fn new() -> Self {
        Self::of(BATCH)
    }

    fn of(messages: usize) -> Self {
        Self {
            headers: MultiHeaders::preallocate(messages, None),
            buffers: vec![0; messages * MESSAGE],
            lengths: [0; BATCH],
            read: 0,
            next: 0,
        }
    }

    /// Reads what the socket has, in place of what was read before. Says whether it may have more.
    pub(super) fn fill(&mut self, socket: &Socket) -> nix::Result<bool> {
        (self.read, self.next) = (0, 0);
        let mut buffers = self.buffers.chunks_exact_mut(MESSAGE);
        let mut parts: [_; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            parts.iter_mut(),
            MsgFlags::MSG_TRUNC,
            None,
        )?;
        for (message, length) in received.zip(&mut self.lengths) {
            *length = message.bytes;
            self.read += 1;
        }
        Ok(self.read == BATCH)
    }

    /// Whether there is a message that was not looked at.
    pub(super) fn has_more(&self) -> bool {
        self.next < self.read
    }

    /// The next message; `None` in it: it did not fit.
    pub(super) fn next(&mut self) -> Option<Option<&[u8]>> {
        let at = self.next;
        if !self.has_more() {
            return None;
        }
        self.next += 1;
        let length = self.lengths.get(at).copied().unwrap_or(usize::MAX);
        let buffer = self.buffers.chunks_exact(MESSAGE).nth(at);
        Some(buffer.and_then(|buffer| buffer.get(..length)))
    }
}

enum Answer {
    Family(Family),
    Unknown,
    Other,
}

fn get_family() -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let name = NlattrBuilder::default()
        .nla_type(
            AttrTypeBuilder::default()
                .nla_type(CtrlAttr::FamilyName)
                .build()?,
        )
        .nla_payload(FAMILY)
        .build()?;
    let payload = GenlmsghdrBuilder::default()
        .cmd(CtrlCmd::Getfamily)
        .version(2)
        .attrs([name].into_iter().collect::<GenlBuffer<_, _>>())
        .build()?;
    let message = NlmsghdrBuilder::default()
        .nl_type(GenlId::Ctrl)
        .nl_flags(NlmF::REQUEST)
        .nl_seq(RESOLVE)
        .nl_payload(NlPayload::Payload(payload))
        .build()?;
    let mut bytes = io::Cursor::new(Vec::new());
    message.to_bytes(&mut bytes)?;
    Ok(bytes.into_inner())
}

/// Where a netlink header has its sequence number.
const SEQUENCE: Range<usize> = 8..12;

/// Sequence number of requests to nlctrl; requests to Jool never use it.
pub(super) const RESOLVE: u32 = u32::MAX;

fn parse_family(bytes: &[u8]) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    type CtrlMessage = Nlmsghdr<GenlId, Genlmsghdr<CtrlCmd, CtrlAttr>>;
    // Before the rest is read: what Jool has to say of an acknowledgement that nobody listens to is
    // no message of nlctrl.
    let sequence = bytes.get(SEQUENCE).and_then(<[u8]>::first_chunk).copied();
    if sequence.map(u32::from_ne_bytes) != Some(RESOLVE) {
        return Ok(Answer::Other);
    }
    let mut cursor = io::Cursor::new(bytes);
    let message = CtrlMessage::from_bytes(&mut cursor)?;
    let payload = match message.nl_payload() {
        NlPayload::Payload(payload) => payload,
        NlPayload::Err(error) if *error.error() == -nix::libc::ENOENT => {
            return Ok(Answer::Unknown);
        }
        NlPayload::Err(error) => {
            return Err(io::Error::from_raw_os_error(error.error().saturating_neg()).into());
        }
        _ => return Ok(Answer::Other),
    };
    let attributes = payload.attrs().get_attr_handle();
    let id = attributes.get_attr_payload_as::<u16>(CtrlAttr::FamilyId)?;
    for group in attributes
        .get_nested_attributes::<Index>(CtrlAttr::McastGroups)?
        .iter()
    {
        let group = group.get_attr_handle::<CtrlAttrMcastGrp>()?;
        let name = group.get_attr_payload_as_with_len::<String>(CtrlAttrMcastGrp::Name)?;
        if name == GROUP {
            let group = group.get_attr_payload_as::<u32>(CtrlAttrMcastGrp::Id)?;
            return Ok(Answer::Family(Family { id, group }));
        }
    }
    Err(format!("the family {FAMILY} has no multicast group {GROUP}").into())
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Socket {
    #[allow(
        unsafe_code,
        reason = "neli's socket lends its descriptor as a number only"
    )]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the NlSocket lives, and the borrow of self
        // keeps it alive.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A netlink message of Jool's family, as the answer to an acknowledgement for an instance that
    /// is gone: Generic Netlink's header, Jool's, no attributes.
    fn refusal_by_jool() -> Vec<u8> {
        let mut message = 48_u32.to_ne_bytes().to_vec();
        message.extend_from_slice(&34_u16.to_ne_bytes());
        message.extend_from_slice(&[0; 2]);
        message.extend_from_slice(&7_u32.to_ne_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(b"\x1d\x02\0\0jool\x04\x01\x0d\0\x02\x01\0\0default\0");
        message.extend_from_slice(&[0; 8]);
        message
    }

    #[test]
    fn what_jool_says_is_not_taken_for_an_answer_of_nlctrl() {
        let message = refusal_by_jool();
        assert_eq!(message.len(), 48);
        for length in 0..=message.len() {
            let answer = parse_family(&message[..length]);
            assert!(matches!(answer, Ok(Answer::Other)), "{length}");
        }
    }

    #[test]
    fn a_family_that_is_not_there_is_unknown() {
        let socket = Socket::open(1 << 16).unwrap();
        // Of this machine, which may have a Jool.
        let there = std::path::Path::new("/sys/module/jool_common").exists();
        let resolved = socket.resolve(&mut [0; 1 << 16]).unwrap();
        assert_eq!(resolved.is_some(), there);
    }
}
