//! What can be said of a node: whether it is fit to translate, and on what ground.

/// The verdict on a node, with its ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fitness {
    /// It was given no verdict yet.
    Unknown = 0,
    /// Fit: it has every session that the others have.
    Synced = 1,
    /// Fit: its Jool is at work, and no other node would do better.
    Serving = 2,
    /// Fit: there is no other node, and its Jool is at work.
    Alone = 3,
    /// Fit, but yields to another: there is no other node as far as it hears, and its Jool has had
    /// nothing to translate since. It may be the one that is cut off.
    Idle = 4,
    /// Would be fit, and holds back because another node is (`failback`).
    Held = 5,
    /// There is no Jool.
    NoJool = 6,
    /// Its Jool was told not to translate.
    Paused = 7,
    /// Its Jool masks with whatever addresses the node has.
    NoPool4 = 8,
    /// It finds out what the others know.
    Joining = 9,
    /// It is alone and has not waited long enough for others.
    Waiting = 10,
    /// Too much of what the others announced is missing.
    Behind = 11,
    /// Its Jool is being given sessions.
    Loading = 12,
    /// Something was lost, between its Jool and it or for good.
    Incomplete = 13,
    /// Its pools are not those of another node.
    Differs = 14,
    /// Another node says that it is this one.
    Namesake = 15,
    /// An operator drained it.
    Drained = 16,
}

impl Fitness {
    /// Every verdict, by its number in a hello.
    pub const ALL: [Self; 17] = [
        Self::Unknown,
        Self::Synced,
        Self::Serving,
        Self::Alone,
        Self::Idle,
        Self::Held,
        Self::NoJool,
        Self::Paused,
        Self::NoPool4,
        Self::Joining,
        Self::Waiting,
        Self::Behind,
        Self::Loading,
        Self::Incomplete,
        Self::Differs,
        Self::Namesake,
        Self::Drained,
    ];

    /// The verdict of that number in a hello; a number of a later version is no verdict.
    pub(crate) fn of(number: u8) -> Self {
        let known = Self::ALL.get(usize::from(number));
        known.copied().unwrap_or(Self::Unknown)
    }

    /// A word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Synced => "synced",
            Self::Serving => "serving",
            Self::Alone => "alone",
            Self::Idle => "idle",
            Self::Held => "held",
            Self::NoJool => "no-jool",
            Self::Paused => "paused",
            Self::NoPool4 => "no-pool4",
            Self::Joining => "joining",
            Self::Waiting => "waiting",
            Self::Behind => "behind",
            Self::Loading => "loading",
            Self::Incomplete => "incomplete",
            Self::Differs => "differs",
            Self::Namesake => "namesake",
            Self::Drained => "drained",
        }
    }

    /// The verdict on another node, in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unknown => "it says nothing of it",
            Self::Synced => "synced",
            Self::Serving => "at work",
            Self::Alone => "alone",
            Self::Idle => "alone and idle",
            Self::Held => "holds back",
            Self::NoJool => "no Jool",
            Self::Paused => "its Jool is paused",
            Self::NoPool4 => "its pool4 is empty",
            Self::Joining => "joining",
            Self::Waiting => "waits for others",
            Self::Behind => "records are missing",
            Self::Loading => "loads its Jool",
            Self::Incomplete => "sessions are lost",
            Self::Differs => "settings differ",
            Self::Namesake => "two of one identity",
            Self::Drained => "drained",
        }
    }

    /// Why, as far as it can be said without looking at the other nodes.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Unknown => "it has just started",
            Self::Synced => "it has every session that the other nodes have",
            Self::Serving => "its Jool is at work, and no other node would do better",
            Self::Alone => "no other node is heard, and its Jool is at work",
            Self::Idle => {
                "no other node is heard; should it be this one that is cut off, it yields"
            }
            Self::Held => {
                "it is ready, and holds back for the time of \"failback\" while another node is fit"
            }
            Self::NoJool => "there is no Jool here",
            Self::Paused => {
                "its Jool is paused; `jool global update manually-enabled true` ends that"
            }
            Self::NoPool4 => {
                "its pool4 is empty, so it would mask clients with its own addresses; give it the \
                 pool4 of the other nodes"
            }
            Self::Joining => "it is still being told what the other nodes know",
            Self::Waiting => {
                "it has not heard any other node yet, and waits for one (\"alone wait\")"
            }
            Self::Behind => "it lacks what the other nodes have told",
            Self::Loading => "its Jool is still being given the sessions of the other nodes",
            Self::Incomplete => "sessions are lost",
            Self::Differs => "settings differ",
            Self::Namesake => "another node says that it is this very one",
            Self::Drained => "it is drained; `jooldctl undrain` takes the traffic back",
        }
    }

    /// Whether the node may translate in another one's place.
    pub fn is_fit(self) -> bool {
        matches!(
            self,
            Self::Synced | Self::Serving | Self::Alone | Self::Idle
        )
    }

    /// Whether the node does not translate, whatever happens to the others.
    pub(crate) fn cannot_translate(self) -> bool {
        matches!(
            self,
            Self::NoJool | Self::Paused | Self::NoPool4 | Self::Drained
        )
    }

    /// Whether the node could take over at once if no other did.
    pub fn is_ready(self) -> bool {
        self.is_fit() || self == Self::Held
    }

    /// The verdict as a number, for what elects the node with the highest: 2 fit; 1 fit, but yields to
    /// another that is; 0 not fit; -1 drained.
    pub fn rank(self) -> i8 {
        match self {
            Self::Synced | Self::Serving | Self::Alone => 2,
            Self::Idle => 1,
            Self::Drained => -1,
            _ => 0,
        }
    }
}
