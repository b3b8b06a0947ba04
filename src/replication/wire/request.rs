//! A node asks another for what it lacks.

use crate::session::Stamp;

use super::{
    BUCKETS, KIND_REQUEST, LogKey, MAX_FRAME, MIN_FRAME, MOST_LOGS, MOST_RANGES, Position, Reader,
    Sender, Space, Unreadable, head, push_length, push_log, push_position,
};

/// A node asks another for what it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Who is asked.
    pub(crate) to: LogKey,
    /// Comes back with the answer.
    pub(crate) token: u32,
    /// What the hello of who is asked said.
    pub(crate) proof: u32,
    pub(crate) space: Space,
    /// The longest frame that it takes.
    pub(crate) length: u16,
    /// How many frames it takes at once.
    pub(crate) frames: u8,
    pub(crate) ranges: Vec<(u64, u64)>,
    /// Of a table: only what is beyond these positions; none: everything.
    pub(crate) since: Vec<Position>,
    /// Of what is in no log: only what was active after this moment, unless everything is asked for. Of sums:
    /// only what was active before it.
    pub(crate) after: Stamp,
    /// Of a table: only what is in these buckets, a bit each.
    pub(crate) buckets: Option<Box<[u8; BUCKETS / 8]>>,
}

/// Length of a request without ranges, positions and buckets.
const FIXED: usize = super::HEAD + 16 + 4 + 4 + 1 + 2 + 1 + 1 + 1 + 8 + 1;
/// Length of the buckets.
const BITS: usize = BUCKETS / 8;

impl Request {
    /// How many ranges of places fit in a request of this length.
    pub(crate) fn most_places(length: usize) -> usize {
        (length.saturating_sub(FIXED) / 16).clamp(1, MOST_RANGES)
    }

    /// How many ranges of slots fit in.
    pub(crate) fn most_ranges(length: usize) -> usize {
        // The other half is for positions.
        (length.saturating_sub(FIXED + BITS) / 2 / 16).clamp(1, MOST_RANGES)
    }

    /// How many positions fit in beside them.
    pub(crate) fn most_logs(length: usize) -> usize {
        let ranges = 16 * Self::most_ranges(length);
        (length.saturating_sub(FIXED + BITS + ranges) / 24).clamp(1, MOST_LOGS)
    }

    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let request = Self {
            to: reader.log()?,
            token: reader.u32()?,
            proof: reader.u32()?,
            space: reader.space()?,
            length: reader.u16()?,
            frames: reader.u8()?,
            ranges: reader.list(MOST_RANGES, Reader::range)?,
            since: reader.list(MOST_LOGS, Reader::position)?,
            after: Stamp(reader.u64()?),
            buckets: match reader.u8()? {
                0 => None,
                _ => Some(Box::new(reader.bytes()?)),
            },
        };
        let is_possible = (MIN_FRAME..=MAX_FRAME).contains(&usize::from(request.length));
        if !is_possible || request.frames == 0 {
            return Err(Unreadable::Malformed);
        }
        Ok(request)
    }

    /// Appends the frame.
    pub(crate) fn write(&self, from: Sender, frame: &mut Vec<u8>) {
        head(KIND_REQUEST, from, frame);
        push_log(self.to, frame);
        frame.extend_from_slice(&self.token.to_be_bytes());
        frame.extend_from_slice(&self.proof.to_be_bytes());
        frame.push(self.space as u8);
        frame.extend_from_slice(&self.length.to_be_bytes());
        frame.push(self.frames);
        let ranges = self.ranges.get(..MOST_RANGES).unwrap_or(&self.ranges);
        push_length(ranges.len(), frame);
        for (from, to) in ranges {
            frame.extend_from_slice(&from.to_be_bytes());
            frame.extend_from_slice(&to.to_be_bytes());
        }
        let since = self.since.get(..MOST_LOGS).unwrap_or(&self.since);
        push_length(since.len(), frame);
        for position in since {
            push_position(*position, frame);
        }
        frame.extend_from_slice(&self.after.0.to_be_bytes());
        frame.push(u8::from(self.buckets.is_some()));
        if let Some(buckets) = &self.buckets {
            frame.extend_from_slice(buckets.as_slice());
        }
    }
}
