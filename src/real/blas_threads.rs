//! OpenBLAS's number of threads, which needs `unsafe`.
//!
//! Parallel tasks multiply side by side: were each product to start threads as well, they would fight over the cores.

#![allow(unsafe_code)]

/// While one of these lives, OpenBLAS works on the calling thread alone. The last to go restores the number of threads that
/// the first found, so that a program's own setting survives.
#[must_use]
pub struct SingleThreaded(());

#[cfg(feature = "blas")]
mod openblas {
    use super::SingleThreaded;
    use std::ffi::c_int;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    unsafe extern "C" {
        fn openblas_get_num_threads() -> c_int;
        fn openblas_set_num_threads(threads: c_int);
    }

    /// The setting belongs to the process, and so must the count of those who changed it.
    struct Changed {
        by: usize,
        before: c_int,
    }

    static CHANGED: Mutex<Changed> = Mutex::new(Changed { by: 0, before: 0 });

    fn changed() -> MutexGuard<'static, Changed> {
        // Nothing panics while it is held.
        CHANGED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl SingleThreaded {
        /// From now on.
        pub fn begin() -> Self {
            let mut changed = changed();
            if changed.by == 0 {
                // SAFETY: the two functions read and write one integer of OpenBLAS; they have no preconditions.
                changed.before = unsafe { openblas_get_num_threads() };
                unsafe { openblas_set_num_threads(1) };
            }
            changed.by += 1;
            Self(())
        }
    }

    impl Drop for SingleThreaded {
        fn drop(&mut self) {
            let mut changed = changed();
            changed.by -= 1;
            if changed.by == 0 {
                // SAFETY: as above.
                unsafe { openblas_set_num_threads(changed.before) };
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_setting_before_is_restored() {
            // SAFETY: as above.
            let threads = || unsafe { openblas_get_num_threads() };
            let before = threads();
            let first = SingleThreaded::begin();
            let second = SingleThreaded::begin();
            assert_eq!(threads(), 1);
            drop(first);
            assert_eq!(threads(), 1);
            drop(second);
            // Another test may be inside the kernel.
            assert!(threads() == before || threads() == 1);
        }
    }
}

#[cfg(not(feature = "blas"))]
impl SingleThreaded {
    /// From now on.
    pub fn begin() -> Self {
        Self(())
    }
}
