//! Whether some rules together take every message that another one could match, so that behind them it never does.
//!
//! What a rule asks for is taken apart: by command, by sizes between which no rule begins or ends, and by header field.
//! For each part it is asked whether there is a user of the rule that none of the others takes. That is found by reading
//! all globs side by side, letter by letter.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Condition, Field, is_match};

/// Most states of all globs that are looked at for one question. What needs more cannot be told.
const STATES_MAX: usize = 5_000;

/// Most names without "*" and "?" that are looked at beside globs.
const NAMES_MAX: usize = 64;

/// Most different sets of rules that are looked at for one rule.
const PARTS_MAX: usize = 200;

/// The rules that together take all of what `condition` could match, as few as are needed, by their indices; none: there
/// is something left, or it cannot be told. No rules at all: there is nothing that it could match.
#[must_use]
pub fn covering(condition: &Condition, earlier: &[Arc<Condition>]) -> Option<Vec<usize>> {
    let all: Vec<&Condition> = earlier.iter().map(Arc::as_ref).collect();
    if !is_covered(condition, &all) {
        return None;
    }
    let takes_all = |index: &usize| is_covered(condition, &all[*index..=*index]);
    if let Some(index) = (0..all.len()).find(takes_all) {
        return Some(if is_covered(condition, &[]) { Vec::new() } else { vec![index] });
    }
    let mut needed: Vec<usize> = (0..all.len()).collect();
    for index in (0..all.len()).rev() {
        let rest: Vec<usize> = needed.iter().copied().filter(|&other| other != index).collect();
        let conditions: Vec<_> = rest.iter().filter_map(|&index| all.get(index).copied()).collect();
        if is_covered(condition, &conditions) {
            needed = rest;
        }
    }
    Some(needed)
}

fn is_covered(condition: &Condition, others: &[&Condition]) -> bool {
    let fields: Vec<Option<&Field>> = match &condition.headers[..] {
        [] => vec![None],
        fields => fields.iter().map(Some).collect(),
    };
    let mut seen: HashSet<Vec<usize>> = HashSet::new();
    for (asked, is_taken) in
        [(condition.retr, (|it| it.retr) as fn(&Condition) -> bool), (condition.top, |it| it.top)]
    {
        if !asked {
            continue;
        }
        for (from, to) in sizes(condition, others) {
            for field in &fields {
                let takes = |it: &&Condition| {
                    is_taken(it) && it.min_size <= from && it.max_size >= to && covers_field(it, *field)
                };
                let part: Vec<usize> = (0..others.len()).filter(|&index| takes(&others[index])).collect();
                if seen.contains(&part) {
                    continue;
                }
                let takers: Vec<&Condition> = part.iter().map(|&index| others[index]).collect();
                if seen.len() == PARTS_MAX || user_left(condition, &takers) != Left::Nobody {
                    return false;
                }
                seen.insert(part);
            }
        }
    }
    true
}

/// The sizes of a rule, cut where another one begins or ends: each cut is within one of them or outside of it.
fn sizes(condition: &Condition, others: &[&Condition]) -> Vec<(u64, u64)> {
    let is_within = |size: &u64| (condition.min_size..=condition.max_size).contains(size);
    let ends = others.iter().filter_map(|it| it.max_size.checked_add(1));
    let mut starts: Vec<u64> = others.iter().map(|it| it.min_size).chain(ends).filter(is_within).collect();
    starts.extend(Some(condition.min_size).filter(is_within));
    starts.sort_unstable();
    starts.dedup();
    let ends = starts.iter().skip(1).map(|start| start - 1).chain([condition.max_size]);
    starts.iter().copied().zip(ends).collect()
}

/// Whether a rule takes every message with such a field, as far as it is about the header; none: every message.
fn covers_field(condition: &Condition, field: Option<&Field>) -> bool {
    let Some(field) = field else { return condition.headers.is_empty() };
    let covers = |it: &Field| it.name == field.name && includes(&it.value, &field.value);
    condition.headers.is_empty() || condition.headers.iter().any(covers)
}

