//! What a node's seal tells the others' seals: what they have to repeat, what it repeats of them, and what it can
//! open.

use std::num::NonZeroU16;

use super::keys::{Fingerprint, MOST_KEYS};
use super::policy::Policy;
use super::status::Known;

/// Something at random. Whoever repeats it has heard it, so that what it says was not recorded before.
pub(super) type Challenge = [u8; 8];

/// Challenges that one introduction repeats: as many as fit the shortest frame, 300 bytes.
pub(super) const MOST_ECHOES: usize = 25;

/// What a node tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// What the others have to repeat.
    pub(super) challenge: Challenge,
    pub(super) policy: Policy,
    /// The keys that it can open.
    pub(super) keys: Vec<Known>,
}

/// An introduction as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Introduction<'a> {
    pub(super) said: Said,
    pub(super) echoes: &'a [Challenge],
}

impl<'a> Introduction<'a> {
    /// `None`: it makes no sense.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (challenge, rest) = bytes.split_first_chunk()?;
        let ([policy, count], rest) = rest.split_first_chunk()?;
        let count = usize::from(*count);
        if count > MOST_KEYS {
            return None;
        }
        let (keys, rest) = rest.split_at_checked(count * 6)?;
        let (keys, _) = keys.as_chunks::<6>();
        let keys = keys.iter().map(|[high, low, fingerprint @ ..]| {
            Some(Known {
                number: NonZeroU16::new(u16::from_be_bytes([*high, *low]))?,
                fingerprint: Fingerprint(*fingerprint),
            })
        });
        let (count, rest) = rest.split_first()?;
        let (echoes, over) = rest.as_chunks();
        if !over.is_empty() || echoes.len() != usize::from(*count) || echoes.len() > MOST_ECHOES {
            return None;
        }
        let said = Said {
            challenge: *challenge,
            policy: Policy::of(*policy)?,
            keys: keys.collect::<Option<_>>()?,
        };
        Some(Self { said, echoes })
    }
}

/// Appends an introduction.
pub(super) fn write(said: &Said, echoes: &[Challenge], frame: &mut Vec<u8>) {
    frame.extend_from_slice(&said.challenge);
    let keys = said.keys.get(..MOST_KEYS).unwrap_or(&said.keys);
    let length = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
    frame.extend_from_slice(&[said.policy as u8, length(keys.len())]);
    for key in keys {
        frame.extend_from_slice(&key.number.get().to_be_bytes());
        frame.extend_from_slice(&key.fingerprint.0);
    }
    let echoes = echoes.get(..MOST_ECHOES).unwrap_or(echoes);
    frame.push(length(echoes.len()));
    for echo in echoes {
        frame.extend_from_slice(echo);
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::OVERHEAD;
    use super::*;
    use crate::replication::wire::MIN_FRAME;

    fn said(keys: u16) -> Said {
        Said {
            challenge: [7; 8],
            policy: Policy::Send,
            keys: (1..=keys)
                .map(|number| Known {
                    number: NonZeroU16::new(number).unwrap(),
                    fingerprint: Fingerprint([1, 2, 3, 4]),
                })
                .collect(),
        }
    }

    #[test]
    fn an_introduction_is_read_as_it_was_written_and_the_longest_fits_every_path() {
        for (keys, echoes) in [(0, 0), (1, 2), (4, 25)] {
            let mut bytes = Vec::new();
            let echoes = vec![[9; 8]; echoes];
            write(&said(keys), &echoes, &mut bytes);
            let expected = Introduction {
                said: said(keys),
                echoes: &echoes,
            };
            assert_eq!(Introduction::parse(&bytes), Some(expected));
            assert!(bytes.len() + OVERHEAD <= MIN_FRAME);
            for length in 0..bytes.len() {
                assert_eq!(Introduction::parse(&bytes[..length]), None);
            }
            bytes.push(0);
            assert_eq!(Introduction::parse(&bytes), None);
        }
    }

    #[test]
    fn what_an_introduction_may_not_say_makes_no_sense() {
        let mut bytes = Vec::new();
        write(&said(1), &[], &mut bytes);
        for (index, value) in [(8, 0), (8, 4), (9, 5), (11, 0), (16, 1)] {
            let mut wrong = bytes.clone();
            wrong[index] = value;
            assert_eq!(Introduction::parse(&wrong), None, "{index}");
        }
    }
}
