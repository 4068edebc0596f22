//! Files of a flat folder that cannot be read at one login: which message is there at the next one.

use std::fs;
use std::os::fd::AsFd;

use super::lengths::put_long;
use super::*;
use crate::maildir::UniqueIds;
use crate::maildir::folder::{MailFolder, Place, Stamp, UserFolder, status_in};
use crate::maildir::index::{Builder, Index, Record, Size};
use crate::maildir::scan::scan;

/// Puts a file in the place of another, or of none.
fn replace(house: &House, name: &str, text: &str) {
    house.put(".fresh", text);
    house.rename(".fresh", name);
}

#[test]
fn a_flat_file_that_was_replaced_is_another_message_whether_it_can_be_read_or_not() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n")]);
    house.settle();
    let before = unique_ids(&*house.open());
    fs::remove_file(house.user().join("1.eml")).unwrap();
    put_long(&house, "1.eml");
    let unread = unique_ids(&*house.open());
    assert_eq!((unread.len(), &unread[1]), (2, &before[1]));
    assert_ne!(unread[0], before[0]);
    assert_eq!(unique_ids(&*house.open()), unread, "it is as it was");
    replace(&house, "1.eml", "one\n");
    let after = unique_ids(&*house.open());
    assert!(!before.contains(&after[0]) && !unread.contains(&after[0]), "{after:?}");
}

#[test]
fn a_kill_in_update_gives_no_unique_id_to_what_cannot_be_read_at_first() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n")]);
    house.settle();
    let mut maildrop = house.open();
    let before = unique_ids(&*maildrop);
    let kept = house.folder.path().join("kept");
    fs::hard_link(house.index(), &kept).unwrap();
    assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
    drop(maildrop);
    // The index as it was before the session's last step.
    fs::rename(&kept, house.index()).unwrap();
    put_long(&house, "1.eml");
    assert!(!before.contains(&unique_ids(&*house.open())[0]));
    replace(&house, "1.eml", "new\n");
    let after = unique_ids(&*house.open());
    assert!(!before.contains(&after[0]), "{after:?}");
    assert_eq!(after[1], before[1]);
}

/// An index of a flat folder with one message, which could not be read and looked so, and its unique-id at the next login.
fn next_unique_id(looked: impl FnOnce(Stamp) -> Option<Stamp>) -> Vec<u8> {
    let house = House::flat(&[("1.eml", "one\n")]);
    house.settle();
    let owner = house.store().shared.owner(&ann());
    let mail = MailFolder::open(&house.folder.path().join("mail")).unwrap();
    let folder = UserFolder::open(&mail, "ann").unwrap().unwrap();
    let status = status_in(fs::File::open(house.user()).unwrap().as_fd(), b"1.eml").unwrap();
    let mut builder = Builder::with_room(1, 20);
    let (name, size) = (b"1.eml", Size::Unknown { length: 4, stamp: looked(Stamp::of(&status)) });
    builder.push(&Record { name, base: name, unique_id: Some(b"kept"), place: Place::Top, size }).unwrap();
    let known = builder.finish(folder.layout().unwrap(), None, &[], &owner);
    let known = Index::parse(known.as_octets().to_vec()).unwrap();
    assert_eq!(known.record(0).unwrap().size, size);
    let index = scan(&folder, &owner, Some(&known), UniqueIds::Names, SystemTime::now).unwrap();
    assert_eq!((index.count(), index.octets(number(1)).0), (1, 5));
    index.unique_id(number(1)).to_vec()
}

#[test]
fn a_flat_file_that_can_be_read_again_keeps_its_unique_id_where_it_looks_as_it_did() {
    assert_eq!(next_unique_id(Some), b"kept");
    assert_ne!(next_unique_id(|stamp| Some(Stamp::from_value(!stamp.value()))), b"kept");
    // Nobody knows which file it was.
    assert_ne!(next_unique_id(|_| None), b"kept");
}

#[test]
fn a_flat_file_that_was_replaced_and_never_read_stays_at_quit() {
    let house = House::flat(&[]);
    put_long(&house, "1.eml");
    let mut maildrop = house.open();
    replace(&house, "1.eml", "new\n");
    assert_eq!(maildrop.commit(&marked(&[1])), committed(0, 1));
    drop(maildrop);
    assert_eq!(text(&mut *house.open(), 1), "new\n");
}