/// Whether all that matches `part` matches `glob`. `false` also where that cannot be told.
fn includes(glob: &str, part: &str) -> bool {
    if !is_glob(part) {
        return is_match(glob, part);
    }
    // No name of a user is empty, and none is looked for; a field may be.
    if is_match(part, "") && !is_match(glob, "") {
        return false;
    }
    let (glob, part) = ([glob.to_owned()], [part.to_owned()]);
    search(&part, &[], &[(&glob, &[])], |_, _| true) == Left::Nobody
}

/// Who is left.
#[derive(Debug, Eq, PartialEq)]
enum Left {
    Nobody,
    /// Somebody of this name.
    User(String),
    Unknown,
}

/// A user of a rule whom none of the others takes.
fn user_left(condition: &Condition, others: &[&Condition]) -> Left {
    let everybody = ["*".to_owned()];
    let users = if condition.users.is_empty() { &everybody[..] } else { &condition.users[..] };
    let is_left = |name: &str| condition.is_about(name) && !others.iter().any(|it| it.is_about(name));
    if let Some(name) = users.iter().find(|user| !is_glob(user) && is_left(user)) {
        return Left::User(name.clone());
    }
    let mut outcome = Left::Nobody;
    for glob in users.iter().filter(|user| is_glob(user)) {
        // What is left out here leaves more to be taken, or less that takes.
        let except = near(&condition.except_users, glob).unwrap_or_default();
        let mut takers: Vec<(Vec<String>, Vec<String>)> = Vec::new();
        for other in others {
            let users = if other.users.is_empty() { &everybody[..] } else { &other.users[..] };
            let (users, except) = (near(users, glob), near(&other.except_users, glob));
            if let (Some(users), Some(except)) = (users, except) {
                takers.push((users, except));
            }
        }
        let takers: Vec<_> = takers.iter().map(|(users, except)| (&users[..], &except[..])).collect();
        // As names of users are (`UserName`).
        let can_be = |name: &str, letter: char| {
            !(name.is_empty() && letter == '.') && letter != '/' && !letter.is_control()
        };
        match search(std::slice::from_ref(glob), &except, &takers, can_be) {
            Left::Nobody => {}
            Left::Unknown => outcome = Left::Unknown,
            left @ Left::User(_) => return left,
        }
    }
    outcome
}

