//! How many images are done: a bar on a terminal, a line every ten seconds elsewhere.

use crate::tell;
use arcos::wording::counted;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const BETWEEN_LINES: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    images: usize,
    /// By an earlier run.
    resumed: usize,
    /// By this one.
    done: usize,
    start: Instant,
    last_line: Instant,
}

impl State {
    fn line(&self) -> String {
        let Self { images, resumed, done, start, .. } = self;
        let per_second = *done as f64 / start.elapsed().as_secs_f64().max(1e-3);
        format!("{}/{images} images, {per_second:.1} images/s", resumed + done)
    }
}

impl Progress {
    pub fn new() -> Self {
        let bar = std::io::stdout().is_terminal().then(|| {
            let style = ProgressStyle::with_template("[{bar:40}] {percent:>3}% {eta:>4} left  {msg}")
                .expect("the template is well-formed")
                .progress_chars("=> ");
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stdout()).with_style(style)
        });
        let now = Instant::now();
        Self { bar, state: Mutex::new(State { images: 0, resumed: 0, done: 0, start: now, last_line: now }) }
    }

    pub fn start(&self, images: usize, resumed: usize) {
        *self.state() = State { images, resumed, done: 0, start: Instant::now(), last_line: Instant::now() };
        if let Some(bar) = &self.bar {
            bar.set_length(images as u64);
            bar.set_position(resumed as u64);
            // What an earlier run did says nothing about the speed of this one.
            bar.reset_eta();
        }
        if resumed > 0 {
            self.remark(&format!("going on after {resumed} of {}", counted(images, "image")));
        }
    }

    /// After an image.
    pub fn done(&self) {
        let mut state = self.state();
        state.done += 1;
        match &self.bar {
            Some(bar) => {
                bar.set_message(state.line());
                bar.inc(1);
            }
            None if state.last_line.elapsed() > BETWEEN_LINES => {
                state.last_line = Instant::now();
                tell(state.line());
            }
            None => {}
        }
    }

    /// A line that stays.
    pub fn remark(&self, remark: &str) {
        match &self.bar {
            Some(bar) => bar.println(remark),
            None => tell(remark),
        }
    }

    /// Takes the bar away, and says how fast it went.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let state = self.state();
        if state.done > 0 {
            tell(state.line());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
