//! What the index keeps, when it is believed, and what becomes of a bad one.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs;

use proptest::prelude::*;

use super::*;
use crate::maildir::UniqueIds;
use crate::maildir::folder::{MailFolder, Place, UserFolder};
use crate::maildir::index::{Builder, Index, Record, Size};
use crate::maildir::scan::scan;
use crate::store::MessageError;

const NAMES: [(&str, &str); 2] = [("new/1.a.host", "one\n"), ("cur/2.b.host:2,S", "three\r\n")];

/// Writes other text into a file without a trace in the times of file and folder.
fn rewrite(house: &House, name: &str, text: &str) {
    house.put(name, text);
    house.settle();
}

#[test]
fn a_settled_maildir_is_read_from_the_index_alone() {
    let house = House::maildir(&NAMES);
    house.settle();
    assert_eq!(sizes(&*house.open()), [5, 7]);
    // Only who opened the files would know.
    rewrite(&house, "new/1.a.host", "another length\n");
    assert_eq!(sizes(&*house.open()), [5, 7]);
}

#[test]
fn a_message_that_is_not_as_counted_is_refused_and_counted_anew() {
    let house = House::maildir(&NAMES);
    house.settle();
    drop(house.open());
    rewrite(&house, "new/1.a.host", "another length\n");
    let mut maildrop = house.open();
    assert!(matches!(maildrop.message(number(1)), Err(MessageError::Changed)));
    assert!(maildrop.message(number(2)).unwrap().octets.is_some());
    drop(maildrop);
    let mut maildrop = house.open();
    assert_eq!(sizes(&*maildrop), [16, 7]);
    assert_eq!(maildrop.message(number(1)).unwrap().octets.unwrap().0, 16);
}

#[test]
fn a_folder_that_changed_just_now_is_listed_again() {
    let house = House::maildir(&NAMES);
    // The time of the folder stays as it is: the message came within one step of its clock.
    drop(house.open());
    let time = fs::metadata(house.user().join("new")).unwrap().modified().unwrap();
    house.put("new/3.c.host", "c\n");
    fs::File::open(house.user().join("new")).unwrap().set_modified(time).unwrap();
    assert_eq!(house.open().snapshot().count(), 3);
}

#[test]
fn flags_change_neither_order_nor_unique_id_nor_size() {
    let house = House::maildir(&NAMES);
    house.settle();
    let before = unique_ids(&*house.open());
    house.rename("new/1.a.host", "cur/1.a.host:2,FRS");
    house.rename("cur/2.b.host:2,S", "cur/2.b.host:2,");
    let mut maildrop = house.open();
    assert_eq!(unique_ids(&*maildrop), before);
    assert_eq!(sizes(&*maildrop), [5, 7]);
    assert_eq!(text(&mut *maildrop, 1), "one\n");
}

#[test]
fn known_messages_are_not_read_again_when_others_arrive() {
    let house = House::maildir(&NAMES);
    house.settle();
    drop(house.open());
    rewrite(&house, "new/1.a.host", "another length\n");
    house.put("new/3.c.host", "c\n");
    assert_eq!(sizes(&*house.open()), [5, 7, 3]);
}

#[test]
fn a_folder_that_is_as_it_was_is_not_listed_when_mail_arrives_in_the_other() {
    let house = House::maildir(&NAMES);
    house.settle();
    drop(house.open());
    // Only who listed the folder would know.
    fs::remove_file(house.user().join("cur/2.b.host:2,S")).unwrap();
    house.settle();
    house.put("new/3.c.host", "c\n");
    assert_eq!(unique_ids(&*house.open()), ["1.a.host", "2.b.host", "3.c.host"]);
    house.rename("new/3.c.host", "cur/3.c.host:2,");
    assert_eq!(unique_ids(&*house.open()), ["1.a.host", "3.c.host"]);
}

#[test]
fn a_message_left_in_both_folders_is_not_hidden_when_one_of_them_goes() {
    let house = House::maildir(&[("new/1.a.host", "a\n"), ("cur/1.a.host:2,S", "a\n")]);
    house.settle();
    assert_eq!(house.open().snapshot().count(), 1);
    fs::remove_file(house.user().join("cur/1.a.host:2,S")).unwrap();
    assert_eq!(unique_ids(&*house.open()), ["1.a.host"]);
}

