//! How good are the predictions?

pub mod accuracy;
