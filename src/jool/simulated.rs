//! A Jool in memory, for the demonstration, the tests and the benchmarks on machines without the
//! module. It is chosen by name only.
//!
//! It behaves as the module (4.1.13, measured) where that matters here: one record per translated
//! packet, one packet in flight until it is acknowledged or the deadline has passed, a queue of
//! limited capacity, a look at the queue only when something happens or every 2 s, sessions that
//! expire, answers of a limited length to a dump, and an instance that may be missing.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{
    Client, Counts as ModuleCounts, Instance, Jool, Mask, Received, Refusal, Repair, Settings,
    Unavailable, Version,
};
use crate::session::parse_run;
use crate::session::{Identity, Pool4, Prefix, Protocol, Reject, Session, State, Timeouts, Timer};

/// The module's own timer.
const OWN_TIMER: Duration = Duration::from_secs(2);
/// The module's default `ss-flush-deadline`.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(2);
/// The module's default `ss-capacity`.
const DEFAULT_CAPACITY: usize = 512;
/// Bytes of records in one multicast.
const PACKET: usize = 1440;
/// Packets that fit into the socket's buffer.
const SOCKET_BUFFER: usize = 4096;
/// Sessions in one answer to a dump.
const PAGE: usize = 26;

/// The first mask's address; the others are of the same /16.
const FIRST_MASK: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// The NAT64 itself, apart from any clock.
#[derive(Debug)]
struct Module {
    version: Version,
    timeouts: Timeouts,
    /// Whether the instance is there.
    present: bool,
    /// Whether it was told not to translate.
    paused: bool,
    enabled: bool,
    deadline: Duration,
    capacity: usize,
    table: BTreeMap<Identity, Entry>,
    /// Masks that an operator gave to clients.
    reserved: BTreeMap<(Protocol, Ipv4Addr, u16), Client>,
    /// Packets since the instance was made.
    packets: u64,
    /// The mask of the next session.
    next_mask: Ipv4Addr,
    next_port: u16,
    queue: VecDeque<Session>,
    acknowledged: bool,
    flushed: Instant,
    looked: Instant,
    /// Multicasts that nobody has read yet.
    socket: VecDeque<Vec<u8>>,
    overflowed: bool,
    counters: Counters,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    state: State,
    timer: Timer,
    expires: Instant,
}

/// What a simulated Jool counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets translated.
    pub translated: u64,
    /// Records multicast to the daemon.
    pub sent: u64,
    /// Records dropped because the queue was full.
    pub dropped: u64,
    /// Records taken from the daemon.
    pub added: u64,
    /// Records from the daemon that the module would have to refuse, or should never have seen.
    pub refused: u64,
}

impl Module {
    fn entry(&self, id: &Identity, entry: &Entry, now: Instant) -> Session {
        let left = entry.expires.saturating_duration_since(now).as_millis();
        let lifetime = u32::try_from(left).unwrap_or(u32::MAX);
        Session {
            id: *id,
            state: entry.state,
            timer: entry.timer,
            lifetime,
        }
    }

    fn insert(&mut self, session: &Session, now: Instant) {
        let expires = now + Duration::from_millis(u64::from(session.lifetime));
        let entry = Entry {
            state: session.state,
            timer: session.timer,
            expires,
        };
        self.table.insert(session.id, entry);
    }

    fn translate(&mut self, session: Session, now: Instant) {
        if !self.present || self.paused {
            return;
        }
        self.counters.translated += 1;
        self.packets += 1;
        self.insert(&session, now);
        if !self.enabled {
            return;
        }
        if self.queue.len() < self.capacity {
            self.queue.push_back(session);
        } else {
            self.counters.dropped += 1;
        }
        self.look(now);
    }

    /// Sends what is due to the daemon.
    fn look(&mut self, now: Instant) {
        self.looked = now;
        let most = PACKET / self.version.format().length();
        let due = now.saturating_duration_since(self.flushed) > self.deadline;
        let full = self.acknowledged && self.queue.len() >= most;
        if self.queue.is_empty() || !(due || full) {
            return;
        }
        let mut packet = Vec::with_capacity(PACKET);
        for session in self.queue.drain(..most.min(self.queue.len())) {
            self.version
                .format()
                .write(&session, &Prefix::WELL_KNOWN, &mut packet);
            self.counters.sent += 1;
        }
        if self.socket.len() < SOCKET_BUFFER {
            self.socket.push_back(packet);
        } else {
            self.overflowed = true;
        }
        self.acknowledged = false;
        self.flushed = now;
    }

