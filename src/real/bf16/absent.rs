//! Where there is no such instruction.

use super::{Panels, Rows};

/// That this processor has the instructions, which none of this kind has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Native {}

impl Native {
    /// `None`
    pub fn detect() -> Option<Self> {
        None
    }

    pub fn rows(self, _: &[f32], _: usize, _: &mut Rows) {
        match self {}
    }

    pub fn rows_of_transpose(self, _: &[f32], _: usize, _: &mut Rows) {
        match self {}
    }

    pub fn panels(self, _: &[f32], _: usize, _: &mut Panels) {
        match self {}
    }

    pub fn panels_of_transpose(self, _: &[f32], _: usize, _: &mut Panels) {
        match self {}
    }

    pub fn product(self, _: f32, _: &Rows, _: &Panels, _: bool, _: &mut [f32]) {
        match self {}
    }
}
