//! Counts of pairs by score. Of more pairs than memory should hold, scores are not kept: bins count them, and where many genuine pairs fall into one
//! bin with many impostors, that bin is divided and its pairs are counted again.
//!
//! A score is a number of units ε, the distance of two numbers next to 1, rounded down: bins as narrow as that tell apart what the scores do.

use super::similarity::TIE;
use crate::Real;

/// Bins to begin with, for cosines from -1 to 1, both of which are the middle of one, as 0 and ±½ are: rounding does not part the cosines of rows
/// that are the same, opposite or at right angles.
pub(super) const BINS: usize = HALF * 2 + 1;
const HALF_BITS: u32 = 17;
const HALF: usize = 1 << HALF_BITS;

/// Bins that are divided at a time, and all that come from them: the counts stay near a core.
const MOST_DIVIDED: usize = 1 << 12;
const DIVIDED_BITS: u32 = 18;

/// What may be unknown; see [`unknown`].
const TOLERANCE: f64 = 1e-3;

/// Pairs with scores from `lowest`, in units, to below 2^`width_bits` more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bin {
    lowest: i64,
    width_bits: u32,
    pub genuine: u64,
    pub impostors: u64,
}

impl Bin {
    fn end(&self) -> i64 {
        self.lowest + (1 << self.width_bits)
    }
}

/// The bin, of those at the beginning, that a cosine falls into. Rounding can take one past ±1; the conversion stops at 0.
pub(super) fn bin<F: Real>(cosine: F) -> usize {
    // Half a bin more, since the conversion rounds down.
    let bin = (cosine + F::one()) * F::of(HALF as f64) + F::of(0.5);
    bin.to_usize().unwrap_or(0).min(BINS - 1)
}

/// The cosine in the middle of a bin of the beginning.
pub(super) fn cosine_of(bin: usize) -> f64 {
    bin as f64 / HALF as f64 - 1.0
}

/// Binary logarithm of how many units there are from 0 to 1.
fn unit_bits<F: Real>() -> u32 {
    -F::epsilon().to_double().log2() as u32
}

/// The lowest score, in units, of a bin of the beginning.
fn lowest_of<F: Real>(bin: usize) -> i64 {
    let width_bits = unit_bits::<F>() - HALF_BITS;
    ((bin as i64 - HALF as i64) << width_bits) - (1 << (width_bits - 1))
}

/// The bins of the beginning that hold pairs, the lowest first.
pub(super) fn bins<F: Real>(counts: &Counts) -> Vec<Bin> {
    let width_bits = unit_bits::<F>() - HALF_BITS;
    let bins = (0..BINS).map(|bin| {
        let (genuine, impostors) = counts.of(bin);
        Bin { lowest: lowest_of::<F>(bin), width_bits, genuine, impostors }
    });
    bins.filter(|bin| bin.genuine + bin.impostors > 0).collect()
}

/// Pairs of both kinds in numbered bins.
pub(super) struct Counts {
    pub genuine: Vec<u64>,
    pub impostors: Vec<u64>,
}

impl Counts {
    pub fn of(&self, bin: usize) -> (u64, u64) {
        (self.genuine[bin], self.impostors[bin])
    }
}

/// What each bin leaves unknown: the share of genuine pairs in it, times the part that it has of the impostors accepted with it. The sum bounds by how
/// much, in relation to itself, the false accept rate at which a genuine pair is accepted is known on average, and twice the error of the area.
fn unknown(bins: &[Bin]) -> Vec<f64> {
    let all_genuine: u64 = bins.iter().map(|bin| bin.genuine).sum();
    let mut accepted = 0;
    let mut unknown: Vec<f64> = bins
        .iter()
        .rev()
        .map(|bin| {
            accepted += bin.impostors;
            match bin.genuine.min(bin.impostors) {
                0 => 0.0,
                _ => bin.genuine as f64 / all_genuine as f64 * (bin.impostors as f64 / accepted as f64),
            }
        })
        .collect();
    unknown.reverse();
    unknown
}

