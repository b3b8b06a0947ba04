//! What the tests of whole programs and of whole networks share.

#![allow(
    dead_code,
    reason = "compiled into each of those tests, none of which uses all of it"
)]

pub(crate) mod bus;
pub(crate) mod daemon;
pub(crate) mod namespaces;
pub(crate) mod network;

use std::thread;
use std::time::Duration;

use joold::session::{Format, Identity, Prefix, Protocol, Session, State, Timer};

/// How long anything may take that is certain to come.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// How long to wait before the next try of something that may need several.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);
pub(crate) const TRIES: u32 = 200;

/// A record as a stock node sends it, with nothing else: that of a session with an hour to live.
pub(crate) fn stock_record() -> Vec<u8> {
    let session = Session {
        id: Identity {
            src6: "2001:db8::5".parse().unwrap(),
            src6_port: 4000,
            src4: "198.51.100.1".parse().unwrap(),
            src4_port: 5000,
            dst4: "203.0.113.7".parse().unwrap(),
            dst4_port: 80,
            protocol: Protocol::Tcp,
        },
        state: State::Established,
        timer: Timer::Established,
        lifetime: 3_600_000,
    };
    let mut record = Vec::new();
    Format::Flat40.write(&session, &Prefix::WELL_KNOWN, &mut record);
    record
}

/// Looks again and again whether something has come about, and stops the test if it never does.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// As [`wait_until`], for something that is there by then.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..TRIES {
        if let Some(found) = look() {
            return found;
        }
        thread::sleep(PAUSE);
    }
    panic!("in vain: {what}");
}
