//! The events that an operator may act on, by the id that the journal has for each.
//!
//! `journalctl -x` explains them from `systemd/joold.catalog`, and `journalctl MESSAGE_ID=…` finds
//! them. An id never changes its meaning.

/// An event and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The 32 hexadecimal digits of the journal's field `MESSAGE_ID`.
    pub id: &'static str,
    /// What happened, in a few words.
    pub name: &'static str,
}

/// The daemon has started and listens for datagrams.
pub const STARTED: Message = Message {
    id: "19a379da323e4cb99d7cf938e6c6d7b0",
    name: "started",
};
/// There is a Jool instance, and its sessions are synchronised from now on.
pub const ATTACHED: Message = Message {
    id: "dfd6dbe990a94a169e1004b3aaf7e4ea",
    name: "attached",
};
/// There is no Jool instance yet.
pub const WAITING: Message = Message {
    id: "538ec85cf91b4198bc1b5813512e0932",
    name: "waiting for Jool",
};
/// The Jool instance is gone.
pub const LOST: Message = Message {
    id: "43fefee42e854157afe1c7dd79fbd7f9",
    name: "Jool lost",
};
/// Somebody changed settings of the Jool instance, and they were set again.
pub const REPAIRED: Message = Message {
    id: "9a53d9a0792441a89ff2cf62c28692b5",
    name: "settings repaired",
};
/// The configuration was read again and is in force.
pub const RELOADED: Message = Message {
    id: "489c64c5a7564308bc5f96fb85be8253",
    name: "configuration reloaded",
};
/// The configuration is not acceptable.
pub const REFUSED: Message = Message {
    id: "dc67393c2c3041528ca6e48b40aba81a",
    name: "configuration refused",
};
/// Records or datagrams were dropped.
pub const DROPPED: Message = Message {
    id: "7b100611a96e43ca8d52161191fb8121",
    name: "drops",
};
/// An interface to the other nodes is gone.
pub const INTERFACE_LOST: Message = Message {
    id: "6ad26b00b42f4813bd3369e296b9e673",
    name: "interface lost",
};
/// An interface to the other nodes is back.
pub const INTERFACE_RETURNED: Message = Message {
    id: "bb9b7a1d3f46463c81b1b4c4ab1638fc",
    name: "interface returned",
};
/// An interface to the other nodes is a part of another one, or is none any more.
pub const INTERFACE_MOVED: Message = Message {
    id: "e513e49fc7e34688a43b4a13ce940efc",
    name: "interface moved",
};
/// The daemon stops because it was told to.
pub const STOPPED: Message = Message {
    id: "5367316804e04de8a97962d9df22cc15",
    name: "stopped",
};
/// The daemon ends by itself; its exit status says why.
pub const FAILED: Message = Message {
    id: "0ca8882d9447431e91067d26ae8c6913",
    name: "failed",
};
/// There is no system bus, or the daemon's name there is taken.
pub const BUS_UNAVAILABLE: Message = Message {
    id: "48e9d08997f8407e8e4f28dfc57eac7a",
    name: "bus unavailable",
};
/// This node has what the others have.
pub const SYNCED: Message = Message {
    id: "4864e77354c44e98b7222408aff87208",
    name: "synced",
};
/// No other node is heard.
pub const ALONE: Message = Message {
    id: "b700e278d067473ca1e836d2bf7fa37b",
    name: "alone",
};
/// Something is known to be missing.
pub const DEGRADED: Message = Message {
    id: "3d479a14233c454098526ae06c4179d6",
    name: "degraded",
};
/// Another node is there.
pub const PEER_FOUND: Message = Message {
    id: "caf4d10c51a547bfadb4111b0fb85158",
    name: "peer found",
};
/// Another node is not heard any more.
pub const PEER_LOST: Message = Message {
    id: "adf07f6a0f6c42178423d7fea6625d1a",
    name: "peer lost",
};
/// This node knows what the others know.
pub const JOINED: Message = Message {
    id: "3d0d8c740f7248ee8a0f21eab5639bb5",
    name: "joined",
};
/// A large part of a log came from another node.
pub const CAUGHT_UP: Message = Message {
    id: "3418e2157ebb40939eef76a8971f2647",
    name: "caught up",
};
/// Sessions ended on another node while it was not heard.
pub const ENDED: Message = Message {
    id: "6df077f85b2849f09c0864bb3ac2096f",
    name: "sessions ended elsewhere",
};
/// Records are lost: nobody has them.
pub const RECORDS_LOST: Message = Message {
    id: "2f36bb607cbb4ab486761ce2f90fa8ec",
    name: "records lost",
};
/// Our own Jool's table was compared with ours.
pub const AUDITED: Message = Message {
    id: "24c8381f24764b988af58a1dffde7a46",
    name: "audited",
};
/// A setting is another on another node.
pub const DRIFT: Message = Message {
    id: "105e191d629649ab926b0f91fae94880",
    name: "drift",
};
/// Sessions of another node were not here as they are there, and nothing had told.
pub const DIFFERED: Message = Message {
    id: "4261b3dd736e40dba48fa18b02d1924b",
    name: "differed",
};
/// Another node says that it is this one.
pub const NAMESAKE: Message = Message {
    id: "a0f50c1736474e949a29fdcd59bd540d",
    name: "namesake",
};
/// A node has the name of another one.
pub const NAME_SHARED: Message = Message {
    id: "b59053810a90472c8f6c0090ab631e23",
    name: "name shared",
};
/// A node is there again under another number.
pub const RENUMBERED: Message = Message {
    id: "9c7084ba5aab45bf82fbfd21a42763ab",
    name: "renumbered",
};
/// This node's number may not outlast a restart.
pub const UNSTEADY: Message = Message {
    id: "379b50391a594a0c9d28233f59b94959",
    name: "number does not last",
};
/// A machine that is none of the peers sends to this node.
pub const STRANGER: Message = Message {
    id: "ab3d2f44216f4d819e43e2c6979a90d1",
    name: "stranger",
};
/// The sessions that are announced are made up.
pub const SIMULATED: Message = Message {
    id: "645bd5a0e7a14847b6dfc68d0aa91468",
    name: "simulated Jool",
};
/// This run of the daemon was there before: the machine or its clock was set back.
pub const BEGAN_AGAIN: Message = Message {
    id: "939cf311e99b4911b0c4f679276f132a",
    name: "began again",
};
/// Another node, or a program that is none, speaks another version of the protocol.
pub const FOREIGN_VERSION: Message = Message {
    id: "91d39ca8410e446ea6fdf166dc03711b",
    name: "foreign version",
};
/// Sessions were removed from our own Jool by somebody.
pub const REMOVED: Message = Message {
    id: "4eeac3433a884c30a01e9f206e8d951e",
    name: "removed",
};
/// Our own Jool does not take sessions of other nodes, or takes them again.
pub const NOT_TAKEN: Message = Message {
    id: "4b9b390dd87d42009a81b69944b2b688",
    name: "not taken",
};
/// A node of another cluster is on the same link.
pub const FOREIGN_CLUSTER: Message = Message {
    id: "38aea217a2d94d83862eb82a29a5adb4",
    name: "foreign cluster",
};
/// The socket unit listens elsewhere than the configuration says.
pub const SOCKET_ELSEWHERE: Message = Message {
    id: "334f73c281b04c0cb48cf13fe568c7ff",
    name: "socket elsewhere",
};
/// Jool refused settings that suit session synchronisation.
pub const UNREPAIRED: Message = Message {
    id: "2703cb21a58a4f4682f74d514e711133",
    name: "settings refused",
};