    fn expire(&mut self, now: Instant) {
        self.table.retain(|_, entry| entry.expires > now);
    }

    fn add(&mut self, run: &[u8], now: Instant) {
        let format = self.version.format();
        let timeouts = self.timeouts;
        let pool4 = pool4();
        let (mut records, mut last) = (0, 0);
        let mut sessions = Vec::new();
        let trailing = parse_run(run, &Prefix::WELL_KNOWN, |record| {
            records += 1;
            match record {
                // As the real one suffers from both, the daemon must send neither.
                Ok(session)
                    if session.clamped(&timeouts) == session
                        && last <= session.lifetime
                        && pool4.masks(&session.id) =>
                {
                    last = session.lifetime;
                    sessions.push(session);
                }
                _ => self.counters.refused += 1,
            }
        });
        if !trailing.is_empty() || run.len() != records * format.length() {
            self.counters.refused += 1;
        }
        for session in &sessions {
            self.counters.added += 1;
            // Without a word, as the real one.
            if self.takes(&session.id) {
                self.insert(session, now);
            }
        }
    }

    /// Whether the mask is not another client's, by an operator's will.
    fn takes(&self, id: &Identity) -> bool {
        let client = self.reserved.get(&(id.protocol, id.src4, id.src4_port));
        client.is_none_or(|client| (client.address, client.port) == (id.src6, id.src6_port))
    }
}

/// Its masks, of which [`Handle::open_udp`] takes one after the other.
fn pool4() -> Pool4 {
    let mut pool4 = Pool4::default();
    for protocol in Protocol::ALL {
        pool4.add(protocol, FIRST_MASK, 16, (0, u16::MAX));
    }
    pool4
}

/// The daemon's side of a simulated Jool.
#[derive(Debug)]
pub struct Simulated {
    settings: Settings,
    module: Handle,
    next_look: Instant,
}

/// The traffic's and the observer's side of a simulated Jool.
#[derive(Clone, Debug)]
pub struct Handle {
    module: Arc<Mutex<Module>>,
    woken: Arc<Notify>,
}

impl Simulated {
    /// A simulated Jool of a version that is supported, with Jool's default timeouts and the
    /// well-known pool6.
    pub fn new(settings: Settings, version: Version) -> (Self, Handle) {
        let now = Instant::now();
        let module = Module {
            version,
            timeouts: Timeouts::default(),
            present: true,
            paused: false,
            enabled: false,
            deadline: DEFAULT_DEADLINE,
            capacity: DEFAULT_CAPACITY,
            table: BTreeMap::new(),
            reserved: BTreeMap::new(),
            packets: 0,
            next_mask: FIRST_MASK,
            next_port: 1024,
            queue: VecDeque::new(),
            acknowledged: true,
            flushed: now,
            looked: now,
            socket: VecDeque::new(),
            overflowed: false,
            counters: Counters::default(),
        };
        let handle = Handle {
            module: Arc::new(Mutex::new(module)),
            woken: Arc::new(Notify::new()),
        };
        (
            Self {
                settings,
                module: handle.clone(),
                next_look: now + OWN_TIMER,
            },
            handle,
        )
    }
}

