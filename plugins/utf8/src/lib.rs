//! Text in old charsets and encodings becomes UTF-8 of 8 bits, for programs that know nothing else.
//!
//! It takes no options. All text that is no file counts, in forwarded messages as well; ASCII and UTF-8 without an
//! encoding stay as they are. So does what is signed or encrypted, by PGP in the text itself too, what is in a charset or an
//! encoding that nobody knows or is not what it says, lines of more than 998 octets (which become quoted-printable UTF-8),
//! text of more than 8 MiB (2 MiB in WebAssembly), and the header.

use pop3d_transform::{ByPart, Edit, Options, Part, PartFilter, export_transform, has_armour};

/// The filter.
#[derive(Clone, Debug)]
pub struct Utf8;

impl PartFilter for Utf8 {
    fn configure(_options: &mut Options) -> Result<Self, String> {
        Ok(Self)
    }

    fn text(&mut self, _part: &Part, text: &str) -> Edit {
        // A signature is about the octets of the charset.
        if has_armour(text) { Edit::Keep } else { Edit::Utf8(text.to_owned()) }
    }

    fn copies_what_is_too_large(&self) -> bool {
        true
    }
}

export_transform!(ByPart<Utf8>, name: "utf8", description: "Makes text in old charsets and encodings UTF-8");

#[cfg(test)]
mod tests {
    use pop3d_plugin_tests::{a_second_pass_changes_nothing, cuts_do_not_matter, refuses, sent};

    use super::*;

    type It = ByPart<Utf8>;

    #[test]
    fn old_charsets_and_encodings_become_utf8() {
        for (charset, encoding, body) in [
            ("iso-8859-1", "quoted-printable", b"Gr=FC=DF\n".as_slice()),
            ("windows-1252", "base64", b"R3L83w0K\n"),
            ("iso-8859-15", "8bit", b"Gr\xfc\xdf\n"),
            ("utf-16be", "base64", b"AEcAcgD8AN8ACg==\n"),
        ] {
            let header = format!(
                "Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
            );
            let sent = String::from_utf8(sent::<It>(&[], &[header.as_bytes(), body].concat())).unwrap();
            assert!(
                sent.contains("charset=utf-8\n") && sent.contains("Content-Transfer-Encoding: 8bit\n"),
                "{sent}"
            );
            assert!(sent.ends_with("\n\nGr\u{fc}\u{df}\n"), "{sent}");
        }
        let japanese = b"Content-Type: text/plain; charset=ISO-2022-JP\n\n\x1b$B$\"\x1b(B\n";
        assert!(String::from_utf8(sent::<It>(&[], japanese)).unwrap().ends_with("\n\n\u{3042}\n"));
        let plain = b"Subject: x\n\ntext\n";
        assert_eq!(sent::<It>(&[], plain), plain);
    }

    #[test]
    fn text_that_is_signed_by_pgp_in_itself_stays() {
        let text = b"Content-Type: text/plain; charset=iso-8859-1\n\nHi\n-----BEGIN PGP SIGNED MESSAGE-----\n\nGr\xfcn\n";
        assert_eq!(sent::<It>(&[], text), text);
    }

    #[test]
    fn what_was_encoded_makes_no_part() {
        let part = "Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: base64\n\n\
                    LS1iDQpDb250ZW50LVR5cGU6IHgveA0KDQpNWg0K\n";
        let message = format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{part}--b--\n");
        assert_eq!(sent::<It>(&[], message.as_bytes()), message.as_bytes());
        let message = message.replace("us-ascii", "iso-8859-1");
        let sent = String::from_utf8(sent::<It>(&[], message.as_bytes())).unwrap();
        assert!(sent.contains("\n\n=2D-b\nContent-Type: x/x\n\nMZ\n"), "{sent}");
    }

    #[test]
    fn a_file_stays_as_it_is() {
        for field in ["Content-Disposition: inline; filename=a.csv", "Content-Disposition: x-unknown"] {
            let message =
                [field.as_bytes(), b"\nContent-Type: text/csv; charset=iso-8859-1\n\nGr\xfcn\n"].concat();
            assert_eq!(sent::<It>(&[], &message), message);
        }
    }

    #[test]
    fn wrong_options_are_refused() {
        refuses::<It>(&[("charset", "utf-8")], "there is no option \"charset\"; it takes none");
    }

    #[test]
    fn every_message_goes_through() {
        cuts_do_not_matter::<It>(&[]);
        a_second_pass_changes_nothing::<It>(&[]);
    }
}
