//! How good are the predictions?

pub mod accuracy;
pub mod confusion;