#[test]
fn sizes_in_names_are_believed_until_the_file_tells_otherwise() {
    let house = House::maildir(&[("new/1.a.host,S=4,W=5", "abc\n"), ("new/2.b.host,S=4,W=50", "abcdefg\n")]);
    let mut maildrop = house.open();
    assert_eq!(sizes(&*maildrop), [5, 50]);
    assert_eq!(maildrop.message(number(1)).unwrap().octets.unwrap().0, 5);
    assert!(maildrop.message(number(2)).unwrap().octets.is_none());
    drop(maildrop);
    assert_eq!(sizes(&*house.open()), [5, 9]);
}

#[test]
fn a_size_in_a_name_leaves_out_the_line_end_that_is_added() {
    let house = House::maildir(&[("new/1.a.host,S=3,W=3", "abc"), ("new/2.b.host,S=0,W=0", "")]);
    let mut maildrop = house.open();
    assert!(maildrop.message(number(1)).unwrap().octets.is_none());
    assert_eq!(maildrop.message(number(2)).unwrap().octets.unwrap().0, 0);
    drop(maildrop);
    assert_eq!(sizes(&*house.open()), [5, 0]);
}

#[test]
fn a_size_in_a_name_that_cannot_be_is_not_told_and_counted_at_the_next_login() {
    let short = "a: b\n\nbody\n";
    let long = "line\n".repeat(100_000);
    let house = House::maildir(&[
        // Too few, too many, far too many, and a wrong one that could be right.
        ("new/1.a.host,W=5", short),
        ("new/2.b.host,W=0", short),
        ("new/3.c.host,W=18446744073709551615", short),
        ("new/4.d.host,S=11,W=12", short),
        ("new/5.e.host,W=499999", &long),
        ("new/6.f.host,W=1000001", &long),
    ]);
    let mut maildrop = house.open();
    for refused in 1..=6 {
        assert!(maildrop.message(number(refused)).unwrap().octets.is_none(), "{refused}");
    }
    drop(maildrop);
    assert_eq!(sizes(&*house.open()), [14, 14, 14, 14, 600_000, 600_000]);
}

#[test]
fn a_size_in_a_name_that_is_right_is_told_whatever_the_line_ends_are() {
    let long = "line\n".repeat(100_000);
    let house = House::maildir(&[
        ("new/1.a.host,W=6", "a\r\nb\r\n"),
        ("new/2.b.host,W=6", "a\nb\n"),
        ("new/3.c.host,W=6", "\ra\n\n"),
        ("new/4.d.host,W=600000", &long),
    ]);
    let mut maildrop = house.open();
    let told = [1, 2, 3, 4].map(|told| maildrop.message(number(told)).unwrap().octets.unwrap().0);
    assert_eq!(told, [6, 6, 6, 600_000]);
}

#[test]
fn no_unique_id_comes_again_however_many_messages_are_gone() {
    let house = House::flat(&[]);
    let names: Vec<String> = (0..super::super::scan::RETIRED_MAX + 10).map(|name| name.to_string()).collect();
    let mut met = HashSet::new();
    for round in 0..4 {
        names.iter().for_each(|name| house.put(name, &format!("message {round}\n")));
        let mut maildrop = house.open();
        for unique_id in unique_ids(&*maildrop) {
            assert!(met.insert(unique_id), "round {round}");
        }
        let all: Vec<u32> = (1..).take(names.len()).collect();
        assert_eq!(maildrop.commit(&marked(&all)).remaining, 0);
        drop(maildrop);
        assert_eq!(house.open().snapshot().count(), 0);
    }
}

#[test]
fn a_size_in_the_name_of_a_flat_file_is_no_promise() {
    let house = House::flat(&[("1.a.host,S=4,W=50", "abc\n")]);
    assert_eq!(sizes(&*house.open()), [5]);
}

