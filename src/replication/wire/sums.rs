//! What a node has, in sums that can be compared.

use super::{KIND_SUMS, Reader, Sender, Unreadable, head};
use crate::session::Stamp;

/// Length of a frame without its sums.
const FIXED: usize = super::HEAD + 8 + 4 + 8 + 2;

/// Some of the sums over what a node has, each over the sessions of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sums<'a> {
    /// Who asked.
    pub(crate) to: u64,
    pub(crate) token: u32,
    /// They are over what was last active before this moment.
    pub(crate) before: Stamp,
    /// The bucket of the first.
    pub(crate) first: u16,
    sums: &'a [[u8; 4]],
}

impl<'a> Sums<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let (to, token) = (reader.u64()?, reader.u32()?);
        let before = Stamp(reader.u64()?);
        let first = reader.u16()?;
        let (sums, rest) = reader.slice(reader.0.len())?.as_chunks();
        if !rest.is_empty() {
            return Err(Unreadable::Malformed);
        }
        Ok(Self {
            to,
            token,
            before,
            first,
            sums,
        })
    }

    /// The sums, from the first bucket on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.sums.iter().map(|sum| u32::from_be_bytes(*sum))
    }

    /// How many sums a frame of this length holds.
    pub(crate) fn most(length: usize) -> usize {
        length.saturating_sub(FIXED) / 4
    }

    /// Appends a frame with these sums, of which the first is of that bucket.
    pub(crate) fn write(
        from: Sender,
        (to, token): (u64, u32),
        before: Stamp,
        first: u16,
        sums: &[u32],
        frame: &mut Vec<u8>,
    ) {
        head(KIND_SUMS, from, frame);
        frame.extend_from_slice(&to.to_be_bytes());
        frame.extend_from_slice(&token.to_be_bytes());
        frame.extend_from_slice(&before.0.to_be_bytes());
        frame.extend_from_slice(&first.to_be_bytes());
        for sum in sums {
            frame.extend_from_slice(&sum.to_be_bytes());
        }
    }
}
