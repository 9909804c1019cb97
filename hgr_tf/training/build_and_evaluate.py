"""The model of a run: made from its config, and evaluated."""

from __future__ import annotations

import logging

import tensorflow as tf

from hgr_tf.data import PreparedData
from hgr_tf.features import USER, FeatureEncoding, FeatureSpec
from hgr_tf.models.heads import ONE_OUTPUT, heads_of
from hgr_tf.training.config import RunConfig

log = logging.getLogger(__name__)

EVALUATION_BATCH = 8192


def build_model(
    config: RunConfig, encoding: FeatureEncoding, steps_per_epoch: int = 1
) -> tf.keras.Model:
    """Makes the untrained model of a config, with all its variables.

    Args:
        config: Config of the run; its seed decides the initial weights.
        encoding: Encoding of the features.
        steps_per_epoch: When the codebooks start depends on it.
    """
    tf.keras.utils.set_random_seed(config.seed)
    config = config.for_spec(encoding.spec)
    ranker = config.ranker.build(encoding)
    check_heads(ranker, encoding.spec)
    model = config.method.wrap(
        ranker,
        steps_per_epoch,
        config.seed,
        config.compute.gradient_accumulation,
        encoding.spec.labels,
        config.ranker.entire_space,
    )
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
        "loss": what Keras calls so, here the LogLoss again. All are weighted by the
        rows' weights; NaN is an undefined one, such as the AUC without positives.

    Raises:
        ManifestError: No such split, or its data is missing or altered.
        ValueError: Targets can lie outside of [0, 1].
    """
    check_targets(data.encoding.spec)
    dataset = data.dataset(split, batch_size)
    with data.errors():
        values = model.evaluate(dataset, return_dict=True, verbose=verbose)
    return {name: float(value) for name, value in values.items()}


def check_targets(spec: FeatureSpec) -> None:
    """Raises `ValueError` where targets can lie outside of [0, 1], as LogLoss needs."""
    named = {f"labels.{name}": label for name, label in spec.labels.items()}
    for name, label in (named or {"label": spec.label}).items():
        if label.positive_at_least is None and (label.min < 0 or label.max > 1):
            raise ValueError(
                f"`{name}.positive_at_least` must be given in the spec to train or "
                "evaluate by LogLoss, which needs targets in [0, 1]; got the values of "
                f"{label.column!r} as they are, between {label.min:g} and {label.max:g}"
            )


def check_positives(data: PreparedData, split: str, goes_on: bool = False) -> None:
    """Raises `ValueError` where one of several labels is nowhere positive.

    Args:
        data: The data.
        split: The split to train on.
        goes_on: Whether the run begins with an earlier one, whose heads have learned:
            a day without positives is then warned of.
    """
    for name, counts in data.manifest.splits[split].labels.items():
        if counts.positives:
            continue
        message = (
            f"`labels.{name}` must be positive in a row of {split!r} to train its "
            f"head, got none of {counts.rows:,} rows"
        )
        if not goes_on:
            raise ValueError(message)
        log.warning("%s", message)


def check_heads(ranker: tf.keras.Model, spec: FeatureSpec) -> None:
    """Raises `ValueError` unless a ranker has a head for each of the spec's labels."""
    heads = heads_of(ranker)
    if set(heads) == set(spec.labels or ONE_OUTPUT):
        return
    needed = f"outputs {list(spec.labels)}" if spec.labels else "one output"
    found = "one output" if heads == ONE_OUTPUT else list(heads)
    raise ValueError(
        f"the ranker must have {needed}, as the spec's labels say, got {found}; "
        "shared_bottom, mmoe, ple and esmm have a head for each of `labels`"
    )


def _blank_row(encoding: FeatureEncoding) -> dict[str, tf.Tensor]:
    row = {
        name: tf.zeros([1] if form.size is None else [1, form.size], form.dtype)
        for name, form in encoding.spec.inputs().items()
    }
    return {**row, USER: tf.zeros([1], tf.int64)}
