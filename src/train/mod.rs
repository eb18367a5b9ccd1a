//! The frozen-feature trainer: a head on precomputed features.
//!
//! A [`Trainer`] runs epochs, keeps a [history](EpochRecord) and gives [checkpoints](Checkpoint); a [`Model`] is what is left
//! at the end. Same configuration, data, machine and thread count: the same bits, resumed or not.

mod checkpoint;
mod config;
mod history;
mod model;
mod run_directory;
mod tensorboard;
mod trainer;

pub use checkpoint::Checkpoint;
pub use config::{Kernel, MAX_SCALE, TrainConfig, WeightInit};
pub use history::{EpochRecord, read_history, write_history};
pub use model::{Evaluation, Model, TrainedEmbedder};
pub use run_directory::RunDirectory;
pub use tensorboard::EventWriter;
pub use trainer::{Progress, Trainer};
