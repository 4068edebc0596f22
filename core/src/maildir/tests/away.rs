//! Folders that are away for a while, or have an empty one in their place: what is known of their messages stays known.

use std::fs;

use super::*;
use crate::maildir::UniqueIds;

const THREE: [(&str, &str); 3] =
    [("new/1.a.host", "one\n"), ("cur/2.b.host:2,", "two\n"), ("cur/3.c.host:2,", "three\n")];

/// Opens a Maildir whose messages have unique-ids that nothing else tells; these.
fn imported(house: &House) -> Vec<String> {
    house.put("dovecot-uidlist", "3 V1 N4\n1 :1.a.host\n2 :2.b.host\n3 :3.c.host\n");
    house.settle();
    let found = unique_ids(&*house.store().with_unique_ids(UniqueIds::Dovecot).open(&ann()).unwrap());
    fs::remove_file(house.user().join("dovecot-uidlist")).unwrap();
    found
}

#[test]
fn unique_ids_outlive_one_folder_of_a_maildir_that_is_away_for_a_while() {
    for (away, left) in [("cur", 0..1), ("new", 1..3)] {
        let house = House::maildir(&THREE);
        let before = imported(&house);
        house.rename(away, "away");
        for _ in 0..2 {
            let mut maildrop = house.open();
            assert_eq!(unique_ids(&*maildrop), before[left.clone()]);
            assert!(maildrop.message(number(1)).is_ok());
        }
        house.rename("away", away);
        assert_eq!(unique_ids(&*house.open()), before);
    }
}

#[test]
fn unique_ids_outlive_folders_that_are_made_anew_and_filled_later() {
    let house = House::maildir(&THREE);
    let before = imported(&house);
    for name in ["new", "cur"] {
        house.rename(name, &format!("tmp/{name}"));
        fs::create_dir(house.user().join(name)).unwrap();
    }
    assert_eq!(house.open().snapshot().count(), 0);
    // Mail goes on coming meanwhile, and is removed.
    house.put("new/4.d.host", "four\n");
    house.put("new/5.e.host", "five\n");
    let mut maildrop = house.open();
    assert_eq!(unique_ids(&*maildrop), ["4.d.host", "5.e.host"]);
    assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
    drop(maildrop);
    for (name, _) in THREE {
        fs::copy(house.user().join("tmp").join(name), house.user().join(name)).unwrap();
    }
    let after = unique_ids(&*house.open());
    assert_eq!((&after[..3], &after[3]), (&before[..], &"5.e.host".to_owned()));
}

#[test]
fn a_maildir_whose_unique_ids_are_the_names_has_its_index_made_anew() {
    let house = House::maildir(&THREE);
    drop(house.open());
    for name in ["new", "cur"] {
        fs::remove_dir_all(house.user().join(name)).unwrap();
    }
    fs::create_dir(house.user().join("new")).unwrap();
    let before = octets_of(&house.index());
    assert_eq!(house.open().snapshot().count(), 0);
    assert_ne!(octets_of(&house.index()), before);
}

#[test]
fn unique_ids_outlive_a_flat_folder_that_is_not_mounted_for_a_while() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n"), ("3.eml", "three\n")]);
    assert_eq!(house.open().commit(&marked(&[1])), committed(1, 0));
    house.put("1.eml", "another\n");
    house.settle();
    let before = unique_ids(&*house.open());
    let aside = house.folder.path().join("aside");
    fs::rename(house.user(), &aside).unwrap();
    fs::create_dir(house.user()).unwrap();
    for _ in 0..2 {
        assert_eq!(house.open().snapshot().count(), 0);
    }
    fs::remove_dir(house.user()).unwrap();
    fs::rename(&aside, house.user()).unwrap();
    assert_eq!(unique_ids(&*house.open()), before);
}

#[test]
fn a_flat_folder_that_was_made_anew_is_known_once_there_is_a_message() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n")]);
    house.settle();
    drop(house.open());
    fs::rename(house.user(), house.folder.path().join("aside")).unwrap();
    fs::create_dir(house.user()).unwrap();
    assert_eq!(house.open().snapshot().count(), 0);
    house.put("3.eml", "three\n");
    assert_eq!(unique_ids(&*house.open()), ["3.eml"]);
    house.put("1.eml", "another\n");
    assert_ne!(unique_ids(&*house.open())[0], "1.eml", "it is retired");
}
