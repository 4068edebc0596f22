//! Maildirs whose folders `new` and `cur` are missing for a while, and flat folders that have them for a while, or from then on.

use std::fs;

use super::*;
use crate::maildir::UniqueIds;
use crate::maildir::index::Index;

const LIST: &str = "3 V1 N4\n1 :1.a.host\n";

fn remove_places(house: &House) {
    for name in ["new", "cur"] {
        fs::remove_dir_all(house.user().join(name)).unwrap();
    }
}

/// Why there is no login.
fn refused(house: &House) -> String {
    let Err(OpenError::Unavailable(why)) = house.try_open() else { panic!("it is served") };
    why.to_string()
}

#[test]
fn a_maildir_whose_folders_are_gone_for_a_while_is_not_a_flat_folder_and_keeps_its_unique_ids() {
    let house = House::maildir(&[("new/1.a.host", "one\n")]);
    house.put("dovecot-uidlist", LIST);
    drop(house.store().with_unique_ids(UniqueIds::Dovecot).open(&ann()).unwrap());
    remove_places(&house);
    for _ in 0..2 {
        assert!(refused(&house).contains(house.index().to_str().unwrap()));
    }
    fs::create_dir(house.user().join("cur")).unwrap();
    house.put("cur/1.a.host:2,S", "one\n");
    assert_eq!(unique_ids(&*house.open()), ["0000000100000001"]);
}

#[test]
fn what_lies_in_an_empty_maildir_does_not_become_mail_when_its_folders_are_removed() {
    let house = House::maildir(&[("new/1.a.host", "one\n")]);
    house.put("dovecot-uidlist", LIST);
    assert_eq!(house.open().commit(&marked(&[1])), committed(1, 0));
    remove_places(&house);
    refused(&house);
    // Without that there is nothing that could be taken for mail.
    fs::rename(house.user().join("dovecot-uidlist"), house.user().join("tmp/aside")).unwrap();
    for _ in 0..2 {
        assert_eq!(house.open().snapshot().count(), 0);
    }
    fs::rename(house.user().join("tmp/aside"), house.user().join("dovecot-uidlist")).unwrap();
    refused(&house);
}

#[test]
fn a_folder_with_nothing_of_a_maildir_is_the_flat_one_that_it_is() {
    let house = House::maildir(&[("new/1.a.host", "one\n")]);
    drop(house.open());
    fs::remove_dir_all(house.user()).unwrap();
    fs::create_dir(house.user()).unwrap();
    for name in ["courierimapuiddb", "dovecot.index", "maildirfolder", "subscriptions"] {
        house.put(name, "no mail\n");
        refused(&house);
        fs::remove_file(house.user().join(name)).unwrap();
    }
    house.put("1.eml", "two\n");
    assert_eq!(unique_ids(&*house.open()), ["1.eml"]);
}

#[test]
fn a_maildir_that_became_a_flat_folder_is_served_once_its_index_is_removed() {
    let house = House::maildir(&[("new/1.a.host", "one\n")]);
    drop(house.open());
    remove_places(&house);
    house.put("1.eml", "two\n");
    refused(&house);
    fs::remove_file(house.index()).unwrap();
    for _ in 0..2 {
        assert_eq!(unique_ids(&*house.open()), ["1.eml"]);
    }
}

/// A flat folder with `a` and another `b` than the one that was removed, and its unique-ids.
fn flat_with_a_name_that_came_again() -> (House, Vec<String>) {
    let house = House::flat(&[("a", "a\n"), ("b", "b\n"), ("c", "c\n")]);
    house.settle();
    assert_eq!(house.open().commit(&marked(&[2, 3])), committed(2, 0));
    house.put("b", "another\n");
    house.settle();
    let found = unique_ids(&*house.open());
    assert!(found[0] == "a" && found[1] != "b", "{found:?}");
    (house, found)
}

#[test]
fn a_flat_folder_that_is_an_empty_maildir_for_a_while_keeps_its_unique_ids() {
    let (house, before) = flat_with_a_name_that_came_again();
    fs::create_dir(house.user().join("new")).unwrap();
    for _ in 0..2 {
        assert_eq!(house.open().snapshot().count(), 0);
    }
    fs::remove_dir(house.user().join("new")).unwrap();
    house.put("c", "another\n");
    let after = unique_ids(&*house.open());
    assert_eq!(after[..2], before);
    assert_ne!(after[2], "c");
}

#[test]
fn a_flat_folder_that_is_a_maildir_with_mail_for_a_while_gives_no_unique_id_to_another_message() {
    let (house, before) = flat_with_a_name_that_came_again();
    fs::create_dir(house.user().join("new")).unwrap();
    house.put("new/d", "d\n");
    assert_eq!(unique_ids(&*house.open()), ["d"]);
    fs::remove_dir_all(house.user().join("new")).unwrap();
    // Nobody knows whether that is who had the name.
    house.put("a", "another\n");
    house.put("c", "another\n");
    house.put("d", "another\n");
    let after = unique_ids(&*house.open());
    assert_eq!(after.len(), 4);
    assert!(after.iter().all(|id| !["a", "b", "c", "d", &before[1]].contains(&id.as_str())), "{after:?}");
}

#[test]
fn messages_of_a_flat_folder_that_becomes_a_maildir_keep_their_unique_ids_and_no_other_gets_one() {
    let (house, before) = flat_with_a_name_that_came_again();
    fs::create_dir(house.user().join("cur")).unwrap();
    house.rename("a", "cur/a:2,S");
    house.rename("b", "cur/b:2,");
    house.put("cur/c:2,", "another\n");
    for _ in 0..2 {
        let after = unique_ids(&*house.open());
        assert_eq!(after[..2], before);
        assert_ne!(after[2], "c");
    }
    // Replaced on the way, by one of equal length too; and copied.
    let (house, before) = flat_with_a_name_that_came_again();
    fs::create_dir(house.user().join("cur")).unwrap();
    house.put("cur/a", "x\n");
    house.put("cur/b", "another\n");
    let after = unique_ids(&*house.open());
    assert_ne!(after[0], "a");
    assert_eq!(after[1], before[1]);
    assert_eq!(unique_ids(&*house.open()), after);
    assert!(Index::parse(octets_of(&house.index())).unwrap().has_own_unique_ids());
}
