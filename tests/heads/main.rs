//! The heads against their mathematics.

mod adacos_scale;
#[path = "../common/archive.rs"]
mod archive;
mod case;
mod deep_convergence;
mod errors;
mod extremes;
mod faulty_heads;
mod gradient_filter;
mod gradients;
mod likeliest;
mod mixed_precision;
mod objective;
mod objective_case;
mod optimizers;
mod own_heads;
mod partial_fc;
mod poles;
mod properties;
mod reference;
#[path = "../common/rules.rs"]
mod rules;
mod softmax_sums;
mod statistics;
mod streaming;
mod torture;
mod training_step;