/// Those of some globs that may match what another one does; none: they are too many.
fn near(globs: &[String], glob: &str) -> Option<Vec<String>> {
    let near: Vec<String> =
        globs.iter().filter(|other| is_glob(other) || is_match(glob, other)).cloned().collect();
    (near.len() <= NAMES_MAX).then_some(near)
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The shortest text that one of `globs` matches and none of `except`, and that none of the takers takes: those are
/// globs, and exceptions of theirs. `can_be`: whether a letter may follow.
fn search(
    globs: &[String],
    except: &[String],
    takers: &[(&[String], &[String])],
    can_be: impl Fn(&str, char) -> bool,
) -> Left {
    let mut table = Table::default();
    let wanted = table.add(globs);
    let excepted = table.add(except);
    let takers: Vec<_> = takers.iter().map(|(users, except)| (table.add(users), table.add(except))).collect();
    let mut letters: Vec<char> =
        table.globs.iter().flatten().copied().filter(|it| !"*?".contains(*it)).collect();
    letters.sort_unstable();
    letters.dedup();
    // One that no glob names stands for all of them.
    letters.extend(('a'..=char::MAX).find(|letter| !letters.contains(letter)));
    let begin = table.begin();
    // Not the beginning: no text is empty, and what leads back there is one.
    let mut seen = HashSet::new();
    let mut waiting = std::collections::VecDeque::from([(begin, String::new())]);
    while let Some((state, text)) = waiting.pop_front() {
        for &letter in letters.iter().filter(|letter| can_be(&text, **letter)) {
            let next = table.step(&state, letter);
            // No longer text can match.
            if !wanted.clone().any(|glob| table.is_alive(&next, glob)) || seen.contains(&next) {
                continue;
            }
            let is_any = |mut globs: std::ops::Range<usize>| globs.any(|glob| table.is_at_end(&next, glob));
            let is_taken =
                || takers.iter().any(|(users, except)| is_any(users.clone()) && !is_any(except.clone()));
            let text = format!("{text}{letter}");
            if is_any(wanted.clone()) && !is_any(excepted.clone()) && !is_taken() {
                return Left::User(text);
            }
            if seen.len() == STATES_MAX {
                return Left::Unknown;
            }
            seen.insert(next.clone());
            waiting.push_back((next, text));
        }
    }
    Left::Nobody
}

/// Globs, each with the places in it that what was read so far may have led to.
#[derive(Default)]
struct Table {
    globs: Vec<Vec<char>>,
}

/// A place for each letter of each glob, and one behind them.
type State = Vec<Vec<bool>>;

impl Table {
    fn add(&mut self, globs: &[String]) -> std::ops::Range<usize> {
        let first = self.globs.len();
        self.globs.extend(globs.iter().map(|glob| glob.chars().collect()));
        first..self.globs.len()
    }

    fn begin(&self) -> State {
        let begin = |glob: &Vec<char>| {
            let mut places = vec![false; glob.len() + 1];
            enter(glob, &mut places, 0);
            places
        };
        self.globs.iter().map(begin).collect()
    }

    fn step(&self, state: &State, letter: char) -> State {
        let step = |(glob, places): (&Vec<char>, &Vec<bool>)| {
            let mut next = vec![false; places.len()];
            for (place, _) in places.iter().enumerate().filter(|(_, is_there)| **is_there) {
                match glob.get(place) {
                    Some('*') => enter(glob, &mut next, place),
                    Some('?') => enter(glob, &mut next, place + 1),
                    Some(&own) if own == letter => enter(glob, &mut next, place + 1),
                    Some(_) | None => {}
                }
            }
            next
        };
        self.globs.iter().zip(state).map(step).collect()
    }

    fn is_alive(&self, state: &State, glob: usize) -> bool {
        state.get(glob).is_some_and(|places| places.contains(&true))
    }

    fn is_at_end(&self, state: &State, glob: usize) -> bool {
        state.get(glob).and_then(|places| places.last()).is_some_and(|is_there| *is_there)
    }
}

/// Marks a place, and those that nothing has to be read for from there.
fn enter(glob: &[char], places: &mut [bool], mut place: usize) {
    loop {
        if let Some(mark) = places.get_mut(place) {
            *mark = true;
        }
        if glob.get(place) != Some(&'*') {
            return;
        }
        place += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Command;
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn of(users: &[&str]) -> Condition {
        Condition { users: texts(users), ..Condition::default() }
    }

    fn covered(condition: &Condition, others: &[Condition]) -> Option<Vec<usize>> {
        let others: Vec<_> = others.iter().cloned().map(Arc::new).collect();
        covering(condition, &others)
    }

    #[test]
    fn a_field_may_be_empty() {
        let with = |value: &str| Condition {
            headers: vec![Field { name: "X-Spam".to_owned(), value: value.to_owned() }],
            ..Condition::default()
        };
        assert_eq!(covered(&with("*"), &[with("?*")]), None);
        assert_eq!(covered(&with("?*"), &[with("*")]), Some(vec![0]));
        assert_eq!(covered(&with("a*"), &[with("?*")]), Some(vec![0]));
    }

    #[test]
    fn rules_that_together_take_everything_are_named() {
        let all = Condition::default();
        let retr = Condition { top: false, ..all.clone() };
        let top = Condition { retr: false, ..all.clone() };
        let small = Condition { max_size: 99, ..all.clone() };
        let large = Condition { min_size: 100, ..all.clone() };
        let larger = Condition { min_size: 101, ..all.clone() };
        let bob = of(&["bob"]);
        assert_eq!(covered(&all, &[retr.clone(), bob.clone(), top.clone()]), Some(vec![0, 2]));
        assert_eq!(covered(&all, &[small.clone(), large.clone()]), Some(vec![0, 1]));
        assert_eq!(covered(&all, &[small.clone(), larger]), None);
        assert_eq!(covered(&all, &[small.clone(), Condition { top: false, ..large.clone() }]), None);
        let both = [small, Condition { top: false, ..large.clone() }, Condition { retr: false, ..large }];
        assert_eq!(covered(&all, &both), Some(vec![0, 1, 2]));
        let not_bob = Condition { except_users: texts(&["bob"]), ..all.clone() };
        assert_eq!(covered(&all, &[not_bob.clone(), retr]), None);
        assert_eq!(covered(&all, &[not_bob, top, bob]), Some(vec![0, 2]));
        assert_eq!(covered(&of(&["a*"]), &[of(&["a"]), of(&["a?*"])]), Some(vec![0, 1]));
        assert_eq!(covered(&of(&["a*", "bob"]), &[of(&["a*"]), of(&["bo*"])]), Some(vec![0, 1]));
        assert_eq!(covered(&of(&["a*", "bob"]), &[of(&["a?*"]), of(&["bo*"])]), None);
        assert_eq!(covered(&of(&["*-x"]), &[of(&["*x"])]), Some(vec![0]));
        // No name of a user begins with a point.
        assert_eq!(covered(&of(&[".*"]), &[]), Some(Vec::new()));
        assert_eq!(covered(&of(&["?*"]), &[of(&["*"])]), Some(vec![0]));
    }

    #[test]
    fn header_fields_are_taken_one_by_one() {
        let about = |fields: &[&str]| {
            let headers = fields.iter().map(|field| Field::parse(field).unwrap()).collect();
            Condition { headers, ..Condition::default() }
        };
        let two = about(&["Subject: a*", "List-Id: x"]);
        assert_eq!(covered(&two, &[about(&["Subject: *"]), about(&["List-Id: x*"])]), Some(vec![0, 1]));
        assert_eq!(covered(&two, &[about(&["Subject: a?*"]), about(&["List-Id: x*"])]), None);
        assert_eq!(covered(&Condition::default(), &[about(&["Subject: *"])]), None);
    }

    fn glob() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(&['a', 'b', '*', '?']), 1..5)
            .prop_map(|letters| letters.into_iter().collect())
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let globs = || prop::collection::vec(glob(), 0..3);
        (globs(), globs(), 0..4_u64, 0..4_u64, 0..3).prop_map(|(users, except_users, one, other, command)| {
            let (min_size, max_size) = (one.min(other), one.max(other));
            let (retr, top) = (command != 1, command != 2);
            Condition { users, except_users, min_size, max_size, headers: Vec::new(), retr, top }
        })
    }

    proptest! {
        #[test]
        fn what_is_covered_matches_nothing_that_the_others_leave(rule in condition(), others in prop::collection::vec(condition(), 0..5)) {
            let mut names = vec![String::new()];
            for start in 0.. {
                let Some(name) = names.get(start).filter(|name| name.len() < 5).cloned() else { break };
                names.extend("abc".chars().map(|letter| format!("{name}{letter}")));
            }
            let is_left = |name: &String, size: u64, command: Command| {
                let matches = |it: &Condition| it.matches(name, size, command, || b"");
                matches(&rule) && !others.iter().any(matches)
            };
            let commands = [Command::Retr, Command::Top { lines: 0 }];
            let is_any = names[1..].iter().any(|name| {
                (0..4).any(|size| commands.iter().any(|command| is_left(name, size, *command)))
            });
            let covering = covered(&rule, &others);
            prop_assert!(covering.is_none() || !is_any, "{:?}", covering);
            // And who is left is so.
            let takers: Vec<&Condition> = others.iter().collect();
            if let Left::User(name) = user_left(&rule, &takers) {
                prop_assert!(rule.is_about(&name) && !takers.iter().any(|it| it.is_about(&name)), "{}", name);
            } else {
                prop_assert!(covering.is_some() || takers.iter().any(|it| it.min_size > 0 || it.max_size < 3 || !it.retr || !it.top));
            }
            if let Some(needed) = covering {
                // None of them can be left out.
                for index in &needed {
                    let rest: Vec<_> = needed.iter().filter(|it| *it != index).map(|it| others[*it].clone()).collect();
                    prop_assert!(covered(&rule, &rest).is_none());
                }
            }
        }
    }
}
