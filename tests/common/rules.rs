//! What is to be known of a head on a batch before its losses are compared: found by asking its rules, so that no head is named.

use arcos::Head;
use arcos::Parameters;
use arcos::heads::{Geometry, Logit, Row};
use arcos::ops::{Angle, IGNORE_LABEL, l2_normalize};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use std::f64::consts::{FRAC_PI_2, PI};

/// A head's rules on the labelled rows of a batch, once it has observed them.
pub struct Rules<'a, H> {
    head: &'a H,
    rows: Vec<LabelledRow>,
    state: Vec<f64>,
}

struct LabelledRow {
    row: Row<f64>,
    /// The cosines to the class vectors of other classes: of several centres a class, to the nearest.
    others: Vec<f64>,
    /// By how much the nearest centre of a class is nearer than the next, in radians, at the class where that is least.
    lead: f64,
}

fn unit(what: &'static str, rows: ArrayView2<f64>) -> Array2<f64> {
    l2_normalize::forward(what, rows).expect("rows are not zero").unit
}

/// What stands for the cosine with a class, of those with its centres: the largest, or their mixture.
pub fn class_cosine(head: &impl Head, cosines: impl Iterator<Item = f64>) -> f64 {
    let Some(gamma) = head.centre_temperature() else { return cosines.fold(-1.0, f64::max) };
    let (mut sum, mut weighted) = (0.0, 0.0);
    for cosine in cosines {
        // A cosine is at most 1 but for rounding.
        let weight = ((cosine - 1.0) / gamma).exp();
        sum += weight;
        weighted += weight * cosine;
    }
    weighted / sum
}

impl<'a, H: Head> Rules<'a, H> {
    /// No rows for a head whose rules are not asked.
    pub fn new(head: &'a H, features: &Array2<f64>, parameters: &Parameters<f64>, labels: &Array1<i64>) -> Self {
        let mut state: Vec<_> = head.state().iter().map(|value| parameters.state[value.name]).collect();
        if !head.geometry().has_rules() {
            return Self { head, rows: Vec::new(), state };
        }
        let (x, w) = (unit("features", features.view()), unit("weights", parameters.weights.view()));
        let labelled = labels.iter().enumerate().filter(|(_, label)| **label != IGNORE_LABEL);
        let rows = labelled.enumerate().map(|(number, (row, &label))| {
            let angle = |vector: usize| (Angle::between(x.row(row), w.row(vector)), vector);
            let mut lead = f64::INFINITY;
            let mut nearest = |class: usize| {
                let of_class = class * head.centres()..(class + 1) * head.centres();
                if head.centre_temperature().is_some() {
                    let cos = class_cosine(head, of_class.clone().map(|vector| angle(vector).0.cos));
                    return (Angle { cos, sin: (1.0 - cos * cos).max(0.0).sqrt() }, of_class.start);
                }
                let mut angles: Vec<_> = of_class.map(angle).collect();
                angles.sort_by(|(one, _), (other, _)| one.theta().total_cmp(&other.theta()));
                if let [first, second, ..] = angles[..] {
                    lead = lead.min(second.0.theta() - first.0.theta());
                }
                angles[0]
            };
            let class = label as usize;
            let others = (0..w.nrows() / head.centres()).filter(|&other| other != class);
            let others = others.map(|other| nearest(other).0.cos).collect();
            let (angle, vector) = nearest(class);
            let norm = |row: ArrayView1<f64>| row.dot(&row).sqrt();
            let (norm, weight_norm) = (norm(features.row(row)), norm(parameters.weights.row(vector)));
            LabelledRow { row: Row { angle, norm, weight_norm, class, number }, others, lead }
        });
        let mut rows: Vec<_> = rows.collect();
        let mut observed: Vec<_> = rows.iter().map(|labelled: &LabelledRow| labelled.row).collect();
        head.observe(&mut observed, &mut state);
        rows.iter_mut().zip(observed).for_each(|(labelled, row)| labelled.row = row);
        Self { head, rows, state }
    }

    /// The labelled rows.
    pub fn rows(&self) -> impl Iterator<Item = &Row<f64>> {
        self.rows.iter().map(|labelled| &labelled.row)
    }

    /// What the head says of a row.
    pub fn target(&self, row: &Row<f64>) -> Logit<f64> {
        self.head.target(row, &self.state)
    }

