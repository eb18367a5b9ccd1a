//! Heads that a run can keep in its files.

use crate::Head;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt::Debug;

/// A head that can be trained and kept in checkpoints: any [`Head`] that is plain data. There is nothing to implement.
pub trait StoredHead: Head + Clone + Debug + PartialEq + Send + Serialize + DeserializeOwned {}

impl<H: Head + Clone + Debug + PartialEq + Send + Serialize + DeserializeOwned> StoredHead for H {}

/// The name of a head that does not keep it with its options, as [`AnyHead`](crate::AnyHead) does.
pub(super) fn name_apart(head: &impl StoredHead) -> Option<String> {
    let kept = serde_json::to_value(head).expect("a head is plain data");
    kept.get("name").is_none().then(|| head.name().to_owned())
}

/// The name of the head in the JSON of a checkpoint of any head, and whether it is kept with the options.
pub(super) fn name_in(json: &[u8]) -> Option<(String, bool)> {
    #[derive(Deserialize)]
    struct Description {
        head: Option<String>,
        config: Config,
    }
    #[derive(Deserialize)]
    struct Config {
        head: Value,
    }
    let Description { head, config } = serde_json::from_slice(json).ok()?;
    let among_options = config.head.get("name").and_then(Value::as_str).map(|name| (name.to_owned(), true));
    among_options.or(head.map(|name| (name, false)))
}
