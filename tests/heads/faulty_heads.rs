//! Heads from outside the crate that are wrong: an error that names what is, the same from both engines, and parameters as they were.

use super::case::{moments, with_vector};
use super::streaming::{kernel, pool};
use arcos::heads::{Geometry, Logit, OthersRule, Penalty, Row, Scale, StateValue};
use arcos::optim::{Optimizer, Sgd};
use arcos::streaming::{GradientFilter, Update};
use arcos::{Error, Head, Parameters, Real, Result};
use ndarray::{Array1, Array2, array};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nothing,
    State,
    Target(f64),
    Slope(f64),
    SlopeOfNorm,
    SlopeOfWeightNorm,
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
    state: &'static [StateValue],
}

const SOUND: Faulty = Faulty {
    fault: Fault::Nothing,
    scale: Scale::Fixed(8.0),
    geometry: Geometry::Sphere,
    centres: 1,
    state: &[StateValue::new("t", 0.0)],
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

    fn state(&self) -> &'static [StateValue] {
        self.state
    }

    fn observe<F: Real>(&self, _: &mut [Row<F>], state: &mut [f64]) {
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
            Fault::SlopeOfWeightNorm => Logit { slope_of_weight_norm: F::nan(), ..plain },
            _ => plain,
        }
    }

    fn others<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Option<OthersRule<F>> {
        let (zero, one) = (F::zero(), F::one());
        let plain = OthersRule {
            threshold: F::of(0.1),
            zero_below: false,
            value: [zero, one, zero, zero],
            slope: [one, zero, zero],
        };
        match self.fault {
            _ if row.class == 2 => None,
            Fault::Others(value) => Some(OthersRule { value: [F::of(value), zero, zero, zero], ..plain }),
            Fault::SlopeOfOthers(slope) => Some(OthersRule { slope: [F::of(slope), zero, zero], ..plain }),
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
        (Fault::SlopeOfWeightNorm, "the gradient of weights may reach NaN", "the gradient of weights may reach NaN"),
        (Fault::Penalty, loss, loss),
    ] {
        for scale in [Scale::Fixed(8.0), Scale::AdaCos { max: None }] {
            let head = Faulty { fault, scale, ..SOUND };
            let parameters = head.initial_parameters(batch().1).expect("four classes");
            let found = error_of(&head, &parameters);
            assert!(found.starts_with(expected), "{head:?}: {found}");
            let (result, after) = step(&head, &parameters);
            let found = result.map_or_else(|error| error.to_string(), |()| String::new());
            assert!(found.starts_with(of_step), "{head:?}: {found}");
            assert_eq!(found.is_empty(), of_step.is_empty(), "{head:?}: {found}");
            assert!(after == parameters || found.is_empty(), "{head:?}: parameters are changed");
            assert!(after.weights.iter().all(|weight| weight.is_finite()), "{head:?}");
        }
    }
    let parameters = SOUND.initial_parameters(batch().1).expect("four classes");
    assert!(step(&SOUND, &parameters).0.is_ok());
}

#[test]
fn heads_whose_parts_do_not_go_together_are_refused() {
    let adacos = Scale::AdaCos { max: None };
    for (head, expected) in [
        (
            Faulty { scale: adacos, geometry: Geometry::Plain, ..SOUND },
            "faulty has a scale that follows the batch; expected features and class vectors divided by their norms: it \
             follows from cosines",
        ),
        (
            Faulty { scale: adacos, geometry: Geometry::UnitFeatures, ..SOUND },
            "faulty has a scale that follows the batch; expected features and class vectors divided by their norms: it \
             follows from cosines",
        ),
        (
            Faulty { scale: adacos, state: const { &[StateValue::new("scale", 1.0)] }, ..SOUND },
            "faulty has a state called scale; expected another name: the scale that follows the batch has this one",
        ),
        (Faulty { centres: 0, ..SOUND }, "faulty has no centre for a class; expected at least one"),
    ] {
        let initial = head.initial_parameters(batch().1).expect_err("a faulty head");
        assert!(matches!(initial, Error::Head { head: "faulty", .. }));
        assert_eq!(initial.to_string(), expected);
        let parameters = with_vector(Parameters::from(batch().1), "bias", Array1::zeros(4));
        assert_eq!(error_of(&head, &parameters), expected);
        assert!(parameters.classes(&head) <= 4);
    }
    let by_itself = Faulty { state: const { &[StateValue::new("scale", 1.0)] }, ..SOUND };
    assert!(by_itself.initial_parameters(batch().1).is_ok());
}

#[test]
fn a_learned_scale_is_one_number() {
    for (scale, name) in [(Scale::LEARNED, "log_scale"), (Scale::Alpha { start: 5.0, learned: true }, "alpha")] {
        let head = Faulty { scale, ..SOUND };
        let parameters = head.initial_parameters(batch().1).expect("four classes");
        for (vector, shape) in [(array![1.0, 2.0], "[2]"), (array![], "[0]")] {
            let found = error_of(&head, &with_vector(parameters.clone(), name, vector));
            assert_eq!(found, format!("{name} has shape {shape}; expected (1,), the scale"));
        }
        let found = error_of(&head, &with_vector(parameters, name, array![f64::NAN]));
        let name = if name == "alpha" { "alpha" } else { "scale" };
        assert_eq!(found, format!("faulty: {name} is NaN; expected a positive number of at most 1e9"));
    }
}

#[test]
fn a_vector_that_is_not_the_heads_stays_as_it_is() {
    let (features, weights, labels) = batch();
    let head = Faulty { scale: Scale::LEARNED, ..SOUND };
    let parameters = head.initial_parameters(weights).expect("four classes");
    // Before and after `log_scale` in the order of names.
    let parameters = with_vector(with_vector(parameters, "bias", array![1.0, 2.0]), "width", array![3.0]);
    assert_eq!(parameters.trained(&head), [("weights", 8), ("log_scale", 1)]);
    let (result, after) = step(&head, &parameters);
    assert!(result.is_ok());
    assert_ne!(after.vectors["log_scale"], parameters.vectors["log_scale"]);
    for name in ["bias", "width"] {
        assert_eq!(after.vectors[name], parameters.vectors[name]);
    }
    let (_, cache) = head.forward(features.view(), &parameters, labels.view()).expect("a good batch");
    let gradients = head.backward(cache);
    assert_eq!(parameters.clone().trained_mut(&head, &gradients).len(), 2);
}
