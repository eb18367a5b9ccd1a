//! Signals that end the program: training stops after the step it is at, with a checkpoint; all else at once, and what is half written goes.

use arcos::{Error, Result, files::atomic_file};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

// A signal belongs to the process, and so must what remembers it.
static TRAINING: AtomicBool = AtomicBool::new(false);
/// The first signal that came while training; 0 for none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Listens for Ctrl-C, and where there are such signals for that of a closed terminal and for the one that asks a process to end.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn watch() -> Result<()> {
    listen(on_signal).map_err(|error| Error::io("handle", "signals", error))
}

fn on_signal(signal: i32) {
    let is_first = TRAINING.load(Ordering::SeqCst)
        && SIGNAL.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if !is_first {
        atomic_file::remove_own();
        exit_at_once(exit_status(signal));
    }
}

/// Ends the process without exit handlers: OpenBLAS's waits for its threads, for ever if one is within a product.
#[cfg(unix)]
fn exit_at_once(status: i32) -> ! {
    signal_hook::low_level::exit(status)
}

#[cfg(not(unix))]
fn exit_at_once(status: i32) -> ! {
    std::process::exit(status)
}

/// What shells take for "ended by this signal".
pub(super) fn exit_status(signal: i32) -> i32 {
    128 + signal
}

#[cfg(unix)]
fn listen(on_signal: fn(i32)) -> io::Result<()> {
    let ignored = ignored();
    let signals: Vec<i32> =
        [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect();
    let mut signals = signal_hook::iterator::Signals::new(signals)?;
    std::thread::Builder::new().name("signals".into()).spawn(move || signals.forever().for_each(on_signal))?;
    Ok(())
}

/// The signals, a bit each, that whoever started the program has it ignore: `nohup`, or a shell that starts it in the background.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Where the system does not tell, the terminal's end is not for us to see: it must not end what was started under `nohup`.
    mask.unwrap_or(1 << (SIGHUP - 1))
}

#[cfg(not(unix))]
fn listen(on_signal: fn(i32)) -> io::Result<()> {
    ctrlc::set_handler(move || on_signal(SIGINT)).map_err(io::Error::other)
}

/// While one of these lives, the first signal is remembered and the second ends the program; at other times the first does.
#[must_use]
pub(super) struct Training(());

impl Training {
    pub fn begin() -> Self {
        TRAINING.store(true, Ordering::SeqCst);
        Self(())
    }

    /// The signal that asked training to stop.
    pub fn interrupted_by(&self) -> Option<i32> {
        Some(SIGNAL.load(Ordering::SeqCst)).filter(|&signal| signal != 0)
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        TRAINING.store(false, Ordering::SeqCst);
    }
}
