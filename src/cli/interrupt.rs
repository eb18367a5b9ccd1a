//! Ctrl-C: training stops after the step it is at, with a checkpoint.

use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// What shells take for "ended by SIGINT".
pub(super) const EXIT_STATUS: i32 = 130;

// A signal belongs to the process, and so must what remembers it.
static TRAINING: AtomicBool = AtomicBool::new(false);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// While one of these lives, the first Ctrl-C is remembered and the second ends the program; at other times the first does.
#[must_use]
pub(super) struct Training(());

impl Training {
    pub fn begin() -> Result<Self> {
        let on_interrupt = || {
            let again = INTERRUPTED.swap(true, Ordering::SeqCst);
            if again || !TRAINING.load(Ordering::SeqCst) {
                std::process::exit(EXIT_STATUS);
            }
        };
        TRAINING.store(true, Ordering::SeqCst);
        // Who started the program may have chosen to ignore Ctrl-C, as shells do for background jobs.
        match ctrlc::try_set_handler(on_interrupt) {
            Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(Self(())),
            Err(error) => Err(Error::io("handle", "Ctrl-C", std::io::Error::other(error))),
        }
    }

    pub fn was_interrupted(&self) -> bool {
        INTERRUPTED.load(Ordering::SeqCst)
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        TRAINING.store(false, Ordering::SeqCst);
    }
}
