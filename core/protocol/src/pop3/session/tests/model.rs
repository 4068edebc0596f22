//! TRANSACTION against a slow, obvious twin: a list of messages, each there or marked as deleted.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Stat,
    List(Option<u32>),
    Uidl(Option<u32>),
    Dele(u32),
    Rset,
}

impl Step {
    fn line(&self) -> String {
        match self {
            Self::Stat => "STAT".to_owned(),
            Self::List(None) => "LIST".to_owned(),
            Self::List(Some(number)) => format!("LIST {number}"),
            Self::Uidl(None) => "UIDL".to_owned(),
            Self::Uidl(Some(number)) => format!("UIDL {number}"),
            Self::Dele(number) => format!("DELE {number}"),
            Self::Rset => "RSET".to_owned(),
        }
    }
}

/// The twin: counts everything anew for every reply.
struct Twin {
    /// The octets of each message, and whether it is marked as deleted.
    messages: Vec<(u64, bool)>,
}

impl Twin {
    fn left(&self) -> Vec<(usize, u64)> {
        let numbered = self.messages.iter().zip(1..);
        numbered.filter(|((_, deleted), _)| !deleted).map(|(&(octets, _), number)| (number, octets)).collect()
    }

    fn octets(&self) -> u64 {
        self.left().iter().map(|(_, octets)| octets).sum()
    }

    fn find(&mut self, number: u32) -> Option<&mut (u64, bool)> {
        let index = usize::try_from(number).unwrap().checked_sub(1)?;
        self.messages.get_mut(index).filter(|(_, deleted)| !deleted)
    }

    /// What the client hears, up to the words that are free.
    fn reply(&mut self, step: &Step) -> Vec<String> {
        let refused = vec!["-ERR".to_owned()];
        let mut lines = match *step {
            Step::Stat => return vec![format!("+OK {} {}", self.left().len(), self.octets())],
            Step::List(Some(number)) => {
                return self
                    .find(number)
                    .map_or(refused, |(octets, _)| vec![format!("+OK {number} {octets}")]);
            }
            Step::Uidl(Some(number)) => {
                return self.find(number).map_or(refused, |_| vec![format!("+OK {number} uid-{number}")]);
            }
            Step::Dele(number) => {
                let found = self.find(number);
                return found.map_or(refused, |message| {
                    message.1 = true;
                    vec!["+OK".to_owned()]
                });
            }
            Step::Rset => {
                self.messages.iter_mut().for_each(|message| message.1 = false);
                return vec!["+OK".to_owned()];
            }
            Step::List(None) => {
                self.left().iter().map(|(number, octets)| format!("{number} {octets}")).collect()
            }
            Step::Uidl(None) => {
                self.left().iter().map(|(number, _)| format!("{number} uid-{number}")).collect()
            }
        };
        Vec::insert(&mut lines, 0, "+OK".to_owned());
        lines.push(".".to_owned());
        lines
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Stat),
        1 => prop::option::of(0_u32..80).prop_map(Step::List),
        1 => prop::option::of(0_u32..80).prop_map(Step::Uidl),
        6 => (0_u32..80).prop_map(Step::Dele),
        1 => Just(Step::Rset),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn a_maildrop_is_a_list_of_messages_of_which_some_are_marked(
        octets in prop::collection::vec(0_u64..10_000_000_000, 0..75),
        steps in steps(),
    ) {
        let mut dialogue = Dialogue::in_transaction(&octets);
        let mut twin = Twin { messages: octets.iter().map(|&octets| (octets, false)).collect() };
        for step in steps {
            dialogue.says(&step.line());
            for expected in twin.reply(&step) {
                let line = dialogue.line();
                // Behind a bare status indicator the words are free; nothing else is.
                let is_free = matches!(expected.as_str(), "+OK" | "-ERR");
                prop_assert!(line == expected || is_free && line.starts_with(&expected), "{:?}: {}", step, line);
            }
            dialogue.hears_nothing().asks_nothing();
        }
        let marked = twin.messages.iter().filter(|(_, deleted)| *deleted).count();
        prop_assert_eq!(dialogue.session.deletions().count() as usize, marked);
    }
}
