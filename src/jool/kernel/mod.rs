//! The kernel's Jool, over Generic Netlink.
//!
//! Two sockets: `events` is subscribed to the module's multicasts and to nlctrl's notices of
//! families that come and go; `commands` carries requests. The module deals with a request inside
//! the sending system call, so an answer is there at once or not at all.

pub(crate) mod message;
mod settings;
mod socket;

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{
    Client, Counts, Instance, Jool, Mask, Received, Refusal, Repair, Settings, Unavailable, Version,
};
use crate::session::{
    Format, HEADER, Identity, Prefix, Protocol, Reject, Session, State, Timer, parse_run,
};
use message::{JoolMessage, Message, NAME, Operation, Request, root};
use socket::{Batch, Family, Socket};

/// Receive buffer asked for, in bytes: a whole advertisement of some 100,000 sessions fits.
const EVENTS_BUFFER: usize = 8 << 20;
/// Commands have one short answer each.
const COMMANDS_BUFFER: usize = 256 << 10;
/// Room for an answer, in bytes. None was longer than a page.
const ANSWER: usize = 64 << 10;
/// The module of 4.1.x demands its own major and minor number, and looks at no more.
const SPOKEN: [u8; 4] = [4, 1, 0, 0];

/// How long queue settings are left alone after somebody else insisted on others, or Jool refused.
const TUNING_PAUSE: Duration = Duration::from_secs(60);
/// How often they are set, with no such pause between, before somebody else is taken to insist.
const TUNINGS: u32 = 4;

/// Packets that come sooner after one another had to wait for one another.
const BACKLOG: Duration = Duration::from_millis(2);

const VERSION_FILE: &str = "/sys/module/jool/version";

/// A NAT64 instance of the kernel module, in the network namespace of the thread that opened it.
pub struct Kernel {
    settings: Settings,
    name: [u8; NAME],
    events: AsyncFd<Socket>,
    commands: Socket,
    family: Option<Family>,
    /// The module's version, as it was when the family was resolved.
    version: Option<Version>,
    /// When queue settings were last repaired, how often without a pause, and from when on they may
    /// be again.
    tuned: Instant,
    tunings: u32,
    /// The instance's NAT64 prefix.
    pool6: Option<Prefix>,
    tune_after: Instant,
    sequence: u32,
    request: Request,
    answer: Box<[u8]>,
    packets: Batch,
    /// One acknowledgement is enough for what was read together: only one packet is in flight.
    is_acknowledged: bool,
    /// The socket is to be read whether it is known to have something or not.
    is_to_read: bool,
    /// When a packet last came.
    came: Instant,
    is_subscribed: bool,
}

impl Kernel {
    /// Opens the sockets; the module need not be there yet. Needs a tokio runtime.
    ///
    /// `subscribed` is the socket of an earlier run, which has received on meanwhile. The module
    /// looks an instance up in the network namespace of the thread that asks, so this must be used
    /// from a thread of the same namespace.
    pub fn open(settings: Settings, subscribed: Option<OwnedFd>) -> io::Result<Self> {
        let events = match subscribed {
            Some(descriptor) => Socket::adopt(descriptor, EVENTS_BUFFER)?,
            None => Socket::open(EVENTS_BUFFER)?,
        };
        events.join(u32::from(message::NLCTRL))?;
        Ok(Self {
            name: name_field(&settings.instance),
            settings,
            events: events.into_async()?,
            commands: Socket::open(COMMANDS_BUFFER)?,
            family: None,
            version: None,
            tuned: Instant::now(),
            tunings: 0,
            pool6: None,
            tune_after: Instant::now(),
            sequence: 0,
            request: Request::default(),
            answer: vec![0; ANSWER].into(),
            packets: Batch::new(),
            is_acknowledged: false,
            is_to_read: false,
            came: Instant::now(),
            is_subscribed: false,
        })
    }

