use super::*;
use proptest::prelude::*;

/// A UDP session of the client's port `port`.
pub(crate) fn udp(port: u16) -> Session {
    Session {
        id: Identity {
            src6: "2001:db8::8".parse().unwrap(),
            src6_port: port,
            src4: Ipv4Addr::new(198, 51, 100, 1),
            src4_port: port,
            dst4: Ipv4Addr::new(192, 0, 2, 8),
            dst4_port: 9000,
            protocol: Protocol::Udp,
        },
        state: State::Established,
        timer: Timer::Established,
        lifetime: 300_000,
    }
}

/// Any session that a Jool could have.
pub(crate) fn any_session() -> impl Strategy<Value = Session> {
    let tcp = (0..7_u8, 0..3_u8).prop_map(|(state, timer)| (0_u8, state, timer));
    let others = (1..3_u8).prop_map(|protocol| (protocol, 0, 0));
    (
        any::<[u16; 8]>(),
        any::<[u8; 8]>(),
        any::<[u16; 3]>(),
        prop_oneof![tcp, others],
        any::<u32>(),
    )
        .prop_filter_map(
            "no session's addresses",
            |(src6, v4, ports, (p, s, t), lifetime)| {
                let [a, b, c, d, e, f, g, h] = v4;
                let [src6_port, src4_port, dst4_port] = ports;
                let endpoints = Endpoints {
                    src6: src6.into(),
                    src6_port,
                    src4: Ipv4Addr::new(a, b, c, d),
                    src4_port,
                    dst4: Ipv4Addr::new(e, f, g, h),
                    dst4_port: if p == 2 { src4_port } else { dst4_port },
                };
                Session::checked(endpoints, p, s, t, lifetime).ok()
            },
        )
}

