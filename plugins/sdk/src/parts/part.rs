//! A part of a message: what its header says of it, and what may take its place.

use std::borrow::Cow;

use super::lines::{Place, base64_lines, with_line_ends};
use super::parameters::{Parameters, split, token, without_comments};
use crate::header::{Value, encode_text, line_end, pieces, write_field};

/// Multiparts that are signed or encrypted as a whole (RFC 1847).
const SEALED_MULTIPARTS: [&str; 2] = ["multipart/signed", "multipart/encrypted"];

/// Media types of S/MIME (RFC 8551, and the name from before it).
const SEALED: [&str; 2] = ["application/pkcs7-mime", "application/x-pkcs7-mime"];

/// Ends of the names of files that are S/MIME (RFC 8551, sections 3.2.1 and 3.9): some programs send them without its media type.
const SEALED_NAMES: [&str; 4] = [".p7m", ".p7s", ".p7c", ".p7z"];

/// Longest line of a field that is written (RFC 5322, section 2.1.1).
const FIELD_LINE: usize = 78;

/// A part of a message, or the message itself, by its header.
#[derive(Clone, Debug)]
pub struct Part {
    /// As it stands, without the empty line.
    pub(super) header: Vec<u8>,
    pub(super) media_type: String,
    pub(super) charset: Option<String>,
    pub(super) encoding: String,
    pub(super) boundary: Option<Vec<u8>>,
    /// That which is meant first.
    file_names: Vec<String>,
    is_attachment: bool,
    is_flowed: bool,
    depth: usize,
}

impl Part {
    /// Reads a header. `default_type` is for one that names none.
    pub(super) fn new(header: Vec<u8>, depth: usize, default_type: &str) -> Self {
        let octets = |name: &str| field(&header, name).map(Value::unfolded_octets).unwrap_or_default();
        let (content_type, disposition) = (octets("content-type"), octets("content-disposition"));
        let (media_type, of_type) = Parameters::read(&without_comments(&content_type));
        let (encoding, _) = Parameters::read(&without_comments(&octets("content-transfer-encoding")));
        let (disposition_type, _) = Parameters::read(&without_comments(&disposition));
        let charset = of_type.value("charset");
        let names = file_names(&disposition, "filename").chain(file_names(&content_type, "name"));
        Self {
            media_type: if media_type.contains('/') { media_type } else { default_type.to_owned() },
            charset: charset.map(|charset| token(&charset).to_owned()).filter(|charset| !charset.is_empty()),
            encoding: match encoding.as_str() {
                // As some programs write them.
                "7-bit" | "7 bit" => "7bit".to_owned(),
                "8-bit" | "8 bit" => "8bit".to_owned(),
                _ => encoding,
            },
            boundary: of_type.octets("boundary").filter(|boundary| !boundary.is_empty()),
            file_names: names.map(without_controls).collect(),
            // What nobody knows is an attachment (RFC 2183, section 2.8).
            is_flowed: of_type.value("format").is_some_and(|format| format.eq_ignore_ascii_case("flowed")),
            is_attachment: !["", "inline"].contains(&disposition_type.as_str()),
            depth,
            header,
        }
    }

