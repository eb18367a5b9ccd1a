//! The options of the streaming kernel as arguments.

use arcos::Result;
use arcos::streaming::{GradientFilter, Precision, StreamingOptions};

/// `--workspace` and `--filter`.
#[derive(clap::Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Streaming kernel")]
pub(super) struct KernelArgs {
    /// MiB for inner products kept between the kernel's two passes; past that they are computed twice [default: 256]
    #[arg(long, value_name = "MIB")]
    pub workspace: Option<usize>,
    /// Leave classes out of the gradients as long as no row loses more than this probability, such as 1e-7 [default: none]
    #[arg(long, value_name = "MASS", allow_negative_numbers = true)]
    pub filter: Option<f64>,
}

impl KernelArgs {
    /// The options, checked.
    pub fn options(&self, precision: Precision) -> Result<StreamingOptions> {
        let workspace = match self.workspace {
            Some(mebibytes) => mebibytes.saturating_mul(1 << 20),
            None => StreamingOptions::default().workspace,
        };
        let filter = self.filter.map_or(GradientFilter::Off, GradientFilter::Mass);
        let options = StreamingOptions { workspace, filter, precision };
        options.check()?;
        Ok(options)
    }
}
