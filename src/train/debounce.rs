//! Conditions that are reported once, when they have held for long enough.

/// Follows a condition from record to record and reports it once, when it has held for long enough.
#[derive(Debug, Clone, Default)]
pub(super) struct Debounce {
    since: u64,
    records: u32,
    reported: bool,
}

impl Debounce {
    /// Takes the next record. Returns the step since which the condition has held when it is to be reported now, which
    /// `is_long` decides: it gets the steps from the first record to this one and the number of records.
    pub fn observe(
        &mut self,
        step: u64,
        holds: bool,
        is_long: impl Fn(u64, u32) -> bool,
    ) -> Option<u64> {
        if !holds {
            *self = Self::default();
            return None;
        }
        if self.records == 0 {
            self.since = step;
        }
        self.records += 1;
        let reports = !self.reported && is_long(step - self.since, self.records);
        self.reported |= reports;
        reports.then_some(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_reported_once() {
        let mut debounce = Debounce::default();
        let holds = [true, true, false, true, true, true, true, false];
        let reports: Vec<_> = holds
            .iter()
            .zip((0..).step_by(10))
            .map(|(&holds, step)| {
                debounce.observe(step, holds, |steps, records| steps >= 20 && records >= 3)
            })
            .collect();
        assert_eq!(reports[5], Some(30));
        assert_eq!(reports.iter().flatten().count(), 1);
    }
}
