//! Versions of the module and what each speaks.

use std::fmt;

use crate::session::Format;

/// A version of Jool: major, minor, revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u8,
    /// Second number; the module demands that a request names both as they are.
    pub minor: u8,
    /// Third number.
    pub revision: u8,
}

/// A version that is not spoken here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// Its messages have no magic number yet, or are of another generation.
    TooOld(Version),
    /// It may have changed its records, as 4.1.12 and 4.1.13 did.
    TooNew(Version),
    /// Not a version at all.
    Unreadable(String),
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.revision)
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (oldest, newest) = (Version::OLDEST, Version::NEWEST);
        match self {
            Self::TooOld(version) => write!(
                f,
                "the loaded module is Jool {version}, which speaks another protocol; joold works \
                 with Jool {oldest} to {newest}, upgrade Jool"
            ),
            Self::TooNew(version) => write!(
                f,
                "the loaded module is Jool {version}, which may write its session records in \
                 another way; joold works with Jool {oldest} to {newest}, upgrade joold"
            ),
            Self::Unreadable(text) => write!(
                f,
                "/sys/module/jool/version says \"{}\", which is not a version of Jool; joold works \
                 with Jool {oldest} to {newest}",
                text.escape_default()
            ),
        }
    }
}

impl std::error::Error for Unsupported {}

impl Version {
    /// The oldest that is spoken here.
    pub const OLDEST: Self = Self {
        major: 4,
        minor: 1,
        revision: 5,
    };
    /// The newest that is known.
    pub const NEWEST: Self = Self {
        major: 4,
        minor: 1,
        revision: 15,
    };

    /// The version as a number, a byte each, as Jool itself has it.
    pub fn number(self) -> u32 {
        u32::from_be_bytes([self.major, self.minor, self.revision, 0])
    }

    /// Whether the module counts the records that it drops because its queue is full.
    pub fn counts_drops(self) -> bool {
        self.revision >= 12
    }

    /// Reads `4.1.13` or the module's own `4.1.13.0`, and refuses what is not spoken here.
    pub fn supported(text: &str) -> Result<Self, Unsupported> {
        let unreadable = || Unsupported::Unreadable(text.trim().chars().take(40).collect());
        let mut numbers = text.trim().split('.').map(str::parse::<u8>);
        let mut next = || numbers.next().and_then(Result::ok).ok_or_else(unreadable);
        let version = Self {
            major: next()?,
            minor: next()?,
            revision: next()?,
        };
        if version < Self::OLDEST {
            Err(Unsupported::TooOld(version))
        } else if version > Self::NEWEST {
            Err(Unsupported::TooNew(version))
        } else {
            Ok(version)
        }
    }

    /// The record format of this version.
    pub fn format(self) -> Format {
        match self.revision {
            ..=11 => Format::Tlv140,
            12 => Format::Flat52,
            13.. => Format::Flat40,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_version_has_its_format() {
        for revision in 5..=15 {
            let version = Version::supported(&format!("4.1.{revision}.0\n")).unwrap();
            let expected = match revision {
                5..=11 => Format::Tlv140,
                12 => Format::Flat52,
                _ => Format::Flat40,
            };
            assert_eq!(version.format(), expected, "{version}");
        }
    }

    #[test]
    fn other_versions_are_refused_with_a_reason() {
        for (text, expected) in [
            ("4.1.4.0", "upgrade Jool"),
            ("4.0.9", "upgrade Jool"),
            ("3.5.7", "upgrade Jool"),
            ("4.1.16.0", "upgrade joold"),
            ("4.2.0.0", "upgrade joold"),
            ("5.0.0.0", "upgrade joold"),
            ("", "not a version"),
            ("4.1", "not a version"),
            ("four.one.nine", "not a version"),
        ] {
            let refusal = Version::supported(text).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{text}: {refusal}");
        }
    }
}
