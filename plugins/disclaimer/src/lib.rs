//! A text below the text of each message.
//!
//! | option | means |
//! | --- | --- |
//! | `text` | what is put below plain text; it has to be there |
//! | `html` | what is put below HTML, as HTML; `text` as a paragraph where it is not there |
//!
//! The first plain text and the first HTML of a message get it; attachments, files that are shown inline and forwarded
//! messages do not. What is signed or encrypted stays, and so does text in a charset or an encoding that nobody knows, text
//! of more than 8 MiB (2 MiB in WebAssembly), text in UTF-16 that is broken or has no mark, and text that ends with the
//! disclaimer already. In text that is broken in its charset, letters that the charset lacks become `?`. In flowed text (RFC 3676) lines
//! of the disclaimer that begin with ">", a space or "From " get a space before them.

use pop3d_transform::{ByPart, Choice, Edit, Options, Part, PartFilter, export_transform, has_armour};

/// The filter.
#[derive(Clone, Debug)]
pub struct Disclaimer {
    text: String,
    html: String,
    has_text: bool,
    has_html: bool,
}

impl PartFilter for Disclaimer {
    fn configure(options: &mut Options) -> Result<Self, String> {
        let text = options.required("text")?.replace("\r\n", "\n").trim_end().to_owned();
        if text.is_empty() {
            return Err("the option \"text\" is empty".to_owned());
        }
        let html = options.text("html")?.unwrap_or_else(|| paragraph(&text)).replace("\r\n", "\n");
        Ok(Self { text, html, has_text: false, has_html: false })
    }

    fn part(&mut self, part: &Part) -> Choice {
        if part.is_signed() || part.is_attachment() {
            return Choice::Copy;
        }
        let has_it = match part.media_type() {
            multipart if multipart.starts_with("multipart/") => return Choice::Walk,
            _ if part.is_file() => return Choice::Copy,
            "text/plain" => &mut self.has_text,
            "text/html" => &mut self.has_html,
            _ => return Choice::Copy,
        };
        if std::mem::replace(has_it, true) { Choice::Copy } else { Choice::Text }
    }

    fn text(&mut self, part: &Part, text: &str) -> Edit {
        // Changing it would break the signature.
        if has_armour(text) {
            return Edit::Keep;
        }
        if part.media_type() != "text/html" {
            let below = if part.is_flowed() { stuffed(&self.text) } else { self.text.clone() };
            let is_there = text.trim_end().ends_with(&below);
            let between = if text.is_empty() || text.ends_with('\n') { "\n" } else { "\n\n" };
            return if is_there { Edit::Keep } else { Edit::Replace(format!("{text}{between}{below}\n")) };
        }
        // ASCII alone changes, so that places in both are the same.
        let place = text.to_ascii_lowercase().rfind("</body").unwrap_or(text.len());
        let (before, after) = text.split_at(place);
        if before.trim_end().ends_with(self.html.trim_end()) {
            return Edit::Keep;
        }
        let between = if before.ends_with('\n') { "" } else { "\n" };
        Edit::Replace(format!("{before}{between}{}\n{after}", self.html.trim_end()))
    }

    fn copies_what_is_too_large(&self) -> bool {
        true
    }
}