/// Bins that are divided, and where in them a pair falls.
pub(super) struct Division {
    /// By their lowest score.
    divided: Vec<Divided>,
    /// For each bin of the beginning, the first of `divided` that is in it or above.
    first_in: Vec<u32>,
    parts: usize,
}

struct Divided {
    bin: Bin,
    /// Binary logarithm of the width of its parts.
    part_bits: u32,
    first_part: usize,
}

impl Division {
    /// Of the bins that leave most unknown, those without which it would be within the tolerance; `None` where it is, or where nothing is left to be
    /// told apart.
    pub fn of<F: Real>(bins: &[Bin]) -> Option<Self> {
        let unknown = unknown(bins);
        let mut order: Vec<usize> =
            (0..bins.len()).filter(|&bin| bins[bin].width_bits > 0 && unknown[bin] > 0.0).collect();
        order.sort_unstable_by(|&a, &b| unknown[b].total_cmp(&unknown[a]));
        let mut left: f64 = order.iter().map(|&bin| unknown[bin]).sum();
        if left <= TOLERANCE {
            return None;
        }
        let needed = order.iter().take_while(|&&bin| {
            let is_needed = left > TOLERANCE / 2.0;
            left -= unknown[bin];
            is_needed
        });
        let mut divided: Vec<usize> = needed.copied().take(MOST_DIVIDED).collect();
        divided.sort_unstable();
        let bits = DIVIDED_BITS - (divided.len() as u32).next_power_of_two().ilog2();
        let mut parts = 0;
        let divided: Vec<Divided> = divided
            .into_iter()
            .map(|bin| {
                let (bin, first_part) = (bins[bin], parts);
                let part_bits = bin.width_bits.saturating_sub(bits);
                parts += 1 << (bin.width_bits - part_bits);
                Divided { bin, part_bits, first_part }
            })
            .collect();
        let first_in =
            (0..=BINS).map(|bin| divided.partition_point(|part| part.bin.lowest < lowest_of::<F>(bin)) as u32);
        Some(Self { first_in: first_in.collect(), divided, parts })
    }

    /// How many parts there are.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// The part that a cosine falls into, if it is in a bin that is divided.
    pub fn part<F: Real>(&self, cosine: F) -> Option<usize> {
        let bin = bin(cosine);
        let [first, end] = [bin, bin + 1].map(|bin| self.first_in[bin] as usize);
        if first == end {
            return None;
        }
        // A cosine that rounding has put into the bin beside its own stays there.
        let units = (cosine / F::epsilon()).floor().to_i64().unwrap_or(0);
        let units = units.clamp(lowest_of::<F>(bin), lowest_of::<F>(bin + 1) - 1);
        let candidates = &self.divided[first..end];
        let last = candidates.partition_point(|divided| divided.bin.lowest <= units).checked_sub(1)?;
        let Divided { bin, part_bits, first_part } = &candidates[last];
        (units < bin.end()).then(|| first_part + ((units - bin.lowest) >> part_bits) as usize)
    }

    /// `bins` with the parts, of which there are `counts`, in place of what was divided.
    pub fn divide(&self, bins: &[Bin], counts: &Counts) -> Vec<Bin> {
        let mut divided = self.divided.iter().peekable();
        let mut finer = Vec::new();
        for &bin in bins {
            let Some(divided) = divided.next_if(|divided| divided.bin.lowest == bin.lowest) else {
                finer.push(bin);
                continue;
            };
            let parts = (0..1 << (bin.width_bits - divided.part_bits)).map(|part: usize| {
                let (genuine, impostors) = counts.of(divided.first_part + part);
                let lowest = bin.lowest + ((part as i64) << divided.part_bits);
                Bin { lowest, width_bits: divided.part_bits, genuine, impostors }
            });
            finer.extend(parts.filter(|part| part.genuine + part.impostors > 0));
        }
        finer
    }
}

