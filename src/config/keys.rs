//! The keys of the configuration file, once: for the checks, the messages and the documentation.

use std::fmt::Write as _;

/// A key of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name, as it stands in the file.
    pub name: &'static str,
    /// The type and the range, as a phrase that completes "accepted: …".
    pub accepts: &'static str,
    /// The default: JSON text where it is one value, else a phrase.
    pub default: &'static str,
    /// What it sets, in one sentence.
    pub meaning: &'static str,
    /// Whether the stock daemon has it, too.
    pub stock: bool,
}

pub(super) const MULTICAST_ADDRESS: Key = Key {
    name: "multicast address",
    accepts: "a string with an IPv4 or IPv6 multicast address",
    default: r#""ff15::6a6f:6f6c"; none if there are peers"#,
    meaning: "The group that sessions are sent to and received from.",
    stock: true,
};
pub(super) const MULTICAST_PORT: Key = Key {
    name: "multicast port",
    accepts: "an integer from 1 to 65535, or a string with such a number or a UDP service name",
    default: "6400",
    meaning: "The UDP port of the group and of this node.",
    stock: true,
};
pub(super) const IN_INTERFACE: Key = Key {
    name: "in interface",
    accepts: "a string with the name of an interface (1 to 15 bytes) or with one of its addresses",
    default: "that of `out interface`, else that of the command line, else the kernel chooses",
    meaning: "The interface that the group is joined on.",
    stock: true,
};
pub(super) const OUT_INTERFACE: Key = Key {
    name: "out interface",
    accepts: IN_INTERFACE.accepts,
    default: "that of `in interface`, else that of the command line, else the kernel chooses",
    meaning: "The interface that multicasts leave by, and the scope of link-local peers.",
    stock: true,
};
pub(super) const REUSEADDR: Key = Key {
    name: "reuseaddr",
    accepts: "0, 1, false or true",
    default: "1; 0 without a group",
    meaning: "Whether other sockets of this node may listen on the same address and port.",
    stock: true,
};
pub(super) const TTL: Key = Key {
    name: "ttl",
    accepts: "an integer from 0 to 255",
    default: "1",
    meaning: "The hop limit of multicasts; 1 keeps them on the link.",
    stock: true,
};
pub(super) const INSTANCE: Key = Key {
    name: "instance",
    accepts: "a string of 1 to 15 printable ASCII characters",
    default: r#""default""#,
    meaning: "The Jool instance of this network namespace whose sessions are synchronised.",
    stock: true,
};
pub(super) const PEERS: Key = Key {
    name: "peers",
    accepts: "an array of at most 64 strings, each with a unicast address and, if it is not that \
              of `multicast port`, a port: \"192.0.2.7\", \"192.0.2.7:6400\", \"2001:db8::7\" or \
              \"[2001:db8::7]:6400\"",
    default: "[]",
    meaning: "Nodes that sessions are sent to by unicast; without `multicast address`, by unicast \
              only.",
    stock: false,
};
pub(super) const MANAGE_JOOL: Key = Key {
    name: "manage jool",
    accepts: "true or false",
    default: "true",
    meaning: "Whether session synchronisation is enabled in the instance and its queue is set by \
              this daemon; if not, both are left as they are.",
    stock: false,
};
pub(super) const FLUSH_INTERVAL: Key = Key {
    name: "flush interval",
    accepts: "an integer from 1 to 2000 (milliseconds)",
    default: "20",
    meaning: "How long Jool may keep a session back before it hands it to this daemon.",
    stock: false,
};
pub(super) const QUEUE_CAPACITY: Key = Key {
    name: "queue capacity",
    accepts: "an integer from 512 to 16777216 (records)",
    default: "65536",
    meaning: "How many records Jool may queue for this daemon before it drops them.",
    stock: false,
};
pub(super) const RECORD_FORMAT: Key = Key {
    name: "record format",
    accepts: "\"auto\", or 40, 52 or 140 as an integer or a string (bytes)",
    default: r#""auto""#,
    meaning: "The format of Jool's session records, by length; auto follows the module's version.",
    stock: false,
};
pub(super) const NODE_NAME: Key = Key {
    name: "node name",
    accepts: "a string of 1 to 64 bytes, printable",
    default: "the host's name; with another instance than `default`, and that",
    meaning: "What the other nodes call this one. No two nodes of a group may be given the same. \
              Another one takes effect with the next restart.",
    stock: false,
};
pub(super) const CLUSTER_NAME: Key = Key {
    name: "cluster name",
    accepts: "a string of 1 to 32 bytes, printable",
    default: "the name of the Jool instance",
    meaning: "Whose sessions are synchronised: nodes take none of those of another cluster on the same link. \
              Another one takes effect with the next restart.",
    stock: false,
};
pub(super) const MAX_SESSIONS: Key = Key {
    name: "max sessions",
    accepts: "an integer from 1000 to 100000000",
    default: "4000000",
    meaning: "Sessions that are remembered, at up to 100 bytes each; those announced longest ago \
              go first. Another number takes effect with the next restart.",
    stock: false,
};
pub(super) const JOOL_WAIT: Key = Key {
    name: "jool wait",
    accepts: "an integer from 0 to 86400 (seconds), or \"forever\"",
    default: "60",
    meaning: "How long a start waits for the Jool instance to appear.",
    stock: false,
};
pub(super) const STATISTICS_ADDRESS: Key = Key {
    name: "statistics address",
    accepts: "a string with an address of this node and, if it is not 6401, a port: \
              \"192.0.2.7\", \"192.0.2.7:6401\", \"::1\" or \"[::1]:6401\"",
    default: "none: no statistics by UDP",
    meaning: "Where statistics are given by UDP, as by the stock daemon.",
    stock: false,
};

