//! A question to another node that is under way, and what came of its answer.

/// One question, to the owner of a log or to the donor of a table.
#[derive(Debug, Default)]
pub(crate) struct Question {
    /// About so many frames are to come of its answer; 0: that has been judged.
    pub(super) expected: usize,
    /// So many have.
    pub(super) came: usize,
    /// What the last frame of it covered last, and how long after the question it came, in milliseconds.
    pub(super) end: Option<(u64, u64)>,
}

impl Question {
    pub(super) fn new(expected: usize) -> Self {
        Self {
            expected,
            ..Self::default()
        }
    }

    /// A frame came that brought something, in the answer to this question or to another node's.
    pub(crate) fn came(&mut self) {
        self.came += 1;
    }

    /// The last frame of the answer came, which covered this last, so long after the question; about so many
    /// of the others have not come yet.
    pub(crate) fn came_to_its_end(&mut self, last: u64, trip: u64, holes: usize) {
        self.expected = self.expected.min(self.came + holes);
        self.end = Some((last, trip));
    }

    /// What the last frame of the answer covered last, if that came.
    pub(crate) fn end(&self) -> Option<u64> {
        self.end.map(|(last, _)| last)
    }
}
