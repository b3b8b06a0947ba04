//! Jool's Generic Netlink messages: requests written, answers and multicasts read, in place.
//!
//! A message is a netlink header (16 bytes), a Generic Netlink header (4), Jool's own header (28)
//! and attributes. Read from Jool 4.1.5 to 4.1.15 on the wire.

use std::net::Ipv6Addr;

use crate::jool::Refusal;

/// Name of the Generic Netlink family.
pub(super) const FAMILY: &str = "Jool";
/// Name of its multicast group.
pub(super) const GROUP: &str = "joold";
/// Longest instance name: 16 bytes with the NUL.
pub(super) const NAME: usize = 16;

const NLMSG_HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const GENL_VERSION: u8 = 2;
/// Where Jool's header starts, and where the attributes do.
const JOOL_HEADER: usize = NLMSG_HEADER + 4;
const ATTRIBUTES: usize = JOOL_HEADER + 28;
const MAGIC: [u8; 4] = *b"jool";
/// The translator type: NAT64 (SIIT is 1).
const NAT64: u8 = 2;
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

/// The answer is an error.
const FLAG_ERROR: u8 = 1;
/// There are more entries to ask for.
const FLAG_MORE: u8 = 8;

/// Operations of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Operation {
    InstanceHello = 2,
    StatsForeach = 7,
    GlobalForeach = 8,
    GlobalUpdate = 9,
    SessionForeach = 25,
    JooldAdd = 27,
    JooldAck = 29,
}

/// Attributes at the top level of a message.
pub(super) mod root {
    pub(in super::super) const GLOBALS: u16 = 2;
    pub(in super::super) const SESSION_ENTRIES: u16 = 7;
    pub(in super::super) const OFFSET: u16 = 8;
    pub(in super::super) const OFFSET_U8: u16 = 9;
    pub(in super::super) const PROTO: u16 = 11;
}

/// Settings of an instance.
pub(super) mod global {
    pub(in super::super) const POOL6: u16 = 2;
    pub(in super::super) const TCP_EST_TIMEOUT: u16 = 20;
    pub(in super::super) const TCP_TRANS_TIMEOUT: u16 = 21;
    pub(in super::super) const UDP_TIMEOUT: u16 = 22;
    pub(in super::super) const ICMP_TIMEOUT: u16 = 23;
    pub(in super::super) const SS_ENABLED: u16 = 27;
    pub(in super::super) const SS_FLUSH_ASAP: u16 = 28;
    pub(in super::super) const SS_FLUSH_DEADLINE: u16 = 29;
    pub(in super::super) const SS_CAPACITY: u16 = 30;
    pub(in super::super) const SS_MAX_SESSIONS_PER_PACKET: u16 = 32;
}

/// A request under construction; its memory is kept from one to the next.
#[derive(Debug, Default)]
pub(super) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// Begins a request. `minor` is the module's: it refuses others.
    pub(super) fn begin(
        &mut self,
        family: u16,
        sequence: u32,
        operation: Operation,
        instance: &[u8; NAME],
        version: [u8; 4],
    ) -> &mut Self {
        let bytes = &mut self.bytes;
        bytes.clear();
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&family.to_ne_bytes());
        bytes.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&[operation as u8, GENL_VERSION, 0, 0]);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&version);
        bytes.extend_from_slice(&[NAT64, 0, 0, 0]);
        bytes.extend_from_slice(instance);
        self
    }

    /// Appends an attribute. Values are far below an attribute's 65,535 bytes; one that is not is
    /// left out, and the module then misses it.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        if let Ok(length) = u16::try_from(value.len() + 4) {
            self.bytes.extend_from_slice(&length.to_ne_bytes());
            self.bytes.extend_from_slice(&kind.to_ne_bytes());
            self.bytes.extend_from_slice(value);
            self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        }
        self
    }

    /// Appends a container whose content is ready. Kernels from 5.2 on demand the flag.
    pub(super) fn nested(&mut self, kind: u16, content: &[u8]) -> &mut Self {
        self.attribute(kind | NESTED, content)
    }

    /// What has been written so far, as the content of a container.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The finished message.
    pub(super) fn finish(&mut self) -> &[u8] {
        let length = u32::try_from(self.bytes.len())
            .unwrap_or(u32::MAX)
            .to_ne_bytes();
        if let Some(field) = self.bytes.first_chunk_mut() {
            *field = length;
        }
        &self.bytes
    }
}