/// This node may translate in another one's place.
pub const FIT: Message = Message {
    id: "2c08a1ba5fda462eab49e253a730d505",
    name: "fit",
};
/// It may not, for the reason given.
pub const UNFIT: Message = Message {
    id: "ce76393152714b168ffae73cd8f6a978",
    name: "not fit",
};
/// Another node has every session of this one.
pub const FAILOVER_SAFE: Message = Message {
    id: "8a116b1d487e4e18b417eb519cf95239",
    name: "failover safe",
};
/// None has, for the reason given.
pub const FAILOVER_UNSAFE: Message = Message {
    id: "b4a063df511f4c84883fe9082c045170",
    name: "failover not safe",
};
/// What acts on whether this node is fit cannot be told.
pub const OUTLET_FAILED: Message = Message {
    id: "392944a2e8dc44aebd38c7035d9ee3f2",
    name: "outlet failed",
};
/// What leaves sealed, and what is taken, is this from now on.
pub const SEAL_CHANGED: Message = Message {
    id: "7a2fe19a791f4b7a89cff100e126178f",
    name: "seal",
};
/// Frames were sealed with a key that is not here.
pub const SEAL_UNKNOWN_KEY: Message = Message {
    id: "cdc2de10023a43d88f764010234b7d67",
    name: "unknown key",
};
/// Sealed frames had a wrong tag.
pub const SEAL_FORGED: Message = Message {
    id: "c631a53f9064408d97bdb5397c7df154",
    name: "wrong tags",
};
/// Sealed frames came again.
pub const SEAL_REPLAYED: Message = Message {
    id: "3fd732d8104747bd96cfd5ca20be489b",
    name: "repeated frames",
};
/// Open frames were refused.
pub const SEAL_OPEN_FRAMES: Message = Message {
    id: "68681d0e037c43fc883b5d0ab06f1df6",
    name: "open frames refused",
};
/// Other nodes still send open frames, or do not any more.
pub const SEAL_OPEN_PEERS: Message = Message {
    id: "6ed216003f754bc4a30ced3f9355d0ea",
    name: "open peers",
};
/// A key is not everywhere, or is now.
pub const SEAL_KEYS: Message = Message {
    id: "c1b3937636b14ff38bb1859df16671b7",
    name: "keys differ",
};

