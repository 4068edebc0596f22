//! Messages that are renamed while they are looked for.

use std::cell::Cell;

use super::*;
use crate::maildir::folder::{MailFolder, Place, UserFolder};
use crate::maildir::listing::{LOOKS_MAX, Listing, Moved};

/// Looks where messages are, while something happens before each look at the folders: it hears which look it is.
fn look(house: &House, happens: impl Fn(u32)) -> Moved {
    house.settle();
    let mail = MailFolder::open(&house.folder.path().join("mail")).unwrap();
    let folder = UserFolder::open(&mail, "ann").unwrap().unwrap();
    let looks = Cell::new(0);
    let look = || {
        looks.set(looks.get() + 1);
        happens(looks.get());
        folder.layout()
    };
    Moved::look_by(&folder, look).unwrap()
}

#[test]
fn a_message_that_a_listing_misses_since_it_is_renamed_is_found_by_the_next() {
    let house = House::maildir(&[("new/1.a", "a\n"), ("tmp/2.b", "b\n")]);
    // The listing is made between the first look and the second.
    let moved = look(&house, |looks| {
        if looks == 2 {
            house.rename("tmp/2.b", "cur/2.b:2,S");
        }
    });
    assert_eq!(moved.find(b"1.a").unwrap(), Some((Place::New, &b"1.a"[..])));
    assert_eq!(moved.find(b"2.b").unwrap(), Some((Place::Cur, &b"2.b:2,S"[..])));
    assert_eq!(moved.find(b"3.c").unwrap(), None);
}

#[test]
fn nothing_is_said_to_be_gone_where_messages_are_renamed_all_the_time() {
    let house = House::maildir(&[("new/1.a", "a\n"), ("tmp/2.b", "b\n")]);
    let listings = Cell::new(0);
    let moved = look(&house, |looks| {
        listings.set(looks - 1);
        house.put(&format!("new/{looks}.x"), "x\n");
        // A folder's time has steps.
        age(&house.user().join("new"), looks.into());
    });
    assert_eq!(listings.get(), LOOKS_MAX);
    assert_eq!(moved.find(b"1.a").unwrap(), Some((Place::New, &b"1.a"[..])));
    assert!(moved.find(b"2.b").is_err());
}

#[test]
fn the_files_that_another_hides_are_found_by_their_base() {
    let house = House::maildir(&[]);
    let bases = ["9.a", "10.a", "10.ab", "a", "ab"];
    for base in bases {
        for name in [format!("new/{base}"), format!("cur/{base}:2,"), format!("cur/{base}:2,S")] {
            house.put(&name, "x\n");
        }
    }
    house.put("new/11.alone", "x\n");
    let mail = MailFolder::open(&house.folder.path().join("mail")).unwrap();
    let folder = UserFolder::open(&mail, "ann").unwrap().unwrap();
    let listing = Listing::of(&folder, &folder.layout().unwrap(), None).unwrap();
    for base in bases {
        let hidden: Vec<_> = listing.hidden(base.as_bytes()).collect();
        let flagged = format!("{base}:2,S");
        assert_eq!(hidden, [(Place::Cur, flagged.as_bytes()), (Place::New, base.as_bytes())]);
    }
    for base in ["11.alone", "8.none", "b"] {
        assert_eq!(listing.hidden(base.as_bytes()).count(), 0);
    }
}
