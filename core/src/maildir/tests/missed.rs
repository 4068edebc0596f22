//! Messages that listings miss, since mail programs rename them all the time.

use std::cell::Cell;

use super::*;
use crate::maildir::UniqueIds;
use crate::maildir::folder::{MailFolder, UserFolder};
use crate::maildir::index::Index;
use crate::maildir::scan::scan;

const BASES: [&str; 3] = ["1.a", "2.b", "3.c"];

/// A Maildir whose messages have unique-ids that nothing else tells, and its index.
fn imported() -> (House, Index) {
    let house = House::maildir(&[("cur/1.a:2,", "a\n"), ("cur/2.b:2,", "b\n"), ("cur/3.c:2,", "c\n")]);
    house.put("dovecot-uidlist", "3 V1 N4\n1 :1.a\n2 :2.b\n3 :3.c\n");
    house.settle();
    drop(house.store().with_unique_ids(UniqueIds::Dovecot).open(&ann()).unwrap());
    std::fs::remove_file(house.user().join("dovecot-uidlist")).unwrap();
    let index = Index::parse(octets_of(&house.index())).unwrap();
    (house, index)
}

/// Scans a Maildir, whose folders change before each of the first listings: it hears which one it is. How many there were, too.
fn scan_while(house: &House, known: Option<&Index>, changes: u32, happens: impl Fn(u32)) -> (Index, u32) {
    let owner = house.store().shared.owner(&ann());
    let mail = MailFolder::open(&house.folder.path().join("mail")).unwrap();
    let folder = UserFolder::open(&mail, "ann").unwrap().unwrap();
    // It is not as it was when it was listed for the index.
    age(&house.user().join("cur"), -1);
    let listings = Cell::new(0);
    let now = || {
        listings.set(listings.get() + 1);
        happens(listings.get());
        // A folder's time has steps.
        age(&house.user().join("cur"), listings.get().min(changes).into());
        SystemTime::now()
    };
    let index = scan(&folder, &owner, known, UniqueIds::Names, now).unwrap();
    (index, listings.get())
}

/// Takes a message away, or puts it back with other flags.
fn take(house: &House, base: &str) {
    house.rename(&format!("cur/{base}:2,"), &format!("tmp/{base}"));
}

fn put_back(house: &House, base: &str) {
    house.rename(&format!("tmp/{base}"), &format!("cur/{base}:2,"));
}

#[test]
fn what_each_listing_misses_another_one_meets() {
    for is_known in [true, false] {
        let (house, known) = imported();
        let known = is_known.then_some(&known);
        // Each of the first three misses another message, and each later one the last.
        let (index, listings) = scan_while(&house, known, u32::MAX, |listing| match listing {
            1 => take(&house, BASES[0]),
            2 | 3 => {
                put_back(&house, BASES[listing as usize - 2]);
                take(&house, BASES[listing as usize - 1]);
            }
            _ => {}
        });
        // Where its size is not known, a message must be there to be counted.
        let expected = if is_known { 3 } else { 2 };
        assert_eq!((index.count(), index.is_settled(), index.is_partial()), (expected, false, false));
        assert!(listings <= 8, "{listings}");
        if let Some(known) = known {
            assert_eq!(listings, 3);
            assert!((1..=3).map(number).all(|number| index.unique_id(number) == known.unique_id(number)));
        }
    }
}

#[test]
fn an_index_that_lacks_what_all_listings_may_have_missed_does_not_take_the_place_of_the_one_before() {
    let (house, known) = imported();
    let (index, _) = scan_while(&house, Some(&known), u32::MAX, |listing| {
        if listing == 1 {
            take(&house, BASES[1]);
        }
    });
    assert_eq!((index.count(), index.is_partial()), (2, true));
    let before = octets_of(&house.index());
    let store = house.store();
    assert!(store.shared.state.as_ref().unwrap().write_index(&ann(), &index).is_none());
    assert_eq!(octets_of(&house.index()), before);
    put_back(&house, BASES[1]);
    assert_eq!(unique_ids(&*house.open())[1], "0000000200000001");
}

#[test]
fn what_a_listing_misses_that_nothing_disturbed_is_gone() {
    let (house, known) = imported();
    take(&house, BASES[1]);
    let (index, listings) = scan_while(&house, Some(&known), 1, |listing| {
        if listing == 1 {
            take(&house, BASES[0]);
        }
    });
    assert_eq!((index.count(), index.is_partial(), listings), (1, false, 2));
}