    /// The socket that receives the module's packets, to be kept over a restart.
    pub fn subscribed(&self) -> BorrowedFd<'_> {
        self.events.get_ref().as_fd()
    }

    /// Starts a request to the attached family.
    fn begin(&mut self, operation: Operation) -> Result<&mut Request, Refusal> {
        let family = self.family.ok_or(Refusal::NotAttached)?;
        // 0 is for multicasts, the highest for nlctrl.
        self.sequence = self.sequence % (socket::RESOLVE - 1) + 1;
        Ok(self
            .request
            .begin(family.id, self.sequence, operation, &self.name, SPOKEN))
    }

    /// Sends the request and reads its answer; `None` when there is none, which is how the module
    /// says that a JOOLD operation succeeded.
    fn execute(&mut self) -> Result<Option<JoolMessage<'_>>, Refusal> {
        self.commands
            .send(self.request.finish())
            .map_err(Refusal::Io)?;
        let family = self.family.map(|family| family.id);
        let length = loop {
            let length = match self.commands.receive(&mut self.answer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(Refusal::Io(error)),
            };
            match Message::parse(self.answer.get(..length).unwrap_or_default(), family) {
                Ok(Message::Jool(answer)) if answer.sequence == self.sequence => break length,
                Ok(Message::Error { sequence, errno }) if sequence == self.sequence => {
                    if errno == nix::libc::ENOENT {
                        // The id is of a module that was removed.
                        self.forget_family();
                        return Err(Refusal::NotAttached);
                    }
                    return Err(Refusal::Jool {
                        errno,
                        message: String::new(),
                    });
                }
                // Late answers to requests that were given up.
                Ok(_) => {}
                Err(message::Malformed) => return Err(Refusal::Answer("is malformed")),
            }
        };
        match Message::parse(self.answer.get(..length).unwrap_or_default(), family) {
            Ok(Message::Jool(answer)) => answer.into_result().map(Some),
            _ => Err(Refusal::Answer("is malformed")),
        }
    }

    /// Like [`Kernel::execute`], for operations that always have an answer.
    fn ask(&mut self) -> Result<JoolMessage<'_>, Refusal> {
        self.execute()?.ok_or(Refusal::Answer("did not come"))
    }

    /// The number of the counter of all sessions, in every version.
    pub const SESSIONS: u8 = 5;
    /// Those of the packets that came from IPv6, and from IPv4.
    const RECEIVED6: u8 = 1;
    const RECEIVED4: u8 = 2;

    fn forget_family(&mut self) {
        self.version = None;
        self.is_subscribed = false;
        if let Some(family) = self.family.take() {
            self.events.get_ref().leave(family.group);
        }
    }

    /// Reads the next packets, or says why there are none.
    fn read(&mut self) -> Option<Received> {
        let packets = &mut self.packets;
        let mut failed = None;
        self.is_acknowledged = false;
        let mut fill = |events: &Socket| match packets.fill(events) {
            Ok(true) | Err(Errno::EINTR) => Ok(()),
            // What comes from now on is told of anew.
            Ok(false) => Err(io::ErrorKind::WouldBlock.into()),
            Err(errno @ (Errno::ENOBUFS | Errno::EAGAIN)) => Err(errno.into()),
            // Taken for "nothing there", so that an error that stays does not keep us awake.
            Err(errno) => {
                failed = Some(io::Error::from(errno).kind());
                Err(io::ErrorKind::WouldBlock.into())
            }
        };
        let is_direct = std::mem::take(&mut self.is_to_read);
        let read = if is_direct {
            fill(self.events.get_ref())
        } else {
            self.events.try_io(Interest::READABLE, fill)
        };
        if self.packets.has_more() {
            // Where many wait, the acknowledgement releases the next at once.
            let now = Instant::now();
            self.is_to_read = is_direct || now < self.came + BACKLOG;
            self.came = now;
        }
        match read {
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {
                // The packet in flight may be among the lost: without this the module would wait
                // for its deadline.
                self.acknowledge_unheard();
                self.is_to_read = true;
                Some(Received::Overflow)
            }
            _ if self.packets.has_more() => None,
            _ => Some(failed.map_or(Received::Nothing, Received::Failed)),
        }
    }

    /// Which version the module is, at least of those that are spoken here.
    fn read_version(&mut self) -> Result<Version, Unavailable> {
        self.version = None;
        match fs::read_to_string(VERSION_FILE) {
            Ok(text) => {
                let version = Version::supported(&text).map_err(Unavailable::Unsupported)?;
                self.version = Some(version);
                Ok(version)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget_family();
                Err(Unavailable::NoModule)
            }
            Err(error) => Err(Refusal::Io(error).into()),
        }
    }

    /// Resolves the family, unless that is done.
    fn resolve(&mut self) -> Result<Family, Refusal> {
        if let Some(family) = self.family {
            return Ok(family);
        }
        let resolved = self
            .commands
            .resolve(&mut self.answer)
            .map_err(Refusal::Io)?;
        let family = resolved.ok_or(Refusal::NotAttached)?;
        self.family = Some(family);
        Ok(family)
    }

    /// Acknowledges what was read together, if that has not been done, without looking for an error: whatever
    /// it is, attach() meets it too.
    fn acknowledge_unheard(&mut self) {
        if !std::mem::replace(&mut self.is_acknowledged, true)
            && self.begin(Operation::JooldAck).is_ok()
        {
            let _ = self.commands.send(self.request.finish());
        }
    }

    /// Whether the instance is there. Other operations would have the module log its absence.
    fn is_alive(&mut self) -> Result<bool, Refusal> {
        self.begin(Operation::InstanceHello)?;
        match self.ask()?.attributes.find(1) {
            Some([status, ..]) => Ok(*status == 0),
            _ => Err(Refusal::Answer("to a hello is empty")),
        }
    }

    /// One of the instance's counters, by Jool's number. Needs no attachment.
    pub fn counter(&mut self, counter: u8) -> Result<u64, Refusal> {
        let mut found = None;
        self.counters(counter, |other, value| {
            if other == counter {
                found = Some(value);
            }
        })?;
        found.ok_or(LACKS_COUNTER)
    }

    /// The instance's counters from one on, as many as one answer has.
    fn counters(&mut self, first: u8, mut each: impl FnMut(u8, u64)) -> Result<(), Refusal> {
        self.resolve()?;
        let offset = first.checked_sub(1);
        let request = self.begin(Operation::StatsForeach)?;
        if let Some(offset) = offset {
            request.attribute(root::OFFSET_U8, &[offset]);
        }
        for (counter, value) in self.ask()?.attributes {
            if let (Ok(counter), Some(value)) = (u8::try_from(counter), message::number(value)) {
                each(counter, value);
            }
        }
        Ok(())
    }
}

