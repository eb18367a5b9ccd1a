//! Normalised mutual information of two partitions of the same rows.

use crate::{Error, Result};
use std::collections::BTreeMap;

/// `2 I(a, b) / (H(a) + H(b))`, scikit-learn's `normalized_mutual_info_score`: 1 for the same partition, 0 for independent ones. Two
/// partitions of a single part each are the same.
///
/// # Errors
/// [`Error::Shape`] where one is longer than the other.
pub fn normalized_mutual_information<A: Ord + Copy, B: Ord + Copy>(a: &[A], b: &[B]) -> Result<f64> {
    if a.len() != b.len() {
        let expected = format!("({},), a part for each row", a.len());
        return Err(Error::Shape { what: "the second partition", found: vec![b.len()], expected });
    }
    let rows = a.len() as f64;
    let both = counts(a.iter().copied().zip(b.iter().copied()));
    let (of_a, of_b) = (counts(a.iter().copied()), counts(b.iter().copied()));
    if of_a.len() <= 1 && of_b.len() <= 1 {
        return Ok(1.0);
    }
    // In the order of parts, so that the same partitions give the same bits.
    let entropy = |counts: &[usize]| -> f64 {
        counts.iter().map(|&count| count as f64 / rows).map(|share| -share * share.ln()).sum()
    };
    let entropies = entropy(&of_a) + entropy(&of_b);
    let information = entropies - entropy(&both);
    Ok((2.0 * information / entropies).clamp(0.0, 1.0))
}

fn counts<T: Ord>(values: impl Iterator<Item = T>) -> Vec<usize> {
    let mut counts = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0) += 1);
    counts.into_values().collect()
}
