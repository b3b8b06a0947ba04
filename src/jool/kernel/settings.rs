//! The settings of an instance: what they are, and what session synchronisation needs them to be.

use super::message::{self, Operation, Request, global, root};
use super::{Instance, Kernel, Refusal, Repair, Unavailable, Version};
use crate::session::{Pool4, Prefix, Protocol, Timeouts};

/// The settings of an instance that matter here.
#[derive(Default)]
pub(super) struct Globals {
    /// What decides how packets are translated, as it is to be compared.
    translation: Vec<u8>,
    manually_enabled: Option<u32>,
    pub(super) pool6: Option<Prefix>,
    timeouts: [Option<u32>; 4],
    pub(super) enabled: Option<u32>,
    flush_asap: Option<u32>,
    flush_deadline: Option<u32>,
    capacity: Option<u32>,
    most_per_packet: Option<u32>,
}

impl Globals {
    fn take(&mut self, kind: u16, value: &[u8]) -> Result<(), Refusal> {
        if kind == global::POOL6 {
            self.pool6 = match message::prefix(value) {
                Some((address, length)) => Prefix::new(address, length).ok(),
                None => return Err(Refusal::Answer("holds a pool6 that is no prefix")),
            };
            return Ok(());
        }
        if global::TRANSLATION.contains(&kind) {
            self.translation.extend(kind.to_be_bytes());
            self.translation.extend(value);
            return Ok(());
        }
        // Settings of other shapes do not matter here.
        let Some(number) = message::number(value).and_then(|number| u32::try_from(number).ok())
        else {
            return Ok(());
        };
        let [established, transitory, udp, icmp] = &mut self.timeouts;
        match kind {
            global::MANUALLY_ENABLED => self.manually_enabled = Some(number),
            global::TCP_EST_TIMEOUT => *established = Some(number),
            global::TCP_TRANS_TIMEOUT => *transitory = Some(number),
            global::UDP_TIMEOUT => *udp = Some(number),
            global::ICMP_TIMEOUT => *icmp = Some(number),
            global::SS_ENABLED => self.enabled = Some(number),
            global::SS_FLUSH_ASAP => self.flush_asap = Some(number),
            global::SS_FLUSH_DEADLINE => self.flush_deadline = Some(number),
            global::SS_CAPACITY => self.capacity = Some(number),
            global::SS_MAX_SESSIONS_PER_PACKET => self.most_per_packet = Some(number),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn instance(
        &self,
        name: &str,
        version: Version,
        pool4: Pool4,
    ) -> Result<Instance, Refusal> {
        let [
            Some(tcp_established),
            Some(tcp_transitory),
            Some(udp),
            Some(icmp),
        ] = self.timeouts
        else {
            return Err(Refusal::Answer("lacks the session timeouts"));
        };
        Ok(Instance {
            name: name.to_owned(),
            version,
            format: version.format(),
            pool6: self.pool6.ok_or(Refusal::Answer("lacks pool6"))?,
            timeouts: Timeouts {
                tcp_established,
                tcp_transitory,
                udp,
                icmp,
            },
            settings: self.translation.clone(),
            pool4,
            is_paused: self.manually_enabled == Some(0),
            repairs: Vec::new(),
            unrepaired: None,
        })
    }
}

impl Kernel {
    /// Reads the settings that matter here.
    pub(super) fn globals(&mut self) -> Result<Globals, Refusal> {
        let mut globals = Globals::default();
        let mut last = None;
        loop {
            let request = self.begin(Operation::GlobalForeach)?;
            if let Some(last) = last {
                request.attribute(root::OFFSET_U8, &[last]);
            }
            let answer = self.ask()?;
            let more = answer.more;
            let before = last;
            for (kind, value) in answer.attributes {
                last = u8::try_from(kind).ok();
                globals.take(kind, value)?;
            }
            if !more {
                return Ok(globals);
            }
            if last == before {
                return Err(Refusal::Answer("announces more settings and holds none"));
            }
        }
    }

    /// Reads pool4.
    pub(super) fn pool4(&mut self) -> Result<Pool4, Refusal> {
        let mut pool4 = Pool4::default();
        for protocol in Protocol::ALL {
            let mut last: Option<Vec<u8>> = None;
            loop {
                let request = self.begin(Operation::Pool4Foreach)?;
                request.attribute(root::PROTO, &[protocol as u8]);
                if let Some(entry) = &last {
                    request.nested(root::OFFSET, entry);
                }
                let answer = self.ask()?;
                let before = last.take();
                for (_, entry) in answer.attributes {
                    let (protocol, address, length, ports) = message::pool4_entry(entry)
                        .ok_or(Refusal::Answer("holds a pool4 entry that is none"))?;
                    pool4.add(protocol, address, length, ports);
                    last = Some(entry.to_vec());
                }
                if !answer.more {
                    break;
                }
                if last.is_none() || last == before {
                    return Err(Refusal::Answer("announces more of pool4 and holds none"));
                }
            }
        }
        Ok(pool4)
    }

    /// Sets what is not as session synchronisation needs it. In one request, because the module
    /// replaces the instance, and logs that, with each.
    ///
    /// Without `tuning` only what nothing works without.
    pub(super) fn repair(
        &mut self,
        globals: &Globals,
        version: Version,
        tuning: bool,
    ) -> Result<Vec<Repair>, Refusal> {
        let deadline = u32::try_from(self.settings.flush_interval.as_millis()).unwrap_or(u32::MAX);
        // More records than fit the module's 1,500 bytes, or none at all, and nothing is ever sent
        // (measured on 4.1.13).
        let fitting = u32::try_from(1440 / version.format().length()).unwrap_or(1);
        let most_set = globals
            .most_per_packet
            .filter(|most| (1..=fitting).contains(most));
        let mut repairs = Vec::new();
        let mut update = Request::default();
        for (setting, id, found, set, tunes) in [
            (
                "ss-flush-asap",
                global::SS_FLUSH_ASAP,
                globals.flush_asap,
                // A packet per record would cost the module and us most when there is most to do.
                // 4.1.9, where it is the default, even loses more of a burst with it.
                0,
                true,
            ),
            (
                "ss-flush-deadline",
                global::SS_FLUSH_DEADLINE,
                globals.flush_deadline,
                deadline,
                true,
            ),
            (
                "ss-capacity",
                global::SS_CAPACITY,
                globals.capacity,
                self.settings.queue_capacity,
                true,
            ),
            (
                "ss-max-sessions-per-packet",
                global::SS_MAX_SESSIONS_PER_PACKET,
                globals.most_per_packet,
                most_set.unwrap_or(fitting),
                false,
            ),
            ("ss-enabled", global::SS_ENABLED, globals.enabled, 1, false),
        ] {
            // A setting that the version does not have is not there.
            let Some(found) = found.filter(|found| *found != set && (tuning || !tunes)) else {
                continue;
            };
            put(&mut update, id, set);
            repairs.push(Repair {
                setting,
                found,
                set,
            });
        }
        if !repairs.is_empty() {
            self.begin(Operation::GlobalUpdate)?
                .nested(root::GLOBALS, update.bytes());
            self.execute()?;
        }
        Ok(repairs)
    }

    /// Sets what an attachment had to set to what it had found, where nobody has set anything else since.
    /// Where there is no instance there is nothing to do.
    ///
    /// # Errors
    ///
    /// Jool cannot be asked, or refuses.
    pub fn restore(&mut self, repairs: &[Repair]) -> Result<(), Unavailable> {
        self.read_version()?;
        self.resolve()?;
        if !self.is_alive()? {
            return Ok(());
        }
        let globals = self.globals()?;
        let mut update = Request::default();
        for (setting, id, now) in [
            ("ss-flush-asap", global::SS_FLUSH_ASAP, globals.flush_asap),
            (
                "ss-flush-deadline",
                global::SS_FLUSH_DEADLINE,
                globals.flush_deadline,
            ),
            ("ss-capacity", global::SS_CAPACITY, globals.capacity),
            (
                "ss-max-sessions-per-packet",
                global::SS_MAX_SESSIONS_PER_PACKET,
                globals.most_per_packet,
            ),
            ("ss-enabled", global::SS_ENABLED, globals.enabled),
        ] {
            let repair = repairs.iter().find(|repair| repair.setting == setting);
            if let Some(repair) = repair.filter(|repair| now == Some(repair.set)) {
                put(&mut update, id, repair.found);
            }
        }
        if !update.bytes().is_empty() {
            self.begin(Operation::GlobalUpdate)?
                .nested(root::GLOBALS, update.bytes());
            self.execute()?;
        }
        Ok(())
    }
}

/// One setting of a request.
fn put(update: &mut Request, id: u16, value: u32) {
    if matches!(id, global::SS_ENABLED | global::SS_FLUSH_ASAP) {
        update.attribute(id, &[u8::from(value != 0)]);
    } else {
        update.attribute(id, &value.to_ne_bytes());
    }
}
