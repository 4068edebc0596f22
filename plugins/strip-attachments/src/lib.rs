//! Attachments go, by type, name and size, and leave a note.
//!
//! | option | means |
//! | --- | --- |
//! | `types` | patterns (`*`, `?`) of media types, such as `application/x-*` |
//! | `names` | patterns of file names, such as `*.exe`; of an attachment with several names one is enough |
//! | `max_size` | octets, decoded: only what is larger goes; at most 8388608 |
//! | `note` | the text in its place, with `{name}` and `{type}`; `The attachment {name} ({type}) was removed.` |
//!
//! One of the first three has to be there. With neither `types` nor `names` every attachment counts that is larger than
//! `max_size`. An attachment is what says so, what has a file name, and what is neither text nor holds other parts; one in
//! a forwarded message is as good as any. What is signed or encrypted stays as a whole. Parts within more than 32 others
//! make the message fail, because nobody has looked into them. Nor does anybody into a forwarded message that is encoded or in
//! pieces (`message/partial`): it stays, unless `types`, `names` or `max_size` removes it.

use pop3d_transform::{
    BODY_MAX, ByPart, Choice, NewPart, Options, Part, PartFilter, export_transform, matches_glob,
};

/// The filter.
#[derive(Clone, Debug)]
pub struct StripAttachments {
    types: Vec<String>,
    names: Vec<String>,
    max_size: Option<u64>,
    note: String,
}

impl PartFilter for StripAttachments {
    fn configure(options: &mut Options) -> Result<Self, String> {
        let (types, names) = (options.list("types")?, options.list("names")?);
        let max_size = options.number("max_size")?;
        if types.is_empty() && names.is_empty() && max_size.is_none() {
            return Err("one of the options \"types\", \"names\" and \"max_size\" is needed".to_owned());
        }
        if max_size.is_some_and(|size| size > BODY_MAX as u64) {
            return Err(format!("the option \"max_size\" is at most {BODY_MAX}"));
        }
        let note =
            options.text("note")?.unwrap_or_else(|| "The attachment {name} ({type}) was removed.".to_owned());
        Ok(Self { types, names, max_size, note })
    }

    fn part(&mut self, part: &Part) -> Choice {
        if part.is_signed() {
            return Choice::Copy;
        }
        let is_multipart = part.media_type().starts_with("multipart/");
        let is_body = (part.is_text() || is_multipart) && !part.is_file();
        if is_multipart && part.holds_parts() || is_body || !self.is_meant(part) {
            return Choice::Walk;
        }
        match self.max_size {
            None => Choice::Replace(self.note(part)),
            Some(size) if !part.holds_parts() => Choice::ReplaceAbove(size, self.note(part)),
            // A message has no size of its own: what is in it has.
            Some(_) => Choice::Walk,
        }
    }

    fn copies_what_is_too_large(&self) -> bool {
        false
    }
}

impl StripAttachments {
    fn is_meant(&self, part: &Part) -> bool {
        let has_type = self.types.iter().any(|pattern| matches_glob(pattern, part.media_type()));
        let has_name = |name: &str| self.names.iter().any(|pattern| matches_glob(pattern, name));
        let is_any = self.types.is_empty() && self.names.is_empty() && !part.holds_parts();
        is_any || has_type || part.file_names().any(has_name)
    }

    fn note(&self, part: &Part) -> NewPart {
        let name = part.file_name().unwrap_or("without a name");
        NewPart::plain(self.note.replace("{type}", part.media_type()).replace("{name}", name) + "\n")
    }
}

export_transform!(
    ByPart<StripAttachments>,
    name: "strip-attachments",
    description: "Removes attachments by type, name and size",
);

#[cfg(test)]
mod tests {
    use pop3d_plugin_tests::{
        a_second_pass_changes_nothing, cuts_do_not_matter, nothing_changes, refuses, sent,
    };

    use super::*;

    type It = ByPart<StripAttachments>;

    const HEAD: &str = "Content-Type: multipart/mixed; boundary=x\n\n--x\n\ntext\n--x\n";
    const PROGRAM: &str = "Content-Type: application/x-dos; name=\"=?utf-8?q?=C3=BC.exe?=\"\n\nMZ1234\n";
    const NOTE: &str = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n";

    fn stripped(options: &[(&str, &str)], part: &str) -> String {
        let message = format!("{HEAD}{part}--x--\n");
        let sent = String::from_utf8(sent::<It>(options, message.as_bytes())).unwrap();
        sent.strip_prefix(HEAD).unwrap().strip_suffix("--x--\n").unwrap().to_owned()
    }

