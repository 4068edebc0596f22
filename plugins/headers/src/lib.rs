//! Fields of the header are removed, renamed, set and added, in this order.
//!
//! | option | means |
//! | --- | --- |
//! | `remove` | patterns (`*`, `?`) of names |
//! | `rename` | a table: names, and those that they get |
//! | `set` | a table: names and values; takes the place of all fields of that name |
//! | `add` | a table: names and values; is added to what there is |
//!
//! Case does not matter in names. Words of a value that are no plain text are encoded (RFC 2047), so that a name with an
//! address behind it, as in `Jörg <j@example.org>`, needs no quotes. One option has to be there.

use pop3d_transform::{
    ByHeader, HeaderRewriter, Headers as Added, Options, Rewrite, Value, export_transform,
};
use pop3d_transform::{is_field_name, matches_glob};

/// The filter.
#[derive(Clone, Debug)]
pub struct Headers {
    remove: Vec<String>,
    rename: Vec<(String, String)>,
    set: Vec<(String, String)>,
    add: Vec<(String, String)>,
}

impl HeaderRewriter for Headers {
    fn configure(options: &mut Options) -> Result<Self, String> {
        let (remove, rename) = (options.list("remove")?, options.table("rename")?);
        let (set, add) = (options.table("set")?, options.table("add")?);
        if remove.is_empty() && rename.is_empty() && set.is_empty() && add.is_empty() {
            return Err("one of the options \"remove\", \"rename\", \"set\" and \"add\" is needed".to_owned());
        }
        let renamed = rename.iter().flat_map(|(from, to)| [from, to]);
        let names: Vec<_> = set.iter().chain(&add).map(|(name, _)| name).chain(renamed).collect();
        if let Some(wrong) = names.iter().find(|name| !is_field_name(name.as_bytes())) {
            return Err(format!("{wrong:?} cannot be the name of a header field"));
        }
        Ok(Self { remove, rename, set, add })
    }

    fn header(&mut self, name: &str, _value: Value<'_>) -> Rewrite {
        if self.remove.iter().any(|pattern| matches_glob(pattern, name)) {
            return Rewrite::Drop;
        }
        let renamed = self.rename.iter().find(|(from, _)| from.eq_ignore_ascii_case(name)).map(|(_, to)| to);
        let is_set = |name: &str| self.set.iter().any(|(set, _)| set.eq_ignore_ascii_case(name));
        match renamed {
            _ if is_set(renamed.map_or(name, String::as_str)) => Rewrite::Drop,
            Some(to) => Rewrite::Rename(to.clone()),
            None => Rewrite::Keep,
        }
    }

    fn end(&mut self, add: &mut Added) {
        for (name, value) in self.set.iter().chain(&self.add) {
            add.add_text(name, value);
        }
    }
}

export_transform!(ByHeader<Headers>, name: "headers", description: "Adds, removes and renames fields of the header");

#[cfg(test)]
mod tests {
    use pop3d_plugin_tests::{
        a_second_pass_changes_nothing, cuts_do_not_matter, nothing_changes, refuses, sent,
    };

    use super::*;

    type It = ByHeader<Headers>;

    #[test]
    fn fields_are_removed_renamed_set_and_added() {
        let options = [
            ("remove", "[\"x-a*\",\"received\"]"),
            ("rename", "{\"Old\":\"New\"}"),
            ("set", "{\"Reply-To\":\"x@example.org\"}"),
            ("add", "{\"X-B\":\"gr\u{fc}n\"}"),
        ];
        let message = b"Received: by\n x\nX-Abc: 1\nOLD: a\n b\nreply-to: y\nX-B: 0\n\nX-A: 1\n";
        let expected = b"New: a\n b\nX-B: 0\nReply-To: x@example.org\nX-B: =?UTF-8?B?Z3LDvG4=?=\n\nX-A: 1\n";
        assert_eq!(sent::<It>(&options, message), expected);
    }

    #[test]
    fn an_address_is_not_encoded_with_the_name_before_it() {
        let options =
            [("set", "{\"Reply-To\":\"J\u{f6}rg A. <j@example.org>, \u{c4}rger <a@example.org>\"}")];
        let expected =
            b"Reply-To: =?UTF-8?B?SsO2cmc=?= A. <j@example.org>, =?UTF-8?B?w4RyZ2Vy?=\n <a@example.org>\n\n";
        assert_eq!(sent::<It>(&options, b"\n"), expected);
    }

    #[test]
    fn wrong_options_are_refused() {
        refuses::<It>(&[], "is needed");
        refuses::<It>(&[("add", "X-A: 1")], "a table of strings");
        refuses::<It>(&[("add", "{\"X A\":\"1\"}")], "\"X A\" cannot be the name");
        refuses::<It>(&[("delete", "x"), ("remove", "y")], "there is no option \"delete\"");
    }

    #[test]
    fn every_message_goes_through() {
        let options =
            [("remove", "x-*"), ("rename", "{\"From\":\"X-From\"}"), ("set", "{\"Subject\":\"\u{fc}\"}")];
        cuts_do_not_matter::<It>(&options);
        a_second_pass_changes_nothing::<It>(&[("remove", "x-*"), ("set", "{\"Subject\":\"\u{fc}\"}")]);
        nothing_changes::<It>(&[("remove", "no-such-field")]);
    }
}
