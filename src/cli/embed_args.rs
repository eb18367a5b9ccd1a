//! The embedder as arguments.

use crate::embedder::{EmbedBlock, Embedder};
use crate::{Error, Result};

/// What is trained between features and head.
#[derive(clap::Args)]
#[command(next_help_heading = "Embedding")]
pub(super) struct EmbedArgs {
    /// Train an embedding of this dimension between features and head
    #[arg(long, value_name = "E")]
    pub embed: Option<usize>,
    /// What the embedding is made by
    #[arg(long, value_enum, default_value_t = BlockName::E)]
    pub embed_block: BlockName,
    /// Share of features that each step of block e leaves out [default: 0.4]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub dropout: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(super) enum BlockName {
    /// A projection
    Linear,
    /// ArcFace's output block: batch normalisation, dropout, a projection, batch normalisation
    E,
}

impl EmbedArgs {
    pub fn embedder(&self) -> Result<Option<Embedder>> {
        let needs = |name, given: bool, expected: &str| match given {
            true => Err(Error::Setting { name, value: "given".into(), expected: expected.into() }),
            false => Ok(()),
        };
        let has_dropout = self.embed.is_some() && self.embed_block == BlockName::E;
        needs("--dropout", self.dropout.is_some() && !has_dropout, "--embed with block e")?;
        needs("--embed-block", self.embed_block != BlockName::E && self.embed.is_none(), "--embed with it")?;
        let block = match (self.embed_block, self.dropout) {
            (BlockName::Linear, _) => EmbedBlock::Linear,
            (BlockName::E, None) => EmbedBlock::E,
            (BlockName::E, Some(dropout)) => EmbedBlock::E { dropout },
        };
        Ok(self.embed.map(|dimension| Embedder { dimension, block }))
    }
}
