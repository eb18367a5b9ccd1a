//! The trainable part between features and head, against its mathematics.

#[path = "../common/archive.rs"]
mod archive;
#[path = "../common/birds.rs"]
mod birds;
mod differences;
mod reference;
#[path = "../common/rules.rs"]
mod rules;
mod training;
