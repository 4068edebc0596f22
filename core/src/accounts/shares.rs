//! What the accounts have of some kind, so that a name without an account can be answered as if it had the same: what
//! a failed login costs, or what SCRAM shows of a salt.

/// The kinds that there are, and how many accounts have each.
#[derive(Clone, Debug)]
pub(super) struct Shares<T> {
    /// Each kind once, with a count of at least 1, in the order in which they came.
    kinds: Vec<(T, u32)>,
    /// The sum of the counts.
    count: u32,
}

impl<T> Default for Shares<T> {
    fn default() -> Self {
        Self { kinds: Vec::new(), count: 0 }
    }
}

impl<T: PartialEq> Shares<T> {
    /// Counts one.
    pub(super) fn add(&mut self, added: T) {
        self.count += 1;
        match self.kinds.iter_mut().find(|(kind, _)| *kind == added) {
            Some((_, count)) => *count += 1,
            None => self.kinds.push((added, 1)),
        }
    }

    /// Counts one no longer.
    pub(super) fn remove(&mut self, removed: &T) {
        if let Some((_, count)) = self.kinds.iter_mut().find(|(kind, _)| kind == removed) {
            *count -= 1;
            self.count -= 1;
            // The others keep their order, and with it most numbers their cost.
            self.kinds.retain(|(_, count)| *count > 0);
        }
    }

    /// The kind that a number stands for: of evenly spread numbers, each kind gets the share that accounts have of it.
    ///
    /// An account more or less moves the bounds between shares by as much as it weighs. So nearly every name keeps its
    /// kind when accounts come and go; one whose kind changed would be told from an account by that.
    pub(super) fn pick(&self, number: u32) -> Option<&T> {
        let place = (u64::from(number) * u64::from(self.count)) >> u32::BITS;
        let mut end = 0;
        let kind = self.kinds.iter().find(|(_, count)| {
            end += u64::from(*count);
            place < end
        });
        kind.map(|(kind, _)| kind)
    }

    /// Whether none is counted.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many are counted.
    #[cfg(test)]
    pub(super) fn count(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_met_as_often_as_accounts_have_it() {
        let mut shares = Shares::default();
        assert_eq!(shares.pick(7), None);
        for kind in [8, 16, 8, 8] {
            shares.add(kind);
        }
        let numbers = (0..1000_u32).map(|number| number * (u32::MAX / 1000));
        let met = numbers.clone().filter(|&number| shares.pick(number) == Some(&16)).count();
        assert!((240..=260).contains(&met), "{met}");
        assert!(shares.pick(u32::MAX).is_some());
        shares.remove(&16);
        shares.remove(&32);
        assert!(numbers.clone().all(|number| shares.pick(number) == Some(&8)));
        assert_eq!(shares.count(), 3);
    }

    #[test]
    fn few_numbers_change_their_kind_with_one_account() {
        let mut shares = Shares::default();
        for number in 0..100 {
            shares.add(8 << (number % 3));
        }
        let picks = |shares: &Shares<i32>| -> Vec<_> {
            (0..1000_u32).map(|number| shares.pick(number * (u32::MAX / 1000)).copied()).collect()
        };
        let before = picks(&shares);
        shares.add(8);
        let changed = picks(&shares).iter().zip(&before).filter(|(after, before)| after != before).count();
        assert!(changed <= 20, "{changed}");
    }
}