    #[test]
    fn an_attachment_goes_by_type_by_name_and_by_size() {
        let note = ("note", "no {type}");
        for option in
            [("types", "application/x-*"), ("names", "[\"*.com\",\"\u{dc}.EXE\"]"), ("max_size", "5")]
        {
            assert_eq!(
                stripped(&[option, note], PROGRAM),
                format!("{NOTE}no application/x-dos\n\n"),
                "{option:?}"
            );
        }
        assert_eq!(stripped(&[("types", "*"), ("note", "a\r\nb")], PROGRAM), format!("{NOTE}a\nb\n\n"));
        let sent = stripped(&[("types", "*"), ("note", "a\r\n\u{fc}")], PROGRAM);
        assert!(sent.ends_with("base64\n\nYQ0Kw7wNCg==\n\n"), "{sent}");
        for option in [("types", "image/*"), ("names", "*.com"), ("max_size", "7")] {
            assert_eq!(stripped(&[option], PROGRAM), PROGRAM, "{option:?}");
        }
        assert_eq!(stripped(&[("types", "*"), ("max_size", "7")], PROGRAM), PROGRAM);
        assert!(
            stripped(&[("types", "*")], PROGRAM)
                .contains("Content-Transfer-Encoding: base64\n\nVGhlIGF0dGFj")
        );
        let forwarded = "Content-Type: message/rfc822\n\nSubject: x\n".to_owned() + PROGRAM;
        assert!(!stripped(&[("types", "application/*")], &forwarded).contains("MZ"));
        assert!(stripped(&[("types", "message/*"), note], &forwarded).ends_with("no message/rfc822\n\n"));
    }

    #[test]
    fn what_is_signed_or_encrypted_with_s_mime_stays() {
        for content_type in [
            "application/pkcs7-mime; name=smime.p7m",
            "Application/X-PKCS7-Mime; name=smime.p7m",
            "application/octet-stream; name=smime.p7m",
            "application/octet-stream; name=SMIME.P7M\nContent-Disposition: attachment; filename=smime.p7m",
            "application/octet-stream\nContent-Disposition: attachment; filename=smime.p7s",
        ] {
            let part = format!("Content-Type: {content_type}\n\nMIIB\n");
            for option in [("types", "application/*"), ("names", "*.p7?"), ("max_size", "1")] {
                assert_eq!(stripped(&[option], &part), part, "{option:?}");
            }
        }
        for content_type in [
            "application/octet-stream; name=a.exe\nContent-Disposition: attachment; filename=smime.p7m",
            "application/octet-stream; name=smime.p7m.exe",
            "application/x-dos; name=smime.p7m",
            "application/x-pkcs7-mime; name=a.exe",
            "application/pkcs7-mime; name=smime.p7m\nContent-Disposition: attachment; filename=a.exe",
        ] {
            let part = format!("Content-Type: {content_type}\n\nMIIB\n");
            assert_eq!(
                stripped(&[("types", "application/*"), ("note", "gone")], &part),
                format!("{NOTE}gone\n\n")
            );
        }
    }

    #[test]
    fn a_name_is_found_wherever_a_header_may_have_it() {
        let plain = "application/octet-stream";
        for (content_type, disposition) in [
            (plain, "attachment; filename=\"invoice;.exe\""),
            (plain, "attachment; filename=\"a\\\"b;.exe\""),
            (plain, "attachment; filename=\"a.txt\"; filename*=utf-8''a.exe"),
            (plain, "attachment; filename*=utf-8''a.exe; filename=\"a.txt\""),
            (plain, "attachment; filename*=utf-8''a.txt; filename=\"a.exe\""),
            (plain, "attachment; filename=a.txt; filename=a.exe"),
            (plain, "attachment; filename*0*=utf-8''a.; filename*1=\"e\"; filename*2*=%78e"),
            (plain, "attachment;\n FileName\n = \"=?utf-8?q?a=2Eexe?=\""),
            (plain, "attachment; filename*0=\"=?utf-8?q?a=2E\";\n filename*1=\"exe?=\""),
            (plain, &format!("attachment; filename=\"=?utf-8?q?{}=2Eexe?=\"", "a".repeat(2000))),
            ("application/pdf; name=a.exe", "attachment; filename=a.pdf"),
            (plain, "attachment; filename=a.exe (a comment)"),
            (plain, "(a comment; \") attachment; filename=\"a.exe\""),
            (plain, "attachment; filename=report (1).exe"),
            (plain, "attachment; filename=report(1).exe"),
            (plain, "attachment; filename=a.txt (; filename=a.exe"),
            (plain, "attachment; filename=a.txt (; filename=a.exe;)"),
            ("application/pdf; name*=iso-8859-1'de'%fc.exe", "attachment; filename=a.pdf"),
        ] {
            let part = format!("Content-Type: {content_type}\nContent-Disposition: {disposition}\n\nMZ\n");
            let sent = stripped(&[("names", "*.exe"), ("note", "gone")], &part);
            assert_eq!(sent, format!("{NOTE}gone\n\n"), "{part}");
            assert_eq!(stripped(&[("names", "*.com")], &part), part);
        }
        let part = "Content-Type: application/x-dos; name=report (1).exe\n\nMZ\n";
        let sent = stripped(&[("types", "*"), ("note", "{name}")], part);
        assert_eq!(sent, format!("{NOTE}report (1).exe\n\n"));
        let part = "Content-Type: application/x-dos; name=a.txt;\n name*=utf-8''%c3%bc.exe\n\nMZ\n";
        let sent = stripped(&[("types", "*"), ("note", "{name}")], part);
        assert!(sent.ends_with("\n\nw7wuZXhlDQo=\n\n"), "{sent}");
    }

