//! Part of an answer: everything that there is in a range.

use crate::session::{BODY, Reject, Session, Stamp};

use super::{
    AGE, HEAD, KIND_REPLAY, LogKey, MAX_FRAME, Reader, Sender, Space, Unreadable, head,
    push_length, push_log,
};

/// Logs that the records of one replay can be of.
const REPLAY_LOGS: usize = 4;
/// Length of a replay without its logs and records.
const FIXED: usize = HEAD + 8 + 4 + 1 + 8 * 2 + 1 + 8 + 8 + 2;
/// Length of a record of a replay: log, place, age, session.
pub(super) const REPLAYED: usize = 1 + 8 + AGE + BODY;
/// Records in the longest replay.
const MOST_RECORDS: usize = records_in(MAX_FRAME);
/// The log of a record that is in none.
const NO_LOG: u8 = 0xff;
const IS_LAST: u8 = 1;
const IS_WHOLE: u8 = 2;

/// How many records a frame of this length holds, whatever logs they are of.
const fn records_in(length: usize) -> usize {
    length.saturating_sub(FIXED + REPLAY_LOGS * 16) / REPLAYED
}

/// What a replay answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplayHead {
    /// Who asked.
    pub(crate) to: u64,
    pub(crate) token: u32,
    pub(crate) space: Space,
    /// The range that is answered by this frame alone.
    pub(crate) covers: (u64, u64),
    /// No other frame answers the same question.
    pub(crate) is_last: bool,
    /// Nothing is left out because who asked has it.
    pub(crate) is_whole: bool,
    /// Of a table: how many slots there are.
    pub(crate) slots: u64,
    /// What the clock said in the question.
    pub(crate) asked: Stamp,
}

/// Part of an answer: everything there is in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replay<'a> {
    pub(crate) head: ReplayHead,
    logs: &'a [u8],
    records: &'a [u8],
}

/// A record of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// Its log and its place there, if it is in one.
    pub(crate) place: Option<(LogKey, u64)>,
    /// How long before the sender's clock the session was last active, in milliseconds.
    pub(crate) age: u32,
    /// Without a lifetime: it has ended.
    pub(crate) session: Session,
}

impl<'a> Replay<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let (to, token, space) = (reader.u64()?, reader.u32()?, reader.space()?);
        let covers = reader.range()?;
        let flags = reader.u8()?;
        let slots = reader.number()?;
        let asked = Stamp(reader.u64()?);
        let (logs, records) = (usize::from(reader.u8()?), usize::from(reader.u8()?));
        if logs > REPLAY_LOGS || records > MOST_RECORDS {
            return Err(Unreadable::Malformed);
        }
        Ok(Self {
            head: ReplayHead {
                to,
                token,
                space,
                covers,
                is_last: flags & IS_LAST != 0,
                is_whole: flags & IS_WHOLE != 0,
                slots,
                asked,
            },
            logs: reader.slice(logs * 16)?,
            records: reader.slice(records * REPLAYED)?,
        })
    }

    /// Length of the frame.
    pub(crate) fn length(&self) -> usize {
        FIXED + self.logs.len() + self.records.len()
    }

    /// Its records.
    pub(crate) fn records(&self) -> impl Iterator<Item = Result<Replayed, Reject>> + use<'a> {
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

/// Builds replays, one after the other, in memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct ReplayWriter {
    logs: Vec<LogKey>,
    records: Vec<u8>,
    count: usize,
    room: usize,
}

impl ReplayWriter {
    /// Begins a frame of at most this length.
    pub(crate) fn begin(&mut self, length: usize) {
        self.logs.clear();
        self.records.clear();
        self.count = 0;
        self.room = records_in(length).clamp(1, MOST_RECORDS);
    }

    /// Adds a record. `false`: the frame is full, and the record is not in it.
    pub(crate) fn push(&mut self, record: &Replayed) -> bool {
        if self.count == self.room {
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

    /// Length of the frame.
    pub(crate) fn length(&self) -> usize {
        FIXED + self.logs.len() * 16 + self.records.len()
    }

    /// How many records were added.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Appends the frame.
    pub(crate) fn write(&self, from: Sender, replay: &ReplayHead, frame: &mut Vec<u8>) {
        head(KIND_REPLAY, from, frame);
        frame.extend_from_slice(&replay.to.to_be_bytes());
        frame.extend_from_slice(&replay.token.to_be_bytes());
        frame.push(replay.space as u8);
        frame.extend_from_slice(&replay.covers.0.to_be_bytes());
        frame.extend_from_slice(&replay.covers.1.to_be_bytes());
        let whole = if replay.is_whole { IS_WHOLE } else { 0 };
        frame.push(u8::from(replay.is_last) | whole);
        frame.extend_from_slice(&replay.slots.to_be_bytes());
        frame.extend_from_slice(&replay.asked.0.to_be_bytes());
        push_length(self.logs.len(), frame);
        push_length(self.count, frame);
        for log in &self.logs {
            push_log(*log, frame);
        }
        frame.extend_from_slice(&self.records);
    }
}
