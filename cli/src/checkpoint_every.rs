//! How often a run is saved.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Epochs or time between two checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) enum CheckpointEvery {
    Epochs(usize),
    /// A checkpoint that is due inside an epoch is written there.
    Seconds(f64),
}

const UNITS: [(&str, f64); 3] = [("h", 3600.0), ("min", 60.0), ("s", 1.0)];

impl Default for CheckpointEvery {
    /// What a crash may cost; to flush a small model to disk after each of many short epochs takes as long as to train it.
    fn default() -> Self {
        Self::Seconds(60.0)
    }
}

impl FromStr for CheckpointEvery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = UNITS.into_iter().find_map(|(unit, seconds)| {
            let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            Some(number * seconds)
        });
        match (text.parse(), seconds) {
            (Ok(epochs), _) if epochs > 0 => Ok(Self::Epochs(epochs)),
            (_, Some(seconds)) if seconds > 0.0 && Duration::try_from_secs_f64(seconds).is_ok() => {
                Ok(Self::Seconds(seconds))
            }
            _ => Err("expected a number of epochs, at least 1, or a time such as 90s, 10min or 2h".into()),
        }
    }
}

impl TryFrom<String> for CheckpointEvery {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for CheckpointEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Epochs(epochs) => write!(f, "{epochs}"),
            Self::Seconds(seconds) => {
                let (unit, length) =
                    UNITS.into_iter().find(|(_, length)| seconds % length == 0.0).unwrap_or(("s", 1.0));
                write!(f, "{}{unit}", seconds / length)
            }
        }
    }
}

impl From<CheckpointEvery> for String {
    fn from(every: CheckpointEvery) -> Self {
        every.to_string()
    }
}

/// What has passed since the last checkpoint.
pub(super) struct SinceCheckpoint {
    every: CheckpointEvery,
    epochs: usize,
    time: Instant,
}

impl SinceCheckpoint {
    pub fn begin(every: CheckpointEvery) -> Self {
        Self { every, epochs: 0, time: Instant::now() }
    }

    pub fn epoch(&mut self) {
        self.epochs += 1;
    }

    /// Whether it is time for another, be it inside an epoch.
    pub fn is_due(&self) -> bool {
        match self.every {
            CheckpointEvery::Epochs(epochs) => self.epochs >= epochs,
            CheckpointEvery::Seconds(seconds) => self.time.elapsed().as_secs_f64() >= seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_and_times_are_read_and_written() {
        let read = |text: &str| text.parse::<CheckpointEvery>();
        assert_eq!(read("5"), Ok(CheckpointEvery::Epochs(5)));
        for (text, seconds) in [("90s", 90.0), ("0.5s", 0.5), ("10min", 600.0), ("1.5h", 5400.0), ("2 h", 7200.0)] {
            assert_eq!(read(text), Ok(CheckpointEvery::Seconds(seconds)), "{text}");
        }
        for text in ["", "0", "-1", "1.5", "0s", "-1s", "NaNs", "infs", "1e300h", "s", "5m", "5 epochs"] {
            assert!(read(text).is_err(), "{text}");
        }
        for every in ["5", "1min", "90s", "0.25s", "2h"] {
            assert_eq!(read(every).expect("as written").to_string(), every);
        }
    }
}
