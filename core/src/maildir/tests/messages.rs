//! What is a message, in which order, and what a session makes of changes beside it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::*;
use crate::store::MessageError;

#[test]
fn a_user_without_a_folder_has_an_empty_maildrop() {
    let house = House::new();
    let maildrop = house.open();
    assert_eq!(maildrop.snapshot().count(), 0);
    assert!(matches!(house.try_open(), Err(OpenError::InUse(_))), "it is locked all the same");
}

#[test]
fn a_flat_folder_shows_its_regular_files() {
    let house =
        House::flat(&[("b", "1\n"), ("a", "22\r\n"), (".hidden", "x"), ("10.eml", ""), ("9.eml", "x")]);
    fs::create_dir(house.user().join("sub")).unwrap();
    symlink("a", house.user().join("link")).unwrap();
    let mut maildrop = house.open();
    assert_eq!(unique_ids(&*maildrop), ["9.eml", "10.eml", "a", "b"]);
    assert_eq!(sizes(&*maildrop), [3, 0, 4, 3]);
    assert_eq!(text(&mut *maildrop, 3), "22\r\n");
}

#[test]
fn a_maildir_shows_new_and_cur_in_the_order_of_delivery() {
    let house = House::maildir(&[
        ("cur/20.M3P1.host:2,S", "b\n"),
        ("new/20.M12P1.host", "c\n"),
        ("new/3.M9P1.host", "a\n"),
        ("tmp/1.M1P1.host", "not yet\n"),
        ("stray", "not a message\n"),
        ("cur/.lock", "not a message\n"),
    ]);
    let mut maildrop = house.open();
    assert_eq!(unique_ids(&*maildrop), ["3.M9P1.host", "20.M3P1.host", "20.M12P1.host"]);
    let texts = [1, 2, 3].map(|number| text(&mut *maildrop, number));
    assert_eq!(texts, ["a\n", "b\n", "c\n"]);
}

#[test]
fn a_folder_with_only_one_half_of_a_maildir_is_a_maildir() {
    let house = House::maildir(&[("cur/1.a.host:2,", "a\n"), ("stray", "b\n")]);
    fs::remove_dir(house.user().join("new")).unwrap();
    assert_eq!(unique_ids(&*house.open()), ["1.a.host"]);
}

#[test]
fn a_message_in_new_and_cur_at_once_counts_once() {
    let house = House::maildir(&[("new/1.a.host", "a\n"), ("cur/1.a.host:2,S", "a\n")]);
    assert_eq!(unique_ids(&*house.open()), ["1.a.host"]);
}

#[test]
fn odd_names_are_messages_and_get_a_hashed_unique_id_that_stays() {
    let house = House::maildir(&[]);
    let long = "1".repeat(255);
    for name in [&b"a b"[..], b"caf\xe9", b"line\nfeed", b"-rf", b"%s", long.as_bytes()] {
        fs::write(house.user().join("new").join(Path::new(std::ffi::OsStr::from_bytes(name))), "x\n")
            .unwrap();
    }
    let mut maildrop = house.open();
    let first = unique_ids(&*maildrop);
    assert_eq!(first.len(), 6);
    assert!(first.iter().all(|unique_id| super::super::name::is_unique_id(unique_id.as_bytes())));
    assert!((1..=6).all(|number| text(&mut *maildrop, number) == "x\n"));
    drop(maildrop);
    fs::remove_dir_all(house.state()).unwrap();
    assert_eq!(unique_ids(&*house.open()), first, "a lost index changes no unique-id");
}

#[test]
fn a_base_that_is_the_hash_of_another_does_not_share_its_unique_id() {
    let hash = String::from_utf8(super::super::name::hashed_unique_id(b"a b", 0).to_vec()).unwrap();
    let house = House::maildir(&[("new/a b", "x\n")]);
    let first = unique_ids(&*house.open());
    assert_eq!(first, [hash.as_str()]);
    house.put(&format!("new/{hash}"), "y\n");
    let both = unique_ids(&*house.open());
    assert_eq!(both.len(), 2);
    assert_ne!(both[0], both[1]);
    assert!(both.contains(&hash), "the first keeps it");
}

