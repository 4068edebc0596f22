//! Maildirs whose folders `new` and `cur` are missing for a while.

use std::fs;

use super::*;
use crate::maildir::UniqueIds;

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
