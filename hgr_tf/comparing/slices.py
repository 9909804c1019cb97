"""Slices of a split: by the values of a feature, or by how active its user is."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hgr_tf.comparing.figures import NDCG_AT, Predictions
from hgr_tf.comparing.intervals import Estimate, estimates
from hgr_tf.comparing.predicting import predict_heads
from hgr_tf.features import FeatureEncoding
from hgr_tf.features.encoding import MISSING
from hgr_tf.result_files import plain

log = logging.getLogger(__name__)

ALL = "all"

USER_ACTIVITY = "user_activity"
"""Slices by the number of rows that the row's user has in the split; of those that the
head is judged on, where there are several heads."""

USER_IN_TRAINING = "user_in_training"
"""Slices by whether the vocabulary of the users' ids, learned from the training split,
holds the row's user."""

MOST_VALUES = 20
"""Values of a feature with slices of their own; the rarer ones share one."""

OTHERS = "(others)"


class Slicing(NamedTuple):
    """How to cut a split into slices.

    Attributes:
        text: As it was given, such as "country" or "user_activity:quantile5".
        column: A feature of the spec, `USER_ACTIVITY` or `USER_IN_TRAINING`.
        quantiles: Number of parts by value; None for a slice per value.
        inputs: The model's inputs that it is cut by.
    """

    text: str
    column: str
    quantiles: int | None
    inputs: tuple[str, ...]

    @classmethod
    def parse(
        cls, text: str, encoding: FeatureEncoding, argument: str = "`--slice`"
    ) -> Slicing:
        """Reads COLUMN or COLUMN:quantileN, and checks it against the spec.

        Args:
            text: What to read.
            encoding: Its spec has the columns.
            argument: What errors call it.

        Raises:
            ValueError: There is no such column, or it cannot be cut like this.
        """
        column, _, how = text.partition(":")
        match = re.fullmatch(r"quantile([1-9]\d{0,3})", how)
        if how and not match:
            raise ValueError(
                f"{argument} must be COLUMN or COLUMN:quantileN, got {text!r}"
            )
        quantiles = int(match.group(1)) if match else None
        features = {feature.name: feature for feature in encoding.spec.features()}
        if column == USER_ACTIVITY and column not in features:
            return cls(text, column, quantiles or 5, ())
        if column == USER_IN_TRAINING and column not in features:
            return cls(text, column, None, (_user_feature(encoding, argument),))
        if column not in features:
            raise ValueError(
                f"{argument} must name a feature of the spec ({', '.join(features)}), "
                f"{USER_ACTIVITY} or {USER_IN_TRAINING}, got {column!r}"
            )
        kind = features[column].transform
        if kind.forms[0].size is not None:
            raise ValueError(
                f"{argument} must name a feature with one value per row, got "
                f"{column!r} of type {kind.type!r}"
            )
        if kind.is_categorical == (quantiles is not None):
            form = column if kind.is_categorical else f"{column}:quantile5"
            raise ValueError(
                f"{argument} must be {form!r} for a feature of type {kind.type!r}, "
                f"got {text!r}"
            )
        return cls(text, column, quantiles, (column,))


class Slice(NamedTuple):
    """The figures of some rows.

    Attributes:
        value: What the rows have in common, such as "NL" or "3 to 7".
        rows: Number of rows.
        users: Number of users.
        metrics: `hgr_tf.comparing.intervals.estimates` of the rows.
    """

    value: str
    rows: int
    users: int
    metrics: dict[str, Estimate]

    def as_json(self) -> dict[str, Any]:
        """For JSON: each metric's "value" and "interval"; undefined is null."""
        metrics = {
            name: {"value": one.value, "interval": [one.low, one.high]}
            for name, one in self.metrics.items()
        }
        return plain({**self._asdict(), "metrics": metrics})


def sliced_figures(
    model: Any,
    data: Any,
    split: str,
    slicings: Sequence[Slicing],
    *,
    batch_size: int = 8192,
    from_logits: bool = True,
    seed: int = 0,
    ks: Sequence[int] = (NDCG_AT,),
) -> dict[str, list[Slice]]:
    """Predicts a split once and takes the figures of its slices.

    Args:
        model: A trained model; its `ranker` is asked.
        data: The `hgr_tf.data.PreparedData`.
        split: Name of a split.
        slicings: How to cut it; see `Slicing.parse`.
        batch_size: Rows per step; only speed depends on it.
        from_logits: Whether the ranker gives logits rather than probabilities.
        seed: Seed of the bootstrap.
        ks: How many of a user's first rows NDCG and hit rates look at.

    Returns:
        "all" with the whole split, then the slices of each slicing by its text; of
        several heads "click/all" and so on.
    """
    from hgr_tf.models.heads import of_head

    names = sorted({name for slicing in slicings for name in slicing.inputs})
    rows = predict_heads(model, data, split, names, batch_size, from_logits)
    log.info("figures of slices, with intervals")
    return {
        of_head(head, text): found
        for head, of in rows.items()
        for text, found in all_slices(*of, slicings, data.encoding, seed, ks).items()
    }


