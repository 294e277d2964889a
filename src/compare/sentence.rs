//! The comparison of two runs in words.

use super::pair::Pair;

impl Pair {
    /// Where the runs part first, and how much was compared, in a sentence.
    pub fn sentence(&self) -> String {
        let compared = &self.compared;
        let what = format!(
            "{} records of {} tensors, {} scalars, {} checkpoints",
            compared.records, compared.tensors, compared.scalars, compared.checkpoints
        );
        let Some(first) = self
            .first_difference
            .as_ref()
            .filter(|_| !compared.is_nothing())
        else {
            return match compared.is_nothing() {
                true => "the runs have nothing in common that could be compared".to_owned(),
                false => format!("no difference in what both have ({what})"),
            };
        };
        let unit = first
            .unit
            .map_or(String::new(), |unit| format!(", unit {unit}"));
        let many = match first.units {
            0 | 1 => String::new(),
            units => format!(" (and {} more units)", units - 1),
        };
        let of = first
            .statistic
            .map_or(String::new(), |s| format!("{} ", s.label()));
        let before = match self.equal_through {
            Some(step) => format!("; all that both have is equal through step {step}"),
            None => "; there is no earlier step to compare".to_owned(),
        };
        let [a, b] = first.values;
        format!(
            "the first difference is at step {}, {} {}{unit}{many}: {of}{a:.6e} | {b:.6e}{before}",
            first.step,
            first.kind.name(),
            first.tensor,
        )
    }
}
