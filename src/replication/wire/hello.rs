//! What a node tells about itself, four times a second.

use super::{
    KIND_HELLO, MOST_LOGS, Position, Reader, Sender, Unreadable, head, push_length, push_position,
};
use crate::replication::event::Digests;

/// Bytes of a name.
const NAME: usize = 64;
/// Bytes of a cluster's name.
pub(crate) const CLUSTER: usize = 32;
/// Length of a hello without its logs, and of what it says of one.
const FIXED: usize =
    super::HEAD + 8 + 3 + 2 + 4 + 12 + size_of::<Digests>() + (1 + NAME) + (1 + CLUSTER) + 1;
const LOG: usize = 16 + 8 + 8;

/// What a node has of another's log, as it tells in a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) position: Position,
    /// The last place that it knows of.
    pub(crate) last: u64,
}

/// A node tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The last place in its log.
    pub(crate) last: u64,
    pub(crate) state: u8,
    /// Whether it is fit to translate, and why: the number of a [`crate::replication::Fitness`].
    pub(crate) fitness: u8,
    /// Length of the records that it sends.
    pub(crate) record_length: u8,
    /// Comes back with questions: who asks has heard this.
    pub(crate) proof: u32,
    /// The longest frame that reaches it from everybody.
    pub(crate) takes: u16,
    /// Version of its Jool, a byte each; 0: not known.
    pub(crate) jool: u32,
    /// Version of its daemon, likewise.
    pub(crate) daemon: u32,
    pub(crate) sessions: u32,
    /// Digests of what should be the same everywhere.
    pub(crate) digests: Digests,
    pub(crate) name: String,
    /// Whose sessions it has: nodes of another cluster have nothing to do with each other.
    pub(crate) cluster: String,
    /// What it has of the others' logs.
    pub(crate) logs: Vec<Progress>,
}

impl Hello {
    /// How many logs fit in a hello of this length.
    pub(crate) fn most_logs(length: usize) -> usize {
        (length.saturating_sub(FIXED) / LOG).clamp(1, MOST_LOGS)
    }

    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let last = reader.number()?;
        let state = reader.u8()?;
        let fitness = reader.u8()?;
        let record_length = reader.u8()?;
        let takes = reader.u16()?;
        let proof = reader.u32()?;
        let jool = reader.u32()?;
        let daemon = reader.u32()?;
        let sessions = reader.u32()?;
        let mut digests = Digests::default();
        for digest in &mut digests {
            *digest = reader.u32()?;
        }
        let (name, cluster) = (name(reader, NAME)?, name(reader, CLUSTER)?);
        let progress = |reader: &mut Reader<'_>| {
            let (position, last) = (reader.position()?, reader.number()?);
            Ok(Progress { position, last })
        };
        Ok(Self {
            last,
            state,
            fitness,
            record_length,
            takes,
            proof,
            jool,
            daemon,
            sessions,
            digests,
            name,
            cluster,
            logs: reader.list(MOST_LOGS, progress)?,
        })
    }

    /// Appends the frame.
    pub(crate) fn write(&self, from: Sender, frame: &mut Vec<u8>) {
        head(KIND_HELLO, from, frame);
        frame.extend_from_slice(&self.last.to_be_bytes());
        frame.extend_from_slice(&[self.state, self.fitness, self.record_length]);
        frame.extend_from_slice(&self.takes.to_be_bytes());
        frame.extend_from_slice(&self.proof.to_be_bytes());
        let numbers = [self.jool, self.daemon, self.sessions];
        for number in numbers.into_iter().chain(self.digests) {
            frame.extend_from_slice(&number.to_be_bytes());
        }
        for (name, most) in [(&self.name, NAME), (&self.cluster, CLUSTER)] {
            let name = name.as_bytes();
            let name = name.get(..most).unwrap_or(name);
            push_length(name.len(), frame);
            frame.extend_from_slice(name);
        }
        let logs = self.logs.get(..MOST_LOGS).unwrap_or(&self.logs);
        push_length(logs.len(), frame);
        for log in logs {
            push_position(log.position, frame);
            frame.extend_from_slice(&log.last.to_be_bytes());
        }
    }
}

/// A name of at most so many bytes, as people may be shown it.
fn name(reader: &mut Reader<'_>, most: usize) -> Result<String, Unreadable> {
    let length = usize::from(reader.u8()?);
    if length > most {
        return Err(Unreadable::Malformed);
    }
    Ok(shown(&String::from_utf8_lossy(reader.slice(length)?)))
}

/// A name as it arrives elsewhere.
pub(crate) fn shown(name: &str) -> String {
    name.chars().filter(|c| is_shown(*c)).collect()
}

/// Whether people may be shown this in a name: nothing that moves a cursor, breaks a line, or changes the
/// order of what stands beside it.
fn is_shown(c: char) -> bool {
    let is_layout = matches!(c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !is_layout
}
