//! The frames between nodes, byte by byte; docs/protocol.md is their description.
//!
//! Every frame of ours begins with `ff ff`: as the length of an attribute that is more than is
//! left, so the stock daemon and its module stop reading there, in silence. Integers are in network
//! order. Nothing is allocated to read a run of records, and what was read is within the datagram.

mod data;
mod hello;
mod replay;
mod request;
mod sums;

use crate::session::Stamp;

pub(crate) use data::Data;
pub(crate) use hello::{Hello, Progress, shown};
pub(crate) use replay::{Replay, ReplayHead, ReplayWriter, Replayed};
pub(crate) use request::Request;
pub(crate) use sums::Sums;

/// How a frame begins: no record's length, and our letters.
pub(crate) const MARK: [u8; 4] = [0xff, 0xff, b'j', b'd'];
/// The version of the protocol.
pub(crate) const VERSION: u8 = 2;
/// Length of the trailer behind a run of records, without what it has for each of them.
pub(crate) const TRAILER: usize = HEAD + 8 + COUNT;
/// What the trailer has for each record: its age.
pub(crate) const AGE: usize = 4;

/// Mark, version, kind, number of the key, node, epoch, clock.
const HEAD: usize = 32;
/// Length of the number of records, with which a trailer ends.
const COUNT: usize = 2;
const KIND_DATA: u8 = 0;
pub(crate) const KIND_HELLO: u8 = 1;
const KIND_REQUEST: u8 = 2;
const KIND_REPLAY: u8 = 3;
const KIND_SUMS: u8 = 4;
/// The number of the key of frames that are not sealed.
const NO_KEY: u16 = 0;

/// UDP payload of a frame, in bytes: what fits an Ethernet frame over IPv6. A stock daemon reads no
/// more than 2,048.
pub const MAX_FRAME: usize = 1452;
/// A path that loses longer frames than this is of no use: nothing shorter is tried.
pub(crate) const MIN_FRAME: usize = 300;
/// Ranges in a request.
pub(crate) const MOST_RANGES: usize = 16;
/// Logs in a hello or a request.
pub(crate) const MOST_LOGS: usize = 32;
/// Buckets that the sessions are put in for a comparison.
pub(crate) const BUCKETS: usize = 1024;
/// The highest place in a log, or slot, that makes sense: sums of a few do not overflow.
const HIGHEST: u64 = 1 << 48;

/// Whose log: a node in one run of its daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LogKey {
    /// The node.
    pub(crate) node: u64,
    /// Its run.
    pub(crate) epoch: u64,
}

impl LogKey {
    /// Nobody's.
    pub(crate) const NONE: Self = Self { node: 0, epoch: 0 };
}

/// Who sends a frame, and what the clock that the nodes share says there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) log: LogKey,
    pub(crate) clock: Stamp,
}

/// A position in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) log: LogKey,
    /// Everything up to here.
    pub(crate) seq: u64,
}

/// What the numbers of a request and its replays count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Space {
    /// Places in the log of the node that is asked.
    Log = 0,
    /// Slots of its table.
    Table = 1,
    /// Nothing: it is asked for its [`Sums`].
    Sums = 2,
}