impl Handle {
    fn lock(&self) -> MutexGuard<'_, Module> {
        self.module.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, module: &Module) {
        if !module.socket.is_empty() || module.overflowed {
            self.woken.notify_one();
        }
    }

    /// Translates a packet of a session: creates it, or renews it, and queues a record.
    pub fn translate(&self, session: Session) {
        let mut module = self.lock();
        module.translate(session, Instant::now());
        self.wake(&module);
    }

    /// Translates the first packet of a new UDP session from the next free mask, and says which.
    pub fn open_udp(&self, src6: Ipv6Addr, src6_port: u16) -> Session {
        let mut module = self.lock();
        let (src4, src4_port) = (module.next_mask, module.next_port);
        module.next_port = src4_port.checked_add(1).unwrap_or(1024);
        if module.next_port == 1024 {
            module.next_mask = Ipv4Addr::from(u32::from(src4).wrapping_add(1));
        }
        let id = Identity {
            src6,
            src6_port,
            src4,
            src4_port,
            dst4: Ipv4Addr::new(192, 0, 2, 8),
            dst4_port: 443,
            protocol: Protocol::Udp,
        };
        let lifetime = module.timeouts.udp;
        let session = Session {
            id,
            state: State::Established,
            timer: Timer::Established,
            lifetime,
        };
        module.translate(session, Instant::now());
        self.wake(&module);
        session
    }

    /// Every live session, in order of identity, with its remaining lifetime.
    pub fn sessions(&self) -> Vec<Session> {
        let mut module = self.lock();
        let now = Instant::now();
        module.expire(now);
        module
            .table
            .iter()
            .map(|(id, entry)| module.entry(id, entry, now))
            .collect()
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.lock().table.len()
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a session is there.
    pub fn contains(&self, id: &Identity) -> bool {
        self.lock().table.contains_key(id)
    }

    /// How many sessions the other has that this one lacks or holds in another state.
    pub fn lacks_of(&self, other: &Self) -> usize {
        let theirs = other.sessions();
        let module = self.lock();
        let state_of = |id| module.table.get(id).map(|entry| entry.state);
        theirs
            .iter()
            .filter(|session| state_of(&session.id) != Some(session.state))
            .count()
    }

    /// What has been counted so far.
    pub fn counters(&self) -> Counters {
        self.lock().counters
    }

    /// Removes the instance, with its sessions and settings.
    pub fn remove_instance(&self) {
        let mut module = self.lock();
        module.present = false;
        module.packets = 0;
        module.table.clear();
        module.queue.clear();
    }

    /// Adds the instance again, with the module's default settings.
    pub fn add_instance(&self) {
        let mut module = self.lock();
        module.present = true;
        module.enabled = false;
        module.deadline = DEFAULT_DEADLINE;
        module.capacity = DEFAULT_CAPACITY;
        module.acknowledged = true;
    }

    /// Removes the instance and adds it again with the settings that it had, faster than anybody
    /// looks.
    pub fn replace_instance(&self) {
        let mut module = self.lock();
        module.packets = 0;
        module.table.clear();
        module.queue.clear();
        module.acknowledged = true;
    }

    /// What `jool bib remove` does to a session.
    pub fn remove(&self, id: &Identity) {
        self.lock().table.remove(id);
    }

    /// What `jool bib add` does: the mask of this session is this client's.
    pub fn reserve(&self, mask: &Identity, address: Ipv6Addr, port: u16) {
        let client = Client {
            address,
            port,
            is_static: true,
        };
        let mask = (mask.protocol, mask.src4, mask.src4_port);
        self.lock().reserved.insert(mask, client);
    }

    /// What `jool bib remove` does to what [`Handle::reserve`] did.
    pub fn free(&self, mask: &Identity) {
        let mask = (mask.protocol, mask.src4, mask.src4_port);
        self.lock().reserved.remove(&mask);
    }

    /// What `jool global update manually-enabled` does.
    pub fn pause(&self, paused: bool) {
        self.lock().paused = paused;
    }

    /// What `jool global update ss-enabled false` does.
    pub fn disable_session_sync(&self) {
        self.lock().enabled = false;
    }
}

impl Jool for Simulated {
    fn attach(&mut self) -> Result<Instance, Unavailable> {
        let mut module = self.module.lock();
        let Settings {
            instance,
            manage,
            flush_interval,
            queue_capacity,
        } = &self.settings;
        if !module.present {
            return Err(Unavailable::NoInstance(instance.clone()));
        }
        let mut repairs = Vec::new();
        if *manage {
            let number = |value: u128| u32::try_from(value).unwrap_or(u32::MAX);
            let capacity = usize::try_from(*queue_capacity).unwrap_or(usize::MAX);
            let found = [
                number(module.deadline.as_millis()),
                number(module.capacity as u128),
                u32::from(module.enabled),
            ];
            let wanted = [number(flush_interval.as_millis()), *queue_capacity, 1];
            let names = ["ss-flush-deadline", "ss-capacity", "ss-enabled"];
            for ((setting, found), set) in names.into_iter().zip(found).zip(wanted) {
                if found != set {
                    repairs.push(Repair {
                        setting,
                        found,
                        set,
                    });
                }
            }
            module.deadline = *flush_interval;
            module.capacity = capacity;
            module.enabled = true;
        } else if !module.enabled {
            return Err(Unavailable::SyncDisabled(instance.clone()));
        }
        Ok(Instance {
            name: instance.clone(),
            version: module.version,
            format: module.version.format(),
            pool6: Prefix::WELL_KNOWN,
            pool4: pool4(),
            is_paused: module.paused,
            settings: Vec::new(),
            timeouts: module.timeouts,
            repairs,
            unrepaired: None,
        })
    }

    fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    fn counts(&mut self) -> Result<ModuleCounts, Refusal> {
        let module = self.module.lock();
        Ok(ModuleCounts {
            sessions: module.table.len() as u64,
            packets: module.packets,
            dropped: Some(module.counters.dropped),
        })
    }

