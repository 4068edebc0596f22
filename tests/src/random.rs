//! Numbers and messages that look like chance, and are the same for the same seed.

/// A sequence of numbers (xorshift).
pub struct Random(u64);

impl Random {
    /// Another sequence for each seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).unwrap() % bound
    }

    /// One of these.
    pub fn one_of<Item: Copy>(&mut self, items: &[Item]) -> Item {
        items[self.below(items.len())]
    }

    /// A message of at most so many octets: lines with every kind of end, ".", NUL and octets that are no text, the last
    /// one mostly without an end.
    pub fn message(&mut self, most: usize) -> Vec<u8> {
        const PARTS: [&[u8]; 12] = [
            b"\n",
            b"\r\n",
            b"\r",
            b".",
            b"\n.",
            b"\r\n.\r\n",
            b"\0",
            b"\xFF\x80",
            b"a",
            b"Some words ",
            b"\n\n",
            b"Subject: x\n",
        ];
        let octets = self.below(most + 1);
        let mut message = Vec::new();
        while message.len() < octets {
            message.extend_from_slice(self.one_of(&PARTS));
        }
        message.truncate(octets);
        message
    }
}

/// The messages of the corpus in the folder `POP3D_CORPUS`, in the order of their names; none without it.
///
/// # Panics
/// Where the folder holds none.
#[must_use]
pub fn corpus() -> Vec<Vec<u8>> {
    let Some(folder) = std::env::var_os("POP3D_CORPUS") else { return Vec::new() };
    let (mut folders, mut files) = (vec![std::path::PathBuf::from(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|end| end == "eml") => files.push(path),
                false => {}
            }
        }
    }
    assert!(!files.is_empty(), "there are no messages in POP3D_CORPUS");
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}
