//! Flat folders whose index cannot be written: no unique-id is given to two messages.

use std::collections::HashSet;
use std::fs;

use super::*;

/// Puts a file in the place of another, or of none.
fn replace(house: &House, name: &str, text: &str) {
    house.put(".fresh", text);
    house.rename(".fresh", name);
}

/// Keeps indexes from being written; what is there can be marked, as where a disk is full.
fn keep_from_writing(house: &House) -> PathBuf {
    let in_the_way = house.index().with_file_name(".ann");
    fs::create_dir(&in_the_way).unwrap();
    in_the_way
}

#[test]
fn files_that_replace_each_other_have_a_unique_id_each_that_stays() {
    for name in ["scan.pdf", "odd name"] {
        let house = House::flat(&[(name, "one\n")]);
        house.settle();
        let mut met: HashSet<_> = unique_ids(&*house.open()).into_iter().collect();
        keep_from_writing(&house);
        for (text, is_deleted) in [("two\n", true), ("333\n", false), ("four\n", true), ("5555\n", true)] {
            replace(&house, name, text);
            let mut maildrop = house.open();
            let found = unique_ids(&*maildrop);
            assert!(met.insert(found[0].clone()), "{name}: {text}");
            drop(maildrop);
            maildrop = house.open();
            assert_eq!(unique_ids(&*maildrop), found, "the same file has the same");
            if is_deleted {
                assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
            }
        }
    }
}

#[test]
fn a_name_is_no_unique_id_again_once_an_index_that_knows_it_was_not_written() {
    let house = House::flat(&[("1.eml", "one\n")]);
    house.settle();
    drop(house.open());
    let in_the_way = keep_from_writing(&house);
    house.put("2.eml", "two\n");
    let mut maildrop = house.open();
    assert_eq!(unique_ids(&*maildrop), ["1.eml", "2.eml"]);
    assert_eq!(maildrop.commit(&marked(&[2])), committed(1, 0));
    drop(maildrop);
    house.put("2.eml", "another\n");
    let mut maildrop = house.open();
    let found = unique_ids(&*maildrop);
    assert_eq!(found[0], "1.eml");
    assert_ne!(found[1], "2.eml");
    // What is met in the session takes nothing of that back.
    house.put("1.eml", "written to\n");
    assert!(maildrop.message(number(1)).is_err());
    drop(maildrop);
    assert_eq!(unique_ids(&*house.open())[1], found[1]);
    // Nor does an index that is written later know what was given out.
    fs::remove_dir(in_the_way).unwrap();
    let mut maildrop = house.open();
    assert_eq!(unique_ids(&*maildrop)[1], found[1]);
    assert_eq!(maildrop.commit(&marked(&[2])), committed(1, 0));
    drop(maildrop);
    house.put("2.eml", "a third one\n");
    let after = unique_ids(&*house.open());
    assert!(after[1] != "2.eml" && after[1] != found[1], "{after:?}");
}
