//! What an interface is a part of.

use std::{fmt, io};

use nix::net::if_::if_indextoname;

use super::rtnetlink;

/// What an interface is a part of, as far as it matters to who listens there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Nothing else.
    #[default]
    Itself,
    /// The VRF of this name; or it is that VRF. What arrives there is for sockets that are bound to the
    /// interface or the VRF, and for no other.
    Vrf(String),
    /// Another interface, which gets what arrives there.
    Port {
        /// What the other one is, for instance `bridge`.
        kind: String,
        /// Its name.
        of: String,
    },
}

impl Place {
    /// Where the interface of that index is now.
    pub(super) fn of(index: u32) -> io::Result<Self> {
        let link = rtnetlink::link(&rtnetlink::open()?, index)?;
        let name = |index| -> io::Result<String> {
            Ok(if_indextoname(index)?.to_string_lossy().into_owned())
        };
        Ok(match (link.kind, link.master, link.master_kind) {
            (Some(kind), _, _) if kind == "vrf" => Self::Vrf(name(index)?),
            (_, Some(master), Some(kind)) => match kind.as_str() {
                "vrf" => Self::Vrf(name(master)?),
                // Of others, as of batman-adv, an interface hears what it heard before.
                "bond" | "bridge" | "openvswitch" | "team" => Self::Port {
                    of: name(master)?,
                    kind,
                },
                _ => Self::Itself,
            },
            _ => Self::Itself,
        })
    }

    /// Whether nothing is heard of a group there.
    pub fn is_deaf(&self) -> bool {
        matches!(self, Self::Port { .. })
    }

    /// The VRF, if it is one.
    pub(super) fn vrf(&self) -> Option<&str> {
        match self {
            Self::Vrf(name) => Some(name),
            Self::Itself | Self::Port { .. } => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("in no VRF, and no port of another interface"),
            Self::Vrf(name) => write!(
                f,
                "in the VRF {name}, so the socket is bound to the interface"
            ),
            Self::Port { kind, of } => write!(
                f,
                "a port of the {kind} {of}, which gets what arrives there: the group is not heard on it; \
                 name {of} instead"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Interface;

    #[test]
    fn the_loopback_is_a_part_of_nothing() {
        let lo = Interface::from("lo").index().unwrap();
        assert_eq!(Place::of(lo).unwrap(), Place::Itself);
    }
}
