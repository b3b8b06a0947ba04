//! The frames between nodes, byte by byte; docs/protocol.md is their description.
//!
//! Every frame of ours begins with `ff ff`: as the length of an attribute that is more than is
//! left, so the stock daemon and its module stop reading there, in silence. Integers are in network
//! order. Nothing is allocated to read one, and what was read is within the datagram.

use crate::session::{BODY, Reject, Session, Stamp};

use super::clock::Reading;

/// How a frame begins: no record's length, and our letters.
pub(super) const MARK: [u8; 4] = [0xff, 0xff, b'j', b'd'];
/// The version of the protocol.
pub(super) const VERSION: u8 = 1;
/// Length of the trailer behind a run of records, without what it has for each of them.
pub(super) const TRAILER: usize = HEAD + 8 + COUNT;
/// What the trailer has for each record: its age.
pub(super) const AGE: usize = 4;

/// Mark, version, kind, how often the clock was set, node, epoch, clock.
const HEAD: usize = 32;
/// Length of the number of records, with which a trailer ends.
const COUNT: usize = 2;
const KIND_DATA: u8 = 0;
const KIND_HELLO: u8 = 1;
const KIND_REQUEST: u8 = 2;
const KIND_REPLAY: u8 = 3;

/// UDP payload of a frame, in bytes: what fits an Ethernet frame over IPv6. A stock daemon reads no
/// more than 2,048.
pub const MAX_FRAME: usize = 1452;
/// Ranges in a request.
pub(super) const MOST_RANGES: usize = 32;
/// Logs in a hello or a request.
pub(super) const MOST_LOGS: usize = 36;
/// An age that is not known.
pub(super) const NEVER: u32 = u32::MAX;
/// Bytes of a name.
pub(super) const NAME: usize = 64;
/// Logs that the records of one replay can be of.
const REPLAY_LOGS: usize = 4;
/// Records in a replay.
pub(super) const REPLAY_RECORDS: usize =
    (MAX_FRAME - HEAD - 8 - 4 - 1 - 8 * 3 - 4 - 1 - 2 - REPLAY_LOGS * 16) / REPLAYED;
/// Length of a record of a replay: log, place, age, session.
const REPLAYED: usize = 1 + 8 + AGE + BODY;
/// The highest place in a log, or slot, that makes sense: sums of a few do not overflow.
const HIGHEST: u64 = 1 << 48;
/// The log of a record that is in none.
const NO_LOG: u8 = 0xff;

/// Whose log: a node in one run of its daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogKey {
    /// The node.
    pub node: u64,
    /// Its run.
    pub epoch: u64,
}

impl LogKey {
    /// Nobody's.
    pub(super) const NONE: Self = Self { node: 0, epoch: 0 };
}

/// Who sends a frame, and what the clock that the nodes share says there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) log: LogKey,
    pub(super) clock: Reading,
}

/// A position in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) log: LogKey,
    /// Everything up to here.
    pub(super) seq: u64,
}

/// What a node has of another's log, as it tells in a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) position: Position,
    /// The last place that it knows of.
    pub(super) last: u64,
    /// How long before the sender's clock it last had all that there was, and knew what of it had ended,
    /// in milliseconds; [`NEVER`] if it does not know.
    pub(super) age: u32,
}

/// What the numbers of a request and its replays count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Space {
    /// Places in the log of the node that is asked.
    Log = 0,
    /// Slots of its table.
    Table = 1,
}

/// What follows a run of records: which records of the sender's log they are, and how long before the
/// sender's clock each one's session was last active, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Data<'a> {
    pub(super) first: u64,
    ages: &'a [[u8; AGE]],
}

/// A node tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// The last place in its log.
    pub(super) last: u64,
    pub(super) state: u8,
    /// It would like to be told about the others at once.
    pub(super) solicits: bool,
    /// Length of the records that it sends.
    pub(super) record_length: u8,
    /// Version of its Jool, a byte each; 0: not known.
    pub(super) jool: u32,
    /// Version of its daemon, likewise.
    pub(super) daemon: u32,
    pub(super) sessions: u32,
    /// Digests of what should be the same everywhere: pool6, pool4, timeouts. 0: not known.
    pub(super) digests: [u32; 3],
    /// For how long yet it may lack something that is alive, and comes from nowhere, in milliseconds: what
    /// it has not tells nothing till then.
    pub(super) lacks: u32,
    pub(super) name: String,
    /// What it has of the others' logs.
    pub(super) logs: Vec<Progress>,
}