#[test]
fn what_arrives_after_login_is_not_in_the_session() {
    let house = House::maildir(&[("new/1.a.host", "a\n")]);
    let maildrop = house.open();
    house.put("new/0.b.host", "b\n");
    assert_eq!(unique_ids(&*maildrop), ["1.a.host"]);
    drop(maildrop);
    assert_eq!(unique_ids(&*house.open()), ["0.b.host", "1.a.host"]);
}

#[test]
fn a_message_that_moved_or_was_flagged_after_login_is_found() {
    let house =
        House::maildir(&[("new/1.a.host", "a\n"), ("cur/2.b.host:2,", "b\n"), ("cur/3.c.host:2,", "c\n")]);
    let mut maildrop = house.open();
    house.rename("new/1.a.host", "cur/1.a.host:2,S");
    house.rename("cur/2.b.host:2,", "cur/2.b.host:2,FRS");
    fs::remove_file(house.user().join("cur/3.c.host:2,")).unwrap();
    assert_eq!(text(&mut *maildrop, 1), "a\n");
    assert_eq!(text(&mut *maildrop, 2), "b\n");
    assert!(matches!(maildrop.message(number(3)), Err(MessageError::Vanished)));
    assert_eq!(maildrop.commit(&marked(&[1, 2, 3])), Committed { gone: 1, ..committed(2, 0) });
    drop(maildrop);
    assert_eq!(house.open().snapshot().count(), 0);
}

#[test]
fn a_message_that_moved_is_found_where_its_name_leaves_no_room_for_other_flags() {
    let (gone, moved) = ("1".repeat(253), "2".repeat(252));
    let house = House::maildir(&[(&format!("new/{gone}"), "a\n"), (&format!("new/{moved}"), "b\n")]);
    let mut maildrop = house.open();
    fs::remove_file(house.user().join("new").join(gone)).unwrap();
    house.rename(&format!("new/{moved}"), &format!("cur/{moved}:2,"));
    assert!(matches!(maildrop.message(number(1)), Err(MessageError::Vanished)));
    assert_eq!(text(&mut *maildrop, 2), "b\n");
}

#[test]
fn what_takes_the_place_of_a_message_is_neither_followed_nor_waited_for() {
    let house = House::flat(&[("a", "a\n"), ("b", "b\n"), ("c", "c\n"), ("d", "d\n")]);
    let mut maildrop = house.open();
    for name in ["a", "b", "c", "d"] {
        fs::remove_file(house.user().join(name)).unwrap();
    }
    symlink("/etc/hostname", house.user().join("a")).unwrap();
    let fifo = house.user().join("b");
    rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    fs::create_dir(house.user().join("c")).unwrap();
    assert!(matches!(maildrop.message(number(1)), Err(MessageError::Unreadable(_))));
    assert!(matches!(maildrop.message(number(2)), Err(MessageError::Unreadable(_))));
    assert!(matches!(maildrop.message(number(3)), Err(MessageError::Unreadable(_))));
    assert!(matches!(maildrop.message(number(4)), Err(MessageError::Vanished)));
}

#[test]
fn a_folder_reached_by_a_symbolic_link_is_not_served() {
    let house = House::flat(&[("a", "a\n")]);
    fs::rename(house.user(), house.folder.path().join("elsewhere")).unwrap();
    symlink("../elsewhere", house.user()).unwrap();
    assert!(matches!(house.try_open(), Err(OpenError::Unavailable(_))));
}

#[test]
fn a_maildir_with_a_symbolic_link_for_one_of_its_folders_is_no_emptier_one() {
    for name in ["new", "cur"] {
        let house = House::maildir(&[]);
        let aside = house.folder.path().join("aside");
        fs::rename(house.user().join(name), &aside).unwrap();
        symlink(&aside, house.user().join(name)).unwrap();
        let Err(OpenError::Unavailable(why)) = house.try_open() else { panic!("{name} is served") };
        assert_eq!(why.to_string(), format!("{name} is a symbolic link, and not followed"));
    }
}

#[test]
fn a_user_whose_folder_is_a_file_has_no_maildrop() {
    let house = House::new();
    fs::write(house.user(), "x").unwrap();
    assert!(matches!(house.try_open(), Err(OpenError::Unavailable(_))));
    assert!(matches!(house.try_open(), Err(OpenError::Unavailable(_))), "and no lock is left behind");
}

