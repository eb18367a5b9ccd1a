//! Signals that end the program: training stops after the step it is at, with a checkpoint; all else at once, and what is half written goes.

use super::complain;
use arcos::{Error, Result, files::atomic_file};
use std::io;
#[cfg(unix)]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
/// Processor time is at its limit, as batch systems set one.
#[cfg(unix)]
const SIGXCPU: i32 = 24;
/// A file is at the largest size that the process may write.
#[cfg(unix)]
const SIGXFSZ: i32 = 25;

// A signal belongs to the process, and so must what remembers it.
static TRAINING: AtomicBool = AtomicBool::new(false);
/// The first signal that came while training; 0 for none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// What is said where a signal ends the program at once.
static LAST_WORDS: Mutex<Option<String>> = Mutex::new(None);

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
        if let Some(words) = LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner).take() {
            complain(words);
        }
        exit_at_once(exit_status(signal));
    }
}

/// Has a signal that ends the program at once say on stderr what is left of its work.
#[cfg(feature = "onnx")]
pub(super) fn set_last_words(words: Option<String>) {
    *LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner) = words;
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
        [SIGHUP, SIGINT, SIGTERM, SIGXCPU].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect();
    // What is written then fails with an error, which names the file.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
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
