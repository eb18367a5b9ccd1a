//! Heads that a run can keep in its files.

use crate::Head;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// A head that can be trained and kept in checkpoints: any [`Head`] that is plain data. There is nothing to implement.
pub trait StoredHead: Head + Clone + Debug + PartialEq + Send + Serialize + DeserializeOwned {}

impl<H: Head + Clone + Debug + PartialEq + Send + Serialize + DeserializeOwned> StoredHead for H {}
