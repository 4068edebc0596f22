//! One session per maildrop, in this process and in others.

use super::*;

#[test]
fn a_maildrop_is_open_once_in_a_store_and_its_clones() {
    let house = House::maildir(&[]);
    let store = house.store();
    let before = SystemTime::now();
    let maildrop = store.open(&ann()).unwrap();
    let refused = store.clone().open(&ann());
    let Err(OpenError::InUse(Some(since))) = refused else { panic!("opened twice") };
    assert!(since >= before && since <= SystemTime::now());
    assert!(store.open(&UserName::parse(b"bob").unwrap()).is_ok(), "another user is not kept out");
    drop(maildrop);
    assert!(store.open(&ann()).is_ok());
}

#[test]
fn a_maildrop_is_open_once_on_the_machine() {
    let house = House::maildir(&[]);
    // A store of its own has open files of its own, as another process has.
    let maildrop = house.open();
    let Err(OpenError::InUse(since)) = house.try_open() else { panic!("opened twice") };
    let age = SystemTime::now().duration_since(since.unwrap()).unwrap();
    assert!(age < Duration::from_secs(60));
    assert!(house.store().open(&UserName::parse(b"bob").unwrap()).is_ok());
    drop(maildrop);
    assert!(house.try_open().is_ok());
}

#[test]
fn other_processes_are_kept_out_after_the_lock_files_were_removed_too() {
    let house = House::maildir(&[]);
    let store = house.store();
    drop(store.open(&ann()).unwrap());
    std::fs::remove_dir_all(house.state()).unwrap();
    let maildrop = store.open(&ann()).unwrap();
    assert!(matches!(house.try_open(), Err(OpenError::InUse(_))), "opened twice");
    drop(maildrop);
    assert!(house.try_open().is_ok());
}

#[test]
fn the_lock_outlasts_update_and_ends_with_the_session() {
    let house = House::maildir(&[("new/1.a.host", "a\n")]);
    let mut maildrop = house.open();
    assert_eq!(maildrop.commit(&marked(&[1])), committed(1, 0));
    assert!(matches!(house.try_open(), Err(OpenError::InUse(_))));
    drop(maildrop);
    assert!(house.try_open().is_ok());
}

#[test]
fn idle_sessions_keep_no_descriptors() {
    let house = House::new();
    let store = house.store();
    let names: Vec<_> =
        (0..300).map(|user| UserName::parse(format!("user{user}").as_bytes()).unwrap()).collect();
    for name in &names {
        std::fs::create_dir_all(house.folder.path().join("mail").join(name.as_str()).join("new")).unwrap();
    }
    let open =
        |names: &[UserName]| -> Vec<_> { names.iter().map(|name| store.open(name).unwrap()).collect() };
    // Other tests run beside this one: the figure is rough, and far from one for each session.
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = count();
    let maildrops = open(&names);
    assert!(count() < before + 200);
    assert!(names.iter().all(|name| matches!(store.open(name), Err(OpenError::InUse(Some(_))))));
    drop(maildrops);
    assert_eq!(open(&names).len(), 300);
}
