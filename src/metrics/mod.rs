//! How good are predictions, and how good are embeddings?
//!
//! Of predictions: [`accuracy`], [`confusion`], of their probabilities [`calibration`], which a [`temperature`] sets right, and whether they tell [`unknown_rows`] from known ones, with a threshold for their [`rejection`]. Of embeddings of classes that need not be known: [`retrieval`],
//! [`clustering`](mutual_information), [`verification`] ([`roc`], [`folds`]) and [`identification`], all by cosine similarity, and all of them at once in
//! [`open_set`]. Of labels: [`centre_angles`], rows far from the centre of their class. Similarities of all rows to all rows are computed a block at a time on rayon's current thread pool, and
//! never all in memory.

pub mod accuracy;
pub mod angles;
pub mod calibration;
pub mod centre_angles;
pub mod confident_learning;
pub mod confusion;
pub mod folds;
pub mod identification;
pub mod k_means;
pub mod mutual_information;
pub mod open_set;
pub mod rejection;
pub mod retrieval;
pub mod roc;
pub mod significance;
pub mod temperature;
pub mod unknown_rows;
pub mod verification;

mod score_bins;
mod screening;

pub(crate) mod neighbours;
pub(crate) mod similarity;
