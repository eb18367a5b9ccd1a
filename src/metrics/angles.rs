//! How many angles fall in each degree.

/// Counts of angles from 0° to 180°, a degree a bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AngleHistogram {
    /// Bin d holds angles from d to below d + 1 degrees; 180° is in the last.
    pub counts: [u64; 180],
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
        self.counts.iter_mut().zip(other.counts).for_each(|(count, other)| *count += other);
    }

    /// Angles counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The middle of each bin in degrees, and the share of all angles in it, from the first bin that holds some to the last.
    pub fn shares(&self) -> Vec<(f64, f64)> {
        let total = self.total().max(1) as f64;
        let used = |&(_, &count): &(usize, &u64)| count > 0;
        let mut bins = self.counts.iter().enumerate();
        let (first, last) = (bins.find(used), bins.rfind(used));
        let Some((first, _)) = first else { return Vec::new() };
        let last = last.map_or(first, |(last, _)| last);
        (first..=last).map(|degree| (degree as f64 + 0.5, self.counts[degree] as f64 / total)).collect()
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
        let shares = histogram.shares();
        assert_eq!((shares.len(), shares[0], shares[1], shares[179]), (180, (0.5, 0.5), (1.5, 0.0), (179.5, 0.25)));
        assert_eq!(AngleHistogram::default().shares(), []);
        let mut one = AngleHistogram::default();
        one.add(1.0);
        assert_eq!(one.shares(), [(57.5, 1.0)]);
    }
}
