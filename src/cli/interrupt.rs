//! Ctrl-C: training stops after the step it is at, with a checkpoint.

use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// What shells take for "ended by SIGINT".
pub(super) const EXIT_STATUS: i32 = 130;

/// A signal belongs to the process, and so must what remembers it.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C is remembered; the second ends the program at once.
pub(super) fn remember() -> Result<()> {
    let on_interrupt = || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_STATUS);
        }
    };
    match ctrlc::set_handler(on_interrupt) {
        Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        Err(error) => Err(Error::io("handle", "Ctrl-C", std::io::Error::other(error))),
    }
}

/// Whether there has been a Ctrl-C.
pub(super) fn was_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
