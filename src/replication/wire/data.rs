//! What follows a run of records: where in the sender's log they are.

use super::{AGE, COUNT, HIGHEST, KIND_DATA, Reader, Sender, Unreadable, head};

/// Which records of the sender's log a run is of, and how long before the sender's clock each one's
/// session was last active, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Data<'a> {
    pub(crate) first: u64,
    ages: &'a [[u8; AGE]],
}

impl<'a> Data<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
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
    pub(crate) fn count(&self) -> usize {
        self.ages.len()
    }

    /// The age of each, in milliseconds.
    pub(crate) fn ages(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.ages.iter().map(|age| u32::from_be_bytes(*age))
    }

    /// Appends the trailer to a run of records of these ages.
    pub(crate) fn write(from: Sender, first: u64, ages: &[u32], frame: &mut Vec<u8>) {
        head(KIND_DATA, from, frame);
        frame.extend_from_slice(&first.to_be_bytes());
        for age in ages {
            frame.extend_from_slice(&age.to_be_bytes());
        }
        let count = u16::try_from(ages.len()).unwrap_or(u16::MAX);
        frame.extend_from_slice(&count.to_be_bytes());
    }
}
