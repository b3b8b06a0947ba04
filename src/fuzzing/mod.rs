//! Every parser that strangers, the kernel or an operator feeds, for whoever makes input up: `fuzz/` for cargo-fuzz,
//! and the loop of mutations below for a stable toolchain. Only there in tests and when fuzzing.

mod corpus;
#[cfg(test)]
mod mutation;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Instant;

use crate::config::{self, Document, Input, Lookups};
use crate::jool::kernel::message;
use crate::replication::wire::{self, Content, Frame};
use crate::replication::{Engine, Settings};
use crate::seal::{self, Keys, Policy, Seal};
use crate::session::{Format, Prefix, parse_run};

/// A name, what reads input, and input that makes sense.
pub type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("frames", frames, corpus::frames),
    ("engine", engine, corpus::frames),
    ("sealed", sealed, corpus::sealed),
    ("records", records, corpus::records),
    ("netlink", netlink, corpus::netlink),
    ("configuration", configuration, corpus::configurations),
    ("keys", keys, corpus::keys),
];

/// Inputs after which what reads them begins anew.
const FRESH: u32 = 1 << 14;

/// Something that remembers what it read, and is made anew now and then.
struct Kept<T> {
    inner: Option<T>,
    inputs: u32,
}

impl<T> Kept<T> {
    const fn new() -> RefCell<Self> {
        RefCell::new(Self {
            inner: None,
            inputs: 0,
        })
    }

    fn get(&mut self, make: impl FnOnce() -> T) -> &mut T {
        self.inputs += 1;
        if self.inputs.is_multiple_of(FRESH) {
            self.inner = None;
        }
        self.inner.get_or_insert_with(make)
    }
}

thread_local! {
    static ENGINE: RefCell<Kept<Engine>> = const { Kept::new() };
    static SEAL: RefCell<Kept<Seal>> = const { Kept::new() };
}

/// Reads a datagram to the last byte.
pub fn frames(bytes: &[u8]) {
    let (records, frame) = wire::split(bytes);
    parse_run(records, &Prefix::WELL_KNOWN, |record| {
        let _ = record;
    });
    let _ = wire::sender(bytes);
    match Frame::parse(frame).map(|frame| frame.content) {
        Ok(Content::Data(data)) => assert_eq!(data.ages().count(), data.count()),
        Ok(Content::Replay(replay)) => {
            let _ = replay.records().count();
        }
        Ok(Content::Sums(sums)) => {
            let _ = sums.iter().count();
        }
        Ok(Content::Hello(hello)) => assert!(!hello.name.contains('\n')),
        Ok(Content::Request(_)) | Err(_) => {}
    }
}

/// An engine that has joined takes a datagram, and says and tells its Jool whatever comes of it.
pub fn engine(bytes: &[u8]) {
    ENGINE.with_borrow_mut(|kept| {
        let now = Instant::now();
        let engine = kept.get(|| joined(now));
        let from = SocketAddr::from(([192, 0, 2, 1], 6400));
        engine.handle_datagram(now, from, bytes);
        let mut buffer = Vec::new();
        while engine.poll_transmit(now, &mut buffer).is_some() {
            assert!(buffer.len() <= wire::MAX_FRAME);
        }
        while engine.poll_inject(now, &mut buffer) {}
        while engine.poll_event().is_some() {}
        if engine.poll_timeout().is_none_or(|due| due <= now) {
            engine.handle_timeout(now);
        }
    });
}

fn joined(now: Instant) -> Engine {
    let settings = Settings {
        node: 7,
        most_sessions: 2_000,
        ..Settings::default()
    };
    let mut engine = Engine::new(now, settings);
    engine.handle_attached(now, &corpus::instance());
    engine.begin_audit(now);
    engine.end_audit(true);
    // What has been introduced is read further than what has not.
    for frame in corpus::frames() {
        engine.handle_datagram(now, SocketAddr::from(([192, 0, 2, 1], 6400)), &frame);
        engine.handle_timeout(now);
    }
    engine
}

/// A seal takes a datagram; and what is behind the tag is read.
pub fn sealed(bytes: &[u8]) {
    SEAL.with_borrow_mut(|kept| {
        let now = Instant::now();
        let seal = kept.get(|| {
            let keys = Keys::parse(corpus::KEYS).ok();
            let policy = Policy::Require;
            Seal::new(now, seal::Settings { policy, keys }, seal::random)
        });
        if let Some(frame) = seal.open(now, bytes) {
            frames(frame);
        }
        seal::read_introduction(bytes);
    });
}

/// Reads a run of records, and writes each as it was read.
pub fn records(bytes: &[u8]) {
    let [short, long] = corpus::prefixes();
    for prefix in [short, long] {
        parse_run(bytes, &prefix, |record| {
            let Ok(session) = record else { return };
            for format in Format::ALL {
                if !format.can_express(&prefix) {
                    continue;
                }
                let mut written = Vec::new();
                format.write(&session, &prefix, &mut written);
                let mut count = 0;
                parse_run(&written, &prefix, |again| {
                    assert_eq!(again, Ok(session), "{format}");
                    count += 1;
                });
                assert_eq!(count, 1);
            }
        });
    }
}

/// Reads a netlink message.
pub fn netlink(bytes: &[u8]) {
    let _ = message::read_all(bytes);
}

/// Reads a configuration.
pub fn configuration(bytes: &[u8]) {
    let lookups = Lookups {
        interface: &|_| Ok(()),
        service: &|_| Ok(None),
    };
    let document = || {
        Some(Document {
            name: "a.json".to_owned(),
            content: Ok(bytes.to_vec()),
        })
    };
    let input = Input {
        network: document(),
        instance: document(),
        statistics_port: None,
        interface: None,
    };
    if let Err(problems) = config::parse(&input, &lookups) {
        assert_eq!(problems.to_string().lines().count(), problems.0.len());
    }
}

/// Reads a file of keys.
pub fn keys(bytes: &[u8]) {
    match Keys::parse(bytes) {
        Ok(keys) => assert!(!format!("{keys:?}").is_empty()),
        Err(problems) => assert!((1..=10).contains(&problems.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_input_is_made_of_makes_sense() {
        for frame in corpus::frames() {
            let (records, trailer) = wire::split(&frame);
            assert!(Frame::parse(trailer).is_ok(), "{frame:?}");
            parse_run(records, &Prefix::WELL_KNOWN, |record| {
                assert!(record.is_ok());
            });
        }
        let mut messages = corpus::netlink();
        let foreign = messages.pop().unwrap();
        assert!(!message::read_all(&foreign));
        assert!(messages.iter().all(|message| message::read_all(message)));
        let mut count = 0;
        for prefix in corpus::prefixes() {
            for run in corpus::records() {
                parse_run(&run, &prefix, |record| count += u32::from(record.is_ok()));
            }
        }
        assert!(count >= 15, "{count}");
        assert!(Keys::parse(&corpus::keys()[0]).is_ok());
    }
}
