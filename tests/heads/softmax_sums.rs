//! Sums over logits that are never all in memory: those of all logits, for every head and any number of threads.

use super::case::choice_factor;
use super::streaming::{large_case, pool};
use arcos::Head;
use arcos::heads::Softmax;
use arcos::ops::{IGNORE_LABEL, SoftmaxSums};
use arcos::streaming::Streaming;
use ndarray::{Array1, array};
use proptest::prelude::*;

proptest! {
    #[test]
    fn equal_those_of_all_logits(
        case in large_case(), beta in prop_oneof![Just(0.0), Just(1.0), 0.2..4.0], threads in 1usize..=3,
    ) {
        let arrays = case.build();
        let logits = arrays.head.logits(arrays.features.view(), &arrays.parameters).expect("a good case");
        let labels = Array1::from_shape_fn(logits.nrows(), |row| match row % 5 {
            4 => IGNORE_LABEL,
            _ => (7 * row % case.classes) as i64,
        });
        let sums = || {
            Streaming::default().softmax_sums(&arrays.head, arrays.features.view(), &arrays.parameters, labels.view(), beta)
        };
        let found = pool(threads).install(sums).expect("a good case");
        let labelled = labels.iter().enumerate().filter(|&(_, &label)| label != IGNORE_LABEL);
        let expected: Vec<_> =
            labelled.map(|(row, &label)| SoftmaxSums::new(logits.row(row), label as usize, beta)).collect();
        prop_assert_eq!(found.len(), expected.len());
        let size = 1.0 + logits.fold(0.0, |largest: f64, logit| largest.max(logit.abs()));
        let tolerance = (64.0 + case.dimension as f64) * size * choice_factor(&arrays.head) * f64::EPSILON;
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert_eq!((found.label, found.beta), (expected.label, expected.beta));
            let below = |sums: &SoftmaxSums| sums.of_label - sums.largest;
            prop_assert!((below(found) - below(expected)).abs() <= 2.0 * tolerance);
            // Of the derivatives by a logit, β e, none is larger than these.
            let bound = (1.0 + beta) * 2.0 * tolerance * expected.sum;
            let spread = 1.0 + beta * expected.first.abs() / expected.sum + expected.second.sqrt();
            for (found, expected, factor) in [
                (found.sum, expected.sum, 1.0),
                (found.squares, expected.squares, 2.0),
                (found.first, expected.first, spread),
                (found.second, expected.second, 2.0 * spread * spread),
            ] {
                prop_assert!((found - expected).abs() <= factor * bound, "{found} is not {expected}");
            }
        }
    }
}

#[test]
fn logits_that_are_too_large_are_refused() {
    let head = Softmax::default();
    let parameters = head.initial_parameters(array![[1.0f32, 1e20], [0.0, 1e20], [0.0, 1.0]]).expect("a good shape");
    let features = array![[1.0f32, 0.0], [1.0, 1e20]];
    let refused = Streaming::default().softmax_sums(&head, features.view(), &parameters, array![0, 1].view(), 1.0);
    assert!(matches!(refused, Err(arcos::Error::NotFinite { what: "logits", row: 1, column: 0, .. })), "{refused:?}");
}
