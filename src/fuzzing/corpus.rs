//! Input that makes sense, for others to be made of.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::jool::{Instance, Version};
use crate::replication::wire::{
    BUCKETS, Data, Hello, LogKey, Position, Progress, ReplayHead, ReplayWriter, Replayed, Request,
    Sender, Space, Sums,
};
use crate::seal::{Keys, Policy, Seal, Settings, random};
use crate::session::{
    Format, Identity, Pool4, Prefix, Protocol, Session, Stamp, State, Timeouts, Timer,
};

pub(super) const KEYS: &[u8] =
    b"# of the group\n1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= send\n\
    2 IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";

const A: LogKey = LogKey {
    node: 1,
    epoch: 100,
};
const FROM_A: Sender = Sender {
    log: A,
    clock: Stamp(1_000_000),
};

pub(super) fn instance() -> Instance {
    Instance {
        settings: Vec::new(),
        name: "default".to_owned(),
        version: Version::NEWEST,
        format: Version::NEWEST.format(),
        pool6: Prefix::WELL_KNOWN,
        is_paused: false,
        pool4: Pool4::everything(),
        timeouts: Timeouts::default(),
        repairs: Vec::new(),
        unrepaired: None,
    }
}

/// The shortest and the longest kind of pool6.
pub(super) fn prefixes() -> [Prefix; 2] {
    let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);
    let short = Prefix::new(address, 32).unwrap_or(Prefix::WELL_KNOWN);
    [short, Prefix::WELL_KNOWN]
}

fn session(protocol: Protocol, port: u16) -> Session {
    let (state, timer) = match protocol {
        Protocol::Tcp => (State::V4FinRcv, Timer::Established),
        _ => (State::Established, Timer::Established),
    };
    Session {
        id: Identity {
            src6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, port),
            src6_port: port,
            src4: Ipv4Addr::new(198, 51, 100, 1),
            src4_port: port,
            dst4: Ipv4Addr::new(192, 0, 2, 8),
            dst4_port: port,
            protocol,
        },
        state,
        timer,
        lifetime: 200_000,
    }
}

/// Runs of records in each format.
pub(super) fn records() -> Vec<Vec<u8>> {
    let mut runs = Vec::new();
    for format in Format::ALL {
        for prefix in prefixes() {
            let mut run = Vec::new();
            for protocol in Protocol::ALL {
                if format.can_express(&prefix) {
                    format.write(&session(protocol, 7), &prefix, &mut run);
                }
            }
            runs.push(run);
        }
    }
    runs
}

/// A frame of each kind, hellos first.
pub(super) fn frames() -> Vec<Vec<u8>> {
    let own = LogKey { node: 7, epoch: 1 };
    let mut frames = Vec::new();
    let mut add = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = Vec::new();
        write(&mut frame);
        frames.push(frame);
    };
    let position = Position { log: own, seq: 0 };
    let hello = Hello {
        cluster: "default".to_owned(),
        last: 9,
        state: 2,
        fitness: 1,
        record_length: 40,
        takes: 1_452,
        proof: 7,
        jool: 0x0401_0d00,
        daemon: 0x0001_0000,
        sessions: 3,
        digests: [1, 2, 3, 4, 5],
        name: "nat64-a".to_owned(),
        logs: vec![Progress { position, last: 6 }],
    };
    add(&|frame| hello.write(FROM_A, frame));
    add(&|frame| {
        for protocol in Protocol::ALL {
            Format::Flat40.write(&session(protocol, 9), &Prefix::WELL_KNOWN, frame);
        }
        Data::write(FROM_A, 1, &[1, 2, 3], frame);
    });
    for (space, buckets) in [
        (Space::Log, None),
        (Space::Table, None),
        (Space::Table, Some(Box::new([0xff; BUCKETS / 8]))),
        (Space::Sums, None),
    ] {
        let request = Request {
            to: own,
            token: 6,
            proof: 7,
            space,
            length: 548,
            frames: 8,
            ranges: vec![(0, 2), (5, 9)],
            since: vec![Position { log: A, seq: 8 }],
            after: Stamp(3),
            buckets,
        };
        add(&|frame| request.write(FROM_A, frame));
    }
    let mut writer = ReplayWriter::default();
    writer.begin(1_452);
    for place in [Some((A, 4)), None] {
        writer.push(&Replayed {
            place,
            age: 7,
            session: session(Protocol::Tcp, 11),
        });
    }
    let replay = ReplayHead {
        to: 7,
        token: 6,
        space: Space::Log,
        covers: (3, 4),
        is_last: true,
        is_whole: true,
        slots: 9,
        asked: Stamp(5),
    };
    add(&|frame| writer.write(FROM_A, &replay, frame));
    add(&|frame| Sums::write(FROM_A, (7, 6), Stamp(5), 0, &[1, 2, 3, 4], frame));
    frames
}

