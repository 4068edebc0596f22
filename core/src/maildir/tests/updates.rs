//! UPDATE: what is deleted, what is not, and what stays.

use std::fs;

use super::*;
use crate::maildir::index::Index;

fn left(house: &House, folder: &str) -> Vec<String> {
    let files = fs::read_dir(house.user().join(folder)).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn only_what_was_marked_is_removed() {
    let house = House::maildir(&[("new/1.a", "a\n"), ("cur/2.b:2,", "b\n"), ("new/3.c", "c\n")]);
    let mut maildrop = house.open();
    house.put("new/0.late", "late\n");
    assert_eq!(maildrop.commit(&marked(&[1, 2])), committed(2, 0));
    assert_eq!(left(&house, "new"), ["0.late", "3.c"]);
    assert_eq!(left(&house, "cur"), [""; 0]);
    drop(maildrop);
    assert_eq!(unique_ids(&*house.open()), ["0.late", "3.c"]);
}

#[test]
fn without_deletions_nothing_changes() {
    let house = House::flat(&[("a", "a\n")]);
    assert_eq!(house.open().commit(&Deletions::NONE), committed(0, 0));
    assert_eq!(left(&house, ""), ["a"]);
}

#[test]
fn a_message_that_is_gone_already_is_no_failure_and_not_counted_as_removed() {
    let house = House::flat(&[("a", "a\n"), ("b", "b\n")]);
    let mut maildrop = house.open();
    fs::remove_file(house.user().join("a")).unwrap();
    assert_eq!(maildrop.commit(&marked(&[1, 2])), Committed { gone: 1, ..committed(1, 0) });
}

#[test]
fn messages_of_a_folder_that_is_away_are_not_told_as_gone() {
    let house = House::maildir(&[("new/1.a", "a\n"), ("cur/2.b:2,", "b\n"), ("cur/3.c:2,", "c\n")]);
    let aside = house.folder.path().join("aside");
    for (away, expected) in [("", committed(0, 2)), ("new", committed(1, 1)), ("cur", committed(0, 1))] {
        let mut maildrop = house.open();
        let place = house.user().join(away);
        fs::rename(&place, &aside).unwrap();
        assert_eq!(maildrop.commit(&Deletions::NONE), committed(0, 0));
        let marks: &[u32] = if away == "cur" { &[2] } else { &[1, 2] };
        assert_eq!(maildrop.commit(&marked(marks)), expected, "{away:?} is away");
        fs::rename(&aside, &place).unwrap();
    }
    assert_eq!(unique_ids(&*house.open()), ["1.a", "3.c"]);
}

#[test]
fn messages_of_a_flat_folder_that_is_away_are_not_told_as_gone() {
    let house = House::flat(&[("a", "a\n"), ("b", "b\n")]);
    let mut maildrop = house.open();
    let aside = house.folder.path().join("aside");
    fs::rename(house.user(), &aside).unwrap();
    assert_eq!(maildrop.commit(&marked(&[1])), committed(0, 1));
    fs::rename(&aside, house.user()).unwrap();
    drop(maildrop);
    assert_eq!(unique_ids(&*house.open()), ["a", "b"]);
}

#[test]
fn a_message_in_new_and_cur_at_once_does_not_come_back_from_one_of_them() {
    // A copy from a backup, and a program that moves mail by a link, stopped half-way.
    let house = House::maildir(&[("new/1.a", "a\n"), ("cur/1.a:2,S", "a\n"), ("new/2.b", "b\n")]);
    fs::hard_link(house.user().join("new/2.b"), house.user().join("cur/2.b:2,S")).unwrap();
    house.settle();
    let mut maildrop = house.open();
    assert_eq!(unique_ids(&*maildrop), ["1.a", "2.b"]);
    assert_eq!(maildrop.commit(&marked(&[1, 2])), committed(2, 0));
    assert_eq!((left(&house, "new").len(), left(&house, "cur").len()), (0, 0));
}

#[test]
fn a_message_that_another_one_hid_is_not_removed_with_it_and_gets_another_unique_id() {
    let house = House::maildir(&[("new/1.a", "not seen\n"), ("cur/1.a:2,S", "has seen\n")]);
    house.settle();
    let mut maildrop = house.open();
    assert_eq!(text(&mut *maildrop, 1), "has seen\n");
    assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
    drop(maildrop);
    let mut maildrop = house.open();
    assert_eq!(text(&mut *maildrop, 1), "not seen\n");
    assert_ne!(unique_ids(&*maildrop), ["1.a"]);
}

#[test]
fn what_cannot_be_removed_is_counted_and_the_others_are_gone() {
    let house = House::maildir(&[("new/1.a", "a\n"), ("new/2.b", "b\n"), ("new/3.c", "c\n")]);
    let mut maildrop = house.open();
    fs::remove_file(house.user().join("new/2.b")).unwrap();
    fs::create_dir(house.user().join("new/2.b")).unwrap();
    assert_eq!(maildrop.commit(&marked(&[1, 2, 3])), committed(2, 1));
    assert_eq!(left(&house, "new"), ["2.b"]);
}

#[test]
fn a_flat_file_that_the_client_was_not_shown_is_not_removed() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n")]);
    let mut maildrop = house.open();
    fs::remove_file(house.user().join("1.eml")).unwrap();
    house.put("1.eml", "this one has not been read\n");
    assert_eq!(maildrop.commit(&marked(&[1, 2])), committed(1, 1));
    assert_eq!(left(&house, ""), ["1.eml"]);
    drop(maildrop);
    let mut maildrop = house.open();
    assert_eq!(text(&mut *maildrop, 1), "this one has not been read\n");
    assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
}

