//! The clear and authenticated head of a sealed frame.

use crate::replication::wire::{LogKey, MARK, MAX_FRAME, VERSION};

/// Length of the head: mark, version, kind, number of the key, node, epoch, counter, salt.
pub(super) const HEAD: usize = 4 + 1 + 1 + 2 + 8 + 8 + 8 + SALT;
const SALT: usize = 16;
/// Length of what a frame ends with.
pub(super) const TAG: usize = 16;
/// By how much a sealed frame is longer than the one in it, in bytes.
pub const OVERHEAD: usize = HEAD + TAG;

/// What is in a sealed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A frame, or a run of records with its trailer.
    Frame = 5,
    /// Something of the seal's own.
    Introduction = 6,
}

/// A run of a node's daemon, as far as seals go. The salt makes it another one, should a node's clock go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunKey {
    pub(super) log: LogKey,
    pub(super) salt: [u8; SALT],
}

/// How a sealed frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// Number of the key; not 0.
    pub(super) key: u16,
    pub(super) run: RunKey,
    pub(super) counter: u64,
}

/// A sealed frame, taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealed<'a> {
    pub(super) head: Head,
    /// The head as it is.
    pub(super) clear: &'a [u8; HEAD],
    pub(super) encrypted: &'a [u8],
    pub(super) tag: &'a [u8; TAG],
}

/// Whether this claims to be a sealed frame of the version that is spoken.
pub(super) fn is_sealed(datagram: &[u8]) -> bool {
    let key = datagram.get(6..8);
    datagram.starts_with(&MARK)
        && datagram.get(4) == Some(&VERSION)
        && key.is_some_and(|key| key != [0, 0])
}

impl<'a> Sealed<'a> {
    /// `None`: it is of another kind, too short or too long.
    pub(super) fn parse(datagram: &'a [u8]) -> Option<Self> {
        if datagram.len() > MAX_FRAME {
            return None;
        }
        let (clear, rest) = datagram.split_first_chunk::<HEAD>()?;
        let (encrypted, tag) = rest.split_last_chunk()?;
        let ([_, _, _, _, _, kind, high, low], rest) = clear.split_first_chunk()?;
        let (node, rest) = rest.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (counter, salt) = rest.split_first_chunk()?;
        let log = LogKey {
            node: u64::from_be_bytes(*node),
            epoch: u64::from_be_bytes(*epoch),
        };
        let head = Head {
            kind: match kind {
                5 => Kind::Frame,
                6 => Kind::Introduction,
                _ => return None,
            },
            key: u16::from_be_bytes([*high, *low]),
            run: RunKey {
                log,
                salt: salt.try_into().ok()?,
            },
            counter: u64::from_be_bytes(*counter),
        };
        Some(Self {
            head,
            clear,
            encrypted,
            tag,
        })
    }
}

impl Head {
    /// Appends the head.
    pub(super) fn write(&self, frame: &mut Vec<u8>) {
        frame.extend_from_slice(&MARK);
        frame.extend_from_slice(&[VERSION, self.kind as u8]);
        frame.extend_from_slice(&self.key.to_be_bytes());
        frame.extend_from_slice(&self.run.log.node.to_be_bytes());
        frame.extend_from_slice(&self.run.log.epoch.to_be_bytes());
        frame.extend_from_slice(&self.counter.to_be_bytes());
        frame.extend_from_slice(&self.run.salt);
    }
}
