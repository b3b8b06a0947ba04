//! 32 bytes as 44 characters (RFC 4648, section 4), and back. Strict: there is one text for each value.

use zeroize::Zeroizing;

use super::keys::Secret;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters of 32 bytes, without the `=` at the end.
const CHARACTERS: usize = 43;

pub(super) fn encode(secret: &Secret) -> Zeroizing<String> {
    // The memory is not moved while it grows, which would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(CHARACTERS + 1));
    for three in secret.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|index| u32::from(three.get(index).copied().unwrap_or(0)));
        let bits = a << 16 | b << 8 | c;
        for index in 0..4 {
            let sign = ALPHABET.get((bits >> (18 - 6 * index) & 63) as usize);
            text.push(match sign {
                Some(sign) if index <= three.len() => char::from(*sign),
                _ => '=',
            });
        }
    }
    text
}

/// `None`: this is something else.
pub(super) fn decode(text: &str) -> Option<Secret> {
    let text = text.strip_suffix('=')?.as_bytes();
    if text.len() != CHARACTERS {
        return None;
    }
    let mut secret = Zeroizing::new([0; 32]);
    let mut bytes = secret.iter_mut();
    let (mut bits, mut count) = (0_u32, 0);
    for character in text {
        let value = ALPHABET.iter().position(|sign| sign == character)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            *bytes.next()? = u8::try_from(bits >> count & 0xff).ok()?;
        }
    }
    // Two bits are left over.
    (bits & 3 == 0).then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_as_base64_and_read_again() {
        let secret = Zeroizing::new(std::array::from_fn(|index| u8::try_from(index).unwrap()));
        let text = encode(&secret);
        assert_eq!(*text, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(decode(&text), Some(secret));
        let ones = Zeroizing::new([0xff; 32]);
        assert_eq!(decode(&encode(&ones)), Some(ones));
    }

    #[test]
    fn what_is_not_exactly_that_is_refused() {
        for text in [
            "",
            "=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh==",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh-=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh88=",
            "äAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh=",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
