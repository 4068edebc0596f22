//! The indexes of those who were here last, in memory: a client that looks for mail every few minutes has its maildrop
//! opened without reading a file. What is kept here is believed only while the index file is the one that it was.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::index::Index;
use super::state::Seal;
use crate::accounts::UserName;

/// Octets that are kept of indexes which no session has open, at most; half of them are those used last.
const KEPT_MAX: usize = 64 << 20;

/// The indexes kept of one store.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Generations>);

/// What was used since the last change of generations, and what was used in the one before. What is not used through a
/// whole generation goes with it; so there is nothing to keep in order.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<UserName, Entry>,
    /// What those take.
    octets: usize,
    old: HashMap<UserName, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    index: Arc<Index>,
    seal: Seal,
}

impl Cache {
    /// Whether anything is kept of a user.
    pub(super) fn has(&self, user: &UserName) -> bool {
        let generations = self.lock();
        generations.young.contains_key(user) || generations.old.contains_key(user)
    }

    /// The index of a user whose index file is this one.
    pub(super) fn get(&self, user: &UserName, seal: Seal) -> Option<Arc<Index>> {
        let mut generations = self.lock();
        if let Some(entry) = generations.young.get(user) {
            return (entry.seal == seal).then(|| Arc::clone(&entry.index));
        }
        let entry = generations.old.remove(user).filter(|entry| entry.seal == seal)?;
        let index = Arc::clone(&entry.index);
        generations.put(user, entry);
        Some(index)
    }

    /// Keeps an index, which that file is of.
    pub(super) fn put(&self, user: &UserName, index: &Arc<Index>, seal: Seal) {
        let mut generations = self.lock();
        generations.forget(user);
        generations.put(user, Entry { index: Arc::clone(index), seal });
    }

    /// Keeps nothing of a user.
    pub(super) fn forget(&self, user: &UserName) {
        self.lock().forget(user);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // What it guards is whole between any two steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn put(&mut self, user: &UserName, entry: Entry) {
        let octets = entry.octets();
        if octets > KEPT_MAX / 2 {
            return;
        }
        if self.octets + octets > KEPT_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.octets = 0;
        }
        self.octets += octets;
        self.young.insert(user.clone(), entry);
    }

    fn forget(&mut self, user: &UserName) {
        if let Some(entry) = self.young.remove(user) {
            self.octets -= entry.octets();
        }
        self.old.remove(user);
    }
}

impl Entry {
    /// What it takes, with its places in the tables.
    fn octets(&self) -> usize {
        self.index.as_octets().len() + size_of::<Index>() + 2 * size_of::<(UserName, Self)>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::folder::Layout;
    use super::super::index::Builder;
    use super::*;

    fn user(number: usize) -> UserName {
        UserName::parse(format!("user{number}").as_bytes()).unwrap()
    }

    fn index(octets: usize) -> Arc<Index> {
        let nothing = Layout::Maildir { new: None, cur: None };
        Arc::new(Builder::with_room(0, 0).finish(nothing, None, &[], &vec![b'x'; octets]))
    }

    #[test]
    fn only_the_index_of_the_file_that_there_is_comes_back() {
        let cache = Cache::default();
        cache.put(&user(1), &index(1), Seal::of_number(1));
        assert!(cache.has(&user(1)) && !cache.has(&user(2)));
        assert!(cache.get(&user(1), Seal::of_number(1)).is_some());
        assert!(cache.get(&user(1), Seal::of_number(2)).is_none());
        cache.forget(&user(1));
        assert!(cache.get(&user(1), Seal::of_number(1)).is_none());
    }

    #[test]
    fn what_is_kept_has_a_bound_and_what_is_used_stays() {
        let cache = Cache::default();
        let seal = Seal::of_number(1);
        for number in 0..200 {
            cache.put(&user(number), &index(1 << 20), seal);
            assert!(cache.get(&user(0), seal).is_some(), "{number}");
            let generations = cache.lock();
            let kept = generations.young.values().chain(generations.old.values());
            assert!(kept.map(Entry::octets).sum::<usize>() <= KEPT_MAX);
            assert_eq!(generations.young.values().map(Entry::octets).sum::<usize>(), generations.octets);
        }
        assert!(!cache.has(&user(1)) && cache.has(&user(199)));
        cache.put(&user(0), &index(KEPT_MAX), seal);
        assert!(!cache.has(&user(0)), "one that is too large replaces none");
    }
}
