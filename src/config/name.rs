//! A configuration by its name: its file, its unit.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Sources;

/// Where named configurations are.
pub const FOLDER: &str = "/etc/joold";
const SUFFIX: &str = ".json";

/// The name of a configuration, `eth0`: of `/etc/joold/eth0.json`, of the instance of the unit
/// `joold@eth0.service`, and of the interface unless the file names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// Why something is no name of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It is empty, `.` or `..`, or holds a slash or a control character.
    NoFileName,
    /// A backslash is not the beginning of `\x` and two hexadecimal digits, or the bytes that are
    /// escaped so are not UTF-8.
    Escape,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFileName => "a name is not empty and has neither slashes nor control characters",
            Self::Escape => {
                "a backslash is followed by x and two hexadecimal digits, as systemd-escape writes it"
            }
        })
    }
}

impl std::error::Error for NameError {}

impl FromStr for Name {
    type Err = NameError;

    /// Takes a unit's instance, in which `\xNN` stands for a byte (systemd.unit(5)). A `-` is a
    /// `-`, since no name has a slash for it to stand for.
    fn from_str(instance: &str) -> Result<Self, NameError> {
        let mut bytes = Vec::with_capacity(instance.len());
        let mut parts = instance.split('\\');
        bytes.extend(parts.next().unwrap_or_default().bytes());
        for part in parts {
            let escaped = part.strip_prefix('x').and_then(|rest| rest.get(..2));
            let escaped = escaped.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
            let byte = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(byte.ok_or(NameError::Escape)?);
            bytes.extend(part.bytes().skip(3));
        }
        Self::new(String::from_utf8(bytes).map_err(|_| NameError::Escape)?)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    fn new(name: String) -> Result<Self, NameError> {
        let unusable = |c: char| c == '/' || c.is_control();
        if matches!(name.as_str(), "" | "." | "..") || name.contains(unusable) {
            return Err(NameError::NoFileName);
        }
        Ok(Self(name))
    }

    /// The name of the configuration in a file called so; `None`: it is none.
    pub fn of_file(name: &str) -> Option<Self> {
        Self::new(name.strip_suffix(SUFFIX)?.to_owned()).ok()
    }

    /// The name of the configuration in that file, if it is one of a unit.
    pub fn of_path(path: &Path) -> Option<Self> {
        if path.parent() != Some(Path::new(FOLDER)) {
            return None;
        }
        Self::of_file(path.file_name()?.to_str()?)
    }

    /// The file, whether it is there or not.
    pub fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(format!("{self}{SUFFIX}"))
    }

    /// The instance of the unit: the name, with `\xNN` for each byte that cannot stand in a unit's
    /// name.
    pub fn unit_instance(&self) -> String {
        let mut instance = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' | b'@' | b'-' => {
                    instance.push(char::from(byte));
                }
                _ => instance.push_str(&format!("\\x{byte:02x}")),
            }
        }
        instance
    }

    /// The file if it is there, and the name as the interface unless the file names one.
    pub fn sources(&self) -> Sources {
        Sources {
            network: Some(self.path()),
            network_is_optional: true,
            interface: Some(self.0.clone()),
            ..Sources::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(instance: &str) -> Result<String, NameError> {
        instance.parse().map(|Name(name)| name)
    }

    #[test]
    fn a_name_is_the_units_instance_with_its_escapes_resolved() {
        for (instance, expected) in [
            ("eth0", "eth0"),
            ("bond0.64", "bond0.64"),
            ("br-lan", "br-lan"),
            (r"br\x2dlan", "br-lan"),
            (r"veth\x2b1", "veth+1"),
            (r"\x7e\xc3\xa9", "~é"),
            ("eth0@x", "eth0@x"),
        ] {
            assert_eq!(name(instance).as_deref(), Ok(expected), "{instance}");
        }
    }

    #[test]
    fn a_name_that_would_leave_the_folder_or_cannot_be_read_is_refused() {
        for instance in [
            "",
            ".",
            "..",
            "a/b",
            r"\x2e\x2e",
            r"a\x2fb",
            r"a\x00",
            "a\nb",
        ] {
            assert_eq!(name(instance), Err(NameError::NoFileName), "{instance}");
        }
        for instance in [
            r"\", r"a\", r"\y41", r"\x4", r"\x+4", r"\xzz", r"\xff", r"\xé",
        ] {
            assert_eq!(name(instance), Err(NameError::Escape), "{instance}");
        }
    }

    #[test]
    fn a_file_has_the_name_before_its_suffix() {
        let name = |file| Name::of_file(file).map(|name| name.0);
        assert_eq!(name("bond0.64.json").as_deref(), Some("bond0.64"));
        for file in [".json", "eth0", "eth0.json~", "..json", "...json"] {
            assert_eq!(name(file), None, "{file}");
        }
    }

    #[test]
    fn the_file_is_optional_and_the_name_is_the_interface() {
        let sources = "bond0.64".parse::<Name>().unwrap().sources();
        assert_eq!(sources.network, Some("/etc/joold/bond0.64.json".into()));
        assert!(sources.network_is_optional);
        assert_eq!(sources.interface.as_deref(), Some("bond0.64"));
    }

    proptest! {
        #[test]
        fn every_name_comes_back_from_its_unit(name in "[^/\\pC]{1,20}") {
            prop_assume!(!matches!(name.as_str(), "." | ".."));
            let name = Name::new(name).unwrap();
            prop_assert_eq!(name.unit_instance().parse(), Ok(name));
        }
    }
}
