//! Octets that may be a password, on their way from a line to who verifies them.

use alloc::boxed::Box;
use core::fmt;
use core::hint::black_box;
use core::ops::Deref;

/// Octets that are zero-filled where they are dropped, and that `Debug` does not show.
#[derive(Default)]
pub struct Wiped(Box<[u8]>);

impl Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Wiped {
    fn from(octets: &[u8]) -> Self {
        Self(octets.into())
    }
}

impl From<Box<[u8]>> for Wiped {
    fn from(octets: Box<[u8]>) -> Self {
        Self(octets)
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Wiped")
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        // Without this the compiler may leave out stores into memory that is given back.
        black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_holds_is_read_and_not_shown() {
        let secret = Wiped::from(&b"secret"[..]);
        assert_eq!(*secret, *b"secret");
        assert_eq!(alloc::format!("{secret:?}"), "Wiped");
    }
}