    fn client_of(&mut self, mask: &Identity) -> Result<Option<Client>, Refusal> {
        let mask = (mask.protocol, mask.src4, mask.src4_port);
        Ok(self.module.lock().reserved.get(&mask).copied())
    }

    async fn readable(&mut self) -> io::Result<()> {
        loop {
            {
                let module = self.module.lock();
                if !module.socket.is_empty() || module.overflowed {
                    return Ok(());
                }
            }
            let timer = tokio::time::Instant::from_std(self.next_look);
            tokio::select! {
                () = self.module.woken.notified() => {}
                () = tokio::time::sleep_until(timer) => {
                    let now = Instant::now();
                    self.next_look = now + OWN_TIMER;
                    let mut module = self.module.lock();
                    module.expire(now);
                    module.look(now);
                }
            }
        }
    }

    fn receive(&mut self, mut records: impl FnMut(&[u8])) -> Received {
        let packet = {
            let mut module = self.module.lock();
            if std::mem::take(&mut module.overflowed) {
                drop(module);
                let _ = self.acknowledge();
                return Received::Overflow;
            }
            module.socket.pop_front()
        };
        let Some(packet) = packet else {
            return Received::Nothing;
        };
        let _ = self.acknowledge();
        records(&packet);
        Received::Records(packet.len())
    }

    fn acknowledge(&mut self) -> Result<(), Refusal> {
        let mut module = self.module.lock();
        module.acknowledged = true;
        if module.present && module.enabled {
            module.look(Instant::now());
        }
        Ok(())
    }

    fn add(&mut self, run: &[u8]) -> Result<(), Refusal> {
        let mut module = self.module.lock();
        if !module.present {
            return Err(Refusal::Jool {
                errno: nix::libc::ESRCH,
                message: String::new(),
            });
        }
        if !module.enabled {
            return Err(Refusal::Jool {
                errno: nix::libc::EINVAL,
                message: String::new(),
            });
        }
        module.add(run, Instant::now());
        Ok(())
    }

    fn dump_bib(
        &mut self,
        protocol: Protocol,
        after: Option<Mask>,
        mut page: impl FnMut(Mask, Client),
    ) -> Result<bool, Refusal> {
        let module = self.module.lock();
        let of_protocol = module
            .reserved
            .iter()
            .filter(|((it, ..), _)| *it == protocol);
        for ((_, address, port), client) in of_protocol {
            if after.is_none_or(|after| after < (*address, *port)) {
                page((*address, *port), *client);
            }
        }
        Ok(false)
    }

    fn dump(
        &mut self,
        protocol: Protocol,
        after: Option<&Identity>,
        mut page: impl FnMut(Result<Session, Reject>),
    ) -> Result<bool, Refusal> {
        let module = self.module.lock();
        let now = Instant::now();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut entries = module
            .table
            .range((start, Bound::Unbounded))
            .filter(|(id, entry)| id.protocol == protocol && entry.expires > now);
        for (id, entry) in entries.by_ref().take(PAGE) {
            page(Ok(module.entry(id, entry, now)));
        }
        Ok(entries.next().is_some())
    }
}

