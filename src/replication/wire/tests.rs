//! What frames are, byte by byte.

use super::replay::REPLAYED;
use super::*;
use crate::session::Session;
use crate::session::tests::udp;

const A: LogKey = LogKey { node: 1, epoch: 7 };
const B: LogKey = LogKey { node: 2, epoch: 9 };
pub(crate) const FROM_A: Sender = Sender {
    log: A,
    clock: Stamp(10),
};

fn progress() -> Progress {
    Progress {
        position: Position { log: B, seq: 4 },
        last: 6,
    }
}

pub(crate) fn hello() -> Hello {
    Hello {
        last: 5,
        state: 2,
        fitness: 5,
        record_length: 40,
        takes: 1_452,
        proof: 7,
        jool: 0x0401_0d00,
        daemon: 0x0001_0000,
        sessions: 3,
        digests: [1, 2, 3, 4, 5],
        name: "ab".to_owned(),
        cluster: "default".to_owned(),
        logs: vec![progress()],
    }
}

pub(crate) fn request() -> Request {
    Request {
        to: B,
        token: 6,
        proof: 7,
        space: Space::Table,
        length: 548,
        frames: 8,
        ranges: vec![(1, 2), (5, 9)],
        since: vec![Position { log: A, seq: 8 }],
        after: Stamp(3),
        buckets: None,
    }
}

const REPLAY: ReplayHead = ReplayHead {
    to: 2,
    token: 6,
    space: Space::Log,
    covers: (3, 4),
    is_last: true,
    is_whole: true,
    slots: 9,
    asked: Stamp(5),
};

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
        format!("ffff6a6402000000{HEAD_A}000000000000000300000005000000060002")
    );
    frame.clear();
    hello().write(FROM_A, &mut frame);
    let expected = format!(
        "ffff6a6402010000{HEAD_A}000000000000000502052805ac00000007\
         04010d000001000000000003000000010000000200000003000000040000000502616207{}01{LOG_B}00000000000000040000000000000006",
        hex(b"default")
    );
    assert_eq!(hex(&frame), expected);
    frame.clear();
    request().write(FROM_A, &mut frame);
    let expected = format!(
        "ffff6a6402020000{HEAD_A}{LOG_B}00000006000000070102240802\
         0000000000000001000000000000000200000000000000050000000000000009\
         01{LOG_A}0000000000000008000000000000000300"
    );
    assert_eq!(hex(&frame), expected);
    frame.clear();
    let mut writer = ReplayWriter::default();
    writer.begin(MAX_FRAME);
    assert!(writer.push(&replayed(Some((B, 4)), 1)) && writer.push(&replayed(None, 2)));
    writer.write(FROM_A, &REPLAY, &mut frame);
    let expected = format!(
        "ffff6a6402030000{HEAD_A}00000000000000020000000600\
         0000000000000003000000000000000403000000000000000900000000000000050102{LOG_B}\
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
    writer.begin(MAX_FRAME);
    assert!(writer.push(&replayed(Some((B, 4)), 1)) && writer.push(&replayed(None, 2)));
    writer.write(FROM_A, &REPLAY, &mut frame);
    let Ok(Frame {
        content: Content::Replay(replay),
        ..
    }) = Frame::parse(&frame)
    else {
        panic!("not a replay");
    };
    assert_eq!(replay.head, REPLAY);
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
    writer.begin(MAX_FRAME);
    for _ in 0..26 {
        assert!(writer.push(&replayed(Some((B, 4)), 1)));
    }
    writer.write(FROM_A, &REPLAY, &mut frame);
    assert!(Frame::parse(&frame).is_ok());
    let mut more_records = frame.clone();
    more_records[79] += 1;
    more_records.extend_from_slice(&frame[frame.len() - REPLAYED..]);
    malformed(&more_records);
    let mut more_logs = frame.clone();
    more_logs[78] += 4;
    more_logs.splice(80..80, [0; 4 * 16]);
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
    hello.cluster = "c".repeat(300);
    hello.logs = vec![progress(); 100];
    hello.write(FROM_A, &mut frame);
    assert!(frame.len() <= MAX_FRAME && Frame::parse(&frame).is_ok());
    frame.clear();
    let mut request = request();
    request.ranges = vec![(1, 2); 100];
    request.since = vec![Position { log: B, seq: 1 }; 100];
    request.buckets = Some(Box::new([0xff; BUCKETS / 8]));
    request.write(FROM_A, &mut frame);
    assert!(frame.len() <= MAX_FRAME && Frame::parse(&frame).is_ok());
    frame.clear();
    let mut writer = ReplayWriter::default();
    writer.begin(MAX_FRAME);
    let mut node = 0;
    let log = |node| LogKey { node, epoch: 1 };
    while writer.push(&replayed(Some((log(1 + node % 4), 1)), 1)) {
        node += 1;
    }
    assert_eq!(node, 26);
    writer.write(FROM_A, &REPLAY, &mut frame);
    assert!(frame.len() <= MAX_FRAME && Frame::parse(&frame).is_ok());
}

#[test]
fn a_frame_is_as_short_as_is_asked_for() {
    for (length, records) in [(MAX_FRAME, 26), (548, 8), (MIN_FRAME, 3)] {
        let mut writer = ReplayWriter::default();
        writer.begin(length);
        let mut node = 0;
        while writer.push(&replayed(Some((B, 1)), 1)) {
            node += 1;
        }
        assert_eq!((node, writer.len()), (records, records));
        let mut frame = Vec::new();
        writer.write(FROM_A, &REPLAY, &mut frame);
        assert!(frame.len() <= length);
    }
}

#[test]
fn the_end_of_a_session_is_a_record_without_a_lifetime() {
    let mut writer = ReplayWriter::default();
    writer.begin(MAX_FRAME);
    let session = Session {
        lifetime: 0,
        // Nobody waited for its timeout.
        timer: crate::session::Timer::Transitory,
        ..udp(1)
    };
    let ended = Replayed {
        session,
        ..replayed(Some((B, 4)), 1)
    };
    assert!(writer.push(&ended));
    let mut frame = Vec::new();
    writer.write(FROM_A, &REPLAY, &mut frame);
    let Ok(Content::Replay(replay)) = Frame::parse(&frame).map(|frame| frame.content) else {
        panic!("not a replay");
    };
    assert_eq!(replay.records().collect::<Vec<_>>(), [Ok(ended)]);
}

#[test]
fn what_is_asked_and_told_fits_a_path_that_loses_long_frames() {
    for length in [MAX_FRAME, 1_232, 548, MIN_FRAME] {
        let mut frame = Vec::new();
        let mut hello = hello();
        hello.name = "n".repeat(64);
        hello.cluster = "c".repeat(32);
        hello.logs = vec![progress(); Hello::most_logs(length)];
        hello.write(FROM_A, &mut frame);
        assert!(
            frame.len() <= length,
            "{length}: a hello of {}",
            frame.len()
        );
        frame.clear();
        let mut request = request();
        request.ranges = vec![(1, 2); Request::most_ranges(length)];
        request.since = vec![Position { log: B, seq: 1 }; Request::most_logs(length)];
        request.buckets = Some(Box::new([0xff; BUCKETS / 8]));
        request.write(FROM_A, &mut frame);
        assert!(
            frame.len() <= length,
            "{length}: a request of {}",
            frame.len()
        );
    }
}
