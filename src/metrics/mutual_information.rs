//! Normalised mutual information of two partitions of the same rows.

use std::collections::HashMap;
use std::hash::Hash;

/// `2 I(a, b) / (H(a) + H(b))`, scikit-learn's `normalized_mutual_info_score`: 1 for the same partition, 0 for independent ones. Two
/// partitions of a single part each are the same.
///
/// # Panics
/// Where one is longer than the other.
pub fn normalized_mutual_information<A: Hash + Eq + Copy, B: Hash + Eq + Copy>(a: &[A], b: &[B]) -> f64 {
    assert_eq!(a.len(), b.len(), "both are of the same rows");
    let rows = a.len() as f64;
    let both = counts(a.iter().copied().zip(b.iter().copied()));
    let (of_a, of_b) = (counts(a.iter().copied()), counts(b.iter().copied()));
    if of_a.len() <= 1 && of_b.len() <= 1 {
        return 1.0;
    }
    let entropy = |counts: &mut dyn Iterator<Item = usize>| -> f64 {
        counts.map(|count| count as f64 / rows).map(|share| -share * share.ln()).sum()
    };
    let entropies = entropy(&mut of_a.values().copied()) + entropy(&mut of_b.values().copied());
    let information = entropies - entropy(&mut both.values().copied());
    (2.0 * information / entropies).clamp(0.0, 1.0)
}

fn counts<T: Hash + Eq>(values: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0) += 1);
    counts
}
