//! Clusters of one snapshot with the numbers of those of another that they share most units with.

/// For each row of `weights` `[rows, columns]` the column of the assignment with the largest sum of weights, in which no
/// column is taken twice; `None` for rows without one, where there are more rows than columns.
///
/// This is the Hungarian algorithm with potentials (Kuhn 1955, in the form of Jonker and Volgenant), in cubic time.
pub fn assign(weights: &[Vec<u32>]) -> Vec<Option<usize>> {
    let rows = weights.len();
    let columns = weights.first().map_or(0, Vec::len);
    let size = rows.max(columns);
    // Costs of a square matrix, its rows and columns numbered from 1; 0 is no column.
    let cost = |row: usize, column: usize| {
        let weight = weights.get(row - 1).and_then(|row| row.get(column - 1));
        -i64::from(weight.copied().unwrap_or(0))
    };
    let mut row_potential = vec![0i64; size + 1];
    let mut column_potential = vec![0i64; size + 1];
    let mut row_of = vec![0usize; size + 1];
    for row in 1..=size {
        let mut before = vec![0usize; size + 1];
        let mut least = vec![i64::MAX; size + 1];
        let mut is_used = vec![false; size + 1];
        row_of[0] = row;
        let mut column = 0;
        // Dijkstra's search for the cheapest way to free a column.
        while row_of[column] != 0 {
            is_used[column] = true;
            let from = row_of[column];
            let (mut step, mut next) = (i64::MAX, 0);
            for other in 1..=size {
                if is_used[other] {
                    continue;
                }
                let reduced = cost(from, other) - row_potential[from] - column_potential[other];
                if reduced < least[other] {
                    least[other] = reduced;
                    before[other] = column;
                }
                if least[other] < step {
                    (step, next) = (least[other], other);
                }
            }
            for other in 0..=size {
                if is_used[other] {
                    row_potential[row_of[other]] += step;
                    column_potential[other] -= step;
                } else if least[other] < i64::MAX {
                    least[other] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[before[column]];
            column = before[column];
        }
    }
    let mut assigned = vec![None; rows];
    for column in 1..=columns {
        if (1..=rows).contains(&row_of[column]) {
            assigned[row_of[column] - 1] = Some(column - 1);
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The best sum over all ways to give rows columns, by trying them all.
    fn best(weights: &[Vec<u32>], taken: &mut Vec<usize>) -> u32 {
        let row = taken.len();
        let Some(own) = weights.get(row) else {
            return 0;
        };
        let mut most = 0;
        // No column is a column beyond the last.
        for column in 0..own.len() + weights.len() {
            if taken.contains(&column) {
                continue;
            }
            taken.push(column);
            let weight = own.get(column).copied().unwrap_or(0);
            most = most.max(weight + best(weights, taken));
            taken.pop();
        }
        most
    }

    proptest! {
        #[test]
        fn assignments_have_the_largest_sum(
            rows in 1usize..5,
            columns in 1usize..5,
            numbers in prop::collection::vec(0u32..20, 16),
        ) {
            let weights: Vec<Vec<u32>> = (0..rows)
                .map(|row| numbers[4 * row..4 * row + columns].to_vec())
                .collect();
            let assigned = assign(&weights);
            let pairs = assigned.iter().enumerate();
            let sum: u32 = pairs.filter_map(|(row, column)| column.map(|c| weights[row][c])).sum();
            prop_assert_eq!(sum, best(&weights, &mut Vec::new()));
            let mut taken: Vec<usize> = assigned.iter().flatten().copied().collect();
            taken.sort_unstable();
            taken.dedup();
            prop_assert_eq!(taken.len(), assigned.iter().flatten().count());
            prop_assert_eq!(taken.len(), rows.min(columns));
        }
    }
}
