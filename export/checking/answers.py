"""Refuses a model that answers what no ranker should: NaN, or always the same."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import tensorflow as tf

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.runtime.outputs import PROBABILITIES, probability_names
from hgr_tf.export.runtime.requests import DEFAULT_SIGNATURE
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.features import FeatureEncoding

_ROWS = 256


class AnswerError(ValueError):
    """A model that cannot rank; the message says what it answers."""


def check_weights(ranker: tf.keras.Model) -> None:
    """Looks for NaN and infinity in the weights of a ranker.

    Raises:
        AnswerError: A weight holds one; it is named.
    """
    for variable in ranker.variables:
        values = np.asarray(variable)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            name = getattr(variable, "path", variable.name)
            raise AnswerError(f"weights must be finite, got NaN or infinity in {name}")


def check_answers(
    folder: str | Path, encoding: FeatureEncoding, names: Collection[str], seed: int = 0
) -> None:
    """Asks a SavedModel for the probabilities of 256 random requests.

    Args:
        folder: A SavedModel with the signature `serving_default`.
        encoding: What it was exported with.
        names: The features it takes.
        seed: Seed of the requests.

    Raises:
        AnswerError: A probability is NaN or infinite, or all of a head are equal.
    """
    requests = SampleRequests(encoding, names, seed).raw(_ROWS)
    answers = ServingSession(folder).call(DEFAULT_SIGNATURE, requests)
    for name in probability_names(answers):
        of_head = "" if name == PROBABILITIES else f" of the head {name!r}"
        _check(answers[name], f"probabilities{of_head}")


def _check(scores: np.ndarray, what: str) -> None:
    if count := int(np.sum(~np.isfinite(scores))):
        raise AnswerError(
            f"{what} must be finite, got NaN or infinity for {count} of {_ROWS} random "
            "requests"
        )
    if np.ptp(scores) == 0:
        raise AnswerError(
            f"{what} must differ, got {scores[0]:g} for each of {_ROWS} random "
            "requests: a constant ranks nothing"
        )
