//! Where there is no such instruction.

use super::{Codes, Panels};
use std::ops::Range;

/// That this processor has the instruction, which none of this kind has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Native {}

impl Native {
    /// `None`
    pub fn detect() -> Option<Self> {
        None
    }

    pub fn product(self, _: &Codes, _: Range<usize>, _: &Panels, _: &mut [f32]) {
        match self {}
    }
}
