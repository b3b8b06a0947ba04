//! The three record formats, and runs of records.
//!
//! A run is a plain concatenation of Netlink attributes of type 1, one a record. Attribute headers
//! are in host order. Which Jool speaks which format (read off its sources and off the wire):
//!
//! | Jool | length | format |
//! |---|---|---|
//! | 4.1.0 to 4.1.11 | 140 | nested attributes ([`tlv`]), integers in host order |
//! | 4.1.12 | 52 | flat, network order; the IPv4 destination is the end of the IPv6 one |
//! | 4.1.13 to 4.1.15 | 40 | flat, network order; the IPv6 destination is left out |

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::{Endpoints, Prefix, Protocol, Reject, Session, tlv};

/// Length of an attribute header: length and type, 16 bits each.
pub const HEADER: usize = 4;

/// The attribute type of a record.
pub(super) const RECORD_TYPE: u16 = 1;

/// The bits of an attribute type that are flags (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
pub(super) const TYPE_FLAGS: u16 = 0xc000;

/// One of the three layouts of a session record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 140 bytes, nested attributes: Jool up to 4.1.11.
    Tlv140,
    /// 52 bytes, flat: Jool 4.1.12.
    Flat52,
    /// 40 bytes, flat: Jool 4.1.13 and later.
    Flat40,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-byte", self.length())
    }
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Tlv140, Self::Flat52, Self::Flat40];

    /// Length of a record in bytes, its header included.
    pub const fn length(self) -> usize {
        match self {
            Self::Tlv140 => tlv::LENGTH,
            Self::Flat52 => flat52::LENGTH,
            Self::Flat40 => flat40::LENGTH,
        }
    }

    /// Whether sessions under this pool6 can be told in this format. Jool 4.1.12 takes the last 32
    /// bits of the IPv6 destination for the IPv4 one, which is true of a /96 only.
    pub fn can_express(self, pool6: &Prefix) -> bool {
        self != Self::Flat52 || pool6.length() == 96
    }

    /// Appends a session's record to a run. The caller has asked [`Format::can_express`] once.
    #[inline]
    pub fn write(self, session: &Session, pool6: &Prefix, run: &mut Vec<u8>) {
        match self {
            Self::Tlv140 => run.extend_from_slice(&tlv::write(session, pool6)),
            Self::Flat52 => run.extend_from_slice(&flat52::write(session, pool6)),
            Self::Flat40 => run.extend_from_slice(&flat40::write(session)),
        }
    }
}

/// Length of a session in frames that only this daemon reads, in bytes.
pub const BODY: usize = Format::Flat40.length() - HEADER;

impl Session {
    /// The session as the 40-byte record has it, without the header, which is in host order.
    #[inline]
    pub fn to_body(&self) -> [u8; BODY] {
        let mut body = [0; BODY];
        if let Some(bytes) = flat40::write(self).get(HEADER..) {
            body.copy_from_slice(bytes);
        }
        body
    }

    /// Reads what [`Session::to_body`] wrote, with every check of a record.
    #[inline]
    pub fn from_body(body: &[u8; BODY]) -> Result<Self, Reject> {
        let mut record = [0; flat40::LENGTH];
        set(&mut record, HEADER..flat40::LENGTH, body);
        flat40::parse(&record)
    }
}

/// What follows the last record of a run: nothing, or bytes that begin with `ff ff`. As an
/// attribute's length that is more than is left, so a Jool and a stock daemon ignore them.
pub type Trailing<'a> = &'a [u8];

