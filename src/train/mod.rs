//! The frozen-feature trainer: a head on precomputed features, with an embedder between them if one is asked for.
//!
//! A [`Trainer`] runs epochs, keeps a [history](EpochRecord) and gives [checkpoints](Checkpoint); a [`Model`] is what is left
//! at the end: that of the [best epoch](best_epoch) where there are validation rows, else that of the last. Same configuration, data, machine and thread count: the same bits, resumed or not.

mod acceptance_scores;
mod calibrated_model;
mod checkpoint;
mod checksum;
mod class_changes;
mod config;
mod epoch_log;
mod held_out;
mod history;
mod initial_model;
mod means;
mod model;
mod objective;
mod out_of_sample;
mod paused;
mod run_directory;
mod run_position;
mod search;
mod step;
mod stored_head;
mod stored_model;
mod tensor_file;
mod tensorboard;
mod trainer;
mod transformed_dataset;

pub use acceptance_scores::{AcceptanceScores, Recognition};
pub use checkpoint::{Checkpoint, RunData};
pub use checksum::DataChecksum;
pub use config::{Kernel, MAX_SCALE, TrainConfig, WeightInit, difference};
pub use epoch_log::{EpochLog, StepRecord, has_logs, read_steps, read_target_angles};
pub use held_out::HeldOut;
pub use history::{EpochRecord, best_epoch, read_history, write_history};
pub use model::{Evaluation, Model, TrainedEmbedder};
pub use objective::{ClassWeightRule, ClassWeights, TrainObjective};
pub use out_of_sample::out_of_sample;
pub use paused::PausedEpoch;
pub use run_directory::RunDirectory;
pub use run_position::RunPosition;
pub use search::{CandidateScore, Search, SearchResult, Trial};
pub use stored_head::StoredHead;
pub use tensorboard::EventWriter;
pub use trainer::{Progress, Trainer};