fn parse(run: &[u8]) -> Vec<Result<Session, Reject>> {
    let mut records = Vec::new();
    parse_run(run, &Prefix::WELL_KNOWN, |record| records.push(record));
    records
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn session(
    protocol: Protocol,
    [src6_port, src4_port, dst4_port]: [u16; 3],
    src4: [u8; 4],
    (state, timer, lifetime): (State, Timer, u32),
) -> Session {
    let mut session = udp(src6_port);
    session.id.protocol = protocol;
    session.id.src4 = src4.into();
    session.id.src4_port = src4_port;
    session.id.dst4_port = dst4_port;
    Session {
        state,
        timer,
        lifetime,
        ..session
    }
}

const EST: (State, Timer, u32) = (State::Established, Timer::Established, 0);

// The literal bytes below were multicast by real modules on a little-endian machine while
// 2001:db8::8 sent a UDP datagram and a ping to, and closed a TCP connection with, 192.0.2.8.
// What `jool session display` said of the same sessions is the expectation.
#[cfg(target_endian = "little")]
#[test]
fn records_of_a_real_4_1_13_are_read_and_written_to_the_byte() {
    let run = hex(
        "2800010020010db8000000000000000000000008c6336401c0000208000493e00400879e23280020
         2800010020010db8000000000000000000000008c6336401c00002080000ea600230d458d4580040
         2800010020010db8000000000000000000000008c6336401c0000208006ddcf89c401b760050000c
         2800010020010db8000000000000000000000008c6336401c00002080003a9509c401b7600500015",
    );
    let mask = [198, 51, 100, 1];
    let expected = [
        session(
            Protocol::Udp,
            [1024, 34718, 9000],
            mask,
            (EST.0, EST.1, 300_000),
        ),
        session(
            Protocol::Icmp,
            [560, 54360, 54360],
            mask,
            (EST.0, EST.1, 60_000),
        ),
        session(
            Protocol::Tcp,
            [40000, 7030, 80],
            mask,
            (State::V4FinRcv, Timer::Established, 7_199_992),
        ),
        session(
            Protocol::Tcp,
            [40000, 7030, 80],
            mask,
            (State::V4FinV6FinRcv, Timer::Transitory, 239_952),
        ),
    ];
    proved(Format::Flat40, &run, &expected);
}

#[cfg(target_endian = "little")]
#[test]
fn records_of_a_real_4_1_12_are_read_and_written_to_the_byte() {
    let run = hex(
        "3400010020010db80000000000000000000000080064ff9b0000000000000000c0000208c6336401000493e00400232861210020
         3400010020010db80000000000000000000000080064ff9b0000000000000000c0000208c63364010000ea6001c501c5e8960040
         3400010020010db80000000000000000000000080064ff9b0000000000000000c0000208c63364020003a9809c400050fd840005
         3400010020010db80000000000000000000000080064ff9b0000000000000000c0000208c63364020003a9509c400050fd840015",
    );
    let expected = [
        session(
            Protocol::Udp,
            [1024, 24865, 9000],
            [198, 51, 100, 1],
            (EST.0, EST.1, 300_000),
        ),
        session(
            Protocol::Icmp,
            [453, 59542, 59542],
            [198, 51, 100, 1],
            (EST.0, EST.1, 60_000),
        ),
        session(
            Protocol::Tcp,
            [40000, 64900, 80],
            [198, 51, 100, 2],
            (State::V6Init, Timer::Transitory, 240_000),
        ),
        session(
            Protocol::Tcp,
            [40000, 64900, 80],
            [198, 51, 100, 2],
            (State::V4FinV6FinRcv, Timer::Transitory, 239_952),
        ),
    ];
    proved(Format::Flat52, &run, &expected);
}

#[cfg(target_endian = "little")]
#[test]
fn records_of_a_real_4_1_9_are_read_and_written_to_the_byte() {
    let run = hex(
        "8c000180200001801400010020010db8000000000000000000000008060002000004000020000280140001000064ff9b0000000000000000c000020806000200282300001400038008000100c633640106000200f8aa00001400048008000100c0000208060002002823000005000500010000000500060000000000050007000000000008000800e0930400
         8c000180200001801400010020010db800000000000000000000000806000200c001000020000280140001000064ff9b0000000000000000c000020806000200c00100001400038008000100c6336401060002001d0b00001400048008000100c0000208060002001d0b00000500050002000000050006000000000005000700000000000800080060ea0000
         8c000180200001801400010020010db800000000000000000000000806000200409c000020000280140001000064ff9b0000000000000000c000020806000200500000001400038008000100c63364020600020028b900001400048008000100c000020806000200500000000500050000000000050006000500000005000700010000000800080080a90300",
    );
    let expected = [
        session(
            Protocol::Udp,
            [1024, 43768, 9000],
            [198, 51, 100, 1],
            (EST.0, EST.1, 300_000),
        ),
        session(
            Protocol::Icmp,
            [448, 2845, 2845],
            [198, 51, 100, 1],
            (EST.0, EST.1, 60_000),
        ),
        session(
            Protocol::Tcp,
            [40000, 47400, 80],
            [198, 51, 100, 2],
            (State::V4FinV6FinRcv, Timer::Transitory, 240_000),
        ),
    ];
    proved(Format::Tlv140, &run, &expected);
}

/// Reading gives what is expected, and writing that gives the same bytes again.
fn proved(format: Format, run: &[u8], expected: &[Session]) {
    assert_eq!(
        parse(run),
        expected.iter().copied().map(Ok).collect::<Vec<_>>()
    );
    let mut written = Vec::new();
    for session in expected {
        format.write(session, &Prefix::WELL_KNOWN, &mut written);
    }
    assert_eq!(written, run);
}

#[test]
fn a_4_1_9_record_without_the_nested_flag_is_read_too() {
    let mut run = Vec::new();
    Format::Tlv140.write(&udp(1), &Prefix::WELL_KNOWN, &mut run);
    for offset in [0, 4, 36, 68, 88] {
        let kind = u16::from_ne_bytes([run[offset + 2], run[offset + 3]]) & !0x8000;
        run[offset + 2..offset + 4].copy_from_slice(&kind.to_ne_bytes());
    }
    assert_eq!(parse(&run), [Ok(udp(1))]);
}

/// A record of a format with some bytes changed.
fn damaged(format: Format, changes: &[(usize, u8)]) -> Vec<u8> {
    let mut run = Vec::new();
    format.write(&udp(1), &Prefix::WELL_KNOWN, &mut run);
    for &(offset, value) in changes {
        run[offset] = value;
    }
    run
}

#[test]
fn a_record_that_would_harm_a_jool_is_refused_by_reason() {
    let low = |value: u16| value.to_ne_bytes()[0];
    let high = |value: u16| value.to_ne_bytes()[1];
    let flags = |flags: u16| [(38, flags.to_be_bytes()[0]), (39, flags.to_be_bytes()[1])];
    for (format, changes, reason) in [
        (
            Format::Flat40,
            vec![(0, low(3)), (1, high(3))],
            Reject::Malformed,
        ),
        (
            Format::Flat40,
            vec![(0, low(41)), (1, high(41))],
            Reject::Malformed,
        ),
        (
            Format::Flat40,
            vec![(0, low(36)), (1, high(36))],
            Reject::Length,
        ),
        (
            Format::Flat40,
            vec![(2, low(2)), (3, high(2))],
            Reject::Type,
        ),
        (Format::Flat40, flags(3 << 5).to_vec(), Reject::Protocol),
        (Format::Flat40, flags(0x8000).to_vec(), Reject::Protocol),
        (Format::Flat40, flags(7 << 2).to_vec(), Reject::State),
        (Format::Flat40, flags(3).to_vec(), Reject::Timer),
        (
            Format::Flat40,
            flags(1 << 5 | 1 << 2).to_vec(),
            Reject::State,
        ),
        (Format::Flat40, flags(1 << 5 | 1).to_vec(), Reject::Timer),
        (Format::Flat40, flags(2 << 5 | 2).to_vec(), Reject::Timer),
        (Format::Flat40, flags(2 << 5).to_vec(), Reject::Ports),
        (Format::Flat40, vec![(4, 0xff)], Reject::Address),
        (Format::Flat40, vec![(20, 224)], Reject::Address),
        (
            Format::Flat40,
            (24..28).map(|i| (i, 0)).collect(),
            Reject::Address,
        ),
        (Format::Flat52, vec![(20, 1)], Reject::Pool6),
        (Format::Flat52, vec![(50, 0), (51, 2 << 5)], Reject::Ports),
        (Format::Tlv140, vec![(44, 1)], Reject::Pool6),
        (Format::Tlv140, vec![(64, 1)], Reject::Ports),
        (Format::Tlv140, vec![(30, 9)], Reject::Layout),
        (Format::Tlv140, vec![(112, 3)], Reject::Protocol),
        (Format::Tlv140, vec![(120, 7)], Reject::State),
        (Format::Tlv140, vec![(128, 3)], Reject::Timer),
    ] {
        let mut records = parse(&damaged(format, &changes));
        // What follows a record whose length is wrong is judged on its own.
        records.truncate(1);
        assert_eq!(records, [Err(reason)], "{format} {changes:?}");
    }
}

#[test]
fn what_begins_with_ff_ff_is_left_to_the_caller() {
    let mut run = damaged(Format::Flat40, &[]);
    run.extend_from_slice(b"\xff\xffwhatever");
    let mut records = Vec::new();
    let trailing = parse_run(&run, &Prefix::WELL_KNOWN, |record| records.push(record));
    assert_eq!(records, [Ok(udp(1))]);
    assert_eq!(trailing, b"\xff\xffwhatever");
}

#[test]
fn records_of_several_formats_share_a_run() {
    let mut run = Vec::new();
    for (port, format) in (1..).zip(Format::ALL) {
        format.write(&udp(port), &Prefix::WELL_KNOWN, &mut run);
    }
    assert_eq!(parse(&run), [Ok(udp(1)), Ok(udp(2)), Ok(udp(3))]);
}

#[test]
fn lifetimes_are_cut_to_the_local_timeouts() {
    let timeouts = Timeouts {
        udp: 1000,
        ..Timeouts::default()
    };
    assert_eq!(udp(1).clamped(&timeouts).lifetime, 1000);
    let short = Session {
        lifetime: 999,
        ..udp(1)
    };
    assert_eq!(short.clamped(&timeouts), short);
    let mut syn = udp(1);
    syn.id.protocol = Protocol::Tcp;
    syn.timer = Timer::Syn4;
    assert_eq!(syn.clamped(&timeouts).lifetime, 6000);
}

proptest! {
    #[test]
    fn every_session_survives_every_format(session in any_session()) {
        for format in Format::ALL {
            let mut run = Vec::new();
            format.write(&session, &Prefix::WELL_KNOWN, &mut run);
            prop_assert_eq!(run.len(), format.length());
            prop_assert_eq!(parse(&run), [Ok(session)]);
        }
    }

    #[test]
    fn every_prefix_length_carries_every_session(session in any_session(), base: u128) {
        for length in [32, 40, 48, 56, 64, 96] {
            let pool6 = Prefix::new(Ipv6Addr::from(base), length).unwrap();
            for format in Format::ALL.into_iter().filter(|format| format.can_express(&pool6)) {
                let mut run = Vec::new();
                format.write(&session, &pool6, &mut run);
                let mut found = Vec::new();
                parse_run(&run, &pool6, |record| found.push(record));
                prop_assert_eq!(found, [Ok(session)]);
            }
        }
    }

    #[test]
    fn no_bytes_whatever_stop_the_reader(run: Vec<u8>) {
        let mut records = 0;
        parse_run(&run, &Prefix::WELL_KNOWN, |_| records += 1);
        prop_assert!(records <= run.len() / 4 + 1);
    }

    #[test]
    fn what_is_read_from_damaged_records_is_still_a_session(
        session in any_session(),
        damage in proptest::collection::vec((0..140_usize, any::<u8>()), 1..8),
    ) {
        for format in Format::ALL {
            let mut run = Vec::new();
            format.write(&session, &Prefix::WELL_KNOWN, &mut run);
            for &(offset, value) in &damage {
                if let Some(byte) = run.get_mut(offset) {
                    *byte = value;
                }
            }
            for read in parse(&run).into_iter().flatten() {
                let mut again = Vec::new();
                format.write(&read, &Prefix::WELL_KNOWN, &mut again);
                prop_assert_eq!(parse(&again), [Ok(read)]);
            }
        }
    }
}
