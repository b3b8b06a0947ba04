//! What a node is about.

use std::fmt;

/// What a node is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It has no Jool.
    Waiting = 0,
    /// It finds out what the others know.
    Joining = 1,
    /// It has every session that the others have, as far as anybody knows.
    Synced = 2,
    /// It has all there is, and no other node that is there has a Jool.
    Alone = 3,
    /// Something is known to be missing.
    Degraded = 4,
}

impl State {
    /// Every state, by number.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Joining,
        Self::Synced,
        Self::Alone,
        Self::Degraded,
    ];

    /// The state of that number in a hello.
    pub(crate) fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether a node that is about this has joined, and has a Jool.
    pub(crate) fn has_joined(self) -> bool {
        matches!(self, Self::Synced | Self::Alone | Self::Degraded)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Joining => "joining",
            Self::Synced => "synced",
            Self::Alone => "alone",
            Self::Degraded => "degraded",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
