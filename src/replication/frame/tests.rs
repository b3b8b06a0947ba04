//! What frames are, byte by byte.

use super::super::MAX_FRAME;
use super::*;
use crate::session::tests::udp;

const A: LogKey = LogKey { node: 1, epoch: 7 };
const B: LogKey = LogKey { node: 2, epoch: 9 };
pub(in crate::replication) const FROM_A: Sender = Sender {
    log: A,
    clock: Reading {
        at: Stamp(10),
        times_set: 0,
    },
};

fn progress() -> Progress {
    Progress {
        position: Position { log: B, seq: 4 },
        last: 6,
        age: 7,
    }
}

pub(in crate::replication) fn hello() -> Hello {
    Hello {
        last: 5,
        state: 2,
        solicits: true,
        record_length: 40,
        jool: 0x0401_0d00,
        daemon: 0x0001_0000,
        sessions: 3,
        digests: [1, 2, 3],
        lacks: 8,
        name: "ab".to_owned(),
        logs: vec![progress()],
    }
}

pub(in crate::replication) fn request() -> Request {
    Request {
        to: B,
        token: 6,
        space: Space::Table,
        ranges: vec![(1, 2), (5, 9)],
        since: vec![Position { log: A, seq: 8 }],
    }
}

fn replayed(place: Option<(LogKey, u64)>, port: u16) -> Replayed {
    Replayed {
        place,
        age: 7,
        session: udp(port),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const LOG_A: &str = "00000000000000010000000000000007";
const HEAD_A: &str = "00000000000000010000000000000007000000000000000a";
const LOG_B: &str = "00000000000000020000000000000009";

#[test]
fn a_frame_of_each_kind_is_these_bytes() {
    let mut frame = Vec::new();
    Data::write(FROM_A, 3, &[5, 6], &mut frame);
    assert_eq!(
        hex(&frame),
        format!("ffff6a6401000000{HEAD_A}000000000000000300000005000000060002")
    );
    frame.clear();
    hello().write(FROM_A, &mut frame);
    let expected = format!(
        "ffff6a6401010000{HEAD_A}0000000000000005020128\
         04010d0000010000000000030000000100000002000000030000000802616201{LOG_B}0000000000000004000000000000000600000007"
    );
    assert_eq!(hex(&frame), expected);
    frame.clear();
    request().write(FROM_A, &mut frame);
    let expected = format!(
        "ffff6a6401020000{HEAD_A}{LOG_B}000000060102\
         0000000000000001000000000000000200000000000000050000000000000009\
         01{LOG_A}0000000000000008"
    );
    assert_eq!(hex(&frame), expected);
    frame.clear();
    let mut writer = ReplayWriter::default();
    assert!(writer.push(&replayed(Some((B, 4)), 1)) && writer.push(&replayed(None, 2)));
    writer.write(FROM_A, 2, 6, Space::Log, (3, 4), true, 9, 5, &mut frame);
    let expected = format!(
        "ffff6a6401030000{HEAD_A}00000000000000020000000600\
         00000000000000030000000000000004010000000000000009000000050102{LOG_B}\
         00000000000000000400000007{}ff000000000000000000000007{}",
        hex(&udp(1).to_body()),
        hex(&udp(2).to_body())
    );
    assert_eq!(hex(&frame), expected);
}

#[test]
fn a_frame_is_read_as_it_was_written() {
    let mut frame = Vec::new();
    hello().write(FROM_A, &mut frame);
    let expected = Frame {
        from: FROM_A,
        content: Content::Hello(hello()),
    };
    assert_eq!(Frame::parse(&frame), Ok(expected));
    frame.clear();
    request().write(FROM_A, &mut frame);
    let expected = Frame {
        from: FROM_A,
        content: Content::Request(request()),
    };
    assert_eq!(Frame::parse(&frame), Ok(expected));
    frame.clear();
    let mut writer = ReplayWriter::default();
    assert!(writer.push(&replayed(Some((B, 4)), 1)) && writer.push(&replayed(None, 2)));
    writer.write(FROM_A, 2, 6, Space::Log, (3, 4), true, 9, 5, &mut frame);
    let Ok(Frame {
        content: Content::Replay(replay),
        ..
    }) = Frame::parse(&frame)
    else {
        panic!("not a replay");
    };
    let Replay {
        to,
        token,
        space,
        covers,
        is_last,
        slots,
        lacks,
        ..
    } = replay;
    assert_eq!((to, token, space, covers), (2, 6, Space::Log, (3, 4)));
    assert_eq!((is_last, slots, lacks), (true, 9, 5));
    let records: Vec<_> = replay.records().collect();
    let expected = [replayed(Some((B, 4)), 1), replayed(None, 2)];
    assert_eq!(records, expected.map(Ok));
}

#[test]
fn what_a_frame_may_not_say_is_malformed() {
    let mut frame = Vec::new();
    let malformed = |frame: &[u8]| assert_eq!(Frame::parse(frame), Err(Unreadable::Malformed));
    Data::write(FROM_A, HIGHEST, &[5], &mut frame);
    assert!(Frame::parse(&frame).is_ok());
    frame.clear();
    Data::write(FROM_A, HIGHEST, &[5, 5], &mut frame);
    malformed(&frame);
    frame.clear();
    hello().write(FROM_A, &mut frame);
    let name = frame.iter().position(|byte| *byte == b'a').unwrap();
    frame.splice(name - 1..=name + 1, [65].into_iter().chain([b'n'; 65]));
    malformed(&frame);
    frame.clear();
    let mut writer = ReplayWriter::default();
    for _ in 0..26 {
        assert!(writer.push(&replayed(Some((B, 4)), 1)));
    }
    writer.write(FROM_A, 2, 6, Space::Log, (3, 4), true, 9, 5, &mut frame);
    assert!(Frame::parse(&frame).is_ok());
    let mut more_records = frame.clone();
    more_records[75] += 1;
    more_records.extend_from_slice(&frame[frame.len() - REPLAYED..]);
    malformed(&more_records);
    let mut more_logs = frame.clone();
    more_logs[74] += 4;
    more_logs.splice(76..76, [0; 4 * 16]);
    malformed(&more_logs);
}

#[test]
fn a_name_has_nothing_that_moves_what_stands_beside_it() {
    let mut frame = Vec::new();
    let name = "a\u{202e}b\u{2028}\u{1b}[2J\nc\u{feff}é".to_owned();
    Hello { name, ..hello() }.write(FROM_A, &mut frame);
    let Ok(Content::Hello(hello)) = Frame::parse(&frame).map(|frame| frame.content) else {
        panic!("not a hello");
    };
    assert_eq!(hello.name, "ab[2Jcé");
}

#[test]
fn the_largest_frames_fit() {
    let mut frame = Vec::new();
    let mut hello = hello();
    hello.name = "n".repeat(300);
    hello.logs = vec![progress(); 100];
    hello.write(FROM_A, &mut frame);
    assert!(frame.len() <= MAX_FRAME && Frame::parse(&frame).is_ok());
    frame.clear();
    let mut request = request();
    request.ranges = vec![(1, 2); 100];
    request.since = vec![Position { log: B, seq: 1 }; 100];
    request.write(FROM_A, &mut frame);
    assert!(frame.len() <= MAX_FRAME && Frame::parse(&frame).is_ok());
    frame.clear();
    let mut writer = ReplayWriter::default();
    let mut node = 0;
    let log = |node| LogKey { node, epoch: 1 };
    while writer.push(&replayed(Some((log(1 + node % 4), 1)), 1)) {
        node += 1;
    }
    assert_eq!(node, 26);
    writer.write(FROM_A, 2, 6, Space::Log, (3, 4), true, 9, 5, &mut frame);
    assert!(frame.len() <= MAX_FRAME && Frame::parse(&frame).is_ok());
}