    /// The media type in lower case, such as `text/plain`.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The name of its file, decoded.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.file_names().next()
    }

    /// All names that its header has for its file, decoded: programs differ in which they take.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        self.file_names.iter().map(String::as_str)
    }

    /// How many parts it is within: 0 is the message itself.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The first field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Value<'_>> {
        field(&self.header, name)
    }

    /// Whether it is text of any kind.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.media_type.starts_with("text/")
    }

    /// Whether it is an attachment: it says so, or is of a disposition that nobody knows.
    #[must_use]
    pub fn is_attachment(&self) -> bool {
        self.is_attachment
    }

    /// Whether its lines are flowed (RFC 3676): one that ends with a space goes on in the next, and one that would begin with a
    /// space, ">" or "From " begins with a space more.
    #[must_use]
    pub fn is_flowed(&self) -> bool {
        self.is_flowed
    }

    /// Whether it is a file, and no part of what was written: an attachment, or what has a file name, wherever it is shown.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.is_attachment || !self.file_names.is_empty()
    }

    /// Whether it is signed or encrypted as a whole, so that a change within would break it. All its names count, so that a
    /// program is nothing of S/MIME by its media type, or by one of them.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        let media_type = self.media_type.as_str();
        let has_sealed_names = self.file_names.iter().all(|name| {
            let name = name.to_ascii_lowercase();
            SEALED_NAMES.iter().any(|end| name.ends_with(end))
        });
        if SEALED_MULTIPARTS.contains(&media_type) {
            return self.boundary().is_some();
        }
        let has_name = !self.file_names.is_empty();
        let may_be = SEALED.contains(&media_type) || media_type == "application/octet-stream" && has_name;
        may_be && has_sealed_names
    }

    /// Whether there are parts in it: one of `multipart` with a boundary, or a message.
    #[must_use]
    pub fn holds_parts(&self) -> bool {
        self.boundary().is_some() || self.holds_message()
    }

    /// Whether its body is a message, as it is.
    pub(super) fn holds_message(&self) -> bool {
        self.is_message() && !self.is_encoded()
    }

    /// Whether there is a message in it whose parts are not asked for: encoded (RFC 6532, section 3.7, permits it), or in pieces
    /// that are messages of their own (RFC 2046, section 5.2.2). As a text (`Choice::Text`) it can be asked for.
    #[must_use]
    pub fn hides_message(&self) -> bool {
        self.is_message() && self.is_encoded() || self.media_type == "message/partial"
    }

    fn is_message(&self) -> bool {
        ["message/rfc822", "message/global"].contains(&self.media_type.as_str())
    }

    /// Whether its body is another text than the one it stands for. Under a name that is no encoding it is as it stands.
    fn is_encoded(&self) -> bool {
        ["base64", "quoted-printable"].contains(&self.encoding.as_str())
    }

    /// What its parts are divided by.
    pub(super) fn boundary(&self) -> Option<&[u8]> {
        self.boundary.as_deref().filter(|_| self.media_type.starts_with("multipart/"))
    }

    /// The header with fields about the content in place of its own.
    pub(super) fn header_with(&self, content: &[(&str, Vec<u8>)], keep: fn(&str) -> bool) -> Vec<u8> {
        let line_end = line_end(&self.header);
        let mut header = Vec::new();
        for piece in pieces(&self.header) {
            let name =
                piece.field.map(|(name, _)| String::from_utf8_lossy(&self.header[name]).to_ascii_lowercase());
            let is_replaced = name.is_some_and(|name| {
                !keep(&name) || content.iter().any(|(replaced, _)| replaced.eq_ignore_ascii_case(&name))
            });
            if !is_replaced {
                header.extend_from_slice(&self.header[piece.whole]);
                if !header.ends_with(b"\n") {
                    header.extend_from_slice(line_end);
                }
            }
        }
        for (name, value) in content {
            write_field(&mut header, name.as_bytes(), value, line_end);
        }
        header
    }

    /// The field `Content-Type` with another charset.
    pub(super) fn content_type_with(&self, charset: &str) -> Vec<u8> {
        let value = self.header("content-type").map(Value::unfolded_octets).unwrap_or_default();
        let mut content_type = self.media_type.clone().into_bytes();
        let mut column = "Content-Type: ".len() + content_type.len();
        let mut add = |parameter: &[u8]| {
            // A field that was folded is long on one line.
            let is_long = column + b"; ".len() + parameter.len() + b";".len() > FIELD_LINE;
            let between: &[u8] = if is_long { b";\n " } else { b"; " };
            content_type.extend_from_slice(between);
            content_type.extend_from_slice(parameter);
            column = if is_long { 1 } else { column + b"; ".len() } + parameter.len();
        };
        let mut end = 0;
        for (number, parameter) in split(&without_comments(&value)).enumerate() {
            let start = end;
            end += parameter.len() + b";".len();
            let name = parameter.split(|octet| b"=*".contains(octet)).next().unwrap_or_default().trim_ascii();
            if number > 0 && !name.eq_ignore_ascii_case(b"charset") && !name.is_empty() {
                // With its comments, as it stands.
                add(value[start..start + parameter.len()].trim_ascii());
            }
        }
        add(format!("charset={charset}").as_bytes());
        content_type
    }
}

/// The names of files in a field. Where parentheses are in it they may be part of a name that lacks its quotes, or begin a
/// comment: programs differ.
fn file_names(field: &[u8], parameter: &str) -> impl Iterator<Item = String> {
    let as_it_stands = Parameters::read(field).1.texts(parameter);
    let without = match without_comments(field) {
        Cow::Borrowed(_) => Vec::new(),
        Cow::Owned(without) => Parameters::read(&without).1.texts(parameter),
    };
    as_it_stands.into_iter().chain(without)
}

/// A name of a file: no control characters, so that it stays on its line wherever it is put.
fn without_controls(mut name: String) -> String {
    name.retain(|letter| !letter.is_control());
    name
}

fn field<'part>(header: &'part [u8], name: &str) -> Option<Value<'part>> {
    pieces(header).into_iter().find_map(|piece| {
        let (found, value) = piece.field?;
        header[found].eq_ignore_ascii_case(name.as_bytes()).then(|| Value(&header[value]))
    })
}

/// A part that takes the place of another: a text in UTF-8.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewPart {
    subtype: &'static str,
    text: String,
}

impl NewPart {
    /// Plain text. Line ends are LF or CRLF.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { subtype: "plain", text: text.into() }
    }

    /// HTML. Line ends are LF or CRLF.
    #[must_use]
    pub fn html(text: impl Into<String>) -> Self {
        Self { subtype: "html", text: text.into() }
    }

    /// Header, empty line and body, in place of a part. A message, forwarded or not, keeps what is not about its content.
    pub(super) fn octets(&self, part: &Part, place: &Place<'_>) -> Vec<u8> {
        let line_end = place.line_end;
        let text = self.text.replace("\r\n", "\n");
        let is_plain = text.bytes().all(|octet| octet == b'\n' || (b' '..=b'~').contains(&octet));
        let is_short = text.lines().all(|line| line.len() < 990);
        let content_type = format!("text/{}; charset=utf-8", self.subtype).into_bytes();
        let (encoding, body) = if is_plain && is_short && !place.divides(text.as_bytes()) {
            ("7bit", with_line_ends(text.as_bytes(), line_end))
        } else {
            ("base64", base64_lines(text.replace('\n', "\r\n").as_bytes(), line_end))
        };
        let content = [("Content-Type", content_type), ("Content-Transfer-Encoding", encode_text(encoding))];
        let keep: fn(&str) -> bool =
            if place.is_message { |name| !name.starts_with("content-") } else { |_| false };
        [part.header_with(&content, keep).as_slice(), line_end, &body].concat()
    }
}
