//! The model that a run begins with.

use super::{Model, StoredHead, TrainConfig, TrainedEmbedder};
use crate::data::{Dataset, Transform};
use crate::{Error, Result, memory};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A transform fitted on the training rows, and weights that the seed draws.
pub(super) fn drawn<H: StoredHead>(config: &TrainConfig<H>, train: &Dataset) -> Result<Model<H>> {
    let classes = train.classes();
    let transform = Transform::fit(config.transform, &train.rows_that_count()?.features)?;
    let dimension = transform.dimension(train.dimension());
    check_memory(config, classes, dimension)?;
    let embedding_dimension = config.embedder.map_or(dimension, |embedder| embedder.dimension);
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let weights = config.init.weights(classes.saturating_mul(config.head.centres()), embedding_dimension, &mut rng)?;
    let parameters = config.head.initial_parameters(weights)?;
    let embedder = config.embedder.map(|embedder| {
        let parameters = embedder.initial_parameters(dimension, &mut rng)?;
        Ok::<_, Error>(TrainedEmbedder { embedder, parameters })
    });
    let (embedder, class_table) = (embedder.transpose()?, train.class_table().clone());
    Ok(Model { head: config.head.clone(), parameters, transform, embedder, class_table, temperature: None })
}

/// A model as the beginning of a run under the head of `config`, whose transform and embedder are the model's.
pub(super) fn taken_over<H: StoredHead>(config: &TrainConfig<H>, model: Model<H>) -> Result<Model<H>> {
    let classes = model.class_table.len();
    let weights = model.parameters.weights;
    check_memory(
        config,
        classes,
        model.embedder.as_ref().map_or(weights.ncols(), |embedder| embedder.parameters.weights.ncols()),
    )?;
    if weights.nrows() != classes * config.head.centres() {
        return Err(Error::Shape {
            what: "the class vectors of the model",
            found: weights.shape().to_vec(),
            expected: format!(
                "({}, D), {} for each of {classes} classes as {} has them",
                classes * config.head.centres(),
                config.head.centres(),
                config.head.name()
            ),
        });
    }
    let mut parameters = config.head.initial_parameters(weights)?;
    for (name, vector) in &mut parameters.vectors {
        let of_model = model.parameters.vectors.get(name).filter(|of_model| of_model.len() == vector.len());
        of_model.into_iter().for_each(|of_model| vector.assign(of_model));
    }
    for (name, value) in &mut parameters.state {
        *value = model.parameters.state.get(name).copied().unwrap_or(*value);
    }
    Ok(Model { head: config.head.clone(), parameters, temperature: None, ..model })
}

/// Checks that there is memory for what is trained of transformed features of this dimension, and for what an optimizer keeps of it.
fn check_memory<H: StoredHead>(config: &TrainConfig<H>, classes: usize, dimension: usize) -> Result<()> {
    let embedding_dimension = config.embedder.map_or(dimension, |embedder| embedder.dimension);
    let class_vectors = classes.saturating_mul(config.head.centres());
    let held = 1 + config.optimizer.moment_lengths(1).into_iter().sum::<usize>();
    let of_vectors = class_vectors.saturating_mul(held);
    let (name, value, of_embedder) = match config.embedder {
        None => ("class vectors", class_vectors, 0),
        Some(_) => {
            // The projection has a gradient, too, and a batch has embeddings with theirs.
            let of_batch = config.batch_size.saturating_mul(2);
            let of_projection = dimension.saturating_mul(held + 1);
            ("the embedding dimension", embedding_dimension, of_projection.saturating_add(of_batch))
        }
    };
    memory::check::<f32>(name, value, of_vectors.saturating_add(of_embedder).checked_mul(embedding_dimension))
}
