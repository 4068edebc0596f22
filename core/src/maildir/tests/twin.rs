//! Whatever happens to a Maildir or a flat folder, a login shows what a slow, obvious twin expects.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;

/// What can happen between logins.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A message of so many lines arrives.
    Arrives(u8),
    /// A mail program moves a message to `cur`, or changes its flags there.
    Flagged(u8, u8),
    /// Somebody else removes a message.
    Removed(u8),
    /// A session deletes a message.
    Deleted(u8),
    /// A login that changes nothing.
    Login,
    /// An hour passes.
    Hour,
    /// The index is lost.
    IndexLost,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u8..9).prop_map(Event::Arrives),
        2 => any::<(u8, u8)>().prop_map(|(which, flags)| Event::Flagged(which, flags)),
        1 => any::<u8>().prop_map(Event::Removed),
        2 => any::<u8>().prop_map(Event::Deleted),
        2 => Just(Event::Login),
        2 => Just(Event::Hour),
        1 => Just(Event::IndexLost),
    ]
}

/// What the twin knows of a message.
#[derive(Clone, Debug)]
struct Expected {
    path: String,
    text: String,
    unique_id: Option<String>,
}

/// A folder, and what is in it by number of arrival.
struct Twin {
    house: House,
    is_flat: bool,
    messages: BTreeMap<u32, Expected>,
    arrived: u32,
    hours: i64,
}

impl Twin {
    fn pick(&self, which: u8) -> Option<u32> {
        self.messages.keys().nth(usize::from(which) % self.messages.len().max(1)).copied()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(lines) => {
                self.arrived += 1;
                let arrived = self.arrived;
                // Odd ones have a name that is no unique-id.
                let odd = if arrived.is_multiple_of(3) { " odd" } else { "" };
                let folder = if self.is_flat { "" } else { "new/" };
                let path = format!("{folder}{arrived}.M{lines}P1.host{odd}");
                let text = format!("Subject: {arrived}\n").repeat(usize::from(lines));
                self.house.put(&path, &text);
                if !self.is_flat {
                    // That an hour passes must not look as if somebody touched the file.
                    age(&self.house.user().join(&path), 0);
                }
                self.messages.insert(arrived, Expected { path, text, unique_id: None });
            }
            Event::Flagged(which, flags) if !self.is_flat => {
                let Some(message) = self.pick(which).and_then(|key| self.messages.get_mut(&key)) else {
                    return;
                };
                let name = message.path[4..].split(":2,").next().unwrap();
                let path = format!("cur/{name}:2,{}", ["", "S", "RS", "F"][usize::from(flags % 4)]);
                self.house.rename(&message.path, &path);
                message.path = path;
            }
            Event::Removed(which) => {
                let Some(message) = self.pick(which).and_then(|key| self.messages.remove(&key)) else {
                    return;
                };
                fs::remove_file(self.house.user().join(message.path)).unwrap();
            }
            Event::Deleted(which) => {
                let Some(key) = self.pick(which) else { return };
                let place =
                    u32::try_from(self.messages.keys().position(|other| *other == key).unwrap()).unwrap();
                let mut maildrop = self.login();
                assert_eq!(maildrop.commit(&marked(&[place + 1])), committed(1, 0));
                self.messages.remove(&key);
            }
            Event::Flagged(..) | Event::Login => drop(self.login()),
            Event::Hour => {
                // No two states of a folder have the same time.
                self.hours += 1;
                self.house.settle_at(self.hours);
            }
            Event::IndexLost => drop(fs::remove_dir_all(self.house.state().join("indexes"))),
        }
    }

    /// Logs in, and compares everything.
    fn login(&mut self) -> Box<dyn Maildrop> {
        let mut maildrop = self.house.open();
        let found = unique_ids(&*maildrop);
        assert_eq!(found.len(), self.messages.len());
        let lengths: Vec<_> =
            self.messages.values().map(|message| message.text.replace('\n', "\r\n").len()).collect();
        assert_eq!(sizes(&*maildrop), lengths.iter().map(|&length| length as u64).collect::<Vec<_>>());
        for (number, (message, unique_id)) in (1..).zip(self.messages.values_mut().zip(&found)) {
            assert_eq!(message.unique_id.get_or_insert_with(|| unique_id.clone()), unique_id);
            assert_eq!(text(&mut *maildrop, number), message.text);
            assert!(maildrop.message(super::number(number)).unwrap().octets.is_some());
        }
        let mut distinct = found;
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), self.messages.len());
        maildrop
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_login_shows_what_is_there(is_flat: bool, events in prop::collection::vec(event(), 1..30)) {
        let house = if is_flat { House::flat(&[]) } else { House::maildir(&[]) };
        let mut twin = Twin { house, is_flat, messages: BTreeMap::new(), arrived: 0, hours: 0 };
        for event in events {
            twin.happen(event);
        }
        drop(twin.login());
    }
}

/// Says that it is over, also where a test fails: others go on until then.
struct Over<'flag>(&'flag AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_message_is_met_twice_or_missed_while_others_come_and_move() {
    let house = House::maildir(&[]);
    for arrived in 0..300 {
        house.put(&format!("new/{arrived}.old"), "x\n");
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0_u32.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                // As many as a slow machine can list while others come.
                if round < 2_000 {
                    house.put(&format!("new/{round}.fresh"), "y\n");
                    house.rename(&format!("new/{round}.fresh"), &format!("cur/{round}.fresh:2,S"));
                }
                let old = round % 300;
                let moved = format!("cur/{old}.old:2,S");
                if house.user().join(&moved).exists() {
                    house.rename(&moved, &format!("new/{old}.old"));
                } else {
                    house.rename(&format!("new/{old}.old"), &moved);
                }
            }
        });
        let _over = Over(&done);
        for _ in 0..50 {
            let mut found = unique_ids(&*house.open());
            let count = found.len();
            found.sort();
            found.dedup();
            assert_eq!(found.len(), count, "none twice");
        }
    });
    assert_eq!(unique_ids(&*house.open()).iter().filter(|name| name.ends_with("old")).count(), 300);
}
