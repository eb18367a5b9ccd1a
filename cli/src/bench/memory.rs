//! The process's memory as Linux counts it: what BLAS takes is in it, which a counter in Rust's allocator would miss.

use std::fs;

/// Runs `work` and returns the most memory in bytes that it took beyond what was resident before; `None` where the system does
/// not tell.
pub(super) fn extra<R>(work: impl FnOnce() -> R) -> (R, Option<usize>) {
    // 5: forget the peak so far.
    let before = fs::write("/proc/self/clear_refs", "5").ok().and_then(|()| status("VmRSS:"));
    let result = work();
    let extra = before.and_then(|before| Some(status("VmHWM:")?.saturating_sub(before)));
    (result, extra)
}

/// A field of `/proc/self/status`, in bytes.
fn status(field: &str) -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix(field))?.trim().strip_suffix(" kB")?;
    Some(kib.trim().parse::<usize>().ok()? << 10)
}