/// A node asks another for what it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Who is asked.
    pub(super) to: LogKey,
    /// Comes back with the answer.
    pub(super) token: u32,
    pub(super) space: Space,
    pub(super) ranges: Vec<(u64, u64)>,
    /// Of a table: only what is beyond these positions; none: everything.
    pub(super) since: Vec<Position>,
}

/// Part of an answer: everything there is in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replay<'a> {
    /// Who asked.
    pub(super) to: u64,
    pub(super) token: u32,
    pub(super) space: Space,
    /// The range that is answered by this frame alone.
    pub(super) covers: (u64, u64),
    /// No other frame answers the same question.
    pub(super) is_last: bool,
    /// Of a table: how many slots there are.
    pub(super) slots: u64,
    /// For how long yet what the sender gave up for want of room may be alive, and, of a table, what else it
    /// may lack, in milliseconds.
    pub(super) lacks: u32,
    logs: &'a [u8],
    records: &'a [u8],
}

/// A frame, and who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) from: Sender,
    pub(super) content: Content<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    Data(Data<'a>),
    Hello(Hello),
    Request(Request),
    Replay(Replay<'a>),
}

/// Why bytes that begin like a frame are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Of a later version, or of another program.
    Version,
    /// Cut off, too long, or with values that make no sense.
    Malformed,
}

/// The run of records and what follows it.
pub(super) fn split(datagram: &[u8]) -> (&[u8], &[u8]) {
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

    fn progress(&mut self) -> Result<Progress, Unreadable> {
        let (position, last) = (self.position()?, self.number()?);
        Ok(Progress {
            position,
            last,
            age: self.u32()?,
        })
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
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader(bytes);
        let mark = reader.bytes::<4>()?;
        if mark != MARK || reader.u8()? != VERSION {
            return Err(Unreadable::Version);
        }
        let kind = reader.u8()?;
        let times_set = reader.u16()?;
        let log = reader.log()?;
        let at = Stamp(reader.u64()?);
        let clock = Reading { at, times_set };
        let content = match kind {
            KIND_DATA => Content::Data(Data::parse(&mut reader)?),
            KIND_HELLO => Content::Hello(Hello::parse(&mut reader)?),
            KIND_REQUEST => Content::Request(Request {
                to: reader.log()?,
                token: reader.u32()?,
                space: reader.space()?,
                ranges: reader.list(MOST_RANGES, Reader::range)?,
                since: reader.list(MOST_LOGS, Reader::position)?,
            }),
            KIND_REPLAY => Content::Replay(Replay::parse(&mut reader)?),
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

impl<'a> Data<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let first = reader.number()?;
        let ages = reader.0.len().checked_sub(COUNT);
        let ages = reader.slice(ages.ok_or(Unreadable::Malformed)?)?;
        let (ages, rest) = ages.as_chunks();
        let count = usize::from(reader.u16()?);
        let is_possible = first > 0 && first + count as u64 <= HIGHEST + 1;
        if !is_possible || !rest.is_empty() || ages.len() != count {
            return Err(Unreadable::Malformed);
        }
        Ok(Self { first, ages })
    }

    /// How many records there are.
    pub(super) fn count(&self) -> usize {
        self.ages.len()
    }

    /// The age of each, in milliseconds.
    pub(super) fn ages(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.ages.iter().map(|age| u32::from_be_bytes(*age))
    }

    /// Appends the trailer to a run of records of these ages.
    pub(super) fn write(from: Sender, first: u64, ages: &[u32], frame: &mut Vec<u8>) {
        head(KIND_DATA, from, frame);
        frame.extend_from_slice(&first.to_be_bytes());
        for age in ages {
            frame.extend_from_slice(&age.to_be_bytes());
        }
        let count = u16::try_from(ages.len()).unwrap_or(u16::MAX);
        frame.extend_from_slice(&count.to_be_bytes());
    }
}

impl Hello {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let last = reader.number()?;
        let state = reader.u8()?;
        let flags = reader.u8()?;
        let record_length = reader.u8()?;
        let jool = reader.u32()?;
        let daemon = reader.u32()?;
        let sessions = reader.u32()?;
        let digests = [reader.u32()?, reader.u32()?, reader.u32()?];
        let lacks = reader.u32()?;
        let length = usize::from(reader.u8()?);
        if length > NAME {
            return Err(Unreadable::Malformed);
        }
        let name = String::from_utf8_lossy(reader.slice(length)?);
        let name = name.chars().filter(|c| is_shown(*c)).collect();
        Ok(Self {
            last,
            state,
            solicits: flags & 1 != 0,
            record_length,
            jool,
            daemon,
            sessions,
            digests,
            lacks,
            name,
            logs: reader.list(MOST_LOGS, Reader::progress)?,
        })
    }
}

