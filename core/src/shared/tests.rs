//! Who is let in, by the tables alone.

use std::sync::atomic::Ordering;

use super::*;
use crate::accounts::Accounts;
use crate::maildir::LocalStore;
use crate::settings::{Limits, Sizes};
use crate::transform::Holding;

/// Of a server that has no mail.
pub(crate) fn settings(limits: Limits) -> Settings {
    Settings {
        store: Arc::new(LocalStore::new("/nonexistent".into(), None)),
        accounts: Arc::new(Accounts::default()),
        mailbox: "/nonexistent".into(),
        chain: None,
        user_chains: Arc::default(),
        rules: Arc::default(),
        holding: Holding { hold: 1000, spool_folder: "/nonexistent".into() },
        sizes: Sizes::Stored,
        tls: None,
        rehash: false,
        limits,
    }
}

/// What the workers share where there are none.
fn shared(limits: Limits) -> Arc<Shared> {
    let pool = Pool::start("test", 1).unwrap();
    let pools =
        Pools { passwords: pool.clone(), externals: pool.clone(), maildrops: pool.clone(), transforms: pool };
    Arc::new(Shared::new(settings(limits), Totals::default(), pools, Vec::new(), 100))
}

#[test]
fn an_address_has_so_many_connections_and_excepted_ones_have_no_bound() {
    let shared = shared(Limits { connections_per_address: 2, ..Limits::default() });
    let admit = |address: &str| {
        Admission::new(Shared::take_seat(&shared).unwrap(), address.parse().unwrap(), Instant::now())
    };
    let mut admitted = Vec::new();
    for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        for _ in 0..5 {
            admitted.push(admit(address).expect(address));
        }
    }
    for address in ["192.0.2.7", "2001:db8::1"] {
        let first = admit(address).expect(address);
        admitted.push(admit(address).expect(address));
        assert_eq!(admit(address).err(), Some(TurnedAway::TooMany));
        drop(first);
        assert!(admit(address).is_ok());
    }
    assert_eq!(shared.connections.load(Ordering::SeqCst), admitted.len());
}

#[test]
fn an_address_that_is_turned_away_leaves_nothing_behind() {
    let shared = shared(Limits { connections_per_address: 0, ..Limits::default() });
    let address = "192.0.2.7".parse().unwrap();
    let admission = Admission::new(Shared::take_seat(&shared).unwrap(), address, Instant::now());
    assert_eq!(admission.err(), Some(TurnedAway::TooMany));
    assert!(shared.addresses.lock().unwrap().is_empty());
}

#[test]
fn an_address_with_too_many_failed_logins_is_not_let_in_for_a_while() {
    let shared = shared(Limits::default());
    let rules = Limits::default().failed_logins;
    let (now, address) = (Instant::now(), IpAddr::from([192, 0, 2, 7]));
    let admit = |address, now| Admission::new(Shared::take_seat(&shared).unwrap(), address, now).err();
    for _ in 0..rules.refused_after.unwrap() {
        assert_eq!(admit(address, now), None);
        shared.guesses.fail(CountedAddress::of(address), b"user", now, &rules);
    }
    assert_eq!(admit(address, now), Some(TurnedAway::FailedLogins));
    assert_eq!(admit([192, 0, 2, 8].into(), now), None);
    assert_eq!(admit(address, now + rules.refused_for), None);
    assert_eq!(shared.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn a_trusted_proxy_is_counted_where_it_logs_in_by_itself_and_nowhere_before() {
    let rules = Limits::default().failed_logins;
    let (now, proxy, client) = (Instant::now(), IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 7]));
    let trusted = ["192.0.2.1".parse().unwrap()].into_iter().collect();
    let shared = shared(Limits { connections_per_address: 2, trusted, ..Limits::default() });
    let admit = || Admission::new(Shared::take_seat(&shared).unwrap(), proxy, now);
    let mut admitted: Vec<_> = (0..6).map(|_| admit().unwrap_or_else(|why| panic!("{why:?}"))).collect();
    assert!(shared.addresses.lock().unwrap().is_empty());
    // Those for whom it speaks are counted where they are, also when they log in.
    assert_eq!((admitted[0].move_to(client, now), admitted[1].move_to(client, now)), (Ok(()), Ok(())));
    assert_eq!(admitted[0].settle(client, now), Ok(()));
    assert_eq!(admitted[2].move_to(client, now), Err(TurnedAway::TooMany));
    for _ in 0..2 {
        assert_eq!((admitted[3].settle(proxy, now), admitted[4].settle(proxy, now)), (Ok(()), Ok(())));
        assert_eq!(admitted[5].settle(proxy, now), Err(TurnedAway::TooMany));
    }
    drop(admitted);
    assert!(shared.addresses.lock().unwrap().is_empty());
    // What failed there closes its logins, and not those of others.
    for _ in 0..rules.refused_after.unwrap() {
        shared.guesses.fail(CountedAddress::of(proxy), b"user", now, &rules);
    }
    assert_eq!(admit().ok().unwrap().settle(proxy, now), Err(TurnedAway::FailedLogins));
    assert_eq!(admit().ok().unwrap().move_to(client, now), Ok(()));
}

#[test]
fn a_user_has_so_many_sessions() {
    let shared = shared(Limits::default());
    let user = |name: &[u8]| UserName::parse(name).unwrap();
    let take = |name, most| Place::take(&shared, &user(name), most);
    let first = take(b"ann", Some(2)).unwrap();
    let second = take(b"ann", Some(2));
    assert!(second.is_some() && take(b"ann", Some(2)).is_none());
    assert!(take(b"ann", None).is_some() && take(b"bob", Some(2)).is_some());
    drop(first);
    let third = take(b"ann", Some(2));
    assert!(third.is_some() && take(b"ann", Some(2)).is_none());
    drop((second, third));
    assert!(shared.users.lock().unwrap().is_empty());
}
