//! A head on sampled classes.

use crate::heads::{Geometry, Logit, Loss, OthersRule, Penalty, Row, Scale, StateValue};
use crate::{Head, Real, Result};

/// A head whose rows are of sampled classes, counted as in the sample: its rules are asked of the classes that those are.
pub(super) struct HeadOfSample<'a, H> {
    pub head: &'a H,
    /// The sampled classes, in their order.
    pub classes: &'a [usize],
}

impl<H> HeadOfSample<'_, H> {
    fn row<F: Real>(&self, row: &Row<F>) -> Row<F> {
        Row { class: self.classes[row.class], ..*row }
    }
}

impl<H: Head> Head for HeadOfSample<'_, H> {
    fn name(&self) -> &'static str {
        self.head.name()
    }

    fn check(&self, classes: usize) -> Result<()> {
        self.head.check(classes)
    }

    fn scale(&self) -> Scale {
        self.head.scale()
    }

    fn geometry(&self) -> Geometry {
        self.head.geometry()
    }

    fn loss(&self) -> Loss {
        self.head.loss()
    }

    fn centres(&self) -> usize {
        self.head.centres()
    }

    fn centre_temperature(&self) -> Option<f64> {
        self.head.centre_temperature()
    }

    fn state(&self) -> &'static [StateValue] {
        self.head.state()
    }

    fn observe<F: Real>(&self, rows: &mut [Row<F>], state: &mut [f64]) {
        let mut observed: Vec<_> = rows.iter().map(|row| self.row(row)).collect();
        self.head.observe(&mut observed, state);
        rows.iter_mut().zip(observed).for_each(|(row, observed)| row.number = observed.number);
    }

    fn target<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Logit<F> {
        self.head.target(&self.row(row), state)
    }

    fn others<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Option<OthersRule<F>> {
        self.head.others(&self.row(row), state)
    }

    fn penalty<F: Real>(&self, norm: F) -> Penalty<F> {
        self.head.penalty(norm)
    }
}
