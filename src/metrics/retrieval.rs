//! Retrieval: each row searches among all others by cosine similarity, and finds its class or does not.
//!
//! Definitions are those of pytorch-metric-learning's `AccuracyCalculator` (Musgrave, Belongie & Lim 2020, arXiv 2003.08505). Rows
//! whose class has no other row have nothing to find and take no part as queries; nor do rows labelled [`IGNORE_LABEL`], which
//! are references that are never right. Of equally similar rows the one with the lower number comes first.

use super::neighbours::{Neighbour, map_nearest};
use super::similarity::unit_rows;
use crate::ops::IGNORE_LABEL;
use crate::wording::counted;
use crate::{Error, Real, Result};
use ndarray::{ArrayView1, ArrayView2};
use std::collections::HashMap;

/// How well rows of a class find each other.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Retrieval {
    /// Rows that took part as queries.
    pub queries: usize,
    /// Recall@k: the share of queries with a row of their class among the k nearest. Recall@1 is precision at 1.
    pub recall: Vec<RecallAt>,
    /// With R other rows in a query's class: the share of the R nearest that are of it, averaged over queries.
    pub r_precision: f64,
    /// MAP@R: `1/R Σ_{i=1..R} P(i) [the i-th is right]`, P(i) the share of right ones among the first i; averaged over queries. The
    /// order counts, too.
    pub map_at_r: f64,
}

/// Recall@k.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RecallAt {
    /// Neighbours looked at.
    pub k: usize,
    /// The share of queries that found their class.
    pub recall: f64,
}

/// Measures embeddings (N, D), of any length but zero, with labels (N,); Recall@k for each of `ks`.
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::NotDefined`] where no class has two rows.
pub fn retrieval<F: Real>(embeddings: ArrayView2<F>, labels: ArrayView1<i64>, ks: &[usize]) -> Result<Retrieval> {
    retrieval_of_unit(unit_rows("embeddings", embeddings, labels)?.view(), labels, ks)
}

/// [`retrieval`] of unit rows.
pub(super) fn retrieval_of_unit<F: Real>(
    unit: ArrayView2<F>,
    labels: ArrayView1<i64>,
    ks: &[usize],
) -> Result<Retrieval> {
    let labels = labels.to_vec();
    let others = others_in_class(&labels);
    let largest_k = ks.iter().copied().max().unwrap_or(1);
    let most = labels.len() - 1;
    let wanted: Vec<usize> =
        others.iter().map(|&others| if others == 0 { 0 } else { others.max(largest_k).min(most) }).collect();
    let of_queries = map_nearest(unit, &wanted, |row, neighbours| {
        OfQuery::new(
            neighbours.iter().map(|&(_, other): &Neighbour<F>| labels[other as usize] == labels[row]),
            others[row],
        )
    });
    if of_queries.is_empty() {
        return Err(Error::NotDefined {
            what: "retrieval",
            found: format!("{} without two of one class", counted(labels.len(), "row")),
            expected: "a class with two rows at least",
        });
    }
    let queries = of_queries.len() as f64;
    let mean = |value: fn(&OfQuery) -> f64| of_queries.iter().map(value).sum::<f64>() / queries;
    let recall = |&k: &usize| {
        let found = of_queries.iter().filter(|query| query.first_right.is_some_and(|rank| rank < k)).count();
        RecallAt { k, recall: found as f64 / queries }
    };
    Ok(Retrieval {
        queries: of_queries.len(),
        recall: ks.iter().map(recall).collect(),
        r_precision: mean(|query| query.r_precision),
        map_at_r: mean(|query| query.map_at_r),
    })
}

struct OfQuery {
    /// How many neighbours are nearer than the first of the right class.
    first_right: Option<usize>,
    r_precision: f64,
    map_at_r: f64,
}

impl OfQuery {
    /// `right`: whether each neighbour is of the query's class, the nearest first; `others` = R.
    fn new(right: impl Iterator<Item = bool>, others: usize) -> Self {
        let (mut first_right, mut found, mut precisions) = (None, 0, 0.0);
        for (rank, right) in right.enumerate() {
            if !right {
                continue;
            }
            first_right = first_right.or(Some(rank));
            if rank < others {
                found += 1;
                precisions += f64::from(found) / (rank + 1) as f64;
            }
        }
        let others = others as f64;
        Self { first_right, r_precision: f64::from(found) / others, map_at_r: precisions / others }
    }
}

/// For each row how many others have its label; none for rows without.
fn others_in_class(labels: &[i64]) -> Vec<usize> {
    let mut counts = HashMap::new();
    labels.iter().for_each(|&label| *counts.entry(label).or_insert(0) += 1);
    labels.iter().map(|label| if *label == IGNORE_LABEL { 0 } else { counts[label] - 1 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn measures_by_hand() {
        // Neighbours, the nearest first: row 0 finds 1 2 3 4, row 1 finds 0 2 3 4, row 2 finds 1 3 0 4, row 3 finds 2 1 4 0.
        let embeddings = ndarray::Array2::from_shape_fn((5, 2), |(row, column)| {
            let (sin, cos) = [0f64, 10.0, 27.0, 50.0, 95.0][row].to_radians().sin_cos();
            [cos, sin][column] * (row + 1) as f64
        });
        let labels = array![0, 1, 0, 0, IGNORE_LABEL];
        let found = retrieval(embeddings.view(), labels.view(), &[1, 2, 9]).expect("a class of three rows");
        // Of rows 0, 2, 3, each with R = 2: right are the 2nd and 3rd, the 2nd and 3rd, the 1st and 4th.
        assert_eq!(found.queries, 3);
        let recall = |k, recall| RecallAt { k, recall };
        assert_eq!(found.recall, [recall(1, 1.0 / 3.0), recall(2, 1.0), recall(9, 1.0)]);
        assert!((found.r_precision - 0.5).abs() < 1e-15, "{}", found.r_precision);
        assert!((found.map_at_r - (0.25 + 0.25 + 0.5) / 3.0).abs() < 1e-15, "{}", found.map_at_r);
    }

    #[test]
    fn classes_of_one_row_cannot_be_measured() {
        let embeddings = array![[1.0f32, 0.0], [0.0, 1.0]];
        let error = retrieval(embeddings.view(), array![0, 1].view(), &[1]).expect_err("nothing to find").to_string();
        assert_eq!(
            error,
            "retrieval of 2 rows without two of one class is not defined; expected a class with two rows at least"
        );
    }
}