/// Whether people may be shown this in a name: nothing that moves a cursor, breaks a line, or changes the
/// order of what stands beside it.
fn is_shown(c: char) -> bool {
    let is_layout = matches!(c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !is_layout
}

/// A record of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replayed {
    /// Its log and its place there, if it is in one.
    pub(super) place: Option<(LogKey, u64)>,
    /// How long before the sender's clock the session was last active, in milliseconds.
    pub(super) age: u32,
    pub(super) session: Session,
}

impl<'a> Replay<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let (to, token, space) = (reader.u64()?, reader.u32()?, reader.space()?);
        let covers = reader.range()?;
        let is_last = reader.u8()? & 1 != 0;
        let (slots, lacks) = (reader.number()?, reader.u32()?);
        let (logs, records) = (usize::from(reader.u8()?), usize::from(reader.u8()?));
        if logs > REPLAY_LOGS || records > REPLAY_RECORDS {
            return Err(Unreadable::Malformed);
        }
        Ok(Self {
            to,
            token,
            space,
            covers,
            is_last,
            slots,
            lacks,
            logs: reader.slice(logs * 16)?,
            records: reader.slice(records * REPLAYED)?,
        })
    }

    /// Its records.
    pub(super) fn records(&self) -> impl Iterator<Item = Result<Replayed, Reject>> + use<'a> {
        let logs = self.logs;
        let (records, _) = self.records.as_chunks::<REPLAYED>();
        records.iter().map(move |record| {
            let mut reader = Reader(record);
            let read = (|| {
                let (log, seq) = (reader.u8()?, reader.number()?);
                Ok((log, seq, reader.u32()?, reader.bytes::<BODY>()?))
            })();
            let Ok((log, seq, age, body)) = read.map_err(|_: Unreadable| ()) else {
                return Err(Reject::Malformed);
            };
            let place = logs.get(usize::from(log) * 16..).unwrap_or_default();
            let place = Reader(place).log().ok().map(|log| (log, seq));
            if place.is_none() && log != NO_LOG {
                return Err(Reject::Malformed);
            }
            let session = Session::from_body(&body)?;
            Ok(Replayed {
                place,
                age,
                session,
            })
        })
    }
}

fn head(kind: u8, from: Sender, frame: &mut Vec<u8>) {
    frame.extend_from_slice(&MARK);
    frame.extend_from_slice(&[VERSION, kind]);
    frame.extend_from_slice(&from.clock.times_set.to_be_bytes());
    push_log(from.log, frame);
    frame.extend_from_slice(&from.clock.at.0.to_be_bytes());
}

fn push_log(log: LogKey, frame: &mut Vec<u8>) {
    frame.extend_from_slice(&log.node.to_be_bytes());
    frame.extend_from_slice(&log.epoch.to_be_bytes());
}

fn push_length(length: usize, frame: &mut Vec<u8>) {
    frame.push(u8::try_from(length).unwrap_or(u8::MAX));
}

fn push_positions(positions: &[Position], frame: &mut Vec<u8>) {
    let positions = positions.get(..MOST_LOGS).unwrap_or(positions);
    push_length(positions.len(), frame);
    for position in positions {
        push_position(*position, frame);
    }
}

fn push_position(position: Position, frame: &mut Vec<u8>) {
    push_log(position.log, frame);
    frame.extend_from_slice(&position.seq.to_be_bytes());
}

