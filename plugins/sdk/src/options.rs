//! The options of a filter, as the configuration gives them: each is asked for by name and type, and what nobody asked
//! for is refused.

mod json;

/// The options of a filter. Strings come as they are, other values of TOML as JSON.
#[derive(Clone, Debug, Default)]
pub struct Options {
    given: Vec<(String, String)>,
    /// What was asked for, for the sentence that refuses something else.
    known: Vec<&'static str>,
}

impl Options {
    /// Options by key and value.
    pub fn new<Key: Into<String>, Value: Into<String>>(
        given: impl IntoIterator<Item = (Key, Value)>,
    ) -> Self {
        let given = given.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Self { given, known: Vec::new() }
    }

    /// Takes an option out, so that it counts as known.
    fn take(&mut self, key: &'static str) -> Result<Option<String>, String> {
        self.known.push(key);
        let mut values: Vec<_> = Vec::new();
        self.given.retain_mut(|(known, value)| {
            let is_it = known == key;
            if is_it {
                values.push(std::mem::take(value));
            }
            !is_it
        });
        if values.len() > 1 {
            return Err(format!("the option \"{key}\" is there {} times", values.len()));
        }
        Ok(values.pop())
    }

    /// A text, if it is there.
    ///
    /// # Errors
    /// Where it is there twice.
    pub fn text(&mut self, key: &'static str) -> Result<Option<String>, String> {
        self.take(key)
    }

    /// A text that has to be there.
    ///
    /// # Errors
    /// Where it is not.
    pub fn required(&mut self, key: &'static str) -> Result<String, String> {
        self.take(key)?.ok_or_else(|| format!("the option \"{key}\" is missing"))
    }

    /// `true` or `false`, if it is there.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn flag(&mut self, key: &'static str) -> Result<Option<bool>, String> {
        match self.take(key)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(format!("the option \"{key}\" is true or false, and not {other:?}")),
        }
    }

    /// A whole number that is not negative, if it is there.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn number(&mut self, key: &'static str) -> Result<Option<u64>, String> {
        let Some(text) = self.take(key)? else { return Ok(None) };
        let number = text.parse().ok().filter(|_| text.bytes().all(|octet| octet.is_ascii_digit()));
        number.map(Some).ok_or_else(|| format!("the option \"{key}\" is a whole number, and not {text:?}"))
    }

    /// A number, if it is there.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn decimal(&mut self, key: &'static str) -> Result<Option<f64>, String> {
        let Some(text) = self.take(key)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Some).ok_or_else(|| format!("the option \"{key}\" is a number, and not {text:?}"))
    }

    /// Texts: a list, or one alone. Empty where it is not there.
    ///
    /// # Errors
    /// Where it is a list of something else.
    pub fn list(&mut self, key: &'static str) -> Result<Vec<String>, String> {
        let Some(text) = self.take(key)? else { return Ok(Vec::new()) };
        if !text.trim_start().starts_with('[') {
            return Ok(vec![text]);
        }
        json::strings(&text)
            .ok_or_else(|| format!("the option \"{key}\" is a list of strings, and not {text}"))
    }

    /// Texts by name: a table, in its order. Empty where it is not there.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn table(&mut self, key: &'static str) -> Result<Vec<(String, String)>, String> {
        let Some(text) = self.take(key)? else { return Ok(Vec::new()) };
        json::pairs(&text)
            .ok_or_else(|| format!("the option \"{key}\" is a table of strings, and not {text:?}"))
    }

    /// Refuses what was not asked for. The exports call it after `Filter::configure`.
    ///
    /// # Errors
    /// Where there is something.
    pub fn refuse_rest(&self) -> Result<(), String> {
        let Some((key, _)) = self.given.first() else { return Ok(()) };
        if self.known.is_empty() {
            return Err(format!("there is no option \"{key}\"; it takes none"));
        }
        let known: Vec<_> = self.known.iter().map(|known| format!("\"{known}\"")).collect();
        Err(format!("there is no option \"{key}\"; it takes {}", known.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_taken_and_anything_else_is_refused_by_name() {
        let all = [
            ("t", "x y"),
            ("f", "true"),
            ("n", "12"),
            ("d", "-1.5"),
            ("l", r#"["a","b\n\u00e9\ud83d\ude00"]"#),
        ];
        let mut options = Options::new(all);
        assert_eq!(options.text("t"), Ok(Some("x y".to_owned())));
        assert_eq!(options.flag("f"), Ok(Some(true)));
        assert_eq!(options.number("n"), Ok(Some(12)));
        assert_eq!(options.decimal("d"), Ok(Some(-1.5)));
        assert_eq!(options.list("l"), Ok(vec!["a".to_owned(), "b\né😀".to_owned()]));
        assert_eq!((options.text("absent"), options.refuse_rest()), (Ok(None), Ok(())));
        let wrong = || Options::new([("k", "[1]")]);
        let said = "the option \"k\" is a whole number, and not \"[1]\"".to_owned();
        assert_eq!(wrong().number("k"), Err(said));
        assert!(wrong().flag("k").is_err() && wrong().list("k").is_err() && wrong().table("k").is_err());
        assert!(
            Options::new([("k", "+1")]).number("k").is_err()
                && Options::new([("k", "inf")]).decimal("k").is_err()
        );
        assert_eq!(Options::new([("k", "a")]).list("k"), Ok(vec!["a".to_owned()]));
        let pair = ("A".to_owned(), "B".to_owned());
        assert_eq!(Options::new([("k", r#" { "A" : "B" } "#)]).table("k"), Ok(vec![pair]));
        assert!(Options::new([("k", "a"), ("k", "b")]).text("k").is_err());
        assert_eq!(wrong().required("x"), Err("the option \"x\" is missing".to_owned()));
    }

    #[test]
    fn what_nobody_asked_for_is_refused_with_what_there_is() {
        let mut options = Options::new([("prefx", "x")]);
        assert_eq!(options.refuse_rest(), Err("there is no option \"prefx\"; it takes none".to_owned()));
        let _ = (options.text("prefix"), options.flag("all"));
        let said = "there is no option \"prefx\"; it takes \"prefix\", \"all\"".to_owned();
        assert_eq!(options.refuse_rest(), Err(said));
    }
}
