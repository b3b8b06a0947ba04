//! Jool's Generic Netlink messages: requests written, answers and multicasts read, in place.
//!
//! A message is a netlink header (16 bytes), a Generic Netlink header (4), Jool's own header (28)
//! and attributes. Read from Jool 4.1.5 to 4.1.15 on the wire.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::jool::{Client, Mask, Refusal};
use crate::session::Protocol;

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
    Pool4Foreach = 18,
    BibForeach = 22,
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
    pub(in super::super) const MANUALLY_ENABLED: u16 = 1;
    pub(in super::super) const POOL6: u16 = 2;
    /// What decides how packets are translated, and which: from lowest-ipv6-mtu to mtu-plateaus without the
    /// debugging, and from address-dependent-filtering to the handling of RST. Which sessions there are, and
    /// what is logged of them, stands apart.
    pub(in super::super) const TRANSLATION: [u16; 11] = [3, 5, 6, 7, 8, 14, 15, 16, 17, 18, 19];
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

/// Attributes of an entry of pool4.
mod pool4_entry {
    pub(super) const PROTO: u16 = 4;
    pub(super) const PREFIX: u16 = 5;
    pub(super) const PORT_MIN: u16 = 6;
    pub(super) const PORT_MAX: u16 = 7;
}

/// Attributes of an entry of the BIB.
mod bib_entry {
    pub(super) const SRC6: u16 = 1;
    pub(super) const SRC4: u16 = 2;
    pub(super) const PROTO: u16 = 3;
    pub(super) const STATIC: u16 = 4;
}

/// Attributes of an address with a port.
mod transport {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const PORT: u16 = 2;
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
    Family(Notice<'a>),
    /// Of another family.
    Other,
}

/// What nlctrl tells of a family.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice<'a> {
    name: &'a [u8],
    id: Option<u16>,
    /// It, or a group of it, came; else it went.
    came: bool,
}

impl Notice<'_> {
    /// Whether Jool's family is another one now than the one of this id, which is in use. What was
    /// told before that one was resolved, and is read only now, does not say so.
    pub(super) fn is_news(&self, used: Option<u16>) -> bool {
        let replaces = |used| self.id.is_none_or(|id| (id == used) != self.came);
        self.name == FAMILY.as_bytes() && used.is_none_or(replaces)
    }
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
            let id = attributes.find(CTRL_ATTR_FAMILY_ID);
            let id = id.and_then(|id| id.try_into().ok());
            return Ok(Self::Family(Notice {
                name: until_nul(name),
                id: id.map(u16::from_ne_bytes),
                came: matches!(
                    bytes.get(NLMSG_HEADER),
                    Some(&(CTRL_CMD_NEWFAMILY | CTRL_CMD_NEWMCAST_GRP))
                ),
            }));
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
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const CTRL_CMD_NEWFAMILY: u8 = 1;
const CTRL_CMD_NEWMCAST_GRP: u8 = 7;

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

/// An entry of pool4: protocol, prefix, first and last port.
pub(super) fn pool4_entry(value: &[u8]) -> Option<(Protocol, Ipv4Addr, u8, (u16, u16))> {
    let entry = Attributes::new(value);
    let port = |kind| {
        let bytes: [u8; 2] = entry.find(kind)?.try_into().ok()?;
        Some(u16::from_ne_bytes(bytes))
    };
    let [protocol] = *entry.find(pool4_entry::PROTO)? else {
        return None;
    };
    let protocol = *Protocol::ALL.get(usize::from(protocol))?;
    let prefix = Attributes::new(entry.find(pool4_entry::PREFIX)?);
    let address: [u8; 4] = prefix.find(1)?.try_into().ok()?;
    let [length] = *prefix.find(2)? else {
        return None;
    };
    let ports = (port(pool4_entry::PORT_MIN)?, port(pool4_entry::PORT_MAX)?);
    Some((protocol, address.into(), length, ports))
}

/// An address of so many bytes, and its port.
fn endpoint<const N: usize>(value: &[u8]) -> Option<([u8; N], u16)> {
    let endpoint = Attributes::new(value);
    let address = endpoint.find(transport::ADDRESS)?.try_into().ok()?;
    let port = endpoint.find(transport::PORT)?.try_into().ok()?;
    Some((address, u16::from_ne_bytes(port)))
}

/// An entry of the BIB: a mask, and whose it is.
pub(super) fn bib_entry(value: &[u8]) -> Option<(Mask, Client)> {
    let entry = Attributes::new(value);
    let (address, port) = endpoint(entry.find(bib_entry::SRC6)?)?;
    let (mask, mask_port) = endpoint(entry.find(bib_entry::SRC4)?)?;
    let client = Client {
        address: Ipv6Addr::from(address),
        port,
        is_static: entry
            .find(bib_entry::STATIC)
            .is_some_and(|flag| flag != [0]),
    };
    Some(((Ipv4Addr::from(mask), mask_port), client))
}

