//! Heads from outside the crate that are wrong: an error that names what is, the same from both engines, and parameters as they were.

use super::case::moments;
use super::streaming::{kernel, pool};
use arcos::heads::{Geometry, Logit, OthersRule, Penalty, Row, Scale};
use arcos::optim::{Optimizer, Sgd};
use arcos::streaming::{GradientFilter, Update};
use arcos::{Head, Parameters, Real, Result};
use ndarray::{Array1, Array2, array};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nothing,
    State,
    Target(f64),
    Slope(f64),
    SlopeOfNorm,
    Others(f64),
    SlopeOfOthers(f64),
    Penalty,
    SlopeOfPenalty,
}

/// A head whose rules are at fault in all rows but those of class 2.
#[derive(Clone, Copy, Debug)]
struct Faulty {
    fault: Fault,
    scale: Scale,
    geometry: Geometry,
    centres: usize,
    state: &'static [(&'static str, f64)],
}

const SOUND: Faulty = Faulty {
    fault: Fault::Nothing,
    scale: Scale::Fixed(8.0),
    geometry: Geometry::Sphere,
    centres: 1,
    state: &[("t", 0.0)],
};

impl Head for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn centres(&self) -> usize {
        self.centres
    }

    fn state(&self) -> &'static [(&'static str, f64)] {
        self.state
    }

    fn observe<F: Real>(&self, _: &[Row<F>], state: &mut [f64]) {
        if self.fault == Fault::State {
            state[0] = f64::NAN;
        }
    }

    fn target<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Logit<F> {
        let plain = Logit::plain(row);
        match self.fault {
            _ if row.class == 2 => plain,
            Fault::Target(value) => Logit { value: F::of(value), ..plain },
            Fault::Slope(slope) => Logit { slope: F::of(slope), ..plain },
            Fault::SlopeOfNorm => Logit { slope_of_norm: F::nan(), ..plain },
            _ => plain,
        }
    }

    fn others<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Option<OthersRule<F>> {
        let (zero, one) = (F::zero(), F::one());
        let plain = OthersRule { threshold: F::of(0.1), value: [zero, one, zero], slope: [one, zero] };
        match self.fault {
            _ if row.class == 2 => None,
            Fault::Others(value) => Some(OthersRule { value: [F::of(value), zero, zero], ..plain }),
            Fault::SlopeOfOthers(slope) => Some(OthersRule { slope: [F::of(slope), zero], ..plain }),
            _ => None,
        }
    }

    fn penalty<F: Real>(&self, norm: F) -> Penalty<F> {
        match self.fault {
            // The row of class 2 is the longest.
            _ if norm > F::of(2.0) => Penalty::default(),
            Fault::Penalty => Penalty { value: F::nan(), slope: F::zero() },
            Fault::SlopeOfPenalty => Penalty { value: F::zero(), slope: F::nan() },
            _ => Penalty::default(),
        }
    }
}

/// Labels are 3, 0, 2; of the first row the cosine to class 1 alone is above the threshold.
fn batch() -> (Array2<f64>, Array2<f64>, Array1<i64>) {
    let weights = array![[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, -1.0]];
    (array![[-0.2, 1.0], [0.6, 0.8], [-3.0, 0.1]], weights, array![3, 0, 2])
}

/// What both engines say of a head, which is the same.
fn error_of(head: &Faulty, parameters: &Parameters<f64>) -> String {
    let (features, _, labels) = batch();
    let explicit = head.forward(features.view(), parameters, labels.view()).expect_err("a faulty head").to_string();
    let run = || kernel(0, GradientFilter::Off).forward_backward(head, features.view(), parameters, labels.view());
    let streamed = pool(1).install(run).expect_err("a faulty head").to_string();
    assert_eq!(explicit, streamed, "{head:?}");
    explicit
}

/// A training step without gradients of features, and the parameters after it.
fn step(head: &Faulty, parameters: &Parameters<f64>) -> (Result<()>, Parameters<f64>) {
    let (features, _, labels) = batch();
    let mut after = parameters.clone();
    let optimizer = Optimizer::Sgd(Sgd::default());
    let mut moments = moments(&optimizer, head, parameters);
    let update = Update { optimizer: &optimizer, moments: &mut moments, step: 1, learning_rate: 0.1, d_features: None };
    let step = kernel(0, GradientFilter::Off).train_step(head, features.view(), &mut after, labels.view(), update);
    (step.map(|_| ()), after)
}

#[test]
fn rules_that_give_no_numbers_are_errors_that_say_where() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let loss = "the loss is NaN; expected a finite number";
    let features = "the gradient of features may reach";
    for (fault, expected, of_step) in [
        (Fault::State, "t is NaN; expected a finite number, once faulty has observed a batch", "t is NaN"),
        (Fault::Target(nan), "logits[0, 3] is NaN; expected a finite number", "logits[0, 3] is NaN"),
        (Fault::Target(inf), "logits[0, 3] is inf; expected a finite number", "logits[0, 3] is inf"),
        (Fault::Others(nan), "logits[0, 1] is NaN; expected a finite number", "logits[0, 1] is NaN"),
        (Fault::Others(inf), "logits[0, 1] is inf; expected a finite number", "logits[0, 1] is inf"),
        (Fault::Others(1e308), "logits[0, 1] is inf; expected a finite number", "logits[0, 1] is inf"),
        (Fault::Slope(nan), features, "the gradient of weights may reach NaN"),
        (Fault::Slope(inf), features, "the gradient of weights may reach inf"),
        (Fault::SlopeOfOthers(nan), features, "the gradient of weights may reach NaN"),
        (Fault::SlopeOfOthers(1e308), features, "the gradient of weights may reach inf"),
        // Without the gradient of features these are never used.
        (Fault::SlopeOfNorm, features, ""),
        (Fault::SlopeOfPenalty, features, ""),
        (Fault::Penalty, loss, loss),
    ] {
        for scale in [Scale::Fixed(8.0), Scale::AdaCos { max: None }] {
            let head = Faulty { fault, scale, ..SOUND };
            let parameters = head.initial_parameters(batch().1).expect("four classes");
            let found = error_of(&head, &parameters);
            let of_scale = matches!((scale, fault), (Scale::AdaCos { .. }, Fault::Others(_)));
            let adacos = "faulty: AdaCos's new scale is";
            assert!(found.starts_with(if of_scale { adacos } else { expected }), "{head:?}: {found}");
            let (result, after) = step(&head, &parameters);
            let found = result.map_or_else(|error| error.to_string(), |()| String::new());
            assert!(found.starts_with(if of_scale { adacos } else { of_step }), "{head:?}: {found}");
            assert_eq!(found.is_empty(), of_step.is_empty(), "{head:?}: {found}");
            assert!(after == parameters || found.is_empty(), "{head:?}: parameters are changed");
            assert!(after.weights.iter().all(|weight| weight.is_finite()), "{head:?}");
        }
    }
    let parameters = SOUND.initial_parameters(batch().1).expect("four classes");
    assert!(step(&SOUND, &parameters).0.is_ok());
}