pub(super) const FAILBACK: Key = Key {
    name: "failback",
    accepts: "\"auto\", \"manual\", or an integer from 1 to 86400 (seconds)",
    default: r#""auto""#,
    meaning: "When a node that is back takes the traffic back from one that is fit: at once, when an \
              operator says `jooldctl undrain`, or after so long.",
    stock: false,
};
pub(super) const ALONE_WAIT: Key = Key {
    name: "alone wait",
    accepts: "an integer from 0 to 86400 (seconds)",
    default: "60",
    meaning: "How long a node that has just started, and hears no other, waits for one before it \
              counts as fit.",
    stock: false,
};
pub(super) const ACCEPT_DIFFERENCES: Key = Key {
    name: "accept differences",
    accepts: "an array of \"pool6\", \"pool4\", \"timeouts\", \"settings\" and \"static BIB\"",
    default: r#"["timeouts", "settings", "static BIB"]"#,
    meaning: "Settings of Jool that may differ between nodes that are fit.",
    stock: false,
};
pub(super) const GATE_INTERFACE: Key = Key {
    name: "gate interface",
    accepts: "a string with the name of an interface (1 to 15 bytes)",
    default: "none",
    meaning: "A dummy interface that is up while this node is fit, and down otherwise.",
    stock: false,
};
pub(super) const SEAL: Key = Key {
    name: "seal",
    accepts: "\"off\", \"accept\", \"send\" or \"require\"",
    default: r#""off""#,
    meaning: "What leaves sealed with a key of the group, and what is taken: everything is open; frames \
              leave open and both kinds are taken; frames leave sealed and both kinds are taken; only \
              sealed ones leave and are taken.",
    stock: false,
};
pub(super) const KEY_FILE: Key = Key {
    name: "key file",
    accepts: "a string with an absolute path",
    default: "the credential `joold.keys` of the service if there is one, else `/etc/joold/keys`",
    meaning: "The keys that frames are sealed with; only read if they are.",
    stock: false,
};

/// Every key, the stock daemon's first.
pub const KEYS: &[Key] = &[
    MULTICAST_ADDRESS,
    MULTICAST_PORT,
    IN_INTERFACE,
    OUT_INTERFACE,
    REUSEADDR,
    TTL,
    INSTANCE,
    PEERS,
    MANAGE_JOOL,
    FLUSH_INTERVAL,
    QUEUE_CAPACITY,
    RECORD_FORMAT,
    NODE_NAME,
    CLUSTER_NAME,
    MAX_SESSIONS,
    JOOL_WAIT,
    STATISTICS_ADDRESS,
    FAILBACK,
    ALONE_WAIT,
    ACCEPT_DIFFERENCES,
    GATE_INTERFACE,
    SEAL,
    KEY_FILE,
];

