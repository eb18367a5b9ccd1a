//! What models say of rows that they were not trained on: cross-validation, row by row.

use super::{StoredHead, TrainConfig, Trainer};
use crate::data::{Dataset, stratified_folds};
use crate::metrics::confident_learning::OutOfSample;
use crate::ops::IGNORE_LABEL;
use crate::{Error, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Probabilities of every labelled row of raw features, by a model that was trained on the rows of the other folds: softmax of the inference logits at the temperature that
/// suits the held-out rows, or at 1 where there is none. Folds are stratified and drawn by the seed of `config`, whose patience has no part. `on_epoch` is called after each epoch of each fold.
///
/// # Errors
/// [`Error::Setting`] for a number of folds that there cannot be; what is wrong with the configuration or the data.
pub fn out_of_sample<H: StoredHead>(
    config: &TrainConfig<H>,
    data: &Dataset,
    folds: usize,
    mut on_epoch: impl FnMut(),
) -> Result<Vec<OutOfSample>> {
    // There are no rows by which an epoch could be better than another.
    let config = TrainConfig { patience: None, ..config.clone() };
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let fold_of_row = stratified_folds(data.labels.view(), folds, &mut rng)?;
    let mut found = Vec::with_capacity(data.rows());
    for fold in 0..folds {
        let is_inside = |row: &usize| fold_of_row[*row] == fold && data.labels[*row] != IGNORE_LABEL;
        let (inside, outside): (Vec<usize>, Vec<usize>) = (0..data.rows()).partition(is_inside);
        let mut trainer = Trainer::new(config.clone(), data.select_rows(&outside)?, None)?;
        while !trainer.is_done() {
            trainer.run_epoch(|_| ())?;
            on_epoch();
        }
        let held_out = data.select_rows(&inside)?;
        let model = trainer.model();
        let temperature = match model.fit_temperature(&held_out) {
            Err(Error::NotDefined { .. }) => 1.0,
            fitted => fitted?,
        };
        let mut rows = inside.into_iter();
        model.for_labelled_sums(&held_out, temperature, |sums| {
            found.push(OutOfSample {
                row: rows.next().expect("a labelled row for each"),
                label: sums.label,
                of_label: (sums.beta * (sums.of_label - sums.largest)).exp() / sums.sum,
                predicted: sums.predicted,
                of_predicted: 1.0 / sums.sum,
            });
        })?;
    }
    found.sort_by_key(|of_row| of_row.row);
    Ok(found)
}
