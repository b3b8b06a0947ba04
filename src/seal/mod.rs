//! Frames that nobody reads, makes up or sends again without the group's key: docs/protocol.md, "Sealed frames".
//!
//! Pure, like the protocol that it goes around: points in time and randomness are handed in. A datagram of a
//! stranger is looked at in this order: its length, the mark, the number of the key, the tag, and then the
//! rest. Nothing is kept of a sender before a tag of it was right, and what is kept is bounded.

mod advice;
mod base64;
mod counters;
mod crypto;
mod frame;
mod introduction;
mod keys;
mod policy;
mod run;
mod sealer;
mod status;
#[cfg(test)]
mod tests;
mod window;

pub use advice::{Advice, Holders, Member, advice};
pub use counters::Counters;
pub use crypto::{Random, random};
pub use frame::OVERHEAD;
pub use keys::{Fingerprint, Keys, Problem, Secret, new_line};
pub use policy::Policy;
pub use sealer::{Seal, Settings};
pub use status::{Known, Peer, Status};

/// Reads what stands in an introduction.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_introduction(bytes: &[u8]) {
    if let Some(introduction) = introduction::Introduction::parse(bytes) {
        let mut written = Vec::new();
        introduction::write(&introduction.said, introduction.echoes, &mut written);
        assert_eq!(written, bytes);
    }
}