/// Every key in a paragraph each, for a terminal.
pub fn help() -> String {
    let mut text = String::from("Keys of the JSON object, all optional:\n");
    for key in KEYS {
        let Key {
            name,
            accepts,
            default,
            meaning,
            ..
        } = key;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n  \"{name}\"\n    {meaning}\n    Takes {accepts}.\n    Default: {default}\n"
        );
    }
    text
}

/// The key of this name.
pub(super) fn named(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key that was probably meant: at most a third of the name is wrong, however it is
/// capitalised and whatever separates its words.
pub(super) fn nearest(name: &str) -> Option<&'static Key> {
    // No longer name is within reach, and the distance costs the product of the lengths.
    if name.len() > 64 {
        return None;
    }
    let name: Vec<char> = name
        .chars()
        .map(|c| match c {
            '_' | '-' | '.' => ' ',
            c => c.to_ascii_lowercase(),
        })
        .collect();
    KEYS.iter()
        .map(|key| {
            let known: Vec<char> = key.name.chars().collect();
            let limit = (known.len().max(name.len()) / 3).max(1);
            (distance(&name, &known), limit, key)
        })
        .filter(|(distance, limit, _)| distance <= limit)
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., key)| key)
}

/// Levenshtein distance: insertions, deletions and replacements from one to the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut left = i + 1;
        next.push(left);
        for (pair, b) in row.windows(2).zip(to) {
            let &[diagonal, above] = pair else { break };
            left = (diagonal + usize::from(a != b))
                .min(above + 1)
                .min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_every_key() {
        let readme = include_str!("../../README.md");
        for key in KEYS {
            let Key {
                name,
                accepts,
                default,
                meaning,
                stock,
            } = key;
            let star = if *stock { " *" } else { "" };
            let row = format!("| `{name}`{star} | {meaning} | {accepts} | {default} |");
            assert!(readme.contains(&row), "README.md lacks this row:\n{row}");
        }
    }

    #[test]
    fn the_help_has_every_key() {
        for key in KEYS {
            assert!(help().contains(&format!("\"{}\"", key.name)));
        }
    }

    #[test]
    fn names_are_unique_and_texts_are_there() {
        for (position, key) in KEYS.iter().enumerate() {
            assert_eq!(named(key.name), Some(key));
            assert!(!KEYS[..position].iter().any(|other| other.name == key.name));
            assert!(!key.accepts.is_empty() && !key.default.is_empty() && !key.meaning.is_empty());
        }
    }

    #[test]
    fn a_distance_counts_insertions_deletions_and_replacements() {
        let between = |a: &str, b: &str| {
            distance(
                &a.chars().collect::<Vec<_>>(),
                &b.chars().collect::<Vec<_>>(),
            )
        };
        assert_eq!(between("", ""), 0);
        assert_eq!(between("", "ttl"), 3);
        assert_eq!(between("ttl", ""), 3);
        assert_eq!(between("ttl", "ttl"), 0);
        assert_eq!(between("kitten", "sitting"), 3);
    }

    #[test]
    fn a_typing_error_finds_the_key_that_was_meant() {
        for (typed, meant) in [
            ("multicast adress", "multicast address"),
            ("Multicast_Address", "multicast address"),
            ("multicast-port", "multicast port"),
            ("tttl", "ttl"),
            ("TTL", "ttl"),
            ("reuse addr", "reuseaddr"),
            ("peer", "peers"),
            ("in_iface", "in interface"),
            ("statistics port", "statistics address"),
        ] {
            assert_eq!(
                nearest(typed).map(|key| key.name),
                Some(meant),
                "for {typed}"
            );
        }
    }

    #[test]
    fn a_name_like_no_key_finds_none() {
        for typed in ["", "comment", "x", "hop limit", &"ttl".repeat(10_000)] {
            assert_eq!(nearest(typed), None, "for {typed}");
        }
    }
}