/// Every message.
pub const MESSAGES: &[Message] = &[
    STARTED,
    ATTACHED,
    WAITING,
    LOST,
    REPAIRED,
    RELOADED,
    REFUSED,
    DROPPED,
    INTERFACE_LOST,
    INTERFACE_RETURNED,
    INTERFACE_MOVED,
    STOPPED,
    FAILED,
    BUS_UNAVAILABLE,
    SYNCED,
    ALONE,
    DEGRADED,
    PEER_FOUND,
    PEER_LOST,
    JOINED,
    CAUGHT_UP,
    ENDED,
    RECORDS_LOST,
    AUDITED,
    DRIFT,
    DIFFERED,
    NAMESAKE,
    NAME_SHARED,
    RENUMBERED,
    UNSTEADY,
    STRANGER,
    SIMULATED,
    BEGAN_AGAIN,
    FOREIGN_VERSION,
    FOREIGN_CLUSTER,
    REMOVED,
    NOT_TAKEN,
    SOCKET_ELSEWHERE,
    UNREPAIRED,
    FIT,
    UNFIT,
    FAILOVER_SAFE,
    FAILOVER_UNSAFE,
    OUTLET_FAILED,
    SEAL_CHANGED,
    SEAL_UNKNOWN_KEY,
    SEAL_FORGED,
    SEAL_REPLAYED,
    SEAL_OPEN_FRAMES,
    SEAL_OPEN_PEERS,
    SEAL_KEYS,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const CATALOGUE: &str = include_str!("../../systemd/joold.catalog");

    #[test]
    fn every_id_is_32_lowercase_digits_and_has_one_meaning() {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        for message in MESSAGES {
            assert_eq!(message.id.len(), 32, "{message:?}");
            assert!(message.id.bytes().all(digit), "{message:?}");
        }
        let ids: BTreeSet<_> = MESSAGES.iter().map(|message| message.id).collect();
        assert_eq!(ids.len(), MESSAGES.len());
    }

    #[test]
    fn the_catalogue_explains_every_message_and_no_other() {
        let entries: Vec<_> = CATALOGUE
            .lines()
            .filter_map(|line| line.strip_prefix("-- "))
            .collect();
        let ids: Vec<_> = MESSAGES.iter().map(|message| message.id).collect();
        assert_eq!(entries, ids);
        for entry in CATALOGUE.split("\n-- ").skip(1) {
            let (header, text) = entry.split_once("\n\n").expect("an entry has a text");
            let mut header = header.lines().skip(1);
            let subject = header.next().expect("an entry has a subject");
            assert!(subject.starts_with("Subject: "), "{entry}");
            assert_eq!(header.next(), Some("Defined-By: joold"), "{entry}");
            assert!(text.trim().len() > 80, "{entry}");
        }
    }

    #[test]
    fn the_catalogues_lines_fit_a_terminal() {
        for line in CATALOGUE.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
