//! Patterns of names and types, as options have them.

/// Whether a text matches a pattern: "*" is any text, "?" any letter, and case does not matter.
#[must_use]
pub fn matches_glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut done) = (0, 0);
    // Where the last "*" is, and how much of the text it takes.
    let mut star = None;
    while done < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, done));
                at += 1;
            }
            Some(&letter) if letter == '?' || letter == text[done] => {
                at += 1;
                done += 1;
            }
            Some(_) | None => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    at = *place + 1;
                    done = *taken;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&letter| letter == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn twin(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|taken| twin(rest, &text[taken..])),
            [letter, rest @ ..] => {
                text.first().is_some_and(|found| *letter == b'?' || letter.eq_ignore_ascii_case(found))
                    && twin(rest, &text[1..])
            }
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_as_its_slow_twin(pattern in "[aB*?]{0,8}", text in "[Ab]{0,8}") {
            prop_assert_eq!(matches_glob(&pattern, &text), twin(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
