//! The trainable part between features and head, against its mathematics.

mod differences;
mod reference;
mod training;