/// A text with a space before each line that would mean something else in flowed text (RFC 3676, section 4.4).
fn stuffed(text: &str) -> String {
    let is_special = |line: &str| [" ", ">", "From "].iter().any(|start| line.starts_with(start));
    let lines =
        text.split('\n').map(|line| if is_special(line) { format!(" {line}") } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\n")
}

/// A text as HTML.
fn paragraph(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<p>{}</p>", escaped.replace('\n', "<br>\n"))
}

export_transform!(ByPart<Disclaimer>, name: "disclaimer", description: "Puts a text below the text of each message");

#[cfg(test)]
mod tests {
    use pop3d_plugin_tests::{a_second_pass_changes_nothing, cuts_do_not_matter, refuses, sent};

    use super::*;

    type It = ByPart<Disclaimer>;

    fn below(message: &str) -> String {
        String::from_utf8(sent::<It>(&[("text", "a < b\nsee \u{fc}")], message.as_bytes())).unwrap()
    }

    #[test]
    fn both_alternatives_get_it_in_their_encodings() {
        let multipart = "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n";
        let plain = "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nHi\r\n";
        let html = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<BODY>Hi</BODY>\r\n";
        let message = format!("{multipart}{plain}--x\r\n{html}--x--\r\n");
        let plain = format!("{plain}\r\na < b\r\nsee =FC\r\n\r\n");
        let html = html.replace("Hi<", "Hi\r\n<p>a &lt; b<br>\r\nsee \u{fc}</p>\r\n<");
        assert_eq!(below(&message), format!("{multipart}{plain}--x\r\n{html}--x--\r\n"));
    }

    #[test]
    fn lines_that_mean_something_in_flowed_text_are_stuffed() {
        let options = [("text", "> a\n  b\nFrom c\nd")];
        let flowed = "Content-Type: text/plain; format=Flowed\n\nHi \nyou\n";
        let sent_flowed = sent::<It>(&options, flowed.as_bytes());
        assert_eq!(sent_flowed, format!("{flowed}\n > a\n   b\n From c\nd\n").as_bytes());
        assert_eq!(sent::<It>(&options, &sent_flowed), sent_flowed);
        let fixed = flowed.replace("Flowed", "fixed");
        assert_eq!(
            sent::<It>(&options, fixed.as_bytes()),
            format!("{fixed}\n> a\n  b\nFrom c\nd\n").as_bytes()
        );
    }

    #[test]
    fn what_was_encoded_makes_no_part() {
        let part = "Content-Transfer-Encoding: quoted-printable\r\n\r\n=2D-b\r\nX: y\r\n\r\nMZ\r\n";
        let message = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{part}--b--\r\n");
        let sent = String::from_utf8(sent::<It>(&[("text", "firm")], message.as_bytes())).unwrap();
        assert_eq!(sent, message.replace("MZ\r\n", "MZ\r\n\r\nfirm\r\n\r\n"));
        let sent = String::from_utf8(self::sent::<It>(&[("text", "--b")], message.as_bytes())).unwrap();
        assert_eq!(sent, message.replace("MZ\r\n", "MZ\r\n\r\n=2D-b\r\n\r\n"));
    }

    #[test]
    fn what_is_signed_or_attached_stays() {
        let signed = "Content-Type: multipart/signed; boundary=s\n\n--s\n\ntext\n--s\nContent-Type: application/pgp-signature\n\nx\n--s--\n";
        assert_eq!(below(signed), signed);
        let inline = "Subject: x\n\n-----BEGIN PGP SIGNED MESSAGE-----\ntext\n";
        assert_eq!(below(inline), inline);
        let forwarded = "Content-Type: multipart/mixed; boundary=s\n\n--s\nContent-Type: message/rfc822\n\n\ntext\n--s--\n";
        assert_eq!(below(forwarded), forwarded);
        let attached = "Content-Type: text/plain\nContent-Disposition: attachment\n\ntext\n";
        assert_eq!(below(attached), attached);
        for file in [
            "Content-Disposition: inline; filename=notes.txt",
            "Content-Type: text/plain; name=notes.txt",
            "Content-Disposition: x-hidden",
        ] {
            let parts = format!("--s\n{file}\n\ntext\n--s\nContent-Disposition: inline\n\ntext\n");
            let sent = below(&format!("Content-Type: multipart/mixed; boundary=s\n\n{parts}--s--\n"));
            assert!(sent.contains(&format!("{file}\n\ntext\n--s\n")) && sent.contains("a < b"), "{sent}");
        }
    }

    #[test]
    fn wrong_options_are_refused() {
        refuses::<It>(&[], "\"text\" is missing");
        refuses::<It>(&[("text", " \n")], "\"text\" is empty");
        refuses::<It>(
            &[("text", "x"), ("color", "red")],
            "there is no option \"color\"; it takes \"text\", \"html\"",
        );
    }

    #[test]
    fn every_message_goes_through() {
        cuts_do_not_matter::<It>(&[("text", "Gr\u{fc}\u{df}e \u{2014} the firm")]);
        cuts_do_not_matter::<It>(&[("text", "plain")]);
        // In text that is not of the charset it names, only ASCII is sure to be found again.
        a_second_pass_changes_nothing::<It>(&[("text", "plain")]);
    }
}