/// A message from the kernel, one per read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// One of Jool's.
    Jool(JoolMessage<'a>),
    /// The netlink layer's own word: 0 or a positive errno.
    Error { sequence: u32, errno: i32 },
    /// From nlctrl: a family came or went.
    Family { name: &'a [u8] },
    /// Of another family.
    Other,
}

/// A message of the family, answer or multicast.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JoolMessage<'a> {
    /// The request's, or 0 in a multicast.
    pub(super) sequence: u32,
    /// Instance name up to its NUL.
    pub(super) instance: &'a [u8],
    /// Whether there are more entries to ask for.
    pub(super) more: bool,
    error: bool,
    /// The attributes.
    pub(super) attributes: Attributes<'a>,
}

/// The message is not one, or not of a version that is spoken here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Message<'a> {
    /// Reads a message. `family` is Jool's current id.
    pub(super) fn parse(bytes: &'a [u8], family: Option<u16>) -> Result<Self, Malformed> {
        let header: &[u8; NLMSG_HEADER] = bytes.first_chunk().ok_or(Malformed)?;
        let [l0, l1, l2, l3, t0, t1, _, _, s0, s1, s2, s3, ..] = *header;
        let length =
            usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).map_err(|_| Malformed)?;
        let kind = u16::from_ne_bytes([t0, t1]);
        let sequence = u32::from_ne_bytes([s0, s1, s2, s3]);
        let bytes = bytes.get(..length).ok_or(Malformed)?;
        if kind == NLMSG_ERROR {
            let code = bytes
                .get(NLMSG_HEADER..)
                .and_then(<[u8]>::first_chunk)
                .ok_or(Malformed)?;
            return Ok(Self::Error {
                sequence,
                errno: i32::from_ne_bytes(*code).saturating_neg(),
            });
        }
        if kind == NLCTRL {
            let attributes = Attributes(bytes.get(JOOL_HEADER..).ok_or(Malformed)?);
            let name = attributes.find(CTRL_ATTR_FAMILY_NAME).unwrap_or_default();
            return Ok(Self::Family {
                name: until_nul(name),
            });
        }
        if Some(kind) != family {
            return Ok(Self::Other);
        }
        let jool: &[u8; 28] = bytes
            .get(JOOL_HEADER..)
            .and_then(<[u8]>::first_chunk)
            .ok_or(Malformed)?;
        let [m0, m1, m2, m3, _, _, _, _, xt, flags, _, _, instance @ ..] = jool;
        if [*m0, *m1, *m2, *m3] != MAGIC || *xt != NAT64 {
            return Err(Malformed);
        }
        Ok(Self::Jool(JoolMessage {
            sequence,
            instance: until_nul(instance),
            more: flags & FLAG_MORE != 0,
            error: flags & FLAG_ERROR != 0,
            attributes: Attributes(bytes.get(ATTRIBUTES..).ok_or(Malformed)?),
        }))
    }
}

/// Family id of nlctrl, and, by design of the kernel, the id of its multicast group `notify`.
pub(super) const NLCTRL: u16 = 16;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

impl<'a> JoolMessage<'a> {
    /// The attributes, or the error that the module reports in them.
    pub(super) fn into_result(self) -> Result<Self, Refusal> {
        if !self.error {
            return Ok(self);
        }
        let errno = self
            .attributes
            .find(1)
            .and_then(<[u8]>::first_chunk)
            .copied();
        let message = until_nul(self.attributes.find(2).unwrap_or_default());
        Err(Refusal::Jool {
            errno: errno.map_or(0, |errno| i32::from(u16::from_ne_bytes(errno))),
            message: String::from_utf8_lossy(message).into_owned(),
        })
    }
}

/// A run of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Attributes inside a container.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The attributes as they are on the wire.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The value of the first attribute of a type, its flags aside.
    pub(super) fn find(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find_map(|(found, value)| (found == kind).then_some(value))
    }
}

impl<'a> Iterator for Attributes<'a> {
    /// Type without flags, and value.
    type Item = (u16, &'a [u8]);

    /// Ends at the first thing that is not an attribute.
    fn next(&mut self) -> Option<Self::Item> {
        let &[l0, l1, t0, t1] = self.0.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([t0, t1]) & TYPE_MASK, value))
    }
}

/// A u8, u32 or u64 attribute, whatever the version made it.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    match *value {
        [byte] => Some(u64::from(byte)),
        [a, b, c, d] => Some(u64::from(u32::from_ne_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Some(u64::from_ne_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}

/// A prefix: address (attribute 1) and length (attribute 2).
pub(super) fn prefix(value: &[u8]) -> Option<(Ipv6Addr, u8)> {
    let attributes = Attributes::new(value);
    let address: [u8; 16] = attributes.find(1)?.try_into().ok()?;
    let [length] = *attributes.find(2)? else {
        return None;
    };
    Some((Ipv6Addr::from(address), length))
}
