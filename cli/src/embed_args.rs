//! The embedder as arguments.

use super::only_with;
use arcos::Result;
use arcos::embedder::{EmbedBlock, Embedder};

/// What is trained between features and head.
#[derive(clap::Args)]
#[command(next_help_heading = "Embedding")]
pub(super) struct EmbedArgs {
    /// Train an embedding of this dimension between features and head
    #[arg(long, value_name = "E")]
    pub embed: Option<usize>,
    /// What the embedding is made by [default: linear]
    #[arg(long, value_enum, requires = "embed")]
    pub embed_block: Option<BlockName>,
    /// Share of features that each step of block e leaves out [default: 0.4]
    #[arg(long, value_name = "P", allow_negative_numbers = true, requires = "embed")]
    pub dropout: Option<f64>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum BlockName {
    /// A projection
    Linear,
    /// ArcFace's output block: batch normalisation, dropout, a projection, batch normalisation
    E,
}

impl EmbedArgs {
    pub fn embedder(&self) -> Result<Option<Embedder>> {
        let drops_out = matches!(self.embed_block, Some(BlockName::E));
        only_with(self.dropout.is_some(), "--dropout", drops_out, "--embed-block e")?;
        let block = match (self.embed_block.unwrap_or(BlockName::Linear), self.dropout) {
            (BlockName::Linear, _) => EmbedBlock::Linear,
            (BlockName::E, None) => EmbedBlock::E,
            (BlockName::E, Some(dropout)) => EmbedBlock::E { dropout },
        };
        Ok(self.embed.map(|dimension| Embedder { dimension, block }))
    }
}

/// The full learning rate unless another is asked for, where that of a head alone would be `of_head`.
pub(super) fn learning_rate(of_head: f64, has_embedder: bool) -> f64 {
    // At a head's own rate the embedding fits the training classes and forgets what tells others apart: docs/open-set.md.
    if has_embedder { 0.1 * of_head } else { of_head }
}