/// Instead of a counter's value.
const LACKS_COUNTER: Refusal = Refusal::Answer("lacks the counter");

impl Jool for Kernel {
    fn attach(&mut self) -> Result<Instance, Unavailable> {
        // A notice tells when the family goes, with the module of that version.
        let version = match self.version {
            Some(version) => version,
            None => self.read_version()?,
        };
        let family = self.resolve()?;
        if !self.is_subscribed {
            self.events
                .get_ref()
                .join(family.group)
                .map_err(Refusal::Io)?;
            self.is_subscribed = true;
        }
        // An overflow without another packet is told of as an error, not as something to be read.
        self.is_to_read = true;
        if !self.is_alive()? {
            // The family may outlive the module, because SIIT Jool shares it.
            self.read_version()?;
            return Err(Unavailable::NoInstance(self.settings.instance.clone()));
        }
        let globals = self.globals()?;
        self.pool6 = globals.pool6;
        let pool4 = self.pool4()?;
        let mut instance = globals.instance(&self.settings.instance, version, pool4)?;
        if !self.settings.manage {
            if globals.enabled == Some(0) {
                return Err(Unavailable::SyncDisabled(self.settings.instance.clone()));
            }
            return Ok(instance);
        }
        let now = Instant::now();
        match self.repair(&globals, version, now >= self.tune_after) {
            Ok(repairs) => {
                // Whoever else keeps setting these may have it for a minute: each update replaces
                // the instance.
                if repairs.iter().any(|repair| repair.setting != "ss-enabled") {
                    self.tunings = if now < self.tuned + TUNING_PAUSE {
                        self.tunings + 1
                    } else {
                        1
                    };
                    self.tuned = now;
                    if self.tunings > TUNINGS {
                        self.tune_after = now + TUNING_PAUSE;
                    }
                }
                instance.repairs = repairs;
            }
            // Worse than it could be, but sessions go both ways.
            Err(refusal @ Refusal::Jool { .. }) if globals.enabled != Some(0) => {
                self.tune_after = now + TUNING_PAUSE;
                instance.unrepaired = Some(refusal.to_string());
            }
            Err(refusal) => return Err(refusal.into()),
        }
        Ok(instance)
    }

    fn configure(&mut self, settings: Settings) {
        self.tune_after = Instant::now();
        self.tunings = 0;
        self.name = name_field(&settings.instance);
        self.pool6 = None;
        self.settings = settings;
    }

    fn counts(&mut self) -> Result<Counts, Refusal> {
        // SSS_ENOSPC of each version.
        let dropped = match self.version {
            Some(version) if version.counts_drops() => match version.revision {
                12 => Some(79),
                _ => Some(78),
            },
            _ => None,
        };
        let mut sessions = None;
        let mut drops = None;
        let mut packets = 0;
        self.counters(Self::RECEIVED6, |counter, value| {
            if counter == Self::SESSIONS {
                sessions = Some(value);
            } else if matches!(counter, Self::RECEIVED6 | Self::RECEIVED4) {
                packets += value;
            } else if dropped == Some(counter) {
                drops = Some(value);
            }
        })?;
        if let (Some(dropped), None) = (dropped, drops) {
            // The answer had no room for it.
            drops = Some(self.counter(dropped)?);
        }
        Ok(Counts {
            sessions: sessions.ok_or(LACKS_COUNTER)?,
            packets,
            dropped: drops,
        })
    }

    async fn readable(&mut self) -> io::Result<()> {
        if !self.is_to_read && !self.packets.has_more() {
            self.events.readable().await?.retain_ready();
        }
        Ok(())
    }

