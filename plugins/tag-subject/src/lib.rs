//! What a spam filter wrote into the header becomes a tag of the subject.
//!
//! | option | means |
//! | --- | --- |
//! | `prefix` | the tag; `[SPAM]` where it is not there |
//! | `header` | the field that is looked at; `X-Spam-Flag`, or `X-Spam-Score` where `threshold` is there |
//! | `value` | a pattern (`*`, `?`) that the field has to match; `yes*` where it is not there |
//! | `threshold` | a number, in place of `value`: the field has to have a number that is as large, after `score=` or as its first |
//!
//! A message that has no subject gets one. A subject that begins with the tag stays.

use pop3d_transform::{
    ByHeader, HeaderRewriter, Headers, Options, Rewrite, Value, encode_text, export_transform, is_field_name,
    matches_glob,
};

/// The filter.
#[derive(Clone, Debug)]
pub struct TagSubject {
    prefix: String,
    header: String,
    sign: Sign,
    is_spam: bool,
    has_subject: bool,
}

/// What tells spam.
#[derive(Clone, Debug)]
enum Sign {
    Value(String),
    Threshold(f64),
}

impl HeaderRewriter for TagSubject {
    fn configure(options: &mut Options) -> Result<Self, String> {
        let (value, threshold) = (options.text("value")?, options.decimal("threshold")?);
        let usual = if threshold.is_some() { "X-Spam-Score" } else { "X-Spam-Flag" };
        let header = options.text("header")?.unwrap_or_else(|| usual.to_owned());
        if !is_field_name(header.as_bytes()) {
            return Err(format!("the option \"header\" is the name of a header field, and not {header:?}"));
        }
        let sign = match (value, threshold) {
            (Some(_), Some(_)) => {
                return Err("of the options \"value\" and \"threshold\" one is used".to_owned());
            }
            (None, Some(threshold)) => Sign::Threshold(threshold),
            (value, None) => Sign::Value(value.unwrap_or_else(|| "yes*".to_owned())),
        };
        let prefix = options.text("prefix")?.unwrap_or_else(|| "[SPAM]".to_owned());
        if prefix.trim().is_empty() || prefix.contains(['\r', '\n']) {
            return Err("the option \"prefix\" is text of one line".to_owned());
        }
        Ok(Self { prefix: prefix.trim().to_owned(), header, sign, is_spam: false, has_subject: false })
    }

    fn see(&mut self, name: &str, value: Value<'_>) {
        self.has_subject |= name.eq_ignore_ascii_case("subject");
        if name.eq_ignore_ascii_case(&self.header) {
            let text = value.text();
            self.is_spam |= match &self.sign {
                Sign::Value(pattern) => matches_glob(pattern, &text),
                Sign::Threshold(threshold) => score(&text).is_some_and(|score| score >= *threshold),
            };
        }
    }

    fn header(&mut self, name: &str, value: Value<'_>) -> Rewrite {
        if !self.is_spam || !name.eq_ignore_ascii_case("subject") || value.text().starts_with(&self.prefix) {
            return Rewrite::Keep;
        }
        Rewrite::Replace(value.prefixed(&self.prefix))
    }

    fn end(&mut self, add: &mut Headers) {
        if self.is_spam && !self.has_subject {
            add.add("Subject", encode_text(&self.prefix));
        }
    }
}

/// The number in "Yes, score=7.3 required=5.0", "7.3 / 5.0", "spam-level 7.3." or "7.3".
fn score(text: &str) -> Option<f64> {
    let text = text.split_once("score=").map_or(text, |(_, text)| text);
    let is_none = |letter: char| !letter.is_ascii_digit() && !"+-.".contains(letter);
    text.split(is_none).find_map(|number| number.trim_end_matches('.').parse().ok())
}

export_transform!(ByHeader<TagSubject>, name: "tag-subject", description: "Tags the subject of what is marked as spam");

#[cfg(test)]
mod tests {
    use pop3d_plugin_tests::{
        a_second_pass_changes_nothing, cuts_do_not_matter, nothing_changes, refuses, sent,
    };

    use super::*;

    type It = ByHeader<TagSubject>;

    fn tagged(options: &[(&str, &str)], message: &str) -> String {
        String::from_utf8(sent::<It>(options, message.as_bytes())).unwrap()
    }

    #[test]
    fn what_is_marked_is_tagged_wherever_the_mark_is() {
        let spam = "Subject: =?utf-8?q?Gr=C3=BCn?=\r\n folded\r\nX-Spam-Flag: YES\r\n\r\nbody";
        assert_eq!(tagged(&[], spam), spam.replace("Subject:", "Subject: [SPAM]"));
        for ham in ["Subject: x\nX-Spam-Flag: NO\n\n", "Subject: x\n\nX-Spam-Flag: YES\n", ""] {
            assert_eq!(tagged(&[], ham), ham);
        }
        assert_eq!(tagged(&[], "X-Spam-Flag: YES\n\n"), "X-Spam-Flag: YES\nSubject: [SPAM]\n\n");
    }

    #[test]
    fn a_score_counts_from_its_threshold_on() {
        let options = [("threshold", "5"), ("header", "X-Spam-Status"), ("prefix", "gr\u{fc}n")];
        for (status, is_spam) in [
            ("Yes, score=5.0 required=9", true),
            ("No, score=-7.1", false),
            ("12", true),
            ("?", false),
            ("spam-level 7.3", true),
            ("spam-level 4.9", false),
            ("Yes, score=7.3.", true),
            ("- +6", true),
        ] {
            let sent = tagged(&options, &format!("X-Spam-Status: {status}\nSubject: x\n\n"));
            assert_eq!(sent.contains("=?UTF-8?B?Z3LDvG4=?= x"), is_spam, "{sent}");
        }
    }

    #[test]
    fn wrong_options_are_refused() {
        refuses::<It>(&[("prefx", "x")], "there is no option \"prefx\"; it takes \"value\"");
        refuses::<It>(&[("threshold", "many")], "is a number");
        refuses::<It>(&[("threshold", "1"), ("value", "x")], "one is used");
        refuses::<It>(&[("header", "a b")], "name of a header field");
        refuses::<It>(&[("prefix", "a\nb")], "one line");
    }

    #[test]
    fn every_message_goes_through() {
        let all = [("header", "From"), ("value", "*"), ("prefix", "gr\u{fc}n")];
        cuts_do_not_matter::<It>(&all);
        a_second_pass_changes_nothing::<It>(&all);
        nothing_changes::<It>(&[("header", "X-Nobody-Has-This")]);
    }
}