/// Reads a run of records, of one format or of several, and hands each over or says why not.
///
/// What is not an attribute ends the run with one [`Reject::Malformed`]. Nothing is allocated.
#[inline]
pub fn parse_run<'a>(
    run: &'a [u8],
    pool6: &Prefix,
    mut each: impl FnMut(Result<Session, Reject>),
) -> Trailing<'a> {
    let mut rest = run;
    loop {
        if rest.is_empty() || rest.starts_with(&[0xff, 0xff]) {
            return rest;
        }
        let Some(&[l0, l1, t0, t1]) = rest.first_chunk::<HEADER>() else {
            each(Err(Reject::Malformed));
            return &[];
        };
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let Some(record) = rest.get(..length).filter(|record| record.len() >= HEADER) else {
            each(Err(Reject::Malformed));
            return &[];
        };
        if u16::from_ne_bytes([t0, t1]) & !TYPE_FLAGS == RECORD_TYPE {
            each(parse_record(record, pool6));
        } else {
            each(Err(Reject::Type));
        }
        rest = rest
            .get(length.next_multiple_of(HEADER)..)
            .unwrap_or_default();
    }
}

/// Reads one record, whose header has been checked. The length tells the format and has to be
/// exact: the module's own check is off by four.
#[inline]
fn parse_record(record: &[u8], pool6: &Prefix) -> Result<Session, Reject> {
    if let Ok(record) = record.try_into() {
        flat40::parse(record)
    } else if let Ok(record) = record.try_into() {
        flat52::parse(record, pool6)
    } else if let Ok(record) = record.try_into() {
        tlv::parse(record, pool6)
    } else {
        Err(Reject::Length)
    }
}

/// A field of a record: a fixed array out of a fixed array.
#[inline]
pub(super) fn get<const N: usize, const L: usize>(
    record: &[u8; L],
    field: Range<usize>,
) -> [u8; N] {
    let mut bytes = [0; N];
    if let Some(value) = record.get(field) {
        bytes.copy_from_slice(value);
    }
    bytes
}

/// Sets a field of a record.
#[inline]
pub(super) fn set<const L: usize>(record: &mut [u8; L], field: Range<usize>, value: &[u8]) {
    if let Some(bytes) = record.get_mut(field) {
        bytes.copy_from_slice(value);
    }
}

/// The attribute header of a record.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the three lengths are small"
)]
fn set_header<const L: usize>(record: &mut [u8; L]) {
    set(record, 0..2, &(L as u16).to_ne_bytes());
    set(record, 2..4, &RECORD_TYPE.to_ne_bytes());
}

/// Splits `protocol << 5 | state << 2 | timer`; bits above are refused as a protocol.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    reason = "masked to their widths, or saturated"
)]
fn split_flags(flags: u16) -> (u8, u8, u8) {
    let protocol = flags >> 5;
    (
        protocol.min(0xff) as u8,
        (flags >> 2 & 7) as u8,
        (flags & 3) as u8,
    )
}

/// 40 bytes: Jool 4.1.13 to 4.1.15.
mod flat40 {
    use super::{Endpoints, Ipv4Addr, Ipv6Addr, Range, Reject, Session, get, set};

    pub(super) const LENGTH: usize = 40;
    const SRC6: Range<usize> = 4..20;
    const SRC4: Range<usize> = 20..24;
    const DST4: Range<usize> = 24..28;
    const LIFETIME: Range<usize> = 28..32;
    const SRC6_PORT: Range<usize> = 32..34;
    const SRC4_PORT: Range<usize> = 34..36;
    const DST4_PORT: Range<usize> = 36..38;
    const FLAGS: Range<usize> = 38..40;

    #[inline]
    pub(super) fn parse(record: &[u8; LENGTH]) -> Result<Session, Reject> {
        let (protocol, state, timer) = super::split_flags(u16::from_be_bytes(get(record, FLAGS)));
        let endpoints = Endpoints {
            src6: Ipv6Addr::from(get::<16, _>(record, SRC6)),
            src6_port: u16::from_be_bytes(get(record, SRC6_PORT)),
            src4: Ipv4Addr::from(get::<4, _>(record, SRC4)),
            src4_port: u16::from_be_bytes(get(record, SRC4_PORT)),
            dst4: Ipv4Addr::from(get::<4, _>(record, DST4)),
            dst4_port: u16::from_be_bytes(get(record, DST4_PORT)),
        };
        let lifetime = u32::from_be_bytes(get(record, LIFETIME));
        Session::checked(endpoints, protocol, state, timer, lifetime)
    }

