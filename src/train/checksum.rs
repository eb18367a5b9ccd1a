//! CRC-32C of tensors, descriptions and data: Castagnoli's polynomial, as in TensorBoard's records.
//!
//! A flipped bit, or any damage within 32 bits, always changes it, however long the data are; other damage passes once in 2³². The
//! processor computes it faster than a disk reads, which a cryptographic hash of gigabytes would not be; nobody who forges a file is kept out.

use super::model::ROWS_AT_A_TIME;
use crate::data::Dataset;
use crate::wording::counted;
use crate::{Error, Result};
use crc32c::crc32c_append;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Data sets of more bytes than this are told apart by as many bytes of rows at equal distances.
const MOST_BYTES: usize = 64 << 20;

/// What tells a data set from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataChecksum {
    /// N
    pub rows: usize,
    /// D
    pub dimension: usize,
    /// CRC-32C of the features; of more than 64 MiB, of rows at equal distances.
    pub features: u32,
    /// CRC-32C of the labels.
    pub labels: u32,
    /// CRC-32C of the weights of rows, if they have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_weights: Option<u32>,
}

impl DataChecksum {
    /// Of features as they are given to training, before the transform.
    ///
    /// # Errors
    /// Those of [`FeatureRows::all`](crate::data::FeatureRows::all).
    pub fn new(data: &Dataset) -> Result<Self> {
        let features = data.features.rows();
        let (rows, dimension) = features.dim();
        let distance = rows.div_ceil((MOST_BYTES / size_of::<f32>() / dimension).max(1)).max(1);
        let chosen: Vec<usize> = (0..rows).step_by(distance).collect();
        let features = chosen.chunks(ROWS_AT_A_TIME).try_fold(0, |crc, rows| {
            let rows = features.select(rows)?;
            Ok::<_, Error>(crc32c_append(crc, &little_endian(rows.as_slice().expect("in C order"))))
        })?;
        let labels = data.labels.iter().fold(0, |crc, label| crc32c_append(crc, &label.to_le_bytes()));
        let sample_weights = data
            .sample_weights()
            .map(|weights| weights.iter().fold(0, |crc, weight| crc32c_append(crc, &weight.to_le_bytes())));
        Ok(Self { rows, dimension, features, labels, sample_weights })
    }

    /// In what `self` is not `expected`, of the `what` set of a run.
    pub(super) fn differences(&self, expected: &Self, what: &str) -> Vec<String> {
        let shape = |of: &Self| (of.rows, of.dimension);
        if shape(self) != shape(expected) {
            let [found, expected] = [self, expected]
                .map(|of| format!("{} of {}", counted(of.rows, "row"), counted(of.dimension, "dimension")));
            return vec![format!("the {what} set has {found}, the run's {expected}")];
        }
        let differ = [
            ("features", self.features != expected.features),
            ("labels", self.labels != expected.labels),
            ("sample weights", self.sample_weights != expected.sample_weights),
        ];
        differ
            .into_iter()
            .filter(|&(_, differ)| differ)
            .map(|(part, _)| format!("the {what} {part} are others"))
            .collect()
    }
}

/// The bytes of numbers in memory or in a file, the same on any machine.
pub(super) fn little_endian(values: &[f32]) -> Cow<'_, [u8]> {
    match cfg!(target_endian = "little") {
        true => Cow::Borrowed(bytemuck::cast_slice(values)),
        false => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}
