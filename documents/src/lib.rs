//! Documents that are made from the definition of a command line: the manual page and the completions of shells.
//!
//! They are committed. A test of each program makes them again and fails where one differs; with
//! `POP3D_WRITE_DOCUMENTS=1` it writes them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::aot::{Shell, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// A section that a manual page has besides those that are made from the definition.
pub struct Section<'text> {
    /// Its heading.
    pub title: &'text str,
    /// What stands before its terms.
    pub text: &'text str,
    /// Terms, and what each means.
    pub terms: Vec<(String, String)>,
}

/// The manual page of a program in a section of the manual, such as "8", in roff.
///
/// # Panics
/// Never: it is written to memory.
#[must_use]
pub fn manual_page(command: &Command, section: &str, sections: &[Section<'_>]) -> String {
    let man = Man::new(command.clone()).section(section).date("").manual("pop3d");
    let mut page = Vec::new();
    let written = man
        .render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| render_tasks(command, command.get_name(), &mut page));
    written.expect("memory can be written to");
    for Section { title, text, terms } in sections {
        let mut roff = Roff::new();
        roff.control("SH", [*title]);
        if !text.is_empty() {
            roff.text([roman(*text)]);
        }
        for (term, meaning) in terms {
            roff.control("TP", []);
            roff.text([bold(term.as_str())]);
            roff.text([roman(meaning.as_str())]);
        }
        roff.to_writer(&mut page).expect("memory can be written to");
    }
    String::from_utf8(page).expect("what was text is text")
}

/// A section for each subcommand that does something, with its arguments.
fn render_tasks(command: &Command, path: &str, page: &mut Vec<u8>) -> io::Result<()> {
    for task in command.get_subcommands().filter(|task| task.get_name() != "help") {
        let path = format!("{path} {}", task.get_name());
        if task.has_subcommands() {
            render_tasks(task, &path, page)?;
            continue;
        }
        let man = Man::new(task.clone().bin_name(path.clone()).disable_help_subcommand(true));
        let mut part = Vec::new();
        man.render_synopsis_section(&mut part)?;
        man.render_description_section(&mut part)?;
        man.render_options_section(&mut part)?;
        let mut heading = Roff::new();
        heading.control("SH", [path.to_uppercase().as_str()]);
        heading.to_writer(page)?;
        // They are parts of a section here.
        page.extend_from_slice(String::from_utf8_lossy(&part).replace("\n.SH ", "\n.SS ").as_bytes());
    }
    Ok(())
}

/// The completions of a program for each shell, with the ends of their file names.
///
/// # Panics
/// Never: they are written to memory.
#[must_use]
pub fn completions(command: &Command) -> [(&'static str, String); 3] {
    [("bash", Shell::Bash), ("zsh", Shell::Zsh), ("fish", Shell::Fish)].map(|(end, shell)| {
        let mut script = Vec::new();
        generate(shell, &mut command.clone(), command.get_name(), &mut script);
        (end, String::from_utf8(script).expect("what was text is text"))
    })
}

/// Sees to it that a document of the folder `docs` is as it must be.
///
/// # Panics
/// Where it differs, or cannot be written.
pub fn check(name: &str, text: &str) {
    let path = docs().join(name);
    if is_writing() {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("the folder of a document can be made");
        }
        fs::write(&path, text).expect("a document can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/{name} differs from what it is made from; POP3D_WRITE_DOCUMENTS=1 writes it"
    );
}

/// Sees to it that a part of a document of the folder `docs` is as it must be: what stands between the lines
/// `<!-- begin: part -->` and `<!-- end: part -->`.
///
/// # Panics
/// Where it differs, is not marked, or cannot be written.
pub fn check_part(name: &str, part: &str, text: &str) {
    let path = docs().join(name);
    let document = fs::read_to_string(&path).expect("a document that has parts is there");
    check(name, &replaced(&document, part, text).unwrap_or_else(|| panic!("docs/{name} has no part {part}")));
}

fn replaced(document: &str, part: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- begin: {part} -->\n"), format!("<!-- end: {part} -->\n"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, behind) = rest.split_once(&end)?;
    Some([before, &begin, text, &end, behind].concat())
}

fn is_writing() -> bool {
    std::env::var_os("POP3D_WRITE_DOCUMENTS").is_some_and(|value| value == "1")
}

/// The folder of the documents.
fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_is_replaced() {
        let document = "a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n";
        let expected = "a\n<!-- begin: x -->\nnew\n<!-- end: x -->\nb\n";
        assert_eq!(replaced(document, "x", "new\n").as_deref(), Some(expected));
        assert_eq!(replaced(document, "y", "new\n"), None);
    }

    #[test]
    fn a_manual_page_has_the_sections_it_is_given() {
        let sections = [Section {
            title: "FILES",
            text: "There are some.",
            terms: vec![(".hidden".into(), "A file.".into())],
        }];
        let page = manual_page(&Command::new("some").about("Does something"), "8", &sections);
        assert!(page.contains(".SH FILES\nThere are some.\n.TP\n\\fB.hidden\\fR\nA file.\n"), "{page}");
    }

    #[test]
    fn a_manual_page_has_the_arguments_of_subcommands() {
        let option = clap::Arg::new("far").long("far").help("Goes far.");
        let walk = Command::new("walk").about("Walks.").arg(option);
        let page =
            manual_page(&Command::new("some").subcommand(Command::new("go").subcommand(walk)), "8", &[]);
        let (_, part) = page.split_once(".SH \"SOME GO WALK\"\n").expect(&page);
        assert!(part.contains(".SS OPTIONS\n") && part.contains("Goes far."), "{page}");
    }
}
