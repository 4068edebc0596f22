//! What is taken over from the server that served the Maildir before.

use proptest::prelude::*;

use super::*;
use crate::maildir::UniqueIds;
use crate::maildir::index::Index;

const MESSAGES: [(&str, &str); 3] =
    [("new/1.a.host", "one\n"), ("cur/2.b.host,S=5:2,S", "two\r\n"), ("new/3.c.host", "three\n")];

fn open_as(house: &House, unique_ids: UniqueIds) -> Box<dyn Maildrop> {
    house.store().with_unique_ids(unique_ids).open(&ann()).unwrap()
}

#[test]
fn unique_ids_of_dovecot_are_kept() {
    let house = House::maildir(&MESSAGES);
    // As Dovecot 2.3 writes it, and shows 000000016b03fc1d.
    house.put(
        "dovecot-uidlist",
        "3 V1795423261 N4 G37b705231dfc036b323a000083ecc375\n1 W5 :1.a.host\n2 Pold-id W5 :2.b.host,S=5\n",
    );
    let known = ["000000016b03fc1d", "old-id", "3.c.host"];
    assert_eq!(unique_ids(&*open_as(&house, UniqueIds::Dovecot)), known);
    assert_eq!(unique_ids(&*house.open()), known, "they stay whatever the setting becomes");
}

#[test]
fn a_list_that_is_a_link_or_a_folder_is_not_passed_over_where_unique_ids_are_to_be_from_it() {
    let house = House::maildir(&MESSAGES);
    let list = house.user().join("dovecot-uidlist");
    std::fs::write(house.user().join("kept"), "3 V1 N4\n1 :1.a.host\n").unwrap();
    std::os::unix::fs::symlink("kept", &list).unwrap();
    let is_refused = |unique_ids| house.store().with_unique_ids(unique_ids).open(&ann()).is_err();
    assert!(is_refused(UniqueIds::Dovecot));
    std::fs::remove_file(&list).unwrap();
    std::fs::create_dir(&list).unwrap();
    assert!(is_refused(UniqueIds::Dovecot) && !is_refused(UniqueIds::Courier));
    assert!(!is_refused(UniqueIds::Names));
}

#[test]
fn an_index_says_whether_it_has_unique_ids_that_nothing_else_tells() {
    let has_own = |house: &House| Index::parse(octets_of(&house.index())).unwrap().has_own_unique_ids();
    let maildir = House::maildir(&MESSAGES);
    for _ in 0..2 {
        maildir.open().commit(&marked(&[1]));
        drop(maildir.open());
        assert!(!has_own(&maildir), "names do not come back");
    }
    let imported = House::maildir(&MESSAGES);
    imported.put("dovecot-uidlist", "3 V1 N4 Gab\n2 Pold-id W5 :2.b.host,S=5\n");
    drop(open_as(&imported, UniqueIds::Dovecot));
    assert!(has_own(&imported));
    let flat = House::flat(&[("1.eml", "one\n"), ("2.eml", "two\n")]);
    drop(flat.open());
    assert!(!has_own(&flat));
    flat.open().commit(&marked(&[1]));
    assert!(has_own(&flat), "one is retired");
}

#[test]
fn an_empty_unique_id_of_dovecot_is_the_name() {
    let house = House::maildir(&MESSAGES);
    house.put("dovecot-uidlist", "3 V1 N4 Gab\n1 P W5 :1.a.host\n2 P :2.b.host,S=5\n3 W5 P :3.c.host\n");
    let found = unique_ids(&*open_as(&house, UniqueIds::Dovecot));
    assert_eq!(found, ["1.a.host", "2.b.host,S=5", "3.c.host"]);
}

#[test]
fn unique_ids_of_an_early_dovecot_are_kept() {
    let house = House::maildir(&MESSAGES);
    house.put("dovecot-uidlist", "1 1145307358 3\n1 1.a.host\n2 2.b.host,S=5:2,S\n");
    let found = unique_ids(&*open_as(&house, UniqueIds::Dovecot));
    assert_eq!(found, ["00000001444400de", "00000002444400de", "3.c.host"]);
}

#[test]
fn unique_ids_of_courier_are_kept_and_its_sizes_are_not() {
    let house = House::maildir(&MESSAGES);
    house.put(
        "courierpop3dsizelist",
        "/3 9 1145307358\n1.a.host 77 7:1145307358:0\n2.b.host,S=5:2,S 77 8:0:1\n3.c.host 77 0:0:0\n",
    );
    let maildrop = open_as(&house, UniqueIds::Courier);
    assert_eq!(unique_ids(&*maildrop), ["UID7-1145307358", "UID8", "3.c.host"]);
    assert_eq!(sizes(&*maildrop), [5, 5, 7]);
}

#[test]
fn messages_that_have_a_unique_id_keep_it() {
    let house = House::maildir(&MESSAGES);
    let before = unique_ids(&*house.open());
    house.put("dovecot-uidlist", "3 V1 N4\n1 :1.a.host\n4 :4.d.host\n");
    house.put("new/4.d.host", "four\n");
    let after = unique_ids(&*open_as(&house, UniqueIds::Dovecot));
    assert_eq!(after[..3], before);
    assert_eq!(after[3], "0000000400000001");
}

#[test]
fn a_unique_id_that_is_noted_twice_or_cannot_be_one_is_not_taken() {
    let house = House::maildir(&MESSAGES);
    house.put("dovecot-uidlist", "3 V1 N4\n1 Psame :1.a.host\n2 Psame :2.b.host,S=5\n3 P\x07 :3.c.host\n");
    let found = unique_ids(&*open_as(&house, UniqueIds::Dovecot));
    assert_eq!(found, ["same", "2.b.host,S=5", "3.c.host"]);
}

#[test]
fn sizes_of_dovecot_are_believed_until_the_file_tells_otherwise() {
    let house = House::maildir(&[("new/1.a.host", "one\n"), ("new/2.b.host", "cut")]);
    house.put("dovecot-uidlist", "3 V1 N4\n1 W5 :1.a.host\n2 W3 :2.b.host\n");
    let mut maildrop = house.open();
    assert_eq!(sizes(&*maildrop), [5, 3]);
    assert_eq!(maildrop.message(number(1)).unwrap().octets.unwrap().0, 5);
    // Dovecot does not count the line end that it adds.
    assert!(maildrop.message(number(2)).unwrap().octets.is_none());
    drop(maildrop);
    assert_eq!(sizes(&*house.open()), [5, 5]);
}

proptest! {
    #[test]
    fn no_list_keeps_a_maildrop_from_being_opened(
        start in prop::sample::select(vec!["", "1 1 1\n", "3 V1 N1\n", "/3 1 1\n"]),
        lines in "([0-9 :PW.ahost,=]{0,30}\n|\\PC{0,20}){0,6}",
    ) {
        let house = House::maildir(&MESSAGES);
        for name in ["dovecot-uidlist", "courierpop3dsizelist"] {
            house.put(name, &format!("{start}{lines}"));
        }
        for format in [UniqueIds::Names, UniqueIds::Dovecot, UniqueIds::Courier] {
            let maildrop = open_as(&house, format);
            let found = unique_ids(&*maildrop);
            prop_assert_eq!(found.len(), 3);
            prop_assert!(found.iter().all(|unique_id| crate::maildir::name::is_unique_id(unique_id.as_bytes())));
            std::fs::remove_dir_all(house.state().join("indexes")).unwrap();
        }
    }
}