#[test]
fn a_flat_file_written_again_is_counted_again_and_is_another_message() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n")]);
    house.settle();
    let before = unique_ids(&*house.open());
    // Neither the folder's time nor the name tells.
    house.put("1.eml", "something else\n");
    age(&house.user(), 0);
    let maildrop = house.open();
    assert_eq!(sizes(&*maildrop), [16, 5]);
    let after = unique_ids(&*maildrop);
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1], before[1]);
    drop(maildrop);
    assert_eq!(unique_ids(&*house.open()), after);
}

#[test]
fn a_flat_file_replaced_by_one_of_equal_length_is_another_message() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n"), ("3 odd.eml", "three\n")]);
    house.settle();
    let before = unique_ids(&*house.open());
    // A device that writes its report again, and a program that puts a file in the place of another.
    house.put("1.eml", "eno\n");
    house.put("3.new", "eerht\n");
    house.rename("3.new", "3 odd.eml");
    let after = unique_ids(&*house.open());
    assert_eq!((after.len(), &after[1]), (3, &before[1]));
    assert!(!before.contains(&after[0]) && !before.contains(&after[2]), "{after:?}");
    house.settle();
    assert_eq!(unique_ids(&*house.open()), after);
    // One that is written as it was before is the same again, in an index that was read from its file too.
    house.put("1.eml", "eno\n");
    assert_eq!(unique_ids(&*house.open()), after);
}

#[test]
fn a_flat_file_that_was_copied_keeps_its_unique_id() {
    let house = House::flat(&[("1.eml", "one\n")]);
    house.settle();
    let before = unique_ids(&*house.open());
    house.put("1.copy", "one\n");
    house.rename("1.copy", "1.eml");
    assert_eq!(unique_ids(&*house.open()), before);
}

#[test]
fn a_kill_in_update_gives_no_unique_id_to_what_comes_under_the_name_of_a_removed_message() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n"), ("3.eml", "three\n")]);
    house.settle();
    let mut maildrop = house.open();
    let before = unique_ids(&*maildrop);
    // The index as it was before the session's last step.
    let kept = house.folder.path().join("kept");
    fs::hard_link(house.index(), &kept).unwrap();
    assert_eq!(maildrop.commit(&marked(&[1, 2])), committed(2, 0));
    drop(maildrop);
    fs::rename(&kept, house.index()).unwrap();
    house.put("1.eml", "new\n");
    let after = unique_ids(&*house.open());
    assert_eq!(after.len(), 2);
    assert!(!before.contains(&after[0]), "{after:?}");
    assert_eq!(after[1], before[2]);
    assert_eq!(unique_ids(&*house.open()), after);
}

#[test]
fn the_unique_id_of_a_flat_file_that_is_gone_is_not_given_out_again() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n")]);
    let mut maildrop = house.open();
    assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
    drop(maildrop);
    house.put("1.eml", "one\n");
    let second = unique_ids(&*house.open());
    assert_ne!(second[0], "1.eml");
    fs::remove_file(house.user().join("1.eml")).unwrap();
    assert_eq!(unique_ids(&*house.open()), ["2.eml"]);
    house.put("1.eml", "one\n");
    let third = unique_ids(&*house.open());
    assert!(third[0] != "1.eml" && third[0] != second[0]);
}

#[test]
fn another_mail_folder_has_another_index() {
    let house = House::maildir(&NAMES);
    house.settle();
    drop(house.open());
    let other = LocalStore::new(house.folder.path().join("other"), Some(house.state()));
    fs::create_dir_all(house.folder.path().join("other/ann/new")).unwrap();
    assert_eq!(other.open(&ann()).unwrap().snapshot().count(), 0);
    fs::write(house.folder.path().join("other/ann/new/1.a.host"), "other\n").unwrap();
    assert_eq!(sizes(&*other.open(&ann()).unwrap()), [7]);
    assert_eq!(sizes(&*house.open()), [5, 7]);
}

