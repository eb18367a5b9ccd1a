//! What heads share whose margins follow from the sizes of classes.

use crate::{Error, Result};

/// The sizes of the smallest and of the largest class that has rows; 1 if none has.
pub(super) fn smallest_and_largest(sizes: &[usize]) -> (usize, usize) {
    let with_rows = || sizes.iter().copied().filter(|&size| size > 0);
    (with_rows().min().unwrap_or(1), with_rows().max().unwrap_or(1))
}

/// Checks that there are margins for every class, if any have been set.
///
/// # Errors
/// [`Error::Head`].
pub(super) fn check_number(head: &'static str, margins: &[f64], classes: usize) -> Result<()> {
    // Options are checked before the number of classes is known.
    if margins.is_empty() || margins.len() == classes || classes == usize::MAX {
        return Ok(());
    }
    let expected = "one for each class: count_classes with the sizes of all";
    Err(Error::Head { head, found: "margins of another number of classes", expected })
}

#[cfg(test)]
mod tests {
    use crate::heads::{DynamicArcFace, Ldam};
    use crate::{Head, Parameters};
    use ndarray::{Array2, array};

    #[test]
    fn smaller_classes_have_larger_margins() {
        let sizes = [16, 1, 81, 0];
        let mut ldam = Ldam::default();
        ldam.count_classes(&sizes);
        let expected = [0.25, 0.5, 0.5 / 3.0, 0.5];
        ldam.class_margins.iter().zip(expected).for_each(|(margin, expected)| {
            approx::assert_relative_eq!(*margin, expected, max_relative = 1e-15);
        });
        let mut dynamic = DynamicArcFace { smallest_margin: 0.1, largest_margin: 0.4, ..DynamicArcFace::default() };
        dynamic.count_classes(&sizes);
        // n^-1/4 is 1/2, 1 and 1/3.
        let expected = [0.1 + 0.3 * 0.25, 0.4, 0.1, 0.4];
        dynamic.class_margins.iter().zip(expected).for_each(|(margin, expected)| {
            approx::assert_relative_eq!(*margin, expected, max_relative = 1e-14);
        });
        dynamic.count_classes(&[7, 7]);
        assert_eq!(dynamic.class_margins, [0.4, 0.4]);
    }

    #[test]
    fn margins_of_another_number_of_classes_are_an_error() {
        let mut head = Ldam::default();
        head.count_classes(&[3, 4, 5]);
        let parameters = Parameters::from(Array2::<f64>::eye(2));
        let error = head.forward(array![[1.0, 2.0]].view(), &parameters, array![0].view()).expect_err("two classes");
        let text = "ldam: margins of another number of classes";
        assert!(error.to_string().contains(text) || error.to_string().contains("one for each class"), "{error}");
    }
}
