//! Files that are longer than any message: listed, sent and removed, and never read for that.

use std::fs;

use super::*;
use crate::maildir::scan::READ_MAX;

/// Makes a file of such a length, which takes no room on the disk.
pub(super) fn put_long(house: &House, name: &str) {
    house.put(name, "");
    let file = fs::File::options().write(true).open(house.user().join(name)).unwrap();
    file.set_len(READ_MAX + 1).unwrap();
}

#[test]
fn a_file_longer_than_any_message_is_not_read_at_login() {
    let maildir = House::maildir(&[("new/2.b", "two\n")]);
    put_long(&maildir, "new/1.a");
    let flat = House::flat(&[("2.eml", "two\n")]);
    put_long(&flat, "1.eml");
    for house in [maildir, flat] {
        for _ in 0..2 {
            let mut maildrop = house.open();
            assert_eq!(sizes(&*maildrop), [READ_MAX + 1, 5]);
            let source = maildrop.message(number(1)).unwrap();
            assert_eq!((source.octets, source.length), (None, READ_MAX + 1));
            assert_eq!(text(&mut *maildrop, 2), "two\n");
        }
        assert_eq!(house.open().commit(&marked(&[1])), committed(1, 0));
        assert_eq!(house.open().snapshot().count(), 1);
    }
}

#[test]
fn two_files_longer_than_any_message_are_not_compared_at_quit() {
    let house = House::maildir(&[]);
    put_long(&house, "new/1.a");
    put_long(&house, "cur/1.a:2,S");
    let mut maildrop = house.open();
    assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
    drop(maildrop);
    assert_eq!(house.open().snapshot().count(), 1);
}
