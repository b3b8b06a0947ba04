//! The primitives, all of them `ring`'s: AES-256-GCM (NIST SP 800-38D), HKDF-SHA256 (RFC 5869), SHA-256, and the
//! system's random numbers.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hkdf};

use super::frame::{RunKey, TAG};
use super::keys::{Fingerprint, Secret};

/// Where 16 random bytes come from; `None`: there are none now.
pub type Random = fn() -> Option<[u8; 16]>;

/// Random bytes of the system's; `None`: it gives none.
pub fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes)
}

/// What tells a key from others, and nothing about it.
pub(super) fn fingerprint(secret: &Secret) -> Fingerprint {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"joold key fingerprint");
    context.update(secret.as_slice());
    let digest = context.finish();
    Fingerprint(digest.as_ref().first_chunk().copied().unwrap_or_default())
}

/// What one run of a node seals its frames with under one key.
pub(super) struct Subkey(LessSafeKey);

impl fmt::Debug for Subkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subkey")
    }
}

impl Subkey {
    /// `None`: never, as far as `ring` tells.
    pub(super) fn derive(secret: &Secret, run: &RunKey) -> Option<Self> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &run.salt);
        let (node, epoch) = (run.log.node.to_be_bytes(), run.log.epoch.to_be_bytes());
        let info: [&[u8]; 3] = [b"joold sealed frame", &node, &epoch];
        let key = salt.extract(secret.as_slice());
        let key = UnboundKey::from(key.expand(&info, &AES_256_GCM).ok()?);
        Some(Self(LessSafeKey::new(key)))
    }

    /// Encrypts in place, and authenticates that and the head.
    pub(super) fn seal(&self, counter: u64, head: &[u8], frame: &mut [u8]) -> Option<[u8; TAG]> {
        let sealed = self
            .0
            .seal_in_place_separate_tag(nonce(counter), Aad::from(head), frame);
        sealed.ok()?.as_ref().try_into().ok()
    }

    /// Decrypts in place, if that and the head are as they were sealed.
    pub(super) fn open(
        &self,
        counter: u64,
        head: &[u8],
        frame: &mut [u8],
        tag: &[u8; TAG],
    ) -> bool {
        let opened = self.0.open_in_place_separate_tag(
            nonce(counter),
            Aad::from(head),
            Tag::from(*tag),
            frame,
            0..,
        );
        opened.is_ok()
    }
}

/// No two frames of a run have one counter, whatever they are.
fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    if let Some(end) = nonce.last_chunk_mut() {
        *end = counter.to_be_bytes();
    }
    Nonce::assume_unique_for_key(nonce)
}