    fn receive(&mut self, mut records: impl FnMut(&[u8])) -> Received {
        if !self.packets.has_more()
            && let Some(instead) = self.read()
        {
            return instead;
        }
        let family = self.family.map(|family| family.id);
        let name = self.settings.instance.as_bytes();
        let mut packets = std::mem::take(&mut self.packets);
        let received = match packets.next() {
            None => Received::Nothing,
            Some(packet) => match packet
                .ok_or(message::Malformed)
                .and_then(|packet| Message::parse(packet, family))
            {
                Ok(Message::Jool(multicast)) if multicast.instance == name => {
                    // Before anything else, so that the next packet is made meanwhile.
                    self.acknowledge_unheard();
                    match multicast.attributes.find(root::SESSION_ENTRIES) {
                        Some(run) => {
                            records(run);
                            Received::Records(run.len())
                        }
                        None => Received::Malformed,
                    }
                }
                Ok(Message::Family(notice)) if notice.is_news(family) => {
                    self.forget_family();
                    Received::ModuleChanged
                }
                // Of another instance in this namespace, another family's notice, or an old one.
                Ok(_) => Received::Other,
                Err(message::Malformed) => {
                    self.acknowledge_unheard();
                    Received::Malformed
                }
            },
        };
        self.packets = packets;
        received
    }

    fn acknowledge(&mut self) -> Result<(), Refusal> {
        // An overflow ends a batch early, which looks like the last one.
        self.is_to_read = true;
        self.begin(Operation::JooldAck)?;
        self.execute().map(drop)
    }

    fn add(&mut self, run: &[u8]) -> Result<(), Refusal> {
        // Without SESSION_ENTRIES the module oopses, and an empty one holds nothing to add.
        if run.is_empty() || run.len() > super::MAX_RUN {
            return Ok(());
        }
        self.begin(Operation::JooldAdd)?
            .nested(root::SESSION_ENTRIES, run);
        self.execute().map(drop)
    }

    fn client_of(&mut self, mask: &Identity) -> Result<Option<Client>, Refusal> {
        // The module goes on behind what it is given, whether or not there is such an entry.
        let wanted = (mask.src4, mask.src4_port);
        let before = match mask.src4_port.checked_sub(1) {
            Some(port) => (mask.src4, port),
            None => (mask.src4.to_bits().wrapping_sub(1).into(), u16::MAX),
        };
        let mut found = None;
        self.dump_bib(mask.protocol, Some(before), |mask, client| {
            if mask == wanted {
                found = Some(client);
            }
        })?;
        Ok(found)
    }

    fn dump_bib(
        &mut self,
        protocol: Protocol,
        after: Option<Mask>,
        mut page: impl FnMut(Mask, Client),
    ) -> Result<bool, Refusal> {
        let request = self.begin(Operation::BibForeach)?;
        request.attribute(root::PROTO, &[protocol as u8]);
        if let Some(after) = after {
            request.nested(root::OFFSET, &message::bib_offset(protocol, after));
        }
        let answer = self.ask()?;
        for (_, entry) in answer.attributes {
            let (mask, client) = message::bib_entry(entry)
                .ok_or(Refusal::Answer("holds a BIB entry that is none"))?;
            page(mask, client);
        }
        Ok(answer.more)
    }

    fn dump(
        &mut self,
        protocol: Protocol,
        after: Option<&Identity>,
        page: impl FnMut(Result<Session, Reject>),
    ) -> Result<bool, Refusal> {
        // As it was when the instance was last looked at: a table takes thousands of pages.
        let pool6 = self.pool6.ok_or(Refusal::NotAttached)?;
        let mut offset = Vec::new();
        if let Some(&id) = after {
            // Only the addresses and ports of the last entry matter.
            let last = Session {
                id,
                state: State::Established,
                timer: Timer::Established,
                lifetime: 0,
            };
            Format::Tlv140.write(&last, &pool6, &mut offset);
        }
        let request = self.begin(Operation::SessionForeach)?;
        request.attribute(root::PROTO, &[protocol as u8]);
        if let Some(entry) = offset.get(HEADER..) {
            request.nested(root::OFFSET, entry);
        }
        let answer = self.ask()?;
        parse_run(answer.attributes.bytes(), &pool6, page);
        Ok(answer.more)
    }
}

/// The name as the module's header holds it; the configuration has checked its length.
fn name_field(name: &str) -> [u8; NAME] {
    let mut field = [0; NAME];
    for (byte, given) in field.iter_mut().take(NAME - 1).zip(name.bytes()) {
        *byte = given;
    }
    field
}

impl From<Refusal> for Unavailable {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Jool {
                errno: nix::libc::EPERM,
                ..
            } => Self::Permission,
            Refusal::NotAttached => Self::NoModule,
            refusal => Self::Refused(refusal),
        }
    }
}
