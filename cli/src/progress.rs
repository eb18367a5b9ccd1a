//! A run's progress: a bar on a terminal, plain lines elsewhere.

use super::table::figure;
use super::tell;
use arcos::train::{EpochRecord, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// Shows the epochs of one head's training.
pub(super) struct Report {
    name: String,
    epochs: usize,
    bar: Option<ProgressBar>,
}

impl Report {
    /// A bar over all batches if stdout is a terminal.
    pub fn new(name: &str, epochs: usize) -> Self {
        let bar = std::io::stdout().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:>15} [{bar:30}] {percent:>3}% {eta:>4} left  {msg}")
                .expect("the template is well-formed")
                .progress_chars("=> ");
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stdout())
                .with_style(style)
                .with_prefix(name.to_owned())
        });
        Self { name: name.into(), epochs, bar }
    }

    /// After a batch.
    pub fn batch(&self, progress: &Progress) {
        if let Some(bar) = &self.bar {
            bar.set_length(self.epochs.saturating_mul(progress.batches) as u64);
            bar.set_position(((progress.epoch - 1) * progress.batches + progress.batch) as u64);
            bar.set_message(format!(
                "epoch {}/{}  loss {}  train {:.4}  scale {:.3}",
                progress.epoch,
                self.epochs,
                figure(progress.loss),
                progress.accuracy,
                progress.scale
            ));
        }
    }

    /// After an epoch.
    pub fn epoch(&self, record: &EpochRecord) {
        self.remark(&describe(record, self.epochs));
    }

    /// A line that stays.
    pub fn remark(&self, remark: &str) {
        let line = format!("{:>15}  {remark}", self.name);
        match &self.bar {
            Some(bar) => bar.println(line),
            None => tell(line),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn describe(record: &EpochRecord, epochs: usize) -> String {
    let width = epochs.to_string().len();
    let mut line = format!(
        "epoch {:>width$}/{epochs}  train {} {:.4}",
        record.epoch,
        figure(record.train_loss),
        record.train_accuracy
    );
    if let (Some(loss), Some(accuracy)) = (record.validation_loss, record.validation_accuracy) {
        line += &format!("  validation {} {accuracy:.4}", figure(loss));
    }
    if let (Some(loss), Some(top1), Some(top5)) = (record.test_loss, record.test_accuracy, record.test_top5_accuracy) {
        line += &format!("  test {} {top1:.4} (top-5 {top5:.4})", figure(loss));
    }
    line += &format!("  scale {:.3}", record.scale);
    if let (Some(cosine), Some(angle)) = (record.target_cosine, record.target_angle) {
        line += &format!("  cos {cosine:.3} ({:.1}°)", angle.to_degrees());
    }
    line + &format!("  |grad| {:.3e}  {:.0} rows/s", record.gradient_norm, record.rows_per_second)
}
