//! The hyper-parameters of heads as arguments.

use crate::HeadOptions;
use crate::heads::arcface::PastPi;

/// `--scale`, `--margin` and the like. A head takes some of them, and has defaults for all.
#[derive(clap::Args)]
#[command(next_help_heading = "Head")]
pub(super) struct HeadArgs {
    /// Scale s of the logits [default: 16 norm-softmax, 64 sphereface, cosface, arcface, combined-margin]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub scale: Option<f64>,
    /// Margin m [default: 0.5 rad arcface, 0.35 cosface, 1.35 sphereface]
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    pub margin: Option<f64>,
    /// Factor of the angle in combined-margin [default: 1]
    #[arg(long, allow_negative_numbers = true)]
    pub m1: Option<f64>,
    /// Angle added in combined-margin, radians [default: 0.3]
    #[arg(long, allow_negative_numbers = true)]
    pub m2: Option<f64>,
    /// Cosine subtracted in combined-margin [default: 0.2]
    #[arg(long, allow_negative_numbers = true)]
    pub m3: Option<f64>,
    /// Norm α of features in l2-softmax [default: 16]
    #[arg(long, value_name = "A", allow_negative_numbers = true)]
    pub alpha: Option<f64>,
    /// What arcface does past θ = π - m [default: monotone]
    #[arg(long)]
    pub past_pi: Option<PastPi>,
}

/// The hyper-parameters that matter only over many steps.
#[derive(clap::Args)]
#[command(next_help_heading = "Head")]
pub(super) struct TrainedHeadArgs {
    #[command(flatten)]
    pub head: HeadArgs,
    /// Train α by its gradient (l2-softmax)
    #[arg(long)]
    pub learn_alpha: bool,
    /// Largest scale adacos may reach [default: 64]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub max_scale: Option<f64>,
}

impl HeadArgs {
    pub fn options(&self) -> HeadOptions {
        HeadOptions {
            scale: self.scale,
            margin: self.margin,
            m1: self.m1,
            m2: self.m2,
            m3: self.m3,
            alpha: self.alpha,
            past_pi: self.past_pi,
            learn_alpha: None,
            max_scale: None,
        }
    }
}

impl TrainedHeadArgs {
    pub fn options(&self) -> HeadOptions {
        HeadOptions { learn_alpha: self.learn_alpha.then_some(true), max_scale: self.max_scale, ..self.head.options() }
    }
}
