//! The keys of a group, as a file has them: a line each, `ID SECRET [send]`.

use std::fmt::{self, Write as _};
use std::num::NonZeroU16;

use zeroize::Zeroizing;

use super::{base64, crypto};

/// The secret of a key, which is wiped when it is not needed any more.
pub type Secret = Zeroizing<[u8; 32]>;

/// Keys that a node may have at a time: a rotation needs two.
pub(super) const MOST_KEYS: usize = 4;
/// Problems that are told of one file.
const MOST_PROBLEMS: usize = 10;

/// What tells a key from others, and nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 4]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// A key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) number: NonZeroU16,
    pub(super) secret: Secret,
    pub(super) fingerprint: Fingerprint,
}

/// Some keys, of which one is sent with.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    keys: Vec<Key>,
    /// The one that is sent with.
    sends: Key,
}

impl fmt::Debug for Keys {
    /// Never the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.iter().map(|key| (key.number, key.fingerprint));
        f.debug_map().entries(keys).finish()
    }
}

/// What is wrong with a file of keys. It repeats nothing of the line, in which a secret may stand anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; `None`: the file as a whole.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Keys {
    /// Reads a file of keys. Empty lines count for nothing, nor does what follows a `#`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, up to ten problems.
    pub fn parse(file: &[u8]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut find = |line, message: &str| {
            if problems.len() < MOST_PROBLEMS {
                problems.push(Problem {
                    line,
                    message: message.to_owned(),
                });
            }
        };
        let mut keys: Vec<Key> = Vec::new();
        let mut sending: Option<Key> = None;
        for (number, line) in (1..).zip(file.split(|byte| *byte == b'\n')) {
            let (key, sends) = match read(line) {
                Ok(Some(read)) => read,
                Ok(None) => continue,
                Err(message) => {
                    find(Some(number), message);
                    continue;
                }
            };
            if keys.iter().any(|known| known.number == key.number) {
                find(
                    Some(number),
                    "there is another key with this ID; give one of them another",
                );
            }
            if keys.iter().any(|known| known.secret == key.secret) {
                let same = "there is another key with this secret; `jooldctl key generate` makes a new one";
                find(Some(number), same);
            }
            if sends && sending.is_some() {
                let two = "another key has `send`, too; leave it at the one that frames are to be sealed with";
                find(Some(number), two);
            }
            if sends {
                sending = Some(key.clone());
            }
            if keys.len() == MOST_KEYS {
                let many =
                    format!("there are more than {MOST_KEYS} keys; remove those that no node uses");
                find(Some(number), &many);
                break;
            }
            keys.push(key);
        }
        match sending {
            Some(sends) if problems.is_empty() => return Ok(Self { keys, sends }),
            None if problems.is_empty() => problems.push(Problem {
                line: None,
                message: if keys.is_empty() {
                    "there is no key in it; `jooldctl key generate` makes one".to_owned()
                } else {
                    "no key has `send`; write it behind the one that frames are to be sealed with"
                        .to_owned()
                },
            }),
            _ => {}
        }
        Err(problems)
    }

    /// Each key with its place.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// The place of the key of this number.
    pub(super) fn position(&self, number: u16) -> Option<usize> {
        self.keys.iter().position(|key| key.number.get() == number)
    }

    pub(super) fn at(&self, position: usize) -> Option<&Key> {
        self.keys.get(position)
    }

    /// The key that is sent with.
    pub(super) fn sending(&self) -> &Key {
        &self.sends
    }
}

/// Reads a line: a key, and whether it is sent with; `None`: nothing is in it.
fn read(line: &[u8]) -> Result<Option<(Key, bool)>, &'static str> {
    let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
    let line = str::from_utf8(line).map_err(|_| "this is no text")?;
    let mut words = line.split_ascii_whitespace();
    let Some(number) = words.next() else {
        return Ok(None);
    };
    // A plus sign is accepted by the standard library.
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| digits);
    let number: NonZeroU16 = number.ok_or(
        "this does not begin with the ID of a key; accepted: a number from 1 to 65535, a secret, and \
         perhaps `send`",
    )?;
    let secret = words.next().and_then(base64::decode).ok_or(
        "the ID is not followed by a secret; accepted: 32 bytes in base64, 44 characters, as `jooldctl key \
         generate` makes them",
    )?;
    if secret.iter().all(|byte| secret.first() == Some(byte)) {
        return Err(
            "all bytes of the secret are the same; `jooldctl key generate` makes a new one",
        );
    }
    let sends = match (words.next(), words.next()) {
        (None, _) => false,
        (Some("send"), None) => true,
        _ => return Err("something else than `send` follows the secret; remove it"),
    };
    let fingerprint = crypto::fingerprint(&secret);
    let key = Key {
        number,
        secret,
        fingerprint,
    };
    Ok(Some((key, sends)))
}