#[test]
fn another_folder_in_the_same_place_is_counted_anew() {
    let house = House::maildir(&NAMES);
    house.settle();
    drop(house.open());
    fs::rename(house.user(), house.folder.path().join("mail/old")).unwrap();
    fs::create_dir_all(house.user().join("new")).unwrap();
    house.put("new/1.a.host", "something else\n");
    house.settle();
    assert_eq!(sizes(&*house.open()), [16]);
}

/// Copies a user's folders to where nobody's were, as from a backup.
fn bring_back(house: &House) {
    let old = house.folder.path().join("mail/old");
    fs::rename(house.user(), &old).unwrap();
    for folder in ["", "new", "cur"] {
        let Ok(files) = fs::read_dir(old.join(folder)) else { continue };
        fs::create_dir_all(house.user().join(folder)).unwrap();
        for file in files.map(Result::unwrap).filter(|file| file.path().is_file()) {
            fs::copy(file.path(), house.user().join(folder).join(file.file_name())).unwrap();
        }
    }
    house.settle();
}

#[test]
fn unique_ids_outlive_folders_that_are_brought_back() {
    let house = House::maildir(&NAMES);
    house.put("dovecot-uidlist", "3 V1 N4\n1 :1.a.host\n");
    house.settle();
    let open = || house.store().with_unique_ids(UniqueIds::Dovecot).open(&ann()).unwrap();
    let before = unique_ids(&*open());
    assert_eq!(before[0], "0000000100000001");
    fs::remove_file(house.user().join("dovecot-uidlist")).unwrap();
    bring_back(&house);
    assert_eq!(unique_ids(&*open()), before);
    assert_eq!(sizes(&*open()), [5, 7]);
}

#[test]
fn the_unique_id_of_a_removed_flat_file_is_not_given_out_again_in_a_folder_that_is_brought_back() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n")]);
    house.settle();
    let mut maildrop = house.open();
    assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
    drop(maildrop);
    bring_back(&house);
    house.put("1.eml", "one\n");
    let found = unique_ids(&*house.open());
    assert_ne!(found[0], "1.eml");
    assert_eq!(found[1], "2.eml");
}

#[test]
fn an_index_of_another_user_is_not_believed() {
    let house = House::maildir(&NAMES);
    house.settle();
    drop(house.open());
    let bob = UserName::parse(b"bob").unwrap();
    fs::create_dir_all(house.folder.path().join("mail/bob/new")).unwrap();
    fs::copy(house.index(), house.index().with_file_name("bob")).unwrap();
    assert_eq!(house.store().open(&bob).unwrap().snapshot().count(), 0);
}

/// The user's folder with one message, its owner, and an index in which that has a unique-id of its own and could not be read.
fn unread() -> (House, UserFolder, Vec<u8>, Index) {
    let house = House::maildir(&[("new/1.a.host", "one\n")]);
    house.settle();
    let owner = house.store().shared.owner(&ann());
    let mail = MailFolder::open(&house.folder.path().join("mail")).unwrap();
    let folder = UserFolder::open(&mail, "ann").unwrap().unwrap();
    let mut builder = Builder::with_room(1, 20);
    let (name, size) = (b"1.a.host", Size::Unknown { length: 4, stamp: None });
    builder.push(&Record { name, base: name, unique_id: Some(b"kept"), place: Place::New, size }).unwrap();
    let known = builder.finish(folder.layout().unwrap(), None, &[], &owner);
    (house, folder, owner, known)
}

#[test]
fn a_message_that_one_of_two_listings_misses_keeps_its_unique_id() {
    let (house, folder, owner, known) = unread();
    let listings = Cell::new(0);
    // It is on its way from one name to another while the folders are listed first.
    let now = || {
        listings.set(listings.get() + 1);
        match listings.get() {
            1 => house.rename("new/1.a.host", "tmp/1.a.host"),
            2 => house.rename("tmp/1.a.host", "cur/1.a.host:2,S"),
            _ => {}
        }
        SystemTime::now()
    };
    let index = scan(&folder, &owner, Some(&known), UniqueIds::Names, now).unwrap();
    assert!(listings.get() > 1);
    assert_eq!((index.count(), index.unique_id(number(1))), (1, &b"kept"[..]));
}

