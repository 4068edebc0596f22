//! Maildrops that are known by heart: what a worker opens by itself, and what it must leave to the pool.

use std::os::unix::fs::symlink;

use super::*;
use crate::store::MessageError;

const NAMES: [(&str, &str); 2] = [("new/1.a.host", "one\n"), ("cur/2.b.host:2,S", "three\r\n")];
const FLAT: [(&str, &str); 2] = [("1", "one\n"), ("2", "three\r\n")];

/// A settled house, and a store that has opened its maildrop once.
fn known(house: &House) -> LocalStore {
    house.settle();
    let store = house.store();
    drop(store.open(&ann()).unwrap());
    store
}

fn at_once(store: &LocalStore) -> Option<Box<dyn Maildrop>> {
    store.open_at_once(&ann()).map(Result::unwrap)
}

#[test]
fn a_maildrop_that_is_as_it_was_is_opened_at_once() {
    for house in [House::maildir(&NAMES), House::flat(&FLAT)] {
        assert!(at_once(&house.store()).is_none(), "nothing is known of it");
        let store = known(&house);
        let expected = unique_ids(&*house.open());
        for _ in 0..3 {
            let mut maildrop = at_once(&store).unwrap();
            assert_eq!((sizes(&*maildrop), unique_ids(&*maildrop)), (vec![5, 7], expected.clone()));
            assert_eq!(text(&mut *maildrop, 2), "three\r\n");
        }
    }
}

#[test]
fn a_maildrop_that_is_open_is_not_opened_at_once_again() {
    let house = House::maildir(&NAMES);
    let store = known(&house);
    for _ in 0..2 {
        let maildrop = at_once(&store).unwrap();
        assert!(matches!(store.open_at_once(&ann()), Some(Err(OpenError::InUse(Some(_))))));
        assert!(matches!(house.try_open(), Err(OpenError::InUse(Some(_)))), "nor by another process");
        drop(maildrop);
    }
    let other = house.open();
    assert!(matches!(store.open_at_once(&ann()), Some(Err(OpenError::InUse(Some(_))))));
    drop(other);
    assert!(at_once(&store).is_some());
}

#[test]
fn what_changed_is_left_to_the_pool_which_sees_it() {
    type Change = fn(&House);
    let changes: [(&str, Change, &[u64]); 6] = [
        ("mail arrived", |house| house.put("new/3.c.host", "c\n"), &[5, 7, 3]),
        ("mail was removed", |house| fs::remove_file(house.user().join("new/1.a.host")).unwrap(), &[7]),
        ("a flag was set", |house| house.rename("cur/2.b.host:2,S", "cur/2.b.host:2,RS"), &[5, 7]),
        ("the index is gone", |house| fs::remove_file(house.index()).unwrap(), &[5, 7]),
        ("the folder is gone", |house| fs::remove_dir_all(house.user()).unwrap(), &[]),
        (
            "another process counted anew",
            |house| {
                house.put("new/1.a.host", "another length\n");
                house.settle();
                assert!(matches!(house.open().message(number(1)), Err(MessageError::Changed)));
                drop(house.open());
            },
            &[16, 7],
        ),
    ];
    for (what, change, expected) in changes {
        let house = House::maildir(&NAMES);
        let store = known(&house);
        drop(at_once(&store).unwrap());
        change(&house);
        assert!(at_once(&store).is_none(), "{what}");
        assert_eq!(sizes(&*store.open(&ann()).unwrap()), expected, "{what}");
    }
}

#[test]
fn a_message_that_is_not_as_counted_is_found_out_before_an_octet_is_sent() {
    let house = House::maildir(&NAMES);
    let store = known(&house);
    house.put("new/1.a.host", "another length\n");
    house.settle();
    let mut maildrop = at_once(&store).unwrap();
    assert!(matches!(maildrop.message(number(1)), Err(MessageError::Changed)));
    drop(maildrop);
    assert!(at_once(&store).is_none());
    assert_eq!(sizes(&*store.open(&ann()).unwrap()), [16, 7]);
    assert_eq!(sizes(&*at_once(&store).unwrap()), [16, 7]);
}

#[test]
fn each_file_of_a_flat_folder_is_looked_at() {
    let house = House::flat(&FLAT);
    let store = known(&house);
    house.put("1", "another length\n");
    house.settle();
    assert!(at_once(&store).is_none());
    assert_eq!(sizes(&*store.open(&ann()).unwrap()), [16, 7]);
    let removed = at_once(&store).unwrap().commit(&marked(&[1]));
    assert_eq!(removed, committed(1, 0));
    assert!(at_once(&store).is_none());
    assert_eq!(sizes(&*store.open(&ann()).unwrap()), [7]);
}

#[test]
fn a_symbolic_link_in_place_of_the_folder_is_not_followed() {
    let house = House::maildir(&NAMES);
    let store = known(&house);
    let aside = house.folder.path().join("aside");
    fs::rename(house.user(), &aside).unwrap();
    symlink(&aside, house.user()).unwrap();
    assert!(at_once(&store).is_none());
    assert!(store.open(&ann()).is_err());
}
