//! Following the interfaces that the socket uses.

use std::net::SocketAddr;
use std::time::Duration;
use std::{future, io, mem};

use socket2::SockRef;
use tokio::time::{Instant, sleep_until};

use super::{Network, registered};
use crate::net::link::{Link, State};
use crate::net::watch::Changes;
use crate::net::{InterfaceEvent, OpenError, membership, socket};

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
        let index = match (link.look_up(), &link.interface) {
            (Ok(index), _) => index,
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
        if link.state == State::InUse && !replaced && !perhaps {
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
        let attached = self.attach(link, index);
        link.index = index;
        match attached {
            Ok(()) => {
                if let Some(interface) = &link.interface
                    && (replaced || link.state != State::InUse)
                {
                    events.push(InterfaceEvent::Returned(interface.clone()));
                }
                link.state = State::InUse;
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
    pub(super) fn attach(&mut self, link: &Link, index: u32) -> Result<(), OpenError> {
        if link.receives {
            self.bind_to(link, index)?;
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
            if self.settings.group.is_some() {
                let (family, interface) = (self.settings.family(), link.interface.as_ref());
                socket::select(socket, family, interface, index).map_err(
                    |source| match interface.cloned() {
                        Some(interface) => OpenError::Select { interface, source },
                        None => OpenError::Socket(source),
                    },
                )?;
            }
            self.send_index = index;
            self.everyone = self.settings.everyone(index, &self.own_peers);
        }
        Ok(())
    }

    /// A socket that listens on a link-local address is bound to an interface index for life:
    /// another index takes another socket.
    fn bind_to(&mut self, link: &Link, index: u32) -> Result<(), OpenError> {
        let scope = match self.local {
            SocketAddr::V6(local) => local.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        if scope == 0 || scope == index {
            return Ok(());
        }
        if let (true, Some(interface)) = (self.inherited, &link.interface) {
            return Err(OpenError::Inherited(interface.clone()));
        }
        let socket = socket::open(&self.settings, index)?;
        self.local = socket::local_addr(&socket)?;
        self.socket = registered(socket)?;
        Ok(())
    }
}
