//! Recall@k and MAP@R of embeddings from anywhere, and how long it takes: every row searches among all others.
//!
//!     cargo run --release --example retrieval -- embeddings.npy labels.npy

use arcos::data::{read_features, read_labels};
use arcos::metrics::retrieval::retrieval;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [embeddings, labels] = &arguments[..] else {
        return Err("usage: retrieval EMBEDDINGS.npy LABELS.npy".into());
    };
    let embeddings = read_features(Path::new(embeddings))?;
    let embeddings = embeddings.rows().all()?; // (N, D), any length but zero
    let labels = read_labels(Path::new(labels), 0)?; // (N,)

    let start = Instant::now();
    let found = retrieval(embeddings.view(), labels.view(), &[1, 10])?;
    let seconds = start.elapsed().as_secs_f64();

    let (recall_at_1, recall_at_10) = (found.recall[0].recall, found.recall[1].recall);
    let line = serde_json::json!({
        "name": "arcos",
        "seconds": seconds,
        "queries": found.queries,
        "recall_at_1": recall_at_1,
        "recall_at_10": recall_at_10,
        "map_at_r": found.map_at_r,
    });
    println!("{line}");
    Ok(())
}
