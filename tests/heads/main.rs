//! The heads against their mathematics.

mod adacos_scale;
mod case;
mod deep_convergence;
mod errors;
mod gradients;
mod poles;
mod properties;
mod reference;
mod streaming;
mod torture;