impl Hello {
    /// Appends the frame.
    pub(super) fn write(&self, from: Sender, frame: &mut Vec<u8>) {
        head(KIND_HELLO, from, frame);
        frame.extend_from_slice(&self.last.to_be_bytes());
        frame.extend_from_slice(&[self.state, u8::from(self.solicits), self.record_length]);
        let [pool6, pool4, timeouts] = self.digests;
        for number in [
            self.jool,
            self.daemon,
            self.sessions,
            pool6,
            pool4,
            timeouts,
            self.lacks,
        ] {
            frame.extend_from_slice(&number.to_be_bytes());
        }
        let name = self.name.as_bytes();
        let name = name.get(..NAME).unwrap_or(name);
        push_length(name.len(), frame);
        frame.extend_from_slice(name);
        let logs = self.logs.get(..MOST_LOGS).unwrap_or(&self.logs);
        push_length(logs.len(), frame);
        for log in logs {
            push_position(log.position, frame);
            frame.extend_from_slice(&log.last.to_be_bytes());
            frame.extend_from_slice(&log.age.to_be_bytes());
        }
    }
}

impl Request {
    /// Appends the frame.
    pub(super) fn write(&self, from: Sender, frame: &mut Vec<u8>) {
        head(KIND_REQUEST, from, frame);
        push_log(self.to, frame);
        frame.extend_from_slice(&self.token.to_be_bytes());
        frame.push(self.space as u8);
        let ranges = self.ranges.get(..MOST_RANGES).unwrap_or(&self.ranges);
        push_length(ranges.len(), frame);
        for (from, to) in ranges {
            frame.extend_from_slice(&from.to_be_bytes());
            frame.extend_from_slice(&to.to_be_bytes());
        }
        push_positions(&self.since, frame);
    }
}

/// Builds replays, one after the other, in memory that is used again.
#[derive(Debug, Default)]
pub(super) struct ReplayWriter {
    logs: Vec<LogKey>,
    records: Vec<u8>,
    count: usize,
}

impl ReplayWriter {
    /// Adds a record. `false`: the frame is full, and the record is not in it.
    pub(super) fn push(&mut self, record: &Replayed) -> bool {
        if self.count == REPLAY_RECORDS {
            return false;
        }
        let (log, seq) = match record.place {
            None => (NO_LOG, 0),
            Some((log, seq)) => match self.logs.iter().position(|known| *known == log) {
                Some(index) => (u8::try_from(index).unwrap_or(NO_LOG), seq),
                None if self.logs.len() == REPLAY_LOGS => return false,
                None => {
                    self.logs.push(log);
                    (u8::try_from(self.logs.len() - 1).unwrap_or(NO_LOG), seq)
                }
            },
        };
        self.records.push(log);
        self.records.extend_from_slice(&seq.to_be_bytes());
        self.records.extend_from_slice(&record.age.to_be_bytes());
        self.records.extend_from_slice(&record.session.to_body());
        self.count += 1;
        true
    }

    /// How many records were added.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Appends the frame, and begins anew.
    #[allow(clippy::too_many_arguments, reason = "the fields of the frame")]
    pub(super) fn write(
        &mut self,
        from: Sender,
        to: u64,
        token: u32,
        space: Space,
        covers: (u64, u64),
        is_last: bool,
        slots: u64,
        lacks: u32,
        frame: &mut Vec<u8>,
    ) {
        head(KIND_REPLAY, from, frame);
        frame.extend_from_slice(&to.to_be_bytes());
        frame.extend_from_slice(&token.to_be_bytes());
        frame.push(space as u8);
        frame.extend_from_slice(&covers.0.to_be_bytes());
        frame.extend_from_slice(&covers.1.to_be_bytes());
        frame.push(u8::from(is_last));
        frame.extend_from_slice(&slots.to_be_bytes());
        frame.extend_from_slice(&lacks.to_be_bytes());
        push_length(self.logs.len(), frame);
        push_length(self.count, frame);
        for log in self.logs.drain(..) {
            push_log(log, frame);
        }
        frame.extend_from_slice(&self.records);
        self.records.clear();
        self.count = 0;
    }
}

#[cfg(test)]
pub(super) mod tests;
