//! QUIT removes the file that the client was shown, also where its size was not counted.

use std::fs;
use std::sync::Arc;

use super::*;
use crate::maildir::folder::{MailFolder, Place, UserFolder};
use crate::maildir::index::{Builder, Record, Size};
use crate::maildir::lock::Lock;

/// The maildrop of a house with one flat file, which could not be read at login.
fn unread(house: &House) -> impl Maildrop + use<> {
    let store = house.store();
    let mail = Arc::new(MailFolder::open(&house.folder.path().join("mail")).unwrap());
    let folder = UserFolder::open(&mail, "ann").unwrap().unwrap();
    let mut builder = Builder::with_room(1, 20);
    let (name, size) = (b"1.eml", Size::Unknown { length: 4, stamp: None });
    builder.push(&Record { name, base: name, unique_id: None, place: Place::Top, size }).unwrap();
    let index = builder.finish(folder.layout().unwrap(), None, &[], &store.shared.owner(&ann()));
    let lock = Lock::acquire(&store.shared.locks, None, mail.identity(), &ann()).unwrap();
    store.maildrop(mail, &ann(), Arc::new(index), lock)
}

#[test]
fn a_file_that_grew_after_it_was_sent_stays_where_its_name_or_a_list_told_its_size() {
    for (name, list) in [("new/1.a,W=17", ""), ("new/1.a", "3 V1 N4\n1 W17 :1.a\n")] {
        let house = House::maildir(&[(name, "begun\n")]);
        house.put("dovecot-uidlist", list);
        let mut maildrop = house.open();
        assert_eq!(sizes(&*maildrop), [17]);
        // It is being copied into its place.
        assert_eq!(text(&mut *maildrop, 1), "begun\n");
        house.put(name, "begun\nand ended\n");
        assert_eq!(text(&mut *maildrop, 1), "begun\nand ended\n");
        let before = unique_ids(&*maildrop);
        assert_eq!(maildrop.commit(&marked(&[1])), committed(0, 1));
        drop(maildrop);
        let mut maildrop = house.open();
        assert_eq!(text(&mut *maildrop, 1), "begun\nand ended\n");
        assert_ne!(unique_ids(&*maildrop), before, "who has the part is not to remove the whole");
        assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
    }
}

#[test]
fn a_file_that_was_refused_while_it_was_copied_and_sent_later_is_removed() {
    let name = "new/1.a,S=16,W=18";
    let house = House::maildir(&[(name, "begun\n")]);
    let mut maildrop = house.open();
    assert!(maildrop.message(number(1)).is_err());
    house.put(name, "begun\nand ended\n");
    assert_eq!(text(&mut *maildrop, 1), "begun\nand ended\n");
    assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
    // Refused, and never sent, it stays.
    let house = House::maildir(&[(name, "begun\n")]);
    let mut maildrop = house.open();
    assert!(maildrop.message(number(1)).is_err());
    house.put(name, "begun\nand ended\n");
    assert_eq!(maildrop.commit(&marked(&[1])), committed(0, 1));
}

#[test]
fn a_file_whose_size_its_name_told_is_removed_as_it_was_sent_under_other_flags_too() {
    let house =
        House::maildir(&[("new/1.a,W=5", "one\n"), ("new/2.b,W=5", "two\n"), ("new/3.c,W=7", "three\n")]);
    let mut maildrop = house.open();
    assert_eq!(text(&mut *maildrop, 1), "one\n");
    assert_eq!(text(&mut *maildrop, 2), "two\n");
    house.rename("new/2.b,W=5", "cur/2.b,W=5:2,S");
    // The third was never opened.
    assert_eq!(maildrop.commit(&marked(&[1, 2, 3])), committed(3, 0));
}

#[test]
fn a_hidden_file_is_not_removed_in_the_place_of_the_one_that_was_sent() {
    let house = House::maildir(&[("new/1.a,W=10", "not seen\n"), ("cur/1.a,W=10:2,S", "has seen\n")]);
    let mut maildrop = house.open();
    assert_eq!(text(&mut *maildrop, 1), "has seen\n");
    fs::remove_file(house.user().join("cur/1.a,W=10:2,S")).unwrap();
    assert_eq!(maildrop.commit(&marked(&[1])), committed(0, 1));
    drop(maildrop);
    let mut maildrop = house.open();
    assert_eq!(text(&mut *maildrop, 1), "not seen\n");
    assert_ne!(unique_ids(&*maildrop), ["1.a,W=10"]);
}

#[test]
fn a_flat_file_that_could_not_be_read_at_login_is_removed_only_as_it_was_sent() {
    let house = House::flat(&[("1.eml", "one\n")]);
    let mut maildrop = unread(&house);
    assert_eq!(text(&mut maildrop, 1), "one\n");
    house.put("1.eml", "this one has not been read\n");
    assert_eq!(maildrop.commit(&marked(&[1])), committed(0, 1));
    assert!(house.user().join("1.eml").exists());
    drop(maildrop);
    let mut maildrop = unread(&house);
    assert_eq!(text(&mut maildrop, 1), "this one has not been read\n");
    assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
}
