//! As much of JSON as options need: a list of strings, and a table of strings.

/// Reads `["a", "b"]`.
pub(super) fn strings(text: &str) -> Option<Vec<String>> {
    let mut reader = Reader { rest: text };
    let mut strings = Vec::new();
    reader.take('[')?;
    if reader.take(']').is_none() {
        loop {
            strings.push(reader.string()?);
            if reader.take(']').is_some() {
                break;
            }
            reader.take(',')?;
        }
    }
    reader.end()?;
    Some(strings)
}

/// Reads `{"a": "b"}`.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut reader = Reader { rest: text };
    let mut pairs = Vec::new();
    reader.take('{')?;
    if reader.take('}').is_none() {
        loop {
            let key = reader.string()?;
            reader.take(':')?;
            pairs.push((key, reader.string()?));
            if reader.take('}').is_some() {
                break;
            }
            reader.take(',')?;
        }
    }
    reader.end()?;
    Some(pairs)
}

struct Reader<'text> {
    rest: &'text str,
}

impl Reader<'_> {
    /// Takes a sign, after blanks.
    fn take(&mut self, sign: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(sign)?;
        Some(())
    }

    fn next(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let letter = letters.next()?;
        self.rest = letters.as_str();
        Some(letter)
    }

    fn string(&mut self) -> Option<String> {
        self.take('"')?;
        let mut string = String::new();
        loop {
            match self.next()? {
                '"' => return Some(string),
                '\\' => string.push(self.escaped()?),
                letter if letter < ' ' => return None,
                letter => string.push(letter),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        match self.next()? {
            letter @ ('"' | '\\' | '/') => Some(letter),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => {
                let first = self.unit()?;
                let units = if (0xD800..0xDC00).contains(&first) {
                    self.rest = self.rest.strip_prefix("\\u")?;
                    vec![first, self.unit()?]
                } else {
                    vec![first]
                };
                char::decode_utf16(units).next()?.ok()
            }
            _ => None,
        }
    }

    fn unit(&mut self) -> Option<u16> {
        let digits =
            self.rest.get(..4).filter(|digits| digits.bytes().all(|octet| octet.is_ascii_hexdigit()))?;
        self.rest = self.rest.get(4..)?;
        u16::from_str_radix(digits, 16).ok()
    }

    fn end(&self) -> Option<()> {
        self.rest.trim_start().is_empty().then_some(())
    }
}
