//! The reading of our own Jool's table, a few pages at a time.

use std::time::Instant;

use tracing::warn;

use super::node::Node;
use crate::jool::Jool;
use crate::session::{Identity, Protocol};

/// Pages of a table, of some 26 sessions each, that are read before the others get their turn.
const PAGES: usize = 16;

/// How far the reading is.
pub(super) struct Reading {
    began: Instant,
    protocols: &'static [Protocol],
    after: Option<Identity>,
    /// Sessions that are none, as far as we can read them.
    rejected: u64,
}

impl<J: Jool> Node<J> {
    /// Begins to read our own Jool's table if the engine wants that, and reads the next pages.
    pub(super) fn audit_more(&mut self) {
        let now = Instant::now();
        if self.reading.is_none() && now >= self.audit_not_before && self.engine.wants_audit() {
            self.engine.begin_audit(now);
            self.reading = Some(Reading {
                began: now,
                protocols: &Protocol::ALL,
                after: None,
                rejected: 0,
            });
        }
        let Some(mut reading) = self.reading.take() else {
            return;
        };
        for _ in 0..PAGES {
            let Some((protocol, others)) = reading.protocols.split_first() else {
                self.engine.end_audit(true);
                if reading.rejected > 0 {
                    warn!(
                        "{} sessions of our own Jool cannot be understood, so no other node has them",
                        reading.rejected
                    );
                }
                // A Jool that goes on dropping must not be kept busy with that alone.
                self.audit_not_before = now + 2 * now.saturating_duration_since(reading.began);
                return;
            };
            let engine = &mut self.engine;
            let last = reading.after;
            let after = &mut reading.after;
            let rejected = &mut reading.rejected;
            let more = self
                .jool
                .dump(*protocol, last.as_ref(), |record| match record {
                    Ok(session) => {
                        *after = Some(session.id);
                        engine.handle_dumped(now, &session);
                    }
                    Err(_) => *rejected += 1,
                });
            match more {
                Ok(true) if reading.after != last => {}
                Ok(more) => {
                    if more {
                        warn!(
                            "Jool has more {protocol:?} sessions and none that can be understood: \
                             the rest of them is left out"
                        );
                    }
                    reading.protocols = others;
                    reading.after = None;
                }
                Err(refusal) => {
                    // The next check finds out whether Jool is there, and it is tried again.
                    warn!("the table of our own Jool cannot be read now: {refusal}");
                    self.engine.end_audit(false);
                    self.audit_not_before = now + super::attachment::CHECK_INTERVAL;
                    return;
                }
            }
        }
        self.reading = Some(reading);
    }

    /// Our own Jool is gone.
    pub(super) fn abandon_audit(&mut self) {
        if self.reading.take().is_some() {
            self.engine.end_audit(false);
        }
    }
}
