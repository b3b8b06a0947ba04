//! The reading of our own Jool's table, a few pages at a time.

use std::time::Instant;

use tracing::{debug, warn};

use super::attachment::CHECK_INTERVAL;
use crate::jool::{Client, Jool, Mask, Refusal};
use crate::replication::Engine;
use crate::session::{Identity, Protocol};

/// Pages of a table, of some 26 sessions each, that are read before the others get their turn.
const PAGES: usize = 16;

/// Reads the table when the engine wants that.
pub(super) struct TableReader {
    reading: Option<Reading>,
    /// It was read to its end, and it has to be seen whether the instance is still the one that it was.
    is_read: bool,
    not_before: Instant,
}

/// How far the reading is.
struct Reading {
    began: Instant,
    protocols: &'static [Protocol],
    after: Option<Identity>,
    /// What of the BIB is to be read after that, from where on, and what of it is static; `None`: it cannot be
    /// read.
    bib: &'static [Protocol],
    after_mask: Option<Mask>,
    static_bib: Option<Vec<(Protocol, Mask, Client)>>,
    /// Sessions that are none, as far as we can read them.
    rejected: u64,
}

impl TableReader {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            reading: None,
            is_read: false,
            not_before: now,
        }
    }

    /// Whether there is more to be read at once.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Begins to read the table if the engine wants that, and reads the next pages.
    pub(super) fn read(&mut self, now: Instant, jool: &mut impl Jool, engine: &mut Engine) {
        if self.reading.is_none() && now >= self.not_before && engine.wants_audit() {
            engine.begin_audit(now);
            self.reading = Some(Reading {
                began: now,
                protocols: &Protocol::ALL,
                after: None,
                bib: &Protocol::ALL,
                after_mask: None,
                static_bib: Some(Vec::new()),
                rejected: 0,
            });
        }
        let Some(reading) = &mut self.reading else {
            return;
        };
        for _ in 0..PAGES {
            match reading.page(now, jool, engine) {
                Ok(true) => {}
                Ok(false) => {
                    if let Some(entries) = &reading.static_bib {
                        engine.handle_static_bib(entries);
                    }
                    self.is_read = true;
                    // A Jool that goes on dropping must not be kept busy with that alone.
                    let took = now.saturating_duration_since(reading.began);
                    self.not_before = now + 2 * took;
                    self.reading = None;
                    return;
                }
                Err(refusal) => {
                    // The next check finds out whether Jool is there, and it is tried again.
                    warn!("the table of our own Jool cannot be read now: {refusal}");
                    engine.end_audit(false);
                    self.not_before = now + CHECK_INTERVAL;
                    self.reading = None;
                    return;
                }
            }
        }
    }

    /// Whether the instance is to be looked at, and [`TableReader::end`] called.
    pub(super) fn is_read(&self) -> bool {
        self.is_read
    }

    /// What was read is that of an instance that is still there.
    pub(super) fn end(&mut self, engine: &mut Engine) {
        if std::mem::take(&mut self.is_read) {
            engine.end_audit(true);
        }
    }

    /// Our own Jool is gone, or it is another one.
    pub(super) fn abandon(&mut self, engine: &mut Engine) {
        if self.reading.take().is_some() | std::mem::take(&mut self.is_read) {
            engine.end_audit(false);
        }
    }
}

impl Reading {
    /// Reads the next page; `false`: there is none.
    fn page(
        &mut self,
        now: Instant,
        jool: &mut impl Jool,
        engine: &mut Engine,
    ) -> Result<bool, Refusal> {
        Ok(self.sessions(now, jool, engine)? || self.bib(jool))
    }

    /// Reads the next page of the BIB.
    fn bib(&mut self, jool: &mut impl Jool) -> bool {
        let Some((protocol, others)) = self.bib.split_first() else {
            return false;
        };
        let last = self.after_mask;
        let page = jool.dump_bib(*protocol, last, |mask, client| {
            self.after_mask = Some(mask);
            if let (true, Some(entries)) = (client.is_static, &mut self.static_bib) {
                entries.push((*protocol, mask, client));
            }
        });
        match page {
            Ok(true) if self.after_mask != last => {}
            Ok(_) => (self.bib, self.after_mask) = (others, None),
            Err(refusal) => {
                // The sessions count without it.
                debug!("the BIB of our own Jool cannot be read: {refusal}");
                (self.bib, self.static_bib) = (&[], None);
            }
        }
        true
    }

    /// Reads the next page of the sessions.
    fn sessions(
        &mut self,
        now: Instant,
        jool: &mut impl Jool,
        engine: &mut Engine,
    ) -> Result<bool, Refusal> {
        let Some((protocol, others)) = self.protocols.split_first() else {
            if std::mem::take(&mut self.rejected) > 0 {
                warn!(
                    "there are sessions of our own Jool that cannot be understood: no other node has them"
                );
            }
            return Ok(false);
        };
        let last = self.after;
        let more = jool.dump(*protocol, last.as_ref(), |record| match record {
            Ok(session) => {
                self.after = Some(session.id);
                engine.handle_dumped(now, &session);
            }
            Err(_) => self.rejected += 1,
        })?;
        if more && self.after != last {
            return Ok(true);
        }
        if more {
            engine.handle_left_out();
            warn!(
                "Jool has more {protocol:?} sessions and none that can be understood: the rest of them is \
                 left out"
            );
        }
        (self.protocols, self.after) = (others, None);
        Ok(true)
    }
}
