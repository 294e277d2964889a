//! Steps back and forth through what was selected.

use super::selection::Selection;

/// Selections that are kept.
const MOST: usize = 200;

/// Selections of before and, after a step back, of later.
#[derive(Debug, Default)]
pub(super) struct Undo {
    before: Vec<Selection>,
    later: Vec<Selection>,
}

impl Undo {
    /// Notes that `selection` was left for another one.
    pub fn left(&mut self, selection: Selection) {
        self.later.clear();
        self.before.push(selection);
        if self.before.len() > MOST {
            self.before.remove(0);
        }
    }

    /// Takes `selection` a step back; `false` where there is none.
    pub fn back(&mut self, selection: &mut Selection) -> bool {
        Self::step(&mut self.before, &mut self.later, selection)
    }

    /// Takes `selection` to where it was before a step back; `false` where there was none.
    pub fn forth(&mut self, selection: &mut Selection) -> bool {
        Self::step(&mut self.later, &mut self.before, selection)
    }

    fn step(from: &mut Vec<Selection>, to: &mut Vec<Selection>, selection: &mut Selection) -> bool {
        let Some(other) = from.pop() else {
            return false;
        };
        to.push(std::mem::replace(selection, other));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::ModelDescription;

    #[test]
    fn selections_come_back_in_order_and_a_new_one_ends_what_was_later() {
        let at = |cursor| Selection {
            cursor,
            ..Selection::first(&[], &ModelDescription::default(), &[])
        };
        let mut undo = Undo::default();
        undo.left(at(None));
        undo.left(at(Some(5)));
        let mut now = at(Some(9));
        assert!(undo.back(&mut now) && now.cursor == Some(5));
        assert!(undo.back(&mut now) && now.cursor.is_none());
        assert!(!undo.back(&mut now));
        assert!(undo.forth(&mut now) && now.cursor == Some(5));
        undo.left(now.clone());
        now = at(Some(1));
        assert!(!undo.forth(&mut now));
        assert!(undo.back(&mut now) && now.cursor == Some(5));
    }
}
