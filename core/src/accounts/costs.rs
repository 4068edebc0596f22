//! What the hashes of all accounts cost, so that a failed login for a name without a hash can cost the same.

use argon2::Params;

/// The costs that hashes have, and how many have each.
#[derive(Clone, Debug, Default)]
pub(super) struct Costs {
    /// Each cost once, with a count of at least 1, in the order in which they came.
    kinds: Vec<(Params, u32)>,
    /// The sum of the counts.
    hashes: u32,
}

impl Costs {
    /// Counts a hash.
    pub(super) fn add(&mut self, params: &Params) {
        self.hashes += 1;
        match self.kinds.iter_mut().find(|(kind, _)| kind == params) {
            Some((_, count)) => *count += 1,
            None => self.kinds.push((params.clone(), 1)),
        }
    }

    /// Counts a hash no longer.
    pub(super) fn remove(&mut self, params: &Params) {
        if let Some((_, count)) = self.kinds.iter_mut().find(|(kind, _)| kind == params) {
            *count -= 1;
            self.hashes -= 1;
            // The others keep their order, and with it most numbers their cost.
            self.kinds.retain(|(_, count)| *count > 0);
        }
    }

    /// The cost that a number stands for: of evenly spread numbers, each cost gets the share that hashes have of it.
    ///
    /// A hash more or less moves the bounds between shares by as much as it weighs. So nearly every name keeps its
    /// cost when accounts come and go; one whose cost changed would be told from an account by that.
    pub(super) fn pick(&self, number: u32) -> Option<&Params> {
        let place = (u64::from(number) * u64::from(self.hashes)) >> u32::BITS;
        let mut end = 0;
        let kind = self.kinds.iter().find(|(_, count)| {
            end += u64::from(*count);
            place < end
        });
        kind.map(|(params, _)| params)
    }

    /// How many hashes are counted.
    #[cfg(test)]
    pub(super) fn hashes(&self) -> u32 {
        self.hashes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(memory: u32) -> Params {
        Params::new(memory, 1, 1, None).unwrap()
    }

    #[test]
    fn a_cost_is_met_as_often_as_hashes_have_it() {
        let mut costs = Costs::default();
        assert_eq!(costs.pick(7), None);
        for memory in [8, 16, 8, 8] {
            costs.add(&params(memory));
        }
        let numbers = (0..1000_u32).map(|number| number * (u32::MAX / 1000));
        let met = numbers.clone().filter(|&number| costs.pick(number) == Some(&params(16))).count();
        assert!((240..=260).contains(&met), "{met}");
        assert!(costs.pick(u32::MAX).is_some());
        costs.remove(&params(16));
        costs.remove(&params(32));
        assert!(numbers.clone().all(|number| costs.pick(number) == Some(&params(8))));
        assert_eq!(costs.hashes(), 3);
    }

    #[test]
    fn few_numbers_change_their_cost_with_one_hash() {
        let mut costs = Costs::default();
        for number in 0..100 {
            costs.add(&params(8 << (number % 3)));
        }
        let picks = |costs: &Costs| -> Vec<_> {
            (0..1000_u32).map(|number| costs.pick(number * (u32::MAX / 1000)).cloned()).collect()
        };
        let before = picks(&costs);
        costs.add(&params(8));
        let changed = picks(&costs).iter().zip(&before).filter(|(after, before)| after != before).count();
        assert!(changed <= 20, "{changed}");
    }
}
