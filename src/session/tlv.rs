//! The 140-byte record of nested attributes: Jool up to 4.1.11 on the wire, and every version's
//! answer to a dump of its session table.
//!
//! The module writes the attributes in one order, so a record has one layout and is read and
//! written in place. Integers are in host order, addresses in network order.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::format::{TYPE_FLAGS, get, set};
use super::{Endpoints, Prefix, Reject, Session};

pub(crate) const LENGTH: usize = 140;

const SRC6: Range<usize> = 12..28;
const SRC6_PORT: Range<usize> = 32..34;
const DST6: Range<usize> = 44..60;
const DST6_PORT: Range<usize> = 64..66;
const SRC4: Range<usize> = 76..80;
const SRC4_PORT: Range<usize> = 84..86;
const DST4: Range<usize> = 96..100;
const DST4_PORT: Range<usize> = 104..106;
const PROTOCOL: Range<usize> = 112..113;
const STATE: Range<usize> = 120..121;
const TIMER: Range<usize> = 128..129;
const LIFETIME: Range<usize> = 136..140;

/// `NLA_F_NESTED`. Kernels from 5.2 on require it on containers, older ones ignore it.
const NESTED: u16 = 0x8000;

/// Every attribute header inside a record: offset, length, type.
const HEADERS: [(usize, u16, u16); 17] = [
    (0, 140, 1 | NESTED),
    (4, 32, 1 | NESTED),
    (8, 20, 1),
    (28, 6, 2),
    (36, 32, 2 | NESTED),
    (40, 20, 1),
    (60, 6, 2),
    (68, 20, 3 | NESTED),
    (72, 8, 1),
    (80, 6, 2),
    (88, 20, 4 | NESTED),
    (92, 8, 1),
    (100, 6, 2),
    (108, 5, 5),
    (116, 5, 6),
    (124, 5, 7),
    (132, 8, 8),
];

/// A record with all its headers and no values.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const TEMPLATE: [u8; LENGTH] = {
    let mut record = [0; LENGTH];
    let mut i = 0;
    while i < HEADERS.len() {
        let (offset, length, kind) = HEADERS[i];
        let (length, kind) = (length.to_ne_bytes(), kind.to_ne_bytes());
        record[offset] = length[0];
        record[offset + 1] = length[1];
        record[offset + 2] = kind[0];
        record[offset + 3] = kind[1];
        i += 1;
    }
    record
};

#[inline]
pub(super) fn parse(record: &[u8; LENGTH], pool6: &Prefix) -> Result<Session, Reject> {
    for (offset, length, kind) in HEADERS {
        let found_length = u16::from_ne_bytes(get(record, offset..offset + 2));
        let found_kind = u16::from_ne_bytes(get(record, offset + 2..offset + 4));
        if found_length != length || (found_kind ^ kind) & !TYPE_FLAGS != 0 {
            return Err(Reject::Layout);
        }
    }
    let [protocol] = get(record, PROTOCOL);
    let [state] = get(record, STATE);
    let [timer] = get(record, TIMER);
    let endpoints = Endpoints {
        src6: Ipv6Addr::from(get::<16, _>(record, SRC6)),
        src6_port: u16::from_ne_bytes(get(record, SRC6_PORT)),
        src4: Ipv4Addr::from(get::<4, _>(record, SRC4)),
        src4_port: u16::from_ne_bytes(get(record, SRC4_PORT)),
        dst4: Ipv4Addr::from(get::<4, _>(record, DST4)),
        dst4_port: u16::from_ne_bytes(get(record, DST4_PORT)),
    };
    let lifetime = u32::from_ne_bytes(get(record, LIFETIME));
    let session = Session::checked(endpoints, protocol, state, timer, lifetime)?;
    if Ipv6Addr::from(get::<16, _>(record, DST6)) != pool6.embed(session.id.dst4) {
        return Err(Reject::Pool6);
    }
    if u16::from_ne_bytes(get(record, DST6_PORT)) != session.id.dst6_port() {
        return Err(Reject::Ports);
    }
    Ok(session)
}

#[inline]
pub(super) fn write(session: &Session, pool6: &Prefix) -> [u8; LENGTH] {
    let id = &session.id;
    let mut record = TEMPLATE;
    set(&mut record, SRC6, &id.src6.octets());
    set(&mut record, SRC6_PORT, &id.src6_port.to_ne_bytes());
    set(&mut record, DST6, &pool6.embed(id.dst4).octets());
    set(&mut record, DST6_PORT, &id.dst6_port().to_ne_bytes());
    set(&mut record, SRC4, &id.src4.octets());
    set(&mut record, SRC4_PORT, &id.src4_port.to_ne_bytes());
    set(&mut record, DST4, &id.dst4.octets());
    set(&mut record, DST4_PORT, &id.dst4_port.to_ne_bytes());
    set(&mut record, PROTOCOL, &[id.protocol as u8]);
    set(&mut record, STATE, &[session.state as u8]);
    set(&mut record, TIMER, &[session.record_timer()]);
    set(&mut record, LIFETIME, &session.lifetime.to_ne_bytes());
    record
}