/// A frame, and who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) from: Sender,
    pub(crate) content: Content<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Data(Data<'a>),
    Hello(Hello),
    Request(Request),
    Replay(Replay<'a>),
    Sums(Sums<'a>),
}

/// Why bytes that begin like a frame are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Of another version, or of another program.
    Version,
    /// Cut off, too long, or with values that make no sense.
    Malformed,
}

/// The run of records and what follows it.
pub(crate) fn split(datagram: &[u8]) -> (&[u8], &[u8]) {
    if datagram.starts_with(&MARK) {
        return (&[], datagram);
    }
    let records = || {
        let count = usize::from(u16::from_be_bytes(*datagram.last_chunk()?));
        let end = datagram.len().checked_sub(TRAILER + count * AGE)?;
        let (records, trailer) = datagram.split_at_checked(end)?;
        trailer.starts_with(&MARK).then_some((records, trailer))
    };
    records().unwrap_or((datagram, &[]))
}

/// The kind of a frame of ours and whose it is; `None`: it is none.
pub(crate) fn sender(datagram: &[u8]) -> Option<(u8, LogKey)> {
    let (_, frame) = split(datagram);
    let mut reader = Reader(frame);
    let is_ours = reader.bytes() == Ok(MARK) && reader.u8() == Ok(VERSION);
    let kind = reader.u8().ok().filter(|_| is_ours)?;
    reader.u16().ok()?;
    Some((kind, reader.log().ok()?))
}

/// Takes bytes off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Unreadable::Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (slice, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(Unreadable::Malformed)?;
        self.0 = rest;
        Ok(slice)
    }

    fn u8(&mut self) -> Result<u8, Unreadable> {
        self.bytes().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Unreadable> {
        self.bytes().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Unreadable> {
        self.bytes().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Unreadable> {
        self.bytes().map(u64::from_be_bytes)
    }

    /// A place in a log, or the number of a slot.
    fn number(&mut self) -> Result<u64, Unreadable> {
        let number = self.u64()?;
        (number <= HIGHEST)
            .then_some(number)
            .ok_or(Unreadable::Malformed)
    }

    fn log(&mut self) -> Result<LogKey, Unreadable> {
        let (node, epoch) = (self.u64()?, self.u64()?);
        Ok(LogKey { node, epoch })
    }

    fn range(&mut self) -> Result<(u64, u64), Unreadable> {
        let (from, to) = (self.number()?, self.number()?);
        if from > to {
            return Err(Unreadable::Malformed);
        }
        Ok((from, to))
    }

    fn space(&mut self) -> Result<Space, Unreadable> {
        match self.u8()? {
            0 => Ok(Space::Log),
            1 => Ok(Space::Table),
            2 => Ok(Space::Sums),
            _ => Err(Unreadable::Malformed),
        }
    }

    fn list<T>(
        &mut self,
        most: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Unreadable> {
        let length = usize::from(self.u8()?);
        if length > most {
            return Err(Unreadable::Malformed);
        }
        (0..length).map(|_| item(self)).collect()
    }

    fn position(&mut self) -> Result<Position, Unreadable> {
        let (log, seq) = (self.log()?, self.number()?);
        Ok(Position { log, seq })
    }

    fn end(self) -> Result<(), Unreadable> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Unreadable::Malformed)
        }
    }
}

impl<'a> Frame<'a> {
    /// Reads a whole frame, or a trailer.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader(bytes);
        let mark = reader.bytes::<4>()?;
        if mark != MARK || reader.u8()? != VERSION {
            return Err(Unreadable::Version);
        }
        let kind = reader.u8()?;
        if reader.u16()? != NO_KEY {
            return Err(Unreadable::Version);
        }
        let log = reader.log()?;
        let clock = Stamp(reader.u64()?);
        let content = match kind {
            KIND_DATA => Content::Data(Data::parse(&mut reader)?),
            KIND_HELLO => Content::Hello(Hello::parse(&mut reader)?),
            KIND_REQUEST => Content::Request(Request::parse(&mut reader)?),
            KIND_REPLAY => Content::Replay(Replay::parse(&mut reader)?),
            KIND_SUMS => Content::Sums(Sums::parse(&mut reader)?),
            // A later version may have more, with the same number if they can be ignored.
            _ => return Err(Unreadable::Version),
        };
        reader.end()?;
        if log.node == 0 || log.epoch == 0 {
            return Err(Unreadable::Malformed);
        }
        Ok(Self {
            from: Sender { log, clock },
            content,
        })
    }
}

/// How long before `clock` that was, in milliseconds. What is older than can be said is so old that no
/// session of that age is alive.
pub(crate) fn age(clock: Stamp, at: Stamp) -> u32 {
    let age = clock.since(at).max(0);
    u32::try_from(age).unwrap_or(u32::MAX)
}

fn head(kind: u8, from: Sender, frame: &mut Vec<u8>) {
    frame.extend_from_slice(&MARK);
    frame.extend_from_slice(&[VERSION, kind]);
    frame.extend_from_slice(&NO_KEY.to_be_bytes());
    push_log(from.log, frame);
    frame.extend_from_slice(&from.clock.0.to_be_bytes());
}

fn push_log(log: LogKey, frame: &mut Vec<u8>) {
    frame.extend_from_slice(&log.node.to_be_bytes());
    frame.extend_from_slice(&log.epoch.to_be_bytes());
}

fn push_length(length: usize, frame: &mut Vec<u8>) {
    frame.push(u8::try_from(length).unwrap_or(u8::MAX));
}

fn push_position(position: Position, frame: &mut Vec<u8>) {
    push_log(position.log, frame);
    frame.extend_from_slice(&position.seq.to_be_bytes());
}

#[cfg(test)]
pub(crate) mod tests;