    #[test]
    fn a_multipart_that_cannot_have_parts_is_an_attachment_where_it_is_a_file() {
        for fields in [
            "Content-Type: multipart/x; name=a.exe\nContent-Disposition: attachment",
            "Content-Type: multipart/signed\nContent-Disposition: attachment; filename=a.exe",
            "Content-Type: multipart/mixed; boundary=\"\"; name=a.exe",
        ] {
            let part = format!("{fields}\n\nMZ\n");
            assert_eq!(stripped(&[("names", "*.exe"), ("note", "gone")], &part), format!("{NOTE}gone\n\n"));
        }
        for fields in ["Content-Type: multipart/x", "Content-Type: multipart/x; boundary=y; name=a.exe"] {
            let part = format!("{fields}\n\nMZ\n");
            assert_eq!(stripped(&[("names", "*.exe"), ("max_size", "0")], &part), part);
            assert_eq!(stripped(&[("max_size", "0")], &part), part);
        }
    }

    #[test]
    fn a_note_makes_no_delimiter() {
        let part = "Content-Type: application/x-dos; name=\"--x\"\n\nMZ\n";
        let sent = stripped(&[("types", "*"), ("note", "{name}")], part);
        assert!(sent.ends_with("base64\n\nLS14DQo=\n\n"), "{sent}");
    }

    #[test]
    fn an_attachment_below_whose_header_no_empty_line_is_goes() {
        let part = "Content-Disposition: attachment; filename=a.exe\nTVo=\n";
        assert_eq!(stripped(&[("names", "*.exe"), ("note", "gone")], part), format!("{NOTE}gone\n\n"));
        assert_eq!(stripped(&[("names", "*.com")], part), part);
    }

    #[test]
    fn a_parameter_made_to_keep_it_busy_is_read_through() {
        let odd = [
            "; name=\"".to_owned() + &" =?\n".repeat(100_000) + &"?=x\n".repeat(20_000),
            "; name=\"".to_owned() + &format!(" =?{}?=\n", "?=x".repeat(300)).repeat(1000),
            (0..60_000).map(|number| format!(";\n a{number}*0*=")).collect(),
            (0..60_000).map(|number| format!(";\n name*={number:05}")).collect(),
        ];
        for odd in odd {
            let part = format!("Content-Type: application/x{odd}\n\nMZ\n");
            assert_eq!(stripped(&[("names", "*.exe")], &part), part);
        }
    }

    #[test]
    fn a_forwarded_message_that_hides_what_is_in_it_goes_or_stays() {
        let part = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nTVo=\n";
        assert!(stripped(&[("types", "message/*"), ("note", "gone")], part).ends_with("gone\n\n"));
        for part in [part, "Content-Type: message/partial; id=a; number=1\n\nMZ\n"] {
            assert_eq!(stripped(&[("names", "*.exe")], part), part);
        }
    }

    #[test]
    fn wrong_options_are_refused() {
        refuses::<It>(&[], "is needed");
        refuses::<It>(&[("types", "[1]")], "a list of strings");
        refuses::<It>(&[("max_size", "1MiB")], "a whole number");
        refuses::<It>(&[("max_size", "8388609")], "at most 8388608");
        refuses::<It>(&[("types", "x"), ("type", "x")], "there is no option \"type\"");
    }

    #[test]
    fn every_message_goes_through() {
        for options in [[("types", "*")], [("max_size", "1000")], [("names", "*")]] {
            cuts_do_not_matter::<It>(&options);
            a_second_pass_changes_nothing::<It>(&options);
        }
        nothing_changes::<It>(&[("types", "no/such")]);
    }
}
