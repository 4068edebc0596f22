//! LANG (RFC 6856, section 3): the languages of what stands behind "+OK" and "-ERR".
//!
//! All texts are English. So a choice between its names changes nothing that has to be remembered.

use crate::reply::Replies;

/// The languages by their tags, each with its description in itself. The first is what "*" asks for.
const LANGUAGES: [(&str, &str); 2] = [("en", "English"), ("i-default", "English")];

/// Longest language range that is looked at: no tag that is used has as many octets.
const RANGE_MAX: usize = 64;

/// Answers LANG.
pub(super) fn answer(range: Option<&[u8]>, replies: &mut Replies) {
    let Some(range) = range else {
        replies.ok(format_args!("languages follow"));
        for (tag, description) in LANGUAGES {
            replies.raw(format_args!("{tag} {description}\r\n"));
        }
        return replies.raw(format_args!(".\r\n"));
    };
    match choose(range) {
        Some(tag) => replies.ok(format_args!("{tag} language chosen")),
        None => replies.error(None, format_args!("language not known")),
    }
}

/// The tag of the language that a range stands for: its own, or what is left of it without its last subtags (RFC 4647,
/// section 3.4).
fn choose(range: &[u8]) -> Option<&'static str> {
    if range == b"*" {
        return LANGUAGES.first().map(|&(tag, _)| tag);
    }
    let is_subtag =
        |subtag: &[u8]| (1..=8).contains(&subtag.len()) && subtag.iter().all(u8::is_ascii_alphanumeric);
    if range.len() > RANGE_MAX || !range.split(|&octet| octet == b'-').all(is_subtag) {
        return None;
    }
    let begins_with = |tag: &str| {
        let (start, rest) = range.split_at_checked(tag.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(tag.as_bytes()) && matches!(rest, [] | [b'-', ..])
    };
    LANGUAGES.iter().map(|&(tag, _)| tag).find(|tag| begins_with(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_tag_or_begins_with_one() {
        for (range, tag) in [
            ("en", Some("en")),
            ("EN", Some("en")),
            ("en-GB", Some("en")),
            ("en-latn-gb-boont-x-y", Some("en")),
            ("i-default", Some("i-default")),
            ("I-Default", Some("i-default")),
            ("*", Some("en")),
            ("*-GB", None),
            ("de", None),
            ("e", None),
            ("eng", None),
            ("i", None),
            ("i-defaults", None),
            ("MUL", None),
            ("", None),
            ("en-", None),
            ("en--GB", None),
            ("en_GB", None),
            ("en-123456789", None),
        ] {
            assert_eq!(choose(range.as_bytes()), tag, "{range}");
        }
        assert_eq!(choose(&b"en-a".repeat(20)), None);
    }
}
