//! crypt(3)'s `$1$`, in which many an old file has its passwords. It is read, never made: it is guessed fast. By hand, for no
//! library that is kept up has it; what it is made of, MD5, is one's.

use md5::{Digest, Md5};

/// Most characters of a salt that count.
pub(super) const SALT_MAX: usize = 8;
/// Characters of a hash.
pub(super) const LENGTH: usize = 22;

const PREFIX: &[u8] = b"$1$";
/// crypt(3)'s digits of base 64.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Hashes a password. `salt` has at most `SALT_MAX` octets.
pub(super) fn md5_crypt(password: &[u8], salt: &[u8]) -> String {
    let start = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut first = Md5::new().chain_update(password).chain_update(PREFIX).chain_update(salt);
    first.update(start.iter().cycle().take(password.len()).copied().collect::<Vec<_>>());
    let mut bits = password.len();
    while bits > 0 {
        // Where a bit is set, the C of its author took an octet that had just been cleared.
        first.update(if bits & 1 == 1 { &[0] } else { password.get(..1).unwrap_or_default() });
        bits >>= 1;
    }
    let mut digest: [u8; 16] = first.finalize().into();
    for round in 0..1000 {
        let is_odd = round % 2 == 1;
        let mut next = Md5::new();
        next.update(if is_odd { password } else { &digest });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if is_odd { &digest } else { password });
        digest = next.finalize().into();
    }
    digits(&digest)
}

/// The digest as crypt(3) writes it: three octets are four digits, the least first, and the last octet is two.
fn digits(digest: &[u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = digest.map(u32::from);
    let groups = [(a, g, m, 4), (b, h, n, 4), (c, i, o, 4), (d, j, p, 4), (e, k, f, 4), (0, 0, l, 2)];
    let mut text = String::with_capacity(LENGTH);
    for (high, middle, low, count) in groups {
        let value = (high << 16) | (middle << 8) | low;
        for place in 0..count {
            let digit = usize::try_from((value >> (6 * place)) & 63).unwrap_or(0);
            text.push(DIGITS.get(digit).copied().unwrap_or(b'.').into());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `openssl passwd -1 -salt SALT PASSWORD`.
    #[test]
    fn hashes_are_those_of_openssl() {
        for (password, salt, hash) in [
            ("secret", "abcdefgh", "cHJi5PXp/ki/ktXzqlk6I1"),
            ("x", "a", "TYcRT0JumNkKBBlirG1X4/"),
            (
                "a much longer password, of more than one block of MD5, which has 64 octets",
                ".salt/9",
                "xYQ5zXW6M9zbaE.Qoq9oW/",
            ),
            ("sixteen octets!!", "12345678", "vdz.6z6pl9gZumhRKap5i1"),
            ("s\u{e4}cret", "Zz", "5RULTEttT24FR1PtQCQqp/"),
        ] {
            assert_eq!(md5_crypt(password.as_bytes(), salt.as_bytes()), hash, "{password}");
        }
    }
}
