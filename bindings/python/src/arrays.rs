//! NumPy's arrays as views.

use crate::optimizer::Memory;
use crate::streaming::Kernels;
use arcos::Real;
use arcos::optim::Moments;
use ndarray::Dimension;
use numpy::{
    Element, PyArray, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray, PyReadwriteArray, PyUntypedArray,
    PyUntypedArrayMethods, dtype,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// `float32` or `float64`, with what is kept for each.
pub trait Number: Real + Element {
    fn kernel(kernels: &mut Kernels) -> &mut arcos::streaming::Streaming<Self>;

    /// Those of this type, and whether there are any of the other.
    fn moments(memory: &mut Memory) -> (&mut Vec<Moments<Self>>, bool);
}

impl Number for f32 {
    fn kernel(kernels: &mut Kernels) -> &mut arcos::streaming::Streaming<Self> {
        &mut kernels.single
    }

    fn moments(memory: &mut Memory) -> (&mut Vec<Moments<Self>>, bool) {
        (&mut memory.single, !memory.double.is_empty())
    }
}

impl Number for f64 {
    fn kernel(kernels: &mut Kernels) -> &mut arcos::streaming::Streaming<Self> {
        &mut kernels.double
    }

    fn moments(memory: &mut Memory) -> (&mut Vec<Moments<Self>>, bool) {
        (&mut memory.double, !memory.single.is_empty())
    }
}

/// An array as it is; a copy of what is none, or not aligned.
pub fn array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = object.py();
    Ok(py.import("numpy")?.call_method1("require", (object, py.None(), "A"))?.cast_into()?)
}

/// Whether the elements are `float64`, not `float32`.
///
/// # Errors
/// `TypeError` for all others.
pub fn is_double(what: &str, array: &Bound<PyUntypedArray>) -> PyResult<bool> {
    let (py, found) = (array.py(), array.dtype());
    let double = found.is_equiv_to(&dtype::<f64>(py));
    if double || found.is_equiv_to(&dtype::<f32>(py)) {
        return Ok(double);
    }
    Err(PyTypeError::new_err(format!("{what} has type {found}; expected float32 or float64")))
}

/// The elements of an array, without a copy.
///
/// # Errors
/// `ValueError` for another number of dimensions, `TypeError` for another type of elements.
pub fn readonly<'py, F: Element, D: Dimension>(
    what: &str,
    array: &Bound<'py, PyUntypedArray>,
) -> PyResult<PyReadonlyArray<'py, F, D>> {
    Ok(typed::<F, D>(what, array)?.try_readonly()?)
}

/// The elements of an array, to be changed where they are.
///
/// # Errors
/// As [`readonly`]; `TypeError` for what is no array, `ValueError` for one that is read-only or not aligned.
pub fn readwrite<'py, F: Element, D: Dimension>(
    what: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<PyReadwriteArray<'py, F, D>> {
    let array = object.cast::<PyUntypedArray>().map_err(|_| {
        PyTypeError::new_err(format!("{what} is no NumPy array; expected one, which is changed in place"))
    })?;
    let refused =
        |why: &str| PyValueError::new_err(format!("{what} is {why}; expected an array that can be changed in place"));
    if !array.is_aligned() {
        return Err(refused("not aligned"));
    }
    typed::<F, D>(what, array)?.try_readwrite().map_err(|error| match error {
        numpy::BorrowError::NotWriteable => refused("read-only"),
        _ => refused("in use by another call, or among its other arrays"),
    })
}

fn typed<'py, F: Element, D: Dimension>(
    what: &str,
    array: &Bound<'py, PyUntypedArray>,
) -> PyResult<Bound<'py, PyArray<F, D>>> {
    if D::NDIM.is_some_and(|dimensions| dimensions != array.ndim()) {
        let expected = if D::NDIM == Some(1) { "one dimension" } else { "(rows, columns)" };
        return Err(PyValueError::new_err(format!("{what} has shape {:?}; expected {expected}", array.shape())));
    }
    let expected = || format!("{what} has type {}; expected {}", array.dtype(), dtype::<F>(array.py()));
    Ok(array.cast::<PyArray<F, D>>().map_err(|_| PyTypeError::new_err(expected()))?.clone())
}

/// Whole numbers of any type.
///
/// # Errors
/// `TypeError` for other elements, `ValueError` for another number of dimensions.
pub fn integers<'py, D: Dimension>(what: &str, object: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArray<'py, i64, D>> {
    converted(what, object, b"iu", "whole numbers")
}

/// Real numbers of any type, in the type of the features.
///
/// # Errors
/// As [`integers`].
pub fn reals<'py, F: Element, D: Dimension>(
    what: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArray<'py, F, D>> {
    converted(what, object, b"fiu", "real numbers")
}

fn converted<'py, T: Element, D: Dimension>(
    what: &str,
    object: &Bound<'py, PyAny>,
    kinds: &[u8],
    expected: &str,
) -> PyResult<PyReadonlyArray<'py, T, D>> {
    let array = array(object)?;
    if !kinds.contains(&array.dtype().kind()) {
        let found = array.dtype();
        return Err(PyTypeError::new_err(format!("{what} has type {found}; expected {expected}")));
    }
    let of_type = array.call_method1("astype", (dtype::<T>(object.py()), "K", "unsafe", true, false))?;
    readonly(what, of_type.cast()?)
}