#[test]
fn a_mail_folder_that_is_gone_is_not_an_empty_maildrop() {
    let house = House::flat(&[("a", "a\n")]);
    let store = house.store();
    assert!(store.check().is_ok());
    assert_eq!(store.open(&ann()).unwrap().snapshot().count(), 1);
    let mail = house.folder.path().join("mail");
    fs::rename(&mail, house.folder.path().join("moved")).unwrap();
    assert!(matches!(store.open(&ann()), Err(OpenError::Unavailable(_))));
    assert!(store.check().is_err());
    fs::create_dir(&mail).unwrap();
    assert_eq!(store.open(&ann()).unwrap().snapshot().count(), 0, "another folder stands there");
    fs::remove_dir(&mail).unwrap();
    symlink("moved", &mail).unwrap();
    assert_eq!(store.open(&ann()).unwrap().snapshot().count(), 1, "the mail folder itself may be a link");
}

#[test]
fn octets_are_counted_as_sent() {
    let house = House::flat(&[
        ("1", "a\nb\n"),
        ("2", "a\r\nb\r\n"),
        ("3", "a\r\n.b\r\n"),
        ("4", "a\r\nb"),
        ("5", ""),
    ]);
    house.settle();
    let mut maildrop = house.open();
    assert_eq!(sizes(&*maildrop), [6, 6, 7, 6, 0]);
    let sources = (1..=5).map(|value| maildrop.message(number(value)).unwrap());
    let seen: Vec<_> =
        sources.map(|source| (source.octets.unwrap().0, source.length, source.wire_clean)).collect();
    assert_eq!(seen, [(6, 4, false), (6, 6, true), (7, 7, false), (6, 4, false), (0, 0, true)]);
}

#[test]
fn a_file_written_in_place_with_its_time_set_back_is_not_sent_as_it_is() {
    let clean = "a: b\r\n\r\nfirst\r\nsecond \r\n";
    for house in [House::flat(&[("1.eml", clean)]), House::maildir(&[("new/1.eml", clean)])] {
        house.settle();
        let mut maildrop = house.open();
        assert!(maildrop.message(number(1)).unwrap().wire_clean);
        let path = ["1.eml", "new/1.eml"].map(|name| house.user().join(name));
        let path = path.iter().find(|path| path.exists()).unwrap();
        let changed = || fs::metadata(path).map(|file| (file.ctime(), file.ctime_nsec())).unwrap();
        let counted = changed();
        // The kernel's clock for files has ticks.
        while changed() == counted {
            fs::write(path, "a: b\r\n\r\n.\r\n-ERR second\r\n").unwrap();
            age(path, 0);
        }
        let source = maildrop.message(number(1)).unwrap();
        assert_eq!((source.length, source.wire_clean), (clean.len() as u64, false));
    }
}

#[test]
fn a_message_larger_than_a_block_is_counted_whole() {
    let house = House::flat(&[("1", &"0123456\n".repeat(100_000)), ("2", &"x".repeat(256 * 1024))]);
    assert_eq!(sizes(&*house.open()), [900_000, 256 * 1024 + 2]);
}

#[test]
fn the_state_folder_is_nobodys_maildrop_and_no_mail_folder() {
    let house = House::flat(&[("1", "one\n")]);
    drop(house.open());
    let (above, state) = (house.folder.path(), house.state());
    let user = |name: &str| UserName::parse(name.as_bytes()).unwrap();
    let Err(OpenError::Unavailable(why)) =
        LocalStore::new(above.to_owned(), Some(state.clone())).open(&user("state"))
    else {
        panic!("what is kept is shown as mail");
    };
    assert!(why.to_string().contains("it is the state folder"), "{why}");
    let link = above.join("link");
    std::os::unix::fs::symlink(&state, &link).unwrap();
    for mail in [&state, &link] {
        let store = house.store().moved_to(mail.clone());
        assert!(store.check().is_err());
        assert!(store.open(&user("indexes")).is_err());
    }
    assert_eq!(unique_ids(&*house.open()), ["1"]);
}