/// Translates made-up traffic for ever: this many new UDP sessions per second, each of three
/// packets.
pub async fn traffic(jool: &Handle, sessions_per_second: u32) {
    if sessions_per_second == 0 {
        std::future::pending::<()>().await;
    }
    let start = Instant::now();
    let mut opened = 0_u64;
    loop {
        let due = start.elapsed().as_secs_f64() * f64::from(sessions_per_second);
        while (opened as f64) < due {
            let [a, b, c, d, e, f, g, h] = opened.to_be_bytes().map(u16::from);
            let host = Ipv6Addr::new(0x2001, 0xdb8, a << 8 | b, c << 8 | d, 0, 0, e, f << 8 | g);
            let session = jool.open_udp(host, 1024 + h);
            jool.translate(session);
            jool.translate(session);
            opened += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Format;
    use crate::session::tests::udp;

    fn simulated(queue_capacity: u32) -> (Simulated, Handle) {
        let settings = Settings {
            instance: "default".to_owned(),
            manage: true,
            flush_interval: Duration::from_millis(10),
            queue_capacity,
        };
        Simulated::new(settings, Version::NEWEST)
    }

    /// The records of the next packet; `None` when none comes.
    fn packet(jool: &mut Simulated) -> Option<usize> {
        match jool.receive(|_| ()) {
            Received::Records(bytes) => Some(bytes / Format::Flat40.length()),
            _ => None,
        }
    }

    #[test]
    fn every_translated_packet_makes_a_record() {
        let (mut jool, handle) = simulated(1000);
        jool.attach().unwrap();
        for _ in 0..72 {
            handle.translate(udp(1));
        }
        assert_eq!(handle.len(), 1);
        assert_eq!((packet(&mut jool), packet(&mut jool)), (Some(36), Some(36)));
    }

    #[test]
    fn one_packet_is_in_flight_until_it_is_acknowledged() {
        let (mut jool, handle) = simulated(1000);
        jool.attach().unwrap();
        // No deadline passes within the test.
        handle.lock().deadline = Duration::from_secs(3600);
        for port in 0..100 {
            handle.translate(udp(port));
        }
        assert_eq!(handle.lock().socket.len(), 1);
        assert_eq!(packet(&mut jool), Some(36));
        assert_eq!(packet(&mut jool), Some(36));
        // What does not fill a packet waits for the deadline.
        assert_eq!(packet(&mut jool), None);
    }

    #[test]
    fn past_its_capacity_the_queue_drops() {
        let (mut jool, handle) = simulated(50);
        jool.attach().unwrap();
        handle.lock().deadline = Duration::from_secs(3600);
        for port in 0..100 {
            handle.translate(udp(port));
        }
        // 36 in flight, 50 queued, the rest dropped.
        assert_eq!(handle.counters().dropped, 14);
    }

    #[test]
    fn without_session_sync_nothing_is_emitted_or_taken() {
        let (mut jool, handle) = simulated(50);
        handle.translate(udp(1));
        assert_eq!(packet(&mut jool), None);
        assert!(jool.add(&[]).is_err());
        assert_eq!(jool.attach().unwrap().repairs.len(), 3);
        assert!(jool.attach().unwrap().repairs.is_empty());
        handle.disable_session_sync();
        assert_eq!(
            jool.attach().unwrap().repairs,
            [Repair {
                setting: "ss-enabled",
                found: 0,
                set: 1
            }]
        );
        handle.remove_instance();
        assert!(matches!(jool.attach(), Err(Unavailable::NoInstance(name)) if name == "default"));
        assert!(jool.add(&[0; 40]).is_err());
        handle.add_instance();
        assert!(jool.attach().is_ok());
    }

    #[test]
    fn what_would_harm_the_module_is_refused_and_counted() {
        let (mut jool, handle) = simulated(50);
        jool.attach().unwrap();
        let add = |jool: &mut Simulated, sessions: &[Session]| {
            let mut run = Vec::new();
            for session in sessions {
                Format::Flat40.write(session, &Prefix::WELL_KNOWN, &mut run);
            }
            jool.add(&run).unwrap();
            handle.counters().refused
        };
        let late = Session {
            lifetime: 200_000,
            ..udp(1)
        };
        assert_eq!(add(&mut jool, &[late, udp(2)]), 0);
        // Beyond the timeout.
        assert_eq!(
            add(
                &mut jool,
                &[Session {
                    lifetime: 300_001,
                    ..udp(3)
                }]
            ),
            1
        );
        // Out of order.
        assert_eq!(
            add(
                &mut jool,
                &[
                    udp(4),
                    Session {
                        lifetime: 1,
                        ..udp(5)
                    }
                ]
            ),
            2
        );
        jool.add(&[0xff; 40]).unwrap();
        assert_eq!(handle.counters().refused, 3);
        assert_eq!(handle.len(), 3);
    }

    #[test]
    fn a_dump_gives_every_session_in_pages() {
        let (mut jool, handle) = simulated(50);
        for port in 0..100 {
            handle.translate(udp(port));
        }
        let (mut found, mut pages, mut last) = (Vec::new(), 0, None);
        loop {
            let after: Option<Identity> = last;
            let more = jool.dump(Protocol::Udp, after.as_ref(), |session| {
                let id = session.unwrap().id;
                last = Some(id);
                found.push(id);
            });
            pages += 1;
            if !more.unwrap() {
                break;
            }
        }
        assert_eq!(pages, 4);
        assert_eq!(
            found,
            handle
                .sessions()
                .iter()
                .map(|session| session.id)
                .collect::<Vec<_>>()
        );
        assert!(
            !jool
                .dump(Protocol::Tcp, None, |_| panic!("no TCP session"))
                .unwrap()
        );
    }

    #[test]
    fn sessions_expire() {
        let (_jool, handle) = simulated(50);
        handle.translate(Session {
            lifetime: 0,
            ..udp(1)
        });
        handle.translate(udp(2));
        assert_eq!(handle.sessions().len(), 1);
        assert!(handle.contains(&udp(2).id));
    }
}