/// The content of an entry of the BIB, of which only the mask counts: where a reading goes on.
pub(super) fn bib_offset(protocol: Protocol, (address, port): Mask) -> Vec<u8> {
    let endpoint = |kind, address: &[u8], port: u16| {
        let mut content = Request::default();
        content.attribute(transport::ADDRESS, address);
        content.attribute(transport::PORT, &port.to_ne_bytes());
        (kind, content.bytes)
    };
    let mut entry = Request::default();
    let client = endpoint(bib_entry::SRC6, &[0; 16], 0);
    let mask = endpoint(bib_entry::SRC4, &address.octets(), port);
    for (kind, content) in [client, mask] {
        entry.nested(kind, &content);
    }
    entry.attribute(bib_entry::PROTO, &[protocol as u8]);
    entry.attribute(bib_entry::STATIC, &[0]);
    entry.bytes
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

/// Reads whatever a message can hold. Says whether it is of Jool, or of nlctrl.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_all(bytes: &[u8]) -> bool {
    // The family's id is in the message, so that the rest is read, too.
    let family = bytes.get(4..6).and_then(|id| id.try_into().ok());
    match Message::parse(bytes, family.map(u16::from_ne_bytes)) {
        Ok(Message::Jool(message)) => {
            for (_, value) in message.attributes {
                let _ = (number(value), pool4_entry(value), prefix(value));
            }
            let _ = message.into_result();
            true
        }
        Ok(Message::Family(notice)) => {
            let _ = notice.is_news(Some(NLCTRL));
            true
        }
        Ok(Message::Error { .. } | Message::Other) | Err(Malformed) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILY_ID: u16 = 0x22;

    /// A netlink message of the family around what a real module multicast: genlmsghdr and Jool's
    /// header, then attributes.
    fn multicast(header: &str, attributes: &str) -> Vec<u8> {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len() / 2)
                .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
                .collect()
        };
        let body = [hex(header), hex(attributes)].concat();
        let length = u32::try_from(NLMSG_HEADER + body.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend_from_slice(&FAMILY_ID.to_ne_bytes());
        message.extend_from_slice(&[0; 10]);
        message.extend_from_slice(&body);
        message
    }

    // Multicast by a real 4.1.13 after a UDP datagram.
    const HEADER: &str = "000200006a6f6f6c04010d000200000064656661756c74000000000000000000";
    const ATTRIBUTES: &str = "2c0007802800010020010db8000000000000000000000008c6336401c0000208\
                              000493e00400879e23280020";

    #[cfg(target_endian = "little")]
    #[test]
    fn a_multicast_of_a_real_4_1_13_is_read() {
        let bytes = multicast(HEADER, ATTRIBUTES);
        let Ok(Message::Jool(message)) = Message::parse(&bytes, Some(FAMILY_ID)) else {
            panic!("not taken for one of Jool's");
        };
        assert_eq!((message.sequence, message.instance), (0, &b"default"[..]));
        let run = message.attributes.find(root::SESSION_ENTRIES).unwrap();
        assert_eq!(run.len(), 40);
        assert!(message.into_result().is_ok());
    }

    #[test]
    fn a_message_of_jool_4_1_4_and_older_without_magic_is_malformed() {
        let old = "0002000004010400020000006465666175";
        let bytes = multicast(&format!("{old}{}", "00".repeat(20)), ATTRIBUTES);
        assert_eq!(Message::parse(&bytes, Some(FAMILY_ID)), Err(Malformed));
    }

    #[test]
    fn truncated_messages_are_malformed_or_empty_and_never_read_beyond() {
        let bytes = multicast(HEADER, ATTRIBUTES);
        for length in 0..bytes.len() {
            assert_eq!(
                Message::parse(&bytes[..length], Some(FAMILY_ID)),
                Err(Malformed),
                "{length}"
            );
            // The same with a length field that fits.
            let mut short = bytes[..length].to_vec();
            if let Some(field) = short.first_chunk_mut() {
                *field = u32::try_from(length).unwrap().to_ne_bytes();
            }
            if let Ok(Message::Jool(message)) = Message::parse(&short, Some(FAMILY_ID)) {
                assert_eq!(
                    message.attributes.find(root::SESSION_ENTRIES),
                    None,
                    "{length}"
                );
            }
        }
    }

    #[test]
    fn a_request_has_jools_layout() {
        let mut request = Request::default();
        let mut name = [0; NAME];
        name[..7].copy_from_slice(b"default");
        request
            .begin(FAMILY_ID, 7, Operation::JooldAdd, &name, [4, 1, 0, 0])
            .nested(root::SESSION_ENTRIES, &[1, 2, 3, 4, 5]);
        let bytes = request.finish();
        let length = u32::from_ne_bytes(bytes[..4].try_into().unwrap());
        assert_eq!(usize::try_from(length).unwrap(), bytes.len());
        assert_eq!(bytes[16..20], [27, 2, 0, 0]);
        assert_eq!(bytes[20..32], *b"jool\x04\x01\x00\x00\x02\x00\x00\x00");
        assert_eq!(bytes[32..48], name);
        assert_eq!(u16::from_ne_bytes([bytes[48], bytes[49]]), 9);
        assert_eq!(u16::from_ne_bytes([bytes[50], bytes[51]]), 7 | 0x8000);
        assert_eq!(bytes[52..], [1, 2, 3, 4, 5, 0, 0, 0]);
    }

    #[test]
    fn an_error_answer_carries_jools_words() {
        let mut attributes = Request::default();
        attributes
            .attribute(1, &22_u16.to_ne_bytes())
            .attribute(2, b"Session sync is disabled.\0");
        let mut bytes = multicast(HEADER, "");
        bytes[JOOL_HEADER + 9] = FLAG_ERROR;
        bytes.extend_from_slice(attributes.bytes());
        let length = u32::try_from(bytes.len()).unwrap().to_ne_bytes();
        bytes[..4].copy_from_slice(&length);
        let Ok(Message::Jool(answer)) = Message::parse(&bytes, Some(FAMILY_ID)) else {
            panic!()
        };
        let refusal = answer.into_result().unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "Jool refused: Session sync is disabled"
        );
        assert!(matches!(refusal, Refusal::Jool { errno: 22, .. }));
    }

    /// What nlctrl multicasts: header, command, the family's name and id.
    fn notice(command: u8, name: &[u8], id: u16) -> Vec<u8> {
        let mut attributes = Request::default();
        attributes
            .attribute(CTRL_ATTR_FAMILY_NAME, name)
            .attribute(CTRL_ATTR_FAMILY_ID, &id.to_ne_bytes());
        let body = [&[command, 2, 0, 0], attributes.bytes()].concat();
        let length = u32::try_from(NLMSG_HEADER + body.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend_from_slice(&NLCTRL.to_ne_bytes());
        message.extend_from_slice(&[0; 10]);
        message.extend_from_slice(&body);
        message
    }

    #[test]
    fn only_what_happens_to_the_family_in_use_makes_it_another() {
        const DELFAMILY: u8 = 2;
        const DELMCAST_GRP: u8 = 8;
        for (command, id, used, news) in [
            // Told when the module was loaded, read when the family is in use already.
            (CTRL_CMD_NEWFAMILY, 34, Some(34), false),
            (CTRL_CMD_NEWMCAST_GRP, 34, Some(34), false),
            (DELFAMILY, 33, Some(34), false),
            (DELFAMILY, 34, Some(34), true),
            (DELMCAST_GRP, 34, Some(34), true),
            (CTRL_CMD_NEWFAMILY, 35, Some(34), true),
            (CTRL_CMD_NEWFAMILY, 35, None, true),
        ] {
            let bytes = notice(command, b"Jool\0", id);
            let Ok(Message::Family(told)) = Message::parse(&bytes, used) else {
                panic!("not taken for nlctrl's");
            };
            assert_eq!(told.is_news(used), news, "{command} {id} {used:?}");
        }
        let bytes = notice(CTRL_CMD_NEWFAMILY, b"nl80211\0", 35);
        let Ok(Message::Family(other)) = Message::parse(&bytes, Some(34)) else {
            panic!("not taken for nlctrl's");
        };
        assert!(!other.is_news(Some(34)));
    }

    #[test]
    fn netlinks_own_errors_and_other_families_are_told_apart() {
        let mut error = 20_u32.to_ne_bytes().to_vec();
        error.extend_from_slice(&NLMSG_ERROR.to_ne_bytes());
        error.extend_from_slice(&[0; 2]);
        error.extend_from_slice(&9_u32.to_ne_bytes());
        error.extend_from_slice(&[0; 4]);
        error.extend_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(
            Message::parse(&error, None),
            Ok(Message::Error {
                sequence: 9,
                errno: 1
            })
        );
        let bytes = multicast(HEADER, ATTRIBUTES);
        assert_eq!(
            Message::parse(&bytes, Some(FAMILY_ID + 1)),
            Ok(Message::Other)
        );
        assert_eq!(Message::parse(&bytes, None), Ok(Message::Other));
    }
}
