//! What leaves sealed, and what is taken.

use std::fmt;

/// What leaves sealed, and what is taken: the steps from an open group to a sealed one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Policy {
    /// Everything is open.
    #[default]
    Off = 0,
    /// Frames leave open; open and sealed ones are taken.
    Accept = 1,
    /// Frames leave sealed; open and sealed ones are taken.
    Send = 2,
    /// Frames leave sealed, and only sealed ones are taken.
    Require = 3,
}

impl Policy {
    /// Every policy, in the order in which a group goes through them.
    pub const ALL: [Self; 4] = [Self::Off, Self::Accept, Self::Send, Self::Require];

    /// The word for it in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Accept => "accept",
            Self::Send => "send",
            Self::Require => "require",
        }
    }

    /// The policy of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// Whether frames leave sealed.
    pub fn sends(self) -> bool {
        self >= Self::Send
    }

    /// What another node says of itself; `None`: no such policy, or one in which it would not say so.
    pub(super) fn of(number: u8) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|policy| *policy as u8 == number && *policy != Self::Off)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
