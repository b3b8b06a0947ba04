use std::fmt;
use std::net::IpAddr;

use super::settings::needs_scope;
use super::{Interface, InterfaceError, OpenError, Place, Settings};

/// What became of an interface, for the log.
#[derive(Debug)]
pub enum InterfaceEvent {
    /// It is gone. The network goes on without it until it returns.
    Lost {
        /// The interface, as the operator calls it.
        interface: Interface,
        /// `None`: it was deleted and is back already.
        reason: Option<InterfaceError>,
    },
    /// It is back and in use again.
    Returned(Interface),
    /// It is there, but cannot be used. It is tried again every second.
    Failed(OpenError),
    /// It has become a part of another interface, or is none any more; or it is one since the start.
    Moved(Interface, Place),
    /// The socket that was handed over is bound to another interface than this one, or to one that is gone, so
    /// this process has opened another.
    Replaced(Interface),
    /// The kernel had forgotten that this node is a member of the group, so nothing was heard; it is one again.
    Rejoined(IpAddr),
}

impl fmt::Display for InterfaceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost {
                interface,
                reason: Some(reason),
            } => write!(
                f,
                "the interface {interface} is lost, it will be used again when it returns: {reason}"
            ),
            Self::Lost {
                interface,
                reason: None,
            } => write!(f, "the interface {interface} was deleted and created again"),
            Self::Returned(interface) => {
                write!(f, "the interface {interface} is back and in use again")
            }
            Self::Failed(error) => write!(f, "it is tried again every second: {error}"),
            Self::Moved(interface, place) => write!(f, "the interface {interface} is {place}"),
            Self::Replaced(interface) => write!(
                f,
                "the socket that was handed over is bound to another interface than {interface}, or to an \
                 earlier one; an own socket is used. A restart of the socket unit brings both together"
            ),
            Self::Rejoined(group) => write!(
                f,
                "this node was no member of the group {group} any more, so it heard nothing; it has joined it \
                 again. That is what becomes of it when IPv6, or an address, is taken from the interface"
            ),
        }
    }
}

/// An interface in use, and what for.
#[derive(Debug)]
pub(super) struct Link {
    /// `None`: the kernel chooses, which is index 0 to it.
    pub(super) interface: Option<Interface>,
    pub(super) receives: bool,
    pub(super) sends: bool,
    pub(super) index: u32,
    /// Of what receives; what only sends, sends wherever it is.
    pub(super) place: Place,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    InUse,
    Lost,
    /// Found, but using it failed.
    Failed,
}

impl Link {
    fn new(interface: Option<&Interface>, receives: bool, sends: bool) -> Result<Self, OpenError> {
        let mut link = Self {
            interface: interface.cloned(),
            receives,
            sends,
            index: 0,
            place: Place::Itself,
            state: State::InUse,
        };
        (link.index, link.place) = link.look_up()?;
        Ok(link)
    }

    /// The index that the interface has now, and where it is.
    pub(super) fn look_up(&self) -> Result<(u32, Place), InterfaceError> {
        let Some(interface) = &self.interface else {
            return Ok((0, Place::Itself));
        };
        if self.receives {
            interface.index_and_place()
        } else {
            Ok((interface.index()?, Place::Itself))
        }
    }

    /// The interfaces that the settings name. The first one receives.
    pub(super) fn all(settings: &Settings) -> Result<Vec<Self>, OpenError> {
        let mut receive = settings.receive_interface.as_ref();
        let mut send = settings.send_interface.as_ref();
        if let Some(address) = settings.link_local() {
            receive = receive.or(send);
            send = send.or(receive);
            if receive.is_none() {
                return Err(OpenError::InterfaceRequired(address));
            }
        }
        let mut links = vec![Self::new(receive, true, send == receive)?];
        if send.is_some() && send != receive {
            links.push(Self::new(send, false, true)?);
        }
        let bound = needs_scope(settings.listen_address().ip());
        if let ([first, second], Some(group), true) = (links.as_slice(), settings.group, bound)
            && first.index != second.index
        {
            let name = |link: &Self| link.interface.clone();
            if let (Some(receive), Some(send)) = (name(first), name(second)) {
                return Err(OpenError::InterfacesDiffer {
                    group: group.ip(),
                    receive,
                    send,
                });
            }
        }
        Ok(links)
    }
}
