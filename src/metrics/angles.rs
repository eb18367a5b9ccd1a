//! How many angles fall in each degree.

/// Counts of angles from 0° to 180°, a degree a bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Vec<u64>", into = "Vec<u64>")
)]
pub struct AngleHistogram {
    /// Bin d holds angles from d to below d + 1 degrees; 180° is in the last.
    pub counts: [u64; 180],
}

impl From<AngleHistogram> for Vec<u64> {
    fn from(histogram: AngleHistogram) -> Self {
        histogram.counts.to_vec()
    }
}

impl TryFrom<Vec<u64>> for AngleHistogram {
    type Error = String;

    fn try_from(counts: Vec<u64>) -> Result<Self, String> {
        let counts = counts.try_into().map_err(|counts: Vec<u64>| format!("{} counts, not 180", counts.len()))?;
        Ok(Self { counts })
    }
}

impl Default for AngleHistogram {
    fn default() -> Self {
        Self { counts: [0; 180] }
    }
}

impl AngleHistogram {
    /// Counts an angle in radians.
    pub fn add(&mut self, theta: f64) {
        self.add_many(theta, 1);
    }

    /// Counts an angle in radians so many times.
    pub fn add_many(&mut self, theta: f64, times: u64) {
        let degree = (theta.to_degrees() as usize).min(179);
        self.counts[degree] += times;
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, other)| *count = count.saturating_add(other));
    }

    /// Angles counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |total, &count| total.saturating_add(count))
    }

    /// The share of all angles that a degree holds, in steps of `width` degrees, at least 1: the middle of each step, from the first that holds an
    /// angle to the last.
    pub fn shares(&self, width: usize) -> Vec<(f64, f64)> {
        let width = width.max(1);
        let sums: Vec<u64> = self
            .counts
            .chunks(width)
            .map(|counts| counts.iter().fold(0u64, |sum, &count| sum.saturating_add(count)))
            .collect();
        let (Some(first), Some(last)) = (sums.iter().position(|&sum| sum > 0), sums.iter().rposition(|&sum| sum > 0))
        else {
            return Vec::new();
        };
        let angles_a_share = self.total() as f64 * width as f64;
        let middle = |step: usize| (step as f64 + 0.5) * width as f64;
        (first..=last).map(|step| (middle(step), sums[step] as f64 / angles_a_share)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn every_angle_has_a_bin() {
        let mut histogram = AngleHistogram::default();
        [0.0, 0.6f64.to_radians(), 2.5f64.to_radians(), PI].into_iter().for_each(|theta| histogram.add(theta));
        assert_eq!((histogram.counts[0], histogram.counts[2], histogram.counts[179]), (2, 1, 1));
        let shares = histogram.shares(1);
        assert_eq!((shares.len(), shares[0], shares[1], shares[179]), (180, (0.5, 0.5), (1.5, 0.0), (179.5, 0.25)));
        assert_eq!(histogram.shares(3)[..2], [(1.5, 0.25), (4.5, 0.0)]);
        assert_eq!(AngleHistogram::default().shares(1), []);
        let mut one = AngleHistogram::default();
        one.add(1.0);
        assert_eq!(one.shares(1), [(57.5, 1.0)]);
    }
}
