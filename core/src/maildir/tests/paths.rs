//! One mail folder whose path is written in several ways.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::*;
use crate::maildir::checksum::checksum;
use crate::maildir::index::{Builder, Index};

/// What UIDL shows where the mail folder is given by that path.
fn unique_ids_at(house: &House, mail: &str) -> Vec<String> {
    let store = LocalStore::new(house.folder.path().join(mail), Some(house.state()));
    unique_ids(&*store.open(&ann()).unwrap())
}

/// A house whose user has removed 1.eml, and has another message of that name.
fn with_one_retired() -> House {
    let house = House::flat(&[("1.eml", "one\n")]);
    assert_eq!(house.open().commit(&marked(&[1])), committed(1, 0));
    house.put("1.eml", "new\n");
    house
}

#[test]
fn a_mail_folder_is_the_same_however_its_path_is_written() {
    let house = with_one_retired();
    let expected = unique_ids_at(&house, "mail");
    assert_ne!(expected, ["1.eml"]);
    for mail in ["mail/", "mail/.", "./mail//"] {
        assert_eq!(unique_ids_at(&house, mail), expected, "{mail}");
    }
    assert_eq!(fs::read_dir(house.state().join("indexes")).unwrap().count(), 1);
    let store = house.store().moved_to(house.folder.path().join("mail/"));
    assert_eq!(unique_ids(&*store.open(&ann()).unwrap()), expected);
}

#[test]
fn indexes_that_an_older_version_kept_by_another_form_of_the_path_are_taken_over() {
    let house = with_one_retired();
    // As one kept them whose mail folder was given with "/" behind it.
    let index = Index::parse(octets_of(&house.index())).unwrap();
    let retired: Vec<_> = index.retired().collect();
    let owner = [index.owner(), b"/"].concat();
    let index = Builder::with_room(0, 0).finish(index.layout(), None, &retired, &owner);
    fs::write(house.index(), index.as_octets()).unwrap();
    let former = house.folder.path().join("mail/");
    let former = format!("{:016x}", checksum(former.as_os_str().as_bytes()));
    let folder = house.index().parent().unwrap().to_owned();
    fs::rename(&folder, folder.with_file_name(former)).unwrap();

    let expected = unique_ids_at(&house, "mail/");
    assert_ne!(expected, ["1.eml"]);
    assert_eq!(unique_ids_at(&house, "mail"), expected);
    assert_eq!(house.index().parent(), Some(&*folder));
}

#[test]
fn indexes_by_another_form_of_the_path_do_not_take_the_place_of_those_that_are_there() {
    let house = with_one_retired();
    let former = house.folder.path().join("mail/");
    let former = format!("{:016x}", checksum(former.as_os_str().as_bytes()));
    fs::create_dir(house.state().join("indexes").join(former)).unwrap();
    assert_ne!(unique_ids_at(&house, "mail"), ["1.eml"]);
}