    /// What a target logit is relative to: 1 on the sphere, the product of norms where they multiply it.
    pub fn size(&self, row: &Row<f64>) -> f64 {
        if self.head.geometry() == Geometry::Sphere { 1.0 } else { row.norm * row.weight_norm }
    }

    /// How fast a target logit may change with the angle, over all of them, and with the logarithm of the norm; at least 1.
    pub fn steepest(&self) -> f64 {
        let of_row = |row: &Row<f64>| {
            let at = |step: usize| {
                let theta = PI * step as f64 / 256.0;
                let logit = self.target(&at_angle(row, theta));
                let of_norms =
                    (logit.slope_of_norm * row.norm).abs().max((logit.slope_of_weight_norm * row.weight_norm).abs());
                (logit.slope * theta.sin()).abs().max(of_norms / self.size(row))
            };
            (0..=256).map(at).fold(self.head.penalty(row.norm).slope.abs() * row.norm, f64::max)
        };
        self.rows().map(of_row).fold(1.0, f64::max)
    }

    /// The angle of the row nearest to a pole where the margin function is not linear in the cosine, as it is around a cone; π/2 if there is none
    /// so near.
    pub fn distance_to_cone(&self) -> f64 {
        let steepest = self.steepest();
        let of_row = |row: &Row<f64>| {
            let theta = row.angle.theta();
            let (distance, beside) =
                if theta < FRAC_PI_2 { (theta, 1.01 * theta) } else { (PI - theta, 1.01 * theta - 0.01 * PI) };
            let slope_at = |theta| self.target(&at_angle(row, theta)).slope;
            let is_linear = (slope_at(theta) - slope_at(beside)).abs() <= 1e-9 * steepest * steepest;
            if is_linear { FRAC_PI_2 } else { distance }
        };
        self.rows().map(of_row).fold(FRAC_PI_2, f64::min)
    }

    /// Whether, within this part of where it is, a row or another class comes to where a rule jumps or has a corner: in the angle, in radians, or
    /// in the norm.
    pub fn is_near_kink(&self, distance: f64) -> bool {
        let steepest = self.steepest();
        let of_row = |LabelledRow { row, others, lead }: &LabelledRow| {
            let theta = row.angle.theta();
            let angles = ((theta - distance).max(0.0), (theta + distance).min(PI));
            let norms = (row.norm * (1.0 - distance), row.norm * (1.0 + distance));
            let at_norm = |norm| Row { norm, ..*row };
            let is_on_sphere = self.head.geometry() == Geometry::Sphere;
            let threshold = self.head.others(row, &self.state).filter(|_| is_on_sphere).map(|rule| rule.threshold);
            // The threshold moves with the labelled class, by no more than its margin function.
            let near_threshold = threshold.is_some_and(|threshold| {
                others.iter().any(|cosine| (cosine - threshold).abs() < distance * (1.0 + steepest))
            });
            is_kinked(|theta| self.target(&at_angle(row, theta)).value / self.size(row), angles, steepest)
                || is_kinked(|norm| self.target(&at_norm(norm)).value / self.size(row), norms, steepest / row.norm)
                || is_kinked(|norm| self.head.penalty(norm).value, norms, steepest / row.norm)
                || near_threshold
                || *lead < 2.0 * distance
        };
        self.rows.iter().any(of_row)
    }
}

fn at_angle(row: &Row<f64>, theta: f64) -> Row<f64> {
    Row { angle: Angle { cos: theta.cos(), sin: theta.sin() }, ..*row }
}

/// Whether a function is not smooth between two places, its fourth difference there not that of one as steep as this.
fn is_kinked(function: impl Fn(f64) -> f64, (start, end): (f64, f64), steepest: f64) -> bool {
    // Where a function is odd about a corner, the fourth difference around it is zero: that of a part is not.
    [end, end - 0.3 * (end - start)].into_iter().any(|end| {
        let step = (end - start) / 4.0;
        let values = [0.0, 1.0, 2.0, 3.0, 4.0].map(|number| function(start + number * step));
        let difference = values[0] - 4.0 * values[1] + 6.0 * values[2] - 4.0 * values[3] + values[4];
        let largest = values.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
        difference.abs() > largest * (2.0 * (steepest * step).powi(4)).max(512.0 * f64::EPSILON)
    })
}
