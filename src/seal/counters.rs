//! What is counted about seals.

/// What is counted about seals, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that left sealed.
    pub sealed: u64,
    /// Sealed frames that were taken.
    pub opened: u64,
    /// Open frames that were refused, since only sealed ones are taken.
    pub open_refused: u64,
    /// Sealed frames with the number of a key that is not here.
    pub unknown_keys: u64,
    /// Sealed frames with a wrong tag: of another key with that number, changed under way, or made up.
    pub forged: u64,
    /// Sealed frames that have been there before.
    pub replayed: u64,
    /// Sealed frames of a run that has not proved to be going on now: recorded ones, or the first ones of a node.
    pub unproven: u64,
    /// Sealed frames that make no sense.
    pub malformed: u64,
    /// Frames that did not leave, since the system gave no random numbers.
    pub unsealed: u64,
}

/// Why a sealed frame is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    UnknownKey,
    Unproven,
    Forged,
    Replayed,
}

impl Counters {
    pub(super) fn count(&mut self, refusal: Refusal) {
        *match refusal {
            Refusal::Malformed => &mut self.malformed,
            Refusal::UnknownKey => &mut self.unknown_keys,
            Refusal::Unproven => &mut self.unproven,
            Refusal::Forged => &mut self.forged,
            Refusal::Replayed => &mut self.replayed,
        } += 1;
    }
}