/// (lowest score, genuine pairs, impostors) from the highest bin on, ties as one: bins that are narrow enough to tell ties from others and not further
/// than one below the highest of them. All of a bin are accepted from its lower edge on.
pub(super) fn descending<F: Real>(bins: &[Bin]) -> Vec<(f64, u64, u64)> {
    let mut merged: Vec<Bin> = Vec::new();
    let mut highest = i64::MAX;
    for &bin in bins.iter().rev() {
        match merged.last_mut() {
            Some(last) if bin.lowest >= highest - TIE => {
                *last = Bin {
                    lowest: bin.lowest,
                    genuine: last.genuine + bin.genuine,
                    impostors: last.impostors + bin.impostors,
                    ..*last
                };
            }
            _ => {
                highest = bin.end() - 1;
                merged.push(bin);
            }
        }
    }
    let edge = |bin: &Bin| (bin.lowest as f64 * F::epsilon().to_double()).max(-1.0);
    merged.iter().map(|bin| (edge(bin), bin.genuine, bin.impostors)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_reach_from_end_to_end() {
        assert_eq!((bin(-1.0f32), bin(1.0f32), bin(-1.000_001f32), bin(1.000_001f32)), (0, BINS - 1, 0, BINS - 1));
        assert!((cosine_of(bin(0.3)) - 0.3).abs() <= 1.0 / BINS as f64);
        for cosine in [-1.0f32, -0.5, 0.0, 0.25, 0.5, 1.0] {
            for score in [cosine - 1e-6, cosine, cosine + 1e-6] {
                assert_eq!(cosine_of(bin(score)), f64::from(cosine), "{score}");
            }
        }
    }

    #[test]
    fn bins_are_divided_down_to_units_and_nothing_is_lost() {
        fn check<F: Real>(scores: &[F]) {
            let kind = |number: usize| number.is_multiple_of(3);
            let count = |length: usize, place: &dyn Fn(F) -> Option<usize>| {
                let mut counts = Counts { genuine: vec![0; length], impostors: vec![0; length] };
                for (number, &score) in scores.iter().enumerate() {
                    let kind = if kind(number) { &mut counts.genuine } else { &mut counts.impostors };
                    place(score).into_iter().for_each(|place| kind[place] += 1);
                }
                counts
            };
            let mut found = bins::<F>(&count(BINS, &|score| Some(bin(score))));
            let mut divisions = 0;
            while let Some(division) = Division::of::<F>(&found) {
                found = division.divide(&found, &count(division.parts(), &|score| division.part(score)));
                divisions += 1;
            }
            assert!((1..4).contains(&divisions), "{divisions}");
            assert_eq!(found.iter().map(|bin| bin.genuine + bin.impostors).sum::<u64>(), scores.len() as u64);
            assert!(found.is_sorted_by(|a, b| a.end() <= b.lowest));
            let left: f64 =
                found.iter().zip(unknown(&found)).filter(|(bin, _)| bin.width_bits > 0).map(|(_, left)| left).sum();
            assert!(left <= TOLERANCE, "{left}");
        }
        let units = |number: usize| (number * number % 100_003) as f64;
        check::<f64>(&(0..5000).map(|number| 1.0 - units(number) * f64::EPSILON).collect::<Vec<_>>());
        check::<f64>(&(0..5000).map(|number| units(number) * 1e-14 - 0.3).collect::<Vec<_>>());
        check::<f32>(&(0..5000).map(|number| 1.0 - units(number % 500) as f32 * f32::EPSILON).collect::<Vec<_>>());
        check::<f32>(&[1.0; 50]);
        // Beside the edges of bins, where rounding puts some into the next.
        check::<f32>(&(0..5000).map(|number| -0.3 + (number % 60) as f32 * 1e-8).collect::<Vec<_>>());
        check::<f64>(&[vec![0.1; 50], vec![1.0; 2000], vec![0.999_999_999_9; 1999]].concat());
    }
}