/// Introductions and sealed frames of a node with a key.
pub(super) fn sealed() -> Vec<Vec<u8>> {
    let now = std::time::Instant::now();
    let (policy, keys) = (Policy::Send, Keys::parse(KEYS).ok());
    let mut seal = Seal::new(now, Settings { policy, keys }, random);
    let mut all = Vec::new();
    for frame in frames() {
        seal.prepare(&frame);
        all.extend(seal.introduction(now).map(<[u8]>::to_vec));
        all.extend(seal.seal(&frame).map(<[u8]>::to_vec));
    }
    // What is in an introduction.
    let mut content = vec![7; 8];
    content.extend_from_slice(&[2, 1, 0, 1, 1, 2, 3, 4, 2]);
    content.extend_from_slice(&[9; 16]);
    all.push(content);
    all
}

/// Messages as a module sends them: a multicast, and an answer with an error.
pub(super) fn netlink() -> Vec<Vec<u8>> {
    let message = |family: u16, body: &[u8]| {
        let length = u32::try_from(16 + body.len()).unwrap_or(0);
        let mut message = length.to_ne_bytes().to_vec();
        message.extend_from_slice(&family.to_ne_bytes());
        message.extend_from_slice(&[0; 10]);
        message.extend_from_slice(body);
        message
    };
    let attribute = |kind: u16, value: &[u8]| {
        let length = u16::try_from(4 + value.len()).unwrap_or(0);
        let mut attribute = length.to_ne_bytes().to_vec();
        attribute.extend_from_slice(&kind.to_ne_bytes());
        attribute.extend_from_slice(value);
        attribute.resize(attribute.len().next_multiple_of(4), 0);
        attribute
    };
    let head = |flags: u8| {
        let mut head = b"\x00\x02\x00\x00jool\x04\x01\x0d\x00\x02".to_vec();
        head.extend_from_slice(&[flags, 0, 0]);
        head.extend_from_slice(b"default\0\0\0\0\0\0\0\0\0");
        head
    };
    let pool4 = [
        attribute(4, &[1]),
        attribute(
            5,
            &[attribute(1, &[192, 0, 2, 8]), attribute(2, &[32])].concat(),
        ),
        attribute(6, &1_u16.to_ne_bytes()),
        attribute(7, &9_u16.to_ne_bytes()),
    ];
    let prefix = [attribute(1, &[0x20; 16]), attribute(2, &[96])];
    let mut all = Vec::new();
    for value in [
        pool4.concat(),
        prefix.concat(),
        7_u64.to_ne_bytes().to_vec(),
    ] {
        let body = [head(0), attribute(2, &value), attribute(7, &value)].concat();
        all.push(message(0x22, &body));
    }
    for run in records() {
        all.push(message(0x22, &[head(0), attribute(7, &run)].concat()));
    }
    let refusal = [
        attribute(1, &22_u16.to_ne_bytes()),
        attribute(2, b"Session sync is disabled.\0"),
    ];
    for flags in [1, 2] {
        all.push(message(0x22, &[head(flags), refusal.concat()].concat()));
    }
    let family = [attribute(2, b"Jool\0"), attribute(1, &34_u16.to_ne_bytes())];
    all.push(message(16, &[vec![1, 2, 0, 0], family.concat()].concat()));
    all.push(message(2, &[0xff; 20]));
    all
}

/// The samples.
pub(super) fn configurations() -> Vec<Vec<u8>> {
    [
        include_str!("../../tests/samples/complete.json"),
        include_str!("../../tests/samples/stock-instance.json"),
        include_str!("../../tests/samples/stock-ipv4.json"),
        include_str!("../../tests/samples/stock-ipv6.json"),
        include_str!("../../tests/samples/unicast.json"),
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(super) fn keys() -> Vec<Vec<u8>> {
    vec![KEYS.to_vec()]
}
