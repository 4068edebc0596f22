//! A checksum that keeps up with memory: tells whether an index file is what was written. Not a protection against
//! somebody who means to deceive: who can write the index can write its checksum.

/// Odd, so that multiplying by it loses nothing; the golden ratio in 64 bits.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// Sums up octets, eight at a time in four lanes that do not wait for each other.
///
/// One step is a bijection of the lane for each word and of the word for each lane. So two inputs of one length that
/// differ in a single word never have the same checksum.
pub(super) fn checksum(octets: &[u8]) -> u64 {
    let mut lanes = [1_u64, 2, 3, 4];
    let mut blocks = octets.chunks_exact(32);
    for block in blocks.by_ref() {
        for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            *lane = step(*lane, word_of(word));
        }
    }
    let mut sum = step(0, octets.len() as u64);
    for word in blocks.remainder().chunks(8) {
        sum = step(sum, word_of(word));
    }
    lanes.into_iter().fold(sum, step)
}

fn step(state: u64, word: u64) -> u64 {
    let mixed = (state ^ word).wrapping_mul(FACTOR);
    mixed ^ (mixed >> 29)
}

/// Up to eight octets as a number; what is missing is 0.
fn word_of(octets: &[u8]) -> u64 {
    if let Ok(word) = octets.try_into() {
        return u64::from_le_bytes(word);
    }
    let mut word = [0; 8];
    for (place, octet) in word.iter_mut().zip(octets) {
        *place = *octet;
    }
    u64::from_le_bytes(word)
}

/// A number that stands for several, with next to no chance that others share it.
pub(super) fn mix(words: &[u64]) -> u64 {
    words.iter().fold(words.len() as u64, |state, &word| step(state.rotate_left(17), word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_octet_changes_the_checksum() {
        let octets: Vec<u8> = (0..=255).collect();
        for length in 0..octets.len() {
            let whole = &octets[..length];
            let sum = checksum(whole);
            for place in 0..length {
                for bit in 0..8 {
                    let mut changed = whole.to_vec();
                    changed[place] ^= 1 << bit;
                    assert_ne!(checksum(&changed), sum);
                }
            }
            assert_ne!(checksum(&octets[..=length]), sum);
        }
    }
}