#[test]
fn a_file_of_a_maildir_that_has_grown_or_was_replaced_is_not_removed_until_it_was_shown() {
    let house = House::maildir(&[("new/1.a", "begun\n"), ("cur/2.b:2,", "two\n"), ("new/3.c", "three\n")]);
    house.settle();
    let mut maildrop = house.open();
    assert_eq!(text(&mut *maildrop, 1), "begun\n");
    // Written on after it was sent; replaced under other flags.
    house.put("new/1.a", "begun\nand ended\n");
    fs::remove_file(house.user().join("cur/2.b:2,")).unwrap();
    house.put("cur/2.b:2,S", "another\n");
    assert_eq!(maildrop.commit(&marked(&[1, 2, 3])), committed(1, 2));
    assert_eq!((left(&house, "new"), left(&house, "cur")), (vec!["1.a".into()], vec!["2.b:2,S".into()]));
    drop(maildrop);
    house.settle();
    let mut maildrop = house.open();
    assert_eq!(sizes(&*maildrop), [18, 9]);
    assert_eq!(text(&mut *maildrop, 1), "begun\nand ended\n");
    assert_eq!(maildrop.commit(&marked(&[1, 2])), committed(2, 0));
}

#[test]
fn doubt_outlives_an_update_that_writes_the_index_anew() {
    let house = House::maildir(&[("new/1.a", "one\n"), ("new/2.b", "b\n"), ("cur/2.b:2,S", "b\n")]);
    house.settle();
    let mut maildrop = house.open();
    house.put("new/1.a", "one, and more\n");
    assert!(maildrop.message(number(1)).is_err());
    assert_eq!(maildrop.commit(&marked(&[1, 2])), committed(1, 1));
    drop(maildrop);
    let mut maildrop = house.open();
    assert_eq!(text(&mut *maildrop, 1), "one, and more\n");
    assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
}

#[test]
fn a_failed_removal_keeps_its_unique_id() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n")]);
    let mut maildrop = house.open();
    let saved = house.folder.path().join("saved");
    fs::rename(house.user().join("1.eml"), &saved).unwrap();
    fs::create_dir(house.user().join("1.eml")).unwrap();
    assert_eq!(maildrop.commit(&marked(&[1, 2])), committed(1, 1));
    fs::remove_dir(house.user().join("1.eml")).unwrap();
    fs::rename(&saved, house.user().join("1.eml")).unwrap();
    drop(maildrop);
    assert_eq!(unique_ids(&*house.open()), ["1.eml"]);
}

#[test]
fn a_quit_that_removes_nothing_takes_no_unique_id_from_files_that_are_copied_afterwards() {
    let house = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n")]);
    house.settle();
    let mut maildrop = house.open();
    let before = unique_ids(&*maildrop);
    house.put("1.eml", "one, and more\n");
    assert_eq!(maildrop.commit(&marked(&[1])), committed(0, 1));
    drop(maildrop);
    // Somebody mends the rights by a copy.
    house.put("2.copy", "two\n");
    house.rename("2.copy", "2.eml");
    let after = unique_ids(&*house.open());
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1], before[1]);
}

#[test]
fn a_quit_that_removes_nothing_and_cannot_write_the_index_leaves_its_mark() {
    let house = House::flat(&[("1.eml", "one\n")]);
    house.settle();
    let mut maildrop = house.open();
    house.put("1.eml", "one, and more\n");
    fs::create_dir(house.index().with_file_name(".ann")).unwrap();
    assert_eq!(maildrop.commit(&marked(&[1])), committed(0, 1));
    assert!(Index::parse(octets_of(&house.index())).unwrap().is_in_update());
}

#[test]
fn nothing_is_removed_from_a_folder_that_took_the_place_of_the_users() {
    let house = House::maildir(&[("new/1.a", "a\n")]);
    let mut maildrop = house.open();
    fs::rename(house.user(), house.folder.path().join("mail/old")).unwrap();
    fs::create_dir_all(house.user().join("new")).unwrap();
    house.put("new/1.a", "a\n");
    assert_eq!(maildrop.commit(&marked(&[1])), committed(0, 1));
    assert_eq!(left(&house, "new"), ["1.a"]);
}
