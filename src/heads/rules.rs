//! A head's rules, asked for each labelled row of a batch.

use super::gradient_bound::Slopes;
use super::{Head, Logit, Penalty, Row};
use crate::Real;
use crate::ops::OthersRule;

/// What a head says of one labelled row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowRules<F> {
    pub target: Logit<F>,
    pub others: Option<OthersRule<F>>,
    pub penalty: Penalty<F>,
}

/// The rules for `rows`, once the head has observed them.
pub(crate) fn rules_of<F: Real>(head: &impl Head, rows: &[Row<F>], state: &mut [f64]) -> Vec<RowRules<F>> {
    head.observe(rows, state);
    let rules = |row| RowRules {
        target: head.target(row, state),
        others: head.others(row, state),
        penalty: head.penalty(row.norm),
    };
    rows.iter().map(rules).collect()
}

/// The steepest slopes of all rows.
pub(crate) fn steepest<F: Real>(rules: &[RowRules<F>]) -> Slopes {
    let largest = |slope: fn(&RowRules<F>) -> F| {
        // NaN if there is one.
        let slopes = rules.iter().map(|rules| slope(rules).abs().to_double());
        slopes.fold(0.0, |largest, slope| if slope <= largest { largest } else { slope })
    };
    Slopes {
        target: if rules.is_empty() { 1.0 } else { largest(|rules| rules.target.slope) },
        others: largest(|rules| rules.others.map_or(F::one(), |others| others.steepest())).max(1.0),
        norm: largest(|rules| rules.target.slope_of_norm),
        penalty: largest(|rules| rules.penalty.slope),
    }
}