    #[inline]
    pub(super) fn write(session: &Session) -> [u8; LENGTH] {
        let mut record = [0; LENGTH];
        super::set_header(&mut record);
        set(&mut record, SRC6, &session.id.src6.octets());
        set(&mut record, SRC4, &session.id.src4.octets());
        set(&mut record, DST4, &session.id.dst4.octets());
        set(&mut record, LIFETIME, &session.lifetime.to_be_bytes());
        set(&mut record, SRC6_PORT, &session.id.src6_port.to_be_bytes());
        set(&mut record, SRC4_PORT, &session.id.src4_port.to_be_bytes());
        set(&mut record, DST4_PORT, &session.id.dst4_port.to_be_bytes());
        set(&mut record, FLAGS, &session.flags().to_be_bytes());
        record
    }
}

/// 52 bytes: Jool 4.1.12.
mod flat52 {
    use super::{
        Endpoints, Ipv4Addr, Ipv6Addr, Prefix, Protocol, Range, Reject, Session, get, set,
    };

    pub(super) const LENGTH: usize = 52;
    const SRC6: Range<usize> = 4..20;
    const DST6: Range<usize> = 20..36;
    const SRC4: Range<usize> = 36..40;
    const LIFETIME: Range<usize> = 40..44;
    const SRC6_PORT: Range<usize> = 44..46;
    const DST6_PORT: Range<usize> = 46..48;
    const SRC4_PORT: Range<usize> = 48..50;
    const FLAGS: Range<usize> = 50..52;

    #[inline]
    pub(super) fn parse(record: &[u8; LENGTH], pool6: &Prefix) -> Result<Session, Reject> {
        let (protocol, state, timer) = super::split_flags(u16::from_be_bytes(get(record, FLAGS)));
        let dst6 = Ipv6Addr::from(get::<16, _>(record, DST6));
        let dst6_port = u16::from_be_bytes(get(record, DST6_PORT));
        let src6_port = u16::from_be_bytes(get(record, SRC6_PORT));
        let src4_port = u16::from_be_bytes(get(record, SRC4_PORT));
        let icmp = protocol == Protocol::Icmp as u8;
        if icmp && dst6_port != src6_port {
            return Err(Reject::Ports);
        }
        let endpoints = Endpoints {
            src6: Ipv6Addr::from(get::<16, _>(record, SRC6)),
            src6_port,
            src4: Ipv4Addr::from(get::<4, _>(record, SRC4)),
            src4_port,
            dst4: pool6.extract(dst6).ok_or(Reject::Pool6)?,
            dst4_port: if icmp { src4_port } else { dst6_port },
        };
        let lifetime = u32::from_be_bytes(get(record, LIFETIME));
        Session::checked(endpoints, protocol, state, timer, lifetime)
    }

    #[inline]
    pub(super) fn write(session: &Session, pool6: &Prefix) -> [u8; LENGTH] {
        let id = &session.id;
        let mut record = [0; LENGTH];
        super::set_header(&mut record);
        set(&mut record, SRC6, &id.src6.octets());
        set(&mut record, DST6, &pool6.embed(id.dst4).octets());
        set(&mut record, SRC4, &id.src4.octets());
        set(&mut record, LIFETIME, &session.lifetime.to_be_bytes());
        set(&mut record, SRC6_PORT, &id.src6_port.to_be_bytes());
        set(&mut record, DST6_PORT, &id.dst6_port().to_be_bytes());
        set(&mut record, SRC4_PORT, &id.src4_port.to_be_bytes());
        set(&mut record, FLAGS, &session.flags().to_be_bytes());
        record
    }
}
