//! `[[rule]]`: which messages pass through which chain. What could never match is an error: who wrote it meant
//! something else, and mail would pass by what was to look at it.

use std::sync::Arc;

use pop3d_core::transform::rules::{Condition, Field, NamedRule};
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

/// All rules, in their order.
///
/// # Errors
/// Where one cannot be, or can never match, with its line and column.
pub(super) fn read(file: &File, links: &mut Links<'_>) -> Result<Vec<NamedRule>, Exit> {
    let mut rules: Vec<NamedRule> = Vec::new();
    for table in &file.config.rule {
        let condition = condition(file, table.as_ref())?;
        if let Some(what) = condition.contradiction() {
            return Err(file.error(table.span(), &format!("this rule can never match: {what}")));
        }
        let covering = rules.iter().position(|earlier| condition.is_covered_by(&earlier.condition));
        if let Some(index) = covering {
            let what = format!(
                "this rule can never match: rule {} before it takes all of its messages; put it there",
                index + 1
            );
            return Err(file.error(table.span(), &what));
        }
        let names = links.chain(&table.as_ref().transform)?;
        rules.push(NamedRule { condition: Arc::new(condition), names });
    }
    Ok(rules)
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
            let field = Field::parse(field.as_ref()).ok_or_else(|| file.error(field.span(), what))?;
            condition.headers.push(field);
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
    let glob = |glob: &Spanned<String>| match glob.as_ref().as_str() {
        "" => Err(file.error(glob.span(), "no user has an empty name")),
        text => Ok(text.to_owned()),
    };
    globs.iter().map(glob).collect()
}
