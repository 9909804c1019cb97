"""The model of a run: made from its config, and evaluated."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.data import PreparedData
from hgr_tf.features import USER, FeatureEncoding
from hgr_tf.training.config import RunConfig

EVALUATION_BATCH = 8192


def build_model(
    config: RunConfig, encoding: FeatureEncoding, steps_per_epoch: int = 1
) -> tf.keras.Model:
    """Makes the untrained model of a config, with all its variables.

    Args:
        config: Of the run; its seed decides the initial weights.
        encoding: Of the features.
        steps_per_epoch: When the codebooks start depends on it.
    """
    tf.keras.utils.set_random_seed(config.seed)
    ranker = config.ranker.build(encoding)
    model = config.method.wrap(ranker, steps_per_epoch, config.seed)
    model(_blank_row(encoding))
    return model


def evaluate(
    model: tf.keras.Model,
    data: PreparedData,
    split: str,
    *,
    batch_size: int = EVALUATION_BATCH,
    verbose: int = 0,
) -> dict[str, float]:
    """Evaluates a compiled model on a split of prepared data.

    Returns:
        `RUN_METRICS` of the probabilities by name, what the run's config adds, and
        "loss": what Keras calls so, here the LogLoss again.

    Raises:
        ManifestError: No such split, or its data is missing or altered.
    """
    dataset = data.dataset(split, batch_size)
    values = model.evaluate(dataset, return_dict=True, verbose=verbose)
    return {name: float(value) for name, value in values.items()}


def _blank_row(encoding):
    row = {
        name: tf.zeros([1, *form.shape], form.dtype)
        for feature in encoding.spec.features()
        for name, form in feature.inputs.items()
    }
    return {**row, USER: tf.zeros([1], tf.int64)}
