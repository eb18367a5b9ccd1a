//! A head's rules, asked for each labelled row of a batch.

use super::gradient_bound::Slopes;
use super::{Geometry, Head, Logit, Penalty, Row, StateValue};
use crate::ops::OthersRule;
use crate::optim::check_setting;
use crate::{Real, Result};

/// What a head says of one labelled row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowRules<F> {
    pub target: Logit<F>,
    pub others: Option<OthersRule<F>>,
    pub penalty: Penalty<F>,
}

/// The rules for `rows`, once the head has observed them.
///
/// # Errors
/// [`Error::Setting`](crate::Error::Setting) for a state that no later step could take.
pub(crate) fn rules_of<F: Real>(head: &impl Head, rows: &mut [Row<F>], state: &mut [f64]) -> Result<Vec<RowRules<F>>> {
    head.observe(rows, state);
    for (&StateValue { name, .. }, &value) in head.state().iter().zip(&*state) {
        let expected = format!("a finite number, once {} has observed a batch", head.name());
        check_setting(name, value, value.is_finite(), &expected)?;
    }
    let changes_others = head.geometry() == Geometry::Sphere;
    let rules = |row| RowRules {
        target: head.target(row, state),
        others: changes_others.then(|| head.others(row, state)).flatten(),
        penalty: head.penalty(row.norm),
    };
    Ok(rows.iter().map(rules).collect())
}

/// The steepest slopes of all rows, by cosines with the centres of the head if it mixes them.
pub(crate) fn steepest<F: Real>(head: &impl Head, rules: &[RowRules<F>]) -> Slopes {
    // Σ_k |∂S/∂c_k| ≤ 1 + Σ_k q_k |c_k - S| / γ, a mean distance of numbers from -1 to 1.
    let of_centres = head.centre_temperature().map_or(1.0, |gamma| 1.0 + gamma.recip());
    let largest = |least: f64, slope: fn(&RowRules<F>) -> F| {
        // NaN if there is one.
        let slopes = rules.iter().map(|rules| slope(rules).abs().to_double());
        slopes.fold(least, |largest, slope| if largest.is_nan() || slope <= largest { largest } else { slope })
    };
    Slopes {
        target: of_centres * if rules.is_empty() { 1.0 } else { largest(0.0, |rules| rules.target.slope) },
        others: of_centres * largest(1.0, |rules| rules.others.map_or(F::one(), |others| others.steepest())),
        norm: largest(0.0, |rules| rules.target.slope_of_norm),
        weight_norm: largest(0.0, |rules| rules.target.slope_of_weight_norm),
        penalty: largest(0.0, |rules| rules.penalty.slope),
    }
}