/// The line of a key, with its newline.
pub fn new_line(number: NonZeroU16, secret: &Secret, sends: bool) -> Zeroizing<String> {
    // The memory is not moved while it grows, which would leave copies behind.
    let mut line = Zeroizing::new(String::with_capacity(64));
    // Writing to a String cannot fail.
    let _ = write!(line, "{number} ");
    line.push_str(&base64::encode(secret));
    line.push_str(if sends { " send\n" } else { "\n" });
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const TWO: &str = "IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn problems(file: &str) -> String {
        let problems = Keys::parse(file.as_bytes()).unwrap_err();
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let text = lines.join("\n");
        for secret in [ONE, TWO] {
            assert!(!text.contains(secret.get(..8).unwrap()), "{text}");
        }
        text
    }

    #[test]
    fn several_keys_are_read_and_one_is_sent_with() {
        let file = format!("# of the group\n\n 1 {ONE}\n65535\t{TWO} send # new\r\n");
        let keys = Keys::parse(file.as_bytes()).unwrap();
        let numbers: Vec<_> = keys.iter().map(|key| key.number.get()).collect();
        assert_eq!(numbers, [1, 65_535]);
        assert_eq!(keys.sending().number.get(), 65_535);
        assert_eq!((keys.position(65_535), keys.position(2)), (Some(1), None));
    }

    #[test]
    fn a_key_that_is_made_is_read_again() {
        let secret = Zeroizing::new(crypto::random().unwrap());
        let line = new_line(NonZeroU16::new(7).unwrap(), &secret, true);
        let keys = Keys::parse(line.as_bytes()).unwrap();
        assert_eq!(keys.sending().secret, secret);
    }

    #[test]
    fn whatever_is_wrong_is_told_with_its_line_and_without_the_secret() {
        for (file, expected) in [
            (String::new(), "no key in it"),
            (format!("1 {ONE}"), "no key has `send`"),
            (format!("{ONE} send"), "line 1: this does not begin"),
            (format!("0 {ONE} send"), "line 1: this does not begin"),
            (format!("+1 {ONE} send"), "line 1: this does not begin"),
            (format!("65536 {ONE} send"), "line 1: this does not begin"),
            ("\n1 send".to_owned(), "line 2: the ID is not followed"),
            (format!("1 {}", &ONE[..40]), "line 1: the ID is not"),
            (format!("1 {ONE} {TWO}"), "something else than `send`"),
            (format!("1 {ONE} send {TWO}"), "something else than `send`"),
            (
                format!("1 {ONE} send\n1 {TWO}"),
                "line 2: there is another key with this ID",
            ),
            (
                format!("1 {ONE} send\n2 {ONE}"),
                "line 2: there is another key with this secret",
            ),
            (
                format!("1 {ONE} send\n2 {TWO} send"),
                "line 2: another key has `send`",
            ),
            (
                format!("1 {} send", *base64::encode(&Zeroizing::new([7; 32]))),
                "line 1: all bytes",
            ),
        ] {
            let problems = problems(&file);
            assert!(problems.contains(expected), "{file}: {problems}");
        }
        let keys: String = (1..=5_u8)
            .map(|number| {
                let mut secret = [number; 32];
                secret[0] = 0;
                format!("{number} {}\n", *base64::encode(&Zeroizing::new(secret)))
            })
            .collect();
        assert!(problems(&keys).contains("line 5: there are more than 4"));
        assert!(
            Keys::parse(b"1 \xff\n").unwrap_err()[0]
                .message
                .contains("no text")
        );
    }

    #[test]
    fn a_file_of_nonsense_has_few_problems() {
        let problems = Keys::parse(&b"x\n".repeat(30_000)).unwrap_err();
        assert_eq!(problems.len(), MOST_PROBLEMS);
    }

    #[test]
    fn no_secret_is_shown_by_accident() {
        let keys = Keys::parse(format!("1 {ONE} send").as_bytes()).unwrap();
        let shown = format!("{keys:?}");
        assert!(shown.contains('1') && !shown.contains("29, 30"), "{shown}");
    }

    #[test]
    fn a_fingerprint_is_of_the_secret() {
        let keys = Keys::parse(format!("1 {ONE} send\n2 {TWO}").as_bytes()).unwrap();
        let shown: Vec<_> = keys.iter().map(|key| key.fingerprint.to_string()).collect();
        assert_ne!(shown[0], shown[1]);
        assert!(shown.iter().all(|text| text.len() == 8));
    }
}
