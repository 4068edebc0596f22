//! Whether two lists of times differ, by their ranks (Mann and Whitney): no time is thrown away, and a few that are far
//! out decide nothing.

use std::time::Duration;

/// What comparing two lists came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// How likely one of the first list is less than one of the second; 0.5: as likely as not.
    pub likelihood: f64,
    /// How far that is from 0.5, in standard deviations.
    pub deviations: f64,
    /// How often chance alone would give as much or more.
    pub chance: f64,
}

/// Compares two lists, neither of which may be empty.
#[must_use]
pub fn compare(first: &[Duration], second: &[Duration]) -> Comparison {
    let mut all: Vec<_> =
        first.iter().map(|time| (*time, true)).chain(second.iter().map(|time| (*time, false))).collect();
    all.sort_unstable();
    let (mut sum_of_second, mut ties, mut place) = (0.0, 0.0, 0);
    while place < all.len() {
        let end = place + all[place..].iter().take_while(|(time, _)| *time == all[place].0).count();
        let count = number(end - place);
        // Those that are alike share the middle of their ranks, which begin at 1.
        let rank = number(place + 1 + end) / 2.0;
        sum_of_second += rank * number(all[place..end].iter().filter(|(_, is_first)| !is_first).count());
        ties += count * count * count - count;
        place = end;
    }
    let (m, n) = (number(first.len()), number(second.len()));
    let total = m + n;
    let less = sum_of_second - n * (n + 1.0) / 2.0;
    let variance = m * n / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    let deviations = if variance > 0.0 { (less - m * n / 2.0) / variance.sqrt() } else { 0.0 };
    Comparison { likelihood: less / (m * n), deviations, chance: both_tails(deviations) }
}

#[allow(clippy::cast_precision_loss, reason = "a list is not as long as that")]
fn number(count: usize) -> f64 {
    count as f64
}

/// What lies beyond so many standard deviations, on both sides (Abramowitz and Stegun, 7.1.26, to 1.5e-7).
fn both_tails(deviations: f64) -> f64 {
    let x = deviations.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let factors = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    factors.iter().fold(0.0, |sum, factor| (sum + factor) * t) * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(list: &[u64]) -> Vec<Duration> {
        list.iter().map(|&time| Duration::from_nanos(time)).collect()
    }

    #[test]
    fn equal_lists_do_not_differ() {
        let list = times(&[1, 2, 3, 4, 5, 5]);
        let Comparison { likelihood, deviations, chance } = compare(&list, &list);
        assert!((likelihood - 0.5).abs() < 1e-9 && deviations.abs() < 1e-9 && (chance - 1.0).abs() < 1e-6);
        assert!((compare(&times(&[7; 9]), &times(&[7; 9])).chance - 1.0).abs() < 1e-6);
    }

    #[test]
    fn lists_that_are_apart_differ_and_the_lesser_one_is_told() {
        let (low, high): (Vec<_>, Vec<_>) = ((0..50).collect(), (100..150).collect());
        let apart = compare(&times(&low), &times(&high));
        assert!((apart.likelihood - 1.0).abs() < 1e-9 && apart.deviations > 8.0 && apart.chance < 1e-12);
        let turned = compare(&times(&high), &times(&low));
        assert!(turned.likelihood.abs() < 1e-9 && (turned.deviations + apart.deviations).abs() < 1e-9);
    }

    #[test]
    fn ranks_that_are_shared_count_by_their_middle() {
        // By hand: ranks 1, 2.5, 2.5, 4 and 5; the second list has 2.5 + 4 + 5 = 11.5, and 11.5 - 6 = 5.5 of 6.
        let Comparison { likelihood, .. } = compare(&times(&[1, 2]), &times(&[2, 3, 4]));
        assert!((likelihood - 5.5 / 6.0).abs() < 1e-9);
    }

    #[test]
    fn tails_are_those_of_the_tables() {
        for (deviations, expected) in
            [(0.0, 1.0), (1.0, 0.317_310_5), (1.96, 0.049_995_8), (3.0, 0.002_699_8)]
        {
            assert!((both_tails(deviations) - expected).abs() < 1e-6, "{deviations}");
        }
    }
}
