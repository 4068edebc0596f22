//! `[[rule]]`: which messages pass through which chain. What could never match is told of: who wrote it meant something
//! else, and mail would pass by what was to look at it.

use std::sync::Arc;

use pop3d_core::transform::rules::{Condition, Field, NamedRule, covering};
use serde::Deserialize;
use toml::Spanned;

use super::super::File;
use super::super::values::Size;
use super::Chain;
use super::links::Links;
use crate::exit::Exit;

/// One rule, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleTable {
    users: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    except_users: Vec<Spanned<String>>,
    min_size: Option<Size>,
    max_size: Option<Size>,
    if_header: Option<Spanned<Vec<Spanned<String>>>>,
    commands: Option<Spanned<Vec<Spanned<String>>>>,
    transform: Spanned<Chain>,
}

/// All rules, in their order. Those that no message gets to, since rules before them take all, are told to `shadowed`.
///
/// # Errors
/// Where one cannot be, or can never match by itself, with its line and column.
pub(super) fn read(
    file: &File,
    links: &mut Links<'_>,
    shadowed: &mut Vec<Exit>,
) -> Result<Vec<NamedRule>, Exit> {
    let mut rules: Vec<NamedRule> = Vec::new();
    let mut earlier: Vec<Arc<Condition>> = Vec::new();
    for table in &file.config.rule {
        let condition = condition(file, table.as_ref())?;
        if let Some(what) = condition.contradiction() {
            return Err(file.error(table.span(), &format!("this rule can never match: {what}")));
        }
        match covering(&condition, &earlier).as_deref() {
            Some([]) => {
                let what = "this rule can never match: except_users leaves none of its users";
                return Err(file.error(table.span(), what));
            }
            Some(indices) => shadowed.push(file.error(table.span(), &covered(indices))),
            None => {}
        }
        let names = links.chain(&table.as_ref().transform)?;
        let condition = Arc::new(condition);
        earlier.push(Arc::clone(&condition));
        rules.push(NamedRule { condition, names });
    }
    Ok(rules)
}

/// Why a rule is of no use, behind those of these indices.
fn covered(indices: &[usize]) -> String {
    let numbers: Vec<_> = indices.iter().map(|index| (index + 1).to_string()).collect();
    match &numbers[..] {
        [first @ .., last] if !first.is_empty() => format!(
            "this rule can never match: rules {} and {last} before it take all of its messages together; put it before \
             one of them",
            first.join(", "),
        ),
        numbers => {
            let one = numbers.concat();
            format!("this rule can never match: rule {one} before it takes all of its messages; put it there")
        }
    }
}

fn condition(file: &File, table: &RuleTable) -> Result<Condition, Exit> {
    let mut condition = Condition {
        except_users: globs(file, &table.except_users)?,
        min_size: table.min_size.map_or(0, |size| size.0),
        max_size: table.max_size.map_or(u64::MAX, |size| size.0),
        ..Condition::default()
    };
    if let Some(users) = &table.users {
        is_not_empty(file, users)?;
        condition.users = globs(file, users.as_ref())?;
    }
    if let Some(fields) = &table.if_header {
        is_not_empty(file, fields)?;
        for field in fields.as_ref() {
            let what = "a header field is \"Name: glob\", such as \"Content-Type: multipart/*\"";
            let (place, text) = (field.span(), field.as_ref());
            let name = text.split(':').next().unwrap_or_default();
            if name.contains(['*', '?']) {
                let what = "the name of a header field is no glob, only what is behind the colon";
                return Err(file.error(place, what));
            }
            if text.contains(|letter: char| letter.is_control() && letter != '\t') {
                return Err(
                    file.error(place, "a header field has no line end and no control character in it")
                );
            }
            condition.headers.push(Field::parse(text).ok_or_else(|| file.error(place, what))?);
        }
    }
    if let Some(commands) = &table.commands {
        is_not_empty(file, commands)?;
        (condition.retr, condition.top) = (false, false);
        for command in commands.as_ref() {
            match command.as_ref().to_ascii_uppercase().as_str() {
                "RETR" => condition.retr = true,
                "TOP" => condition.top = true,
                _ => return Err(file.error(command.span(), "a rule is about \"RETR\" or \"TOP\"")),
            }
        }
    }
    Ok(condition)
}

fn is_not_empty(file: &File, list: &Spanned<Vec<Spanned<String>>>) -> Result<(), Exit> {
    if list.as_ref().is_empty() {
        return Err(
            file.error(list.span(), "this rule can never match: the list is empty; leave the key out")
        );
    }
    Ok(())
}

fn globs(file: &File, globs: &[Spanned<String>]) -> Result<Vec<String>, Exit> {
    let glob = |glob: &Spanned<String>| match wrong(glob.as_ref()) {
        Some(what) => Err(file.error(glob.span(), what)),
        None => Ok(glob.as_ref().clone()),
    };
    globs.iter().map(glob).collect()
}

/// Why a text is no glob for names of users.
fn wrong(glob: &str) -> Option<&'static str> {
    let has_pair = |open: char, close: char| {
        glob.find(open).is_some_and(|place| glob.get(place..).is_some_and(|rest| rest.contains(close)))
    };
    if glob.is_empty() {
        Some("no user has an empty name")
    } else if glob.contains(|letter: char| letter == '/' || letter.is_control()) || glob.starts_with('.') {
        Some("no user has such a name: there is no \"/\" in it, no control character, and no \".\" before it")
    } else if has_pair('[', ']') || has_pair('{', '}') || glob.contains("\\*") || glob.contains("\\?") {
        Some("a glob has \"*\" for any letters and \"?\" for one, and nothing else; write several of them")
    } else {
        None
    }
}
