//! Memory for as many numbers as somebody asks for.

use crate::{Error, Result};

/// An [`Error::Setting`] where there is no memory for so many numbers; to ask for it without this ends the process. `None` stands for more
/// than can be counted.
pub fn check<F>(name: &'static str, value: impl ToString, numbers: Option<usize>) -> Result<()> {
    match numbers.is_some_and(|numbers| Vec::<F>::new().try_reserve_exact(numbers).is_ok()) {
        true => Ok(()),
        false => {
            let expected = "less: there is no memory for so much".into();
            Err(Error::Setting { name, value: value.to_string(), expected })
        }
    }
}