#[test]
fn a_message_that_could_not_be_read_is_tried_again() {
    let (_house, folder, owner, known) = unread();
    assert_eq!(known.octets(number(1)).0, 4);
    let index = scan(&folder, &owner, Some(&known), UniqueIds::Names, SystemTime::now).unwrap();
    assert_eq!((index.octets(number(1)).0, index.unique_id(number(1))), (5, &b"kept"[..]));
    assert!(index.is_settled());
}

#[test]
fn without_a_state_folder_or_with_one_that_is_a_file_service_goes_on() {
    let house = House::maildir(&NAMES);
    let mail = house.folder.path().join("mail");
    let store = LocalStore::new(mail.clone(), None);
    assert_eq!(sizes(&*store.open(&ann()).unwrap()), [5, 7]);
    fs::write(house.folder.path().join("file"), "x").unwrap();
    let store = LocalStore::new(mail, Some(house.folder.path().join("file")));
    let mut maildrop = store.open(&ann()).unwrap();
    assert_eq!(sizes(&*maildrop), [5, 7]);
    assert!(matches!(store.open(&ann()), Err(OpenError::InUse(Some(_)))), "locks hold in the process");
    assert_eq!(maildrop.commit(&marked(&[2])), committed(1, 0));
}

#[test]
fn a_state_folder_that_is_emptied_while_the_server_runs_is_filled_again() {
    for gone in ["state/indexes", "state"] {
        let house = House::maildir(&NAMES);
        house.settle();
        let store = house.store();
        drop(store.open(&ann()).unwrap());
        fs::remove_dir_all(house.folder.path().join(gone)).unwrap();
        assert_eq!(sizes(&*store.open(&ann()).unwrap()), [5, 7]);
        assert!(house.index().exists(), "no index was kept after {gone} had gone");
    }
}

#[test]
fn an_index_that_cannot_be_replaced_is_done_without() {
    let house = House::maildir(&NAMES);
    drop(house.open());
    fs::remove_file(house.index()).unwrap();
    fs::create_dir(house.index()).unwrap();
    assert_eq!(sizes(&*house.open()), [5, 7]);
    assert_eq!(sizes(&*house.open()), [5, 7]);
}

#[test]
fn an_index_damaged_anywhere_is_made_anew() {
    let house = House::maildir(&NAMES);
    house.settle();
    drop(house.open());
    let whole = octets_of(&house.index());
    // All but the checksum and the second of the listing.
    let contents = |octets: &[u8]| [&octets[24..40], &octets[48..]].concat();
    for place in (0..whole.len()).filter(|place| !(8..16).contains(place)) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        assert!(Index::parse(damaged).is_err(), "octet {place}");
        assert!(Index::parse(whole[..place].to_vec()).is_err(), "cut at {place}");
    }
    assert!(Index::parse([&whole[..], b"x"].concat()).is_err());
    for place in [3, 10, 20, 30, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        fs::write(house.index(), damaged).unwrap();
        assert_eq!(sizes(&*house.open()), [5, 7]);
        let anew = octets_of(&house.index());
        assert!(Index::parse(anew.clone()).is_ok());
        assert_eq!(contents(&anew), contents(&whole));
    }
}

proptest! {
    /// The checksum is mended, so that what is behind it is met.
    #[test]
    fn no_octets_make_an_index_panic(changes in proptest::collection::vec((0_usize..400, any::<u8>()), 1..8)) {
        static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let house = House::maildir(&[NAMES[0], NAMES[1], ("new/a b", "x\n")]);
            drop(house.open());
            octets_of(&house.index())
        });
        let mut octets = WHOLE.clone();
        for (place, value) in changes {
            let place = place % octets.len();
            octets[place] = value;
        }
        let sum = super::super::checksum::checksum(&octets[24..]);
        octets[16..24].copy_from_slice(&sum.to_le_bytes());
        if let Ok(index) = Index::parse(octets) {
            let retired = index.retired().count();
            for number in (0..index.count().min(1000)).filter_map(MessageNumber::from_index) {
                let _ = (index.octets(number), index.unique_id(number).len(), retired);
            }
        }
    }
}