def all_slices(
    predictions: Predictions,
    inputs: Mapping[str, np.ndarray],
    slicings: Sequence[Slicing],
    encoding: FeatureEncoding,
    seed: int = 0,
    ks: Sequence[int] = (NDCG_AT,),
) -> dict[str, list[Slice]]:
    """The whole as "all", and the slices of each slicing by its text; see `slices`."""
    found = {ALL: [slice_of(predictions, ALL, seed, ks)]}
    for one in slicings:
        found[one.text] = slices(predictions, inputs, one, encoding, seed, ks)
    return found


def slices(
    predictions: Predictions,
    inputs: Mapping[str, np.ndarray],
    slicing: Slicing,
    encoding: FeatureEncoding,
    seed: int = 0,
    ks: Sequence[int] = (NDCG_AT,),
) -> list[Slice]:
    """Cuts rows, and takes the figures of each slice; see `cut`.

    Args:
        predictions: The rows.
        inputs: [rows] arrays of `slicing.inputs`.
        slicing: How to cut.
        encoding: Tells what the ids of a feature mean.
        seed: Seed of the bootstrap.
        ks: How many of a user's first rows NDCG and hit rates look at.

    Returns:
        The slices that have rows: quantiles in their order, values by falling rows.
    """
    return [
        slice_of(rows_of(predictions, inside), value, seed, ks)
        for value, inside in cut(predictions.users, inputs, slicing, encoding)
    ]


def cut(
    users: np.ndarray,
    inputs: Mapping[str, np.ndarray],
    slicing: Slicing,
    encoding: FeatureEncoding,
) -> list[tuple[str, np.ndarray]]:
    """Cuts rows into slices.

    Args:
        users: [rows] users of the rows.
        inputs: [rows] arrays of `slicing.inputs`.
        slicing: How to cut.
        encoding: Tells what the ids of a feature mean.

    Returns:
        What the rows of a slice have in common and a [rows] mask of them, for each
        slice that has rows: quantiles in their order, values by falling rows.
    """
    if slicing.column == USER_ACTIVITY:
        return _by_quantile(_activity(users), slicing.quantiles or 1, "d")
    (name,) = slicing.inputs
    if slicing.quantiles:
        return _by_quantile(inputs[name], slicing.quantiles, ".6g")
    if slicing.column == USER_IN_TRAINING:
        known = inputs[name] >= encoding.first_vocabulary_id(name)
        return [(v, m) for v, m in (("yes", known), ("no", ~known)) if m.any()]
    return _by_value(inputs[name], name, encoding)


def rows_of(predictions: Predictions, inside: np.ndarray) -> Predictions:
    """The predictions of some rows, by a [rows] mask."""
    return Predictions(*(column[inside] for column in predictions))


def slice_of(
    predictions: Predictions,
    value: str,
    seed: int = 0,
    ks: Sequence[int] = (NDCG_AT,),
) -> Slice:
    """The figures of rows that are one slice."""
    users = len(np.unique(predictions.users))
    rows = len(predictions.users)
    return Slice(value, rows, users, estimates(predictions, seed=seed, ks=ks))


def _user_feature(encoding: FeatureEncoding, argument: str) -> str:
    """The feature made of the user's id, which has a vocabulary."""
    if encoding.known_users is None:
        raise ValueError(
            f"{argument} {USER_IN_TRAINING!r} needs a feature of the user's id with a "
            "vocabulary of its own, and the spec has none"
        )
    return encoding.known_users


def _activity(users: np.ndarray) -> np.ndarray:
    _, position, count = np.unique(users, return_inverse=True, return_counts=True)
    return count[position]


def _by_quantile(
    values: np.ndarray, parts: int, form: str
) -> list[tuple[str, np.ndarray]]:
    """Parts of about equal rows; rows of one value stay together."""
    defined = np.isfinite(values)
    edges = np.quantile(values[defined], np.arange(1, parts) / parts, method="lower")
    part = np.searchsorted(np.unique(edges), values)
    named = []
    for index in range(parts):
        inside = defined & (part == index)
        if inside.any():
            low, high = values[inside].min(), values[inside].max()
            named.append((f"{low:{form}} to {high:{form}}", inside))
    return named if defined.all() else [*named, (MISSING, ~defined)]


def _by_value(
    ids: np.ndarray, column: str, encoding: FeatureEncoding
) -> list[tuple[str, np.ndarray]]:
    found = np.unique(ids)
    names = np.array([value_name(number, column, encoding) for number in found])
    name_of = names[np.searchsorted(found, ids)]
    values, counts = np.unique(name_of, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    # A slice of its own for the last value would save nothing if it is the only other.
    own = order if len(order) <= MOST_VALUES + 1 else order[:MOST_VALUES]
    named = [(str(values[i]), name_of == values[i]) for i in own]
    if len(own) < len(order):
        named.append((OTHERS, ~np.isin(name_of, values[own])))
    return named


def value_name(number: int, column: str, encoding: FeatureEncoding) -> str:
    """The value of a feature that an id stands for, as people write it."""
    return encoding.value_of(column, int(number)) or f"id {number}"
