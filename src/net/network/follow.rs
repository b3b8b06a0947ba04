//! Following the interfaces that the socket uses.

use std::time::Duration;
use std::{future, io, mem};

use socket2::SockRef;
use tokio::time::{Instant, sleep_until};

use super::{Network, registered};
use crate::net::link::{Link, State};
use crate::net::watch::Changes;
use crate::net::{InterfaceEvent, OpenError, Place, membership, socket};

/// How long after an interface could not be used it is tried again.
const RETRY: Duration = Duration::from_secs(1);

impl Network {
    /// Resolves when something about the node's interfaces or addresses has changed, or when an
    /// interface that could not be used is due for another try, until [`Self::refresh`] takes
    /// note. Cancel safe. Needs the timer of the runtime.
    ///
    /// # Errors
    ///
    /// The runtime is shutting down.
    pub async fn interfaces_changed(&self) -> io::Result<()> {
        let retry = async {
            match self.retry_at {
                Some(at) => sleep_until(at).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            changed = self.watch.changed() => changed,
            () = retry => Ok(()),
        }
    }

    /// Looks at the interfaces anew. One that vanished and returned is joined again and selected
    /// again for sending, even if all that happened since the last look. To be called when
    /// [`Self::interfaces_changed`] resolves. Returns what changed, for the log.
    pub fn refresh(&mut self) -> Vec<InterfaceEvent> {
        let changes = self.watch.changes();
        let mut events = Vec::new();
        let mut links = mem::take(&mut self.links);
        for link in &mut links {
            self.follow(link, &changes, &mut events);
        }
        let failed = links.iter().any(|link| link.state == State::Failed);
        self.retry_at = failed.then(|| Instant::now() + RETRY);
        self.links = links;
        events.append(&mut self.notices);
        events
    }

    /// What keeps the interfaces from being of use just now, as a clause: `the interface eth0 is down`. Asks the
    /// kernel.
    pub fn obstacle(&self) -> Option<String> {
        self.links.iter().find_map(|link| {
            let interface = link.interface.as_ref()?;
            let obstacle = match link.state {
                State::Lost => Some("is gone"),
                State::Failed => Some("cannot be used"),
                State::InUse => interface.obstacle(),
            };
            obstacle.map(|obstacle| format!("the interface {interface} {obstacle}"))
        })
    }

    /// Joins the group again if the kernel has forgotten that this node is a member. To be called when nothing
    /// was heard for a while.
    pub fn check_membership(&mut self) -> Option<InterfaceEvent> {
        let group = self.settings.group?.ip();
        let link = self.links.iter_mut().find(|link| link.receives)?;
        let is_member = membership::is_member(group, link.index).unwrap_or(true);
        // The kernel tells in several parts, between which an interface may come or go.
        let was_missed = mem::replace(&mut self.is_missed, !is_member);
        if link.state != State::InUse || is_member || !was_missed {
            return None;
        }
        let socket = &SockRef::from(&self.socket);
        // To the socket it is one, which forbids to become one.
        socket::leave(socket, group, link.index);
        match socket::join(socket, group, link.index) {
            Ok(()) => Some(InterfaceEvent::Rejoined(group)),
            Err(source) => {
                link.state = State::Failed;
                self.retry_at = Some(Instant::now() + RETRY);
                Some(InterfaceEvent::Failed(OpenError::Join {
                    group,
                    interface: link.interface.clone(),
                    source,
                }))
            }
        }
    }

    fn follow(&mut self, link: &mut Link, changes: &Changes, events: &mut Vec<InterfaceEvent>) {
        let (index, place) = match (link.look_up(), &link.interface) {
            (Ok(found), _) => found,
            (Err(reason), Some(interface)) => {
                if link.state != State::Lost {
                    link.state = State::Lost;
                    events.push(InterfaceEvent::Lost {
                        interface: interface.clone(),
                        reason: Some(reason),
                    });
                }
                return;
            }
            (Err(_), None) => return,
        };
        let replaced = index != link.index || changes.deleted(link.index);
        // Not known, so better joined once too often.
        let perhaps = changes.incomplete || link.interface.is_none() && changes.any_deleted();
        let moved = place != link.place;
        if link.state == State::InUse && !replaced && !perhaps && !moved {
            return;
        }
        if let (Some(interface), State::InUse, true) = (&link.interface, link.state, replaced) {
            events.push(InterfaceEvent::Lost {
                interface: interface.clone(),
                reason: None,
            });
        }
        if let (Some(group), true) = (self.settings.group, link.receives) {
            // The kernel keeps the membership of a deleted interface as an entry that does nothing
            // but forbid another of the same index.
            socket::leave(&SockRef::from(&self.socket), group.ip(), link.index);
        }
        let attached = self.attach(link, index, &place);
        link.index = index;
        match attached {
            Ok(()) => {
                if let Some(interface) = &link.interface
                    && (replaced || link.state != State::InUse)
                {
                    events.push(InterfaceEvent::Returned(interface.clone()));
                }
                link.state = State::InUse;
                if let Some(interface) = &link.interface
                    && moved
                    && (self.settings.matters(&place) || self.settings.matters(&link.place))
                {
                    let event = InterfaceEvent::Moved(interface.clone(), place.clone());
                    events.push(event);
                }
                link.place = place;
            }
            Err(error) => {
                if link.state != State::Failed {
                    events.push(InterfaceEvent::Failed(error));
                }
                link.state = State::Failed;
            }
        }
    }

    /// Uses an interface, which has this index by now, for what it is there for.
    pub(super) fn attach(
        &mut self,
        link: &Link,
        index: u32,
        place: &Place,
    ) -> Result<(), OpenError> {
        if link.receives {
            self.bind_to(link, index, place)?;
            self.own_peers = self.settings.own_peers(place);
        }
        let socket = &SockRef::from(&self.socket);
        if let (Some(group), true) = (self.settings.group, link.receives) {
            socket::join(socket, group.ip(), index).map_err(|source| OpenError::Join {
                group: group.ip(),
                interface: link.interface.clone(),
                source,
            })?;
        }
        if link.sends {
            self.select(index)?;
            self.send_index = index;
        }
        self.everyone = self.settings.everyone(self.send_index, &self.own_peers);
        Ok(())
    }

    /// Sends to the group on the interface to send on, which has this index.
    fn select(&self, index: u32) -> Result<(), OpenError> {
        if self.settings.group.is_none() {
            return Ok(());
        }
        let interface = self.settings.send_interface.as_ref();
        let (socket, family) = (SockRef::from(&self.socket), self.settings.family());
        socket::select(&socket, family, interface, index).map_err(|source| {
            match interface.cloned() {
                Some(interface) => OpenError::Select { interface, source },
                None => OpenError::Socket(source),
            }
        })
    }

    /// Binds the socket to the interface where it hears nothing otherwise, which is in a VRF. Where it is bound
    /// to another one, or to an index of before, another socket takes its place: only `CAP_NET_RAW` could change
    /// that, and a socket on a link-local address has it for life.
    fn bind_to(&mut self, link: &Link, index: u32, place: &Place) -> Result<(), OpenError> {
        let (settings, receive) = (&self.settings, &link.interface);
        if let (Some(vrf), Some(receive)) = (place.vrf(), receive)
            && let Some(send) = settings.sends_elsewhere(index)
        {
            return Err(OpenError::OutsideVrf {
                vrf: vrf.to_owned(),
                receive: receive.clone(),
                send: send.clone(),
            });
        }
        let socket = SockRef::from(&self.socket);
        let device = socket::device(&socket)?;
        if settings.suits(device, index, place) {
            return Ok(());
        }
        let wanted = place.vrf().map_or(0, |_| index);
        if device == 0 {
            return socket::bind_to_device(&socket, wanted);
        }
        let socket = self.beside(&self.settings, |settings| {
            socket::open(settings, index, wanted)
        })?;
        SockRef::from(&socket)
            .set_reuse_address(self.settings.reuse_address)
            .map_err(OpenError::Socket)?;
        self.local = socket::local_addr(&socket)?;
        self.socket = registered(socket)?;
        self.full = None;
        if let (true, Some(interface)) = (mem::take(&mut self.inherited), &link.interface) {
            self.notices
                .push(InterfaceEvent::Replaced(interface.clone()));
        }
        if !link.sends && self.send_index != 0 {
            self.select(self.send_index)?;
        }
        Ok(())
    }
}
