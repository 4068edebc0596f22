//! The settings that PEEP changed: what is written is read, and what is damaged is refused.

use proptest::prelude::*;

use super::super::settings::{Changed, FILE, KeptSettings};
use super::*;

/// One of each.
fn some() -> KeptSettings {
    KeptSettings {
        program: Some("tr a-z A-Z".into()),
        connections: Some(Changed { value: 15, configured: 10_000 }),
        timeout: Some(Changed { value: 0, configured: 600 }),
        mailbox: Some(Changed { value: "/srv/mail".into(), configured: "mail".into() }),
        chain: Some(Changed { value: vec!["tag".into(), "strip".into()], configured: vec![] }),
        transforms: [("tag".into(), "tag.so".into())].into(),
        user_chains: [("ann@example.org".into(), vec!["tag".into()]), ("bob".into(), vec![])].into(),
    }
}

#[test]
fn without_a_file_nothing_is_kept() {
    let house = House::new();
    assert_eq!(KeptSettings::read(&house.files).unwrap(), KeptSettings::default());
    for settings in [KeptSettings::default(), some()] {
        settings.save(&house.claim()).unwrap();
        assert_eq!(KeptSettings::read(&house.files).unwrap(), settings);
    }
}

#[test]
fn a_value_is_in_force_until_the_configuration_says_something_else() {
    let changed = Changed { value: 15, configured: 10_000 };
    assert_eq!(changed.in_force(&10_000), Some(&15));
    assert_eq!(changed.in_force(&15), None);
    assert_eq!(changed.in_force(&20), None);
}

#[test]
fn the_file_can_be_read_and_edited_by_a_person() {
    let text = some().text().unwrap();
    assert!(text.starts_with("# What PEEP changed"), "{text}");
    assert!(text.contains("\n[connections]\nvalue = 15\nconfigured = 10000\n"), "{text}");
    assert!(text.contains("\nprogram = \"tr a-z A-Z\"\n"), "{text}");
    let end = text.rfind("# end").unwrap();
    let edited = format!("{}# end\n", &text[..end]).replace("value = 15", "value = 16");
    let read = KeptSettings::parse(edited.as_bytes()).unwrap();
    assert_eq!(read.connections, Some(Changed { value: 16, configured: 10_000 }));
    assert_eq!(read.user_chains, some().user_chains);
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_column() {
    let house = House::new();
    for (text, place, named) in [
        ("conections = 1\n# end", "1:1", "unknown field `conections`"),
        ("[timeout]\nvalue = 1\nconfigured = 2\nformerly = 3\n# end", "4:1", "unknown field `formerly`"),
        ("[timeout]\nvalue = \"1\"\nconfigured = 2\n# end", "2:9", "u64"),
        ("[timeout]\nvalue = -1\nconfigured = 2\n# end", "2:9", "u64"),
        ("[timeout]\nvalue = 1\n# end", "1:1", "configured"),
        ("program = \n# end", "1:11", ""),
        ("program = \"a\"\nprogram = \"b\"\n# end", "2:1", "duplicate key"),
        ("program = \"ü\"\n", "1:1", "cut"),
        ("program = \"ü\"\n# end 00\n", "2:1", "edited"),
        ("", "1:1", "cut"),
    ] {
        fs::write(house.path(FILE), text).unwrap();
        let error = KeptSettings::read(&house.files).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:{place}: ", house.path(FILE).display())), "{error}");
        assert!(
            error.contains(named) && error.contains("move the file away") && !error.contains('\n'),
            "{error}"
        );
        assert_eq!(fs::read_to_string(house.path(FILE)).unwrap(), text);
    }
    fs::write(house.path(FILE), b"program = \"\xFC\"\n# end").unwrap();
    assert!(KeptSettings::read(&house.files).unwrap_err().to_string().contains("settings.toml:1:12: "));
}

#[test]
fn a_file_cut_or_changed_anywhere_is_refused_or_says_the_same() {
    let (settings, text) = (some(), some().text().unwrap());
    for place in 0..text.len() {
        if let Ok(read) = KeptSettings::parse(&text.as_bytes()[..place]) {
            assert_eq!(read, settings, "cut at {place}");
            assert!(place >= text.rfind("# end").unwrap());
        }
        for bit in 0..8 {
            let mut octets = text.clone().into_bytes();
            octets[place] ^= 1 << bit;
            if let Ok(read) = KeptSettings::parse(&octets) {
                assert_eq!(read, settings, "octet {place}, bit {bit}");
            }
        }
    }
}

fn changed<T: std::fmt::Debug>(
    values: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Option<Changed<T>>> {
    let changed = (values.clone(), values).prop_map(|(value, configured)| Changed { value, configured });
    proptest::option::of(changed)
}

proptest! {
    #[test]
    fn what_is_kept_is_read_again(
        program in proptest::option::of(any::<String>()),
        connections in changed(any::<u64>()),
        timeout in changed(any::<u64>()),
        mailbox in changed(any::<String>().boxed()),
        chain in changed(proptest::collection::vec(any::<String>(), 0..4).boxed()),
        transforms in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..3),
        user_chains in proptest::collection::btree_map(any::<String>(), proptest::collection::vec("\\PC*", 0..3), 0..4),
    ) {
        let settings = KeptSettings { program, connections, timeout, mailbox, chain, transforms, user_chains };
        let text = settings.text().unwrap();
        prop_assert_eq!(KeptSettings::parse(text.as_bytes()).unwrap(), settings);
    }

    #[test]
    fn no_octets_panic(changes in proptest::collection::vec((0_usize..2000, any::<u8>()), 1..30)) {
        let mut octets = some().text().unwrap().into_bytes();
        for (place, value) in changes {
            let place = place % octets.len();
            octets[place] = value;
        }
        let _ = KeptSettings::parse(&octets);
    }
}
