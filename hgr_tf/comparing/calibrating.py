"""Fits a calibration on half of a split, and measures it on the other half."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np
import scipy.special
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from hgr_tf.calibration.calibration import (
    Calibration,
    CalibrationError,
    CalibrationFigures,
)
from hgr_tf.calibration.isotonic import LOWEST, Isotonic
from hgr_tf.calibration.method import Method
from hgr_tf.calibration.per_slice import PerSlice, SliceScale
from hgr_tf.calibration.platt import Platt
from hgr_tf.comparing.figures import Predictions, figures
from hgr_tf.comparing.predicting import chosen_head, predict_heads
from hgr_tf.comparing.slices import value_name
from hgr_tf.features import FeatureEncoding
from hgr_tf.result_files import plain

log = logging.getLogger(__name__)

FEWEST_USERS = 20
"""With fewer users, rows are dealt to the halves instead."""

FEWEST_OF_A_CLASS = 20
"""Positives, and negatives, that a slice needs for a scale of its own."""

MOST_SLICES = 256
"""Slices with a scale of their own: those with the most rows."""

_EPSILON = 1e-7


def calibrate(
    model: Any,
    data: Any,
    split: str,
    method: Method,
    *,
    by: str | None = None,
    batch_size: int = 8192,
    from_logits: bool = True,
    seed: int = 0,
    heads: Collection[str] = (),
) -> dict[str, Calibration]:
    """Fits a calibration of each head of a trained model on half of a split.

    Half of the users fit it, and the rows of the other users measure it. With fewer
    than `FEWEST_USERS` users the rows are dealt to the halves.

    Args:
        model: A trained model; its `ranker` is asked.
        data: The `hgr_tf.data.PreparedData`.
        split: Name of a split that the model was not trained on.
        method: How to calibrate.
        by: The feature whose values have scales of their own, for "per-slice" alone.
        batch_size: Rows per step; only speed depends on it.
        from_logits: Whether the ranker gives logits rather than probabilities.
        seed: Seed of the halves.
        heads: Names of the heads to calibrate; by default all.

    Returns:
        The calibrations with their figures, by the name of their head; that of a
        single output has none, "".

    Raises:
        CalibrationError: The split has no positives or no negatives, or the labels
            fall where the model's probabilities rise.
        ValueError: `by` names no feature that can be calibrated by, or goes with
            another method; or there is no such head.
    """
    chosen = [chosen_head(model.heads, head) for head in heads] or model.heads
    encoding = data.encoding
    names = [] if (column := check_by(by, method, encoding)) is None else [column]
    rows = predict_heads(model, data, split, names, batch_size, from_logits)
    log.info("fitting on half of %r, measuring on the other half", split)
    found = {}
    for head in chosen:
        try:
            found[head] = fit(*rows[head], encoding, method, split, seed)
        except CalibrationError as error:
            where = f"{head}: " if head else ""
            raise CalibrationError(f"{where}{error}") from error
    return found


def check_by(by: str | None, method: Method, encoding: FeatureEncoding) -> str | None:
    """Returns the feature to calibrate by, None for all rows alike.

    Raises:
        ValueError: It is no feature with one id per row, or missing, or not wanted.
    """
    if method != "per-slice":
        if by is not None:
            raise ValueError(f"--by must go with the method 'per-slice', got {method}")
        return None
    possible = [
        feature.name
        for feature in encoding.spec.features()
        if feature.transform.is_categorical and feature.transform.forms[0].size is None
    ]
    if by not in possible:
        raise ValueError(
            "--by must name a feature of the spec with one category per row "
            f"({', '.join(possible)}), got {by!r}"
        )
    return by


def fit(
    predictions: Predictions,
    inputs: Mapping[str, np.ndarray],
    encoding: FeatureEncoding,
    method: Method,
    split: str,
    seed: int = 0,
) -> Calibration:
    """Fits a calibration on half of some rows; see `calibrate`.

    Args:
        predictions: The rows.
        inputs: [rows] ids of the feature to calibrate by, for "per-slice"; else empty.
        encoding: Tells what the ids mean.
        method: How to calibrate.
        split: Name of the split, for the file.
        seed: Seed of the halves.
    """
    halves, fitting = deal_halves(predictions.users, seed)
    fitted = _rows(predictions, fitting)
    function: Platt | Isotonic | PerSlice
    if method == "platt":
        function = fit_platt(fitted)
    elif method == "isotonic":
        function = fit_isotonic(fitted)
    else:
        ((column, ids),) = inputs.items()
        function = fit_per_slice(fitted, ids[fitting], column, encoding)
    before = _rows(predictions, ~fitting)
    after = calibrated(
        function, before, {name: ids[~fitting] for name, ids in inputs.items()}
    )
    return Calibration(
        function=function,
        split=split,
        seed=seed,
        halves=halves,
        fitted_rows=int(fitting.sum()),
        measured_rows=int((~fitting).sum()),
        before=_figures(before),
        after=_figures(after),
    )


def deal_halves(
    users: np.ndarray, seed: int = 0
) -> tuple[Literal["users", "rows"], np.ndarray]:
    """Deals users, or rows where there are few users, to two halves.

    Args:
        users: [rows] users.
        seed: Seed of the deal.

    Returns:
        What was dealt, and [rows] whether a row is of the half that fits.
    """
    rng = np.random.default_rng(seed)
    distinct = np.unique(users)
    if len(distinct) >= FEWEST_USERS:
        chosen = rng.permutation(distinct)[: len(distinct) // 2]
        return "users", np.isin(users, chosen)
    fitting = np.zeros(len(users), bool)
    fitting[rng.permutation(len(users))[: len(users) // 2]] = True
    return "rows", fitting


def platt(predictions: Predictions, seed: int = 0) -> tuple[Predictions, Predictions]:
    """Platt scaling, fitted on half of the users and applied to the other half.

    Returns:
        The other half's rows before and after; the same where it cannot be fitted.
    """
    _, fitting = deal_halves(predictions.users, seed)
    before = _rows(predictions, ~fitting)
    try:
        scale = fit_platt(_rows(predictions, fitting))
    except CalibrationError:
        return before, before
    logits = scale.logits(_logits(before), {})
    return before, before._replace(probabilities=scipy.special.expit(logits))


def fit_platt(rows: Predictions) -> Platt:
    """Fits Platt scaling to some rows, by their weights.

    Raises:
        CalibrationError: The rows lack a class, or the labels fall where the
            probabilities rise.
    """
    # A label of 0.3 is three tenths of a positive row.
    weights = np.concatenate([rows.weights * rows.labels, _negatives(rows)])
    targets = np.repeat([1, 0], len(rows.labels))
    logits = np.tile(_logits(rows), 2)
    used = weights > 0
    _check_classes(rows)
    # Newton's steps end at the optimum to the last digits, where L-BFGS's default
    # leaves a mean probability that is off by some 1e-4.
    line = LogisticRegression(C=1e6, solver="newton-cholesky", tol=1e-8)
    line.fit(logits[used, None], targets[used], weights[used])
    slope, intercept = float(line.coef_[0, 0]), float(line.intercept_[0])
    if slope <= 0:
        raise CalibrationError(
            "labels must rise with the probabilities to be calibrated, got a slope of "
            f"{slope:.3g}"
        )
    return Platt(slope=slope, intercept=intercept)


def fit_isotonic(rows: Predictions) -> Isotonic:
    """Fits isotonic regression to some rows, by their weights.

    Raises:
        CalibrationError: The rows lack a class.
    """
    _check_classes(rows)
    used = rows.weights > 0
    steps = IsotonicRegression(y_min=LOWEST, y_max=1 - LOWEST, out_of_bounds="clip")
    # Knots are float32, as what is served.
    logits = _logits(rows)[used].astype(np.float32).astype(np.float64)
    steps.fit(logits, rows.labels[used], rows.weights[used])
    rising = np.maximum.accumulate(steps.y_thresholds_)
    return Isotonic(
        at=tuple(map(float, steps.X_thresholds_)),
        probabilities=tuple(map(float, rising)),
    )


def fit_per_slice(
    rows: Predictions, ids: np.ndarray, column: str, encoding: FeatureEncoding
) -> PerSlice:
    """Fits Platt scaling to each slice that has enough rows, and to all rows.

    Args:
        rows: The rows.
        ids: [rows] ids of the feature.
        column: Name of the feature.
        encoding: Tells what the ids mean.

    Raises:
        CalibrationError: All rows together lack a class, or their labels fall where
            the probabilities rise. A slice of which that is true has no scale.
    """
    fallback = fit_platt(rows)
    found, counts = np.unique(ids, return_counts=True)
    slices: list[SliceScale] = []
    for index in np.argsort(-counts, kind="stable"):
        if len(slices) == MOST_SLICES:
            break
        number = int(found[index])
        own = _rows(rows, ids == number)
        positives = int(np.sum(own.weights * own.labels > 0))
        negatives = int(np.sum(_negatives(own) > 0))
        if min(positives, negatives) < FEWEST_OF_A_CLASS:
            continue
        try:
            scale = fit_platt(own)
        except CalibrationError:
            continue
        slices.append(
            SliceScale(
                id=number,
                value=value_name(number, column, encoding),
                rows=int(counts[index]),
                slope=scale.slope,
                intercept=scale.intercept,
            )
        )
    return PerSlice(column=column, fallback=fallback, slices=tuple(slices))


def calibrated(
    function: Platt | Isotonic | PerSlice,
    rows: Predictions,
    inputs: Mapping[str, np.ndarray],
) -> Predictions:
    """Rows with calibrated probabilities, by the ops that serve them, in float64."""
    import tensorflow as tf

    ids = {name: tf.constant(values) for name, values in inputs.items()}
    logits = function.logits(tf.constant(_logits(rows)), ids)
    return rows._replace(probabilities=tf.sigmoid(logits).numpy())


def _rows(predictions: Predictions, inside: np.ndarray) -> Predictions:
    return Predictions(*(column[inside] for column in predictions))


def _logits(rows: Predictions) -> np.ndarray:
    p = np.clip(rows.probabilities, _EPSILON, 1 - _EPSILON)
    return np.log(p) - np.log1p(-p)


def _negatives(rows: Predictions) -> np.ndarray:
    return rows.weights * (1 - rows.labels)


def _check_classes(rows: Predictions) -> None:
    positives, negatives = (rows.weights * rows.labels).sum(), _negatives(rows).sum()
    if not (positives > 0 and negatives > 0):
        raise CalibrationError(
            "the half of the rows that fits must hold positives and negatives, got "
            f"weights of {positives:g} and {negatives:g}"
        )


def _figures(rows: Predictions) -> CalibrationFigures:
    found = figures(rows)
    _, place, count = np.unique(
        rows.probabilities.astype(np.float32), return_inverse=True, return_counts=True
    )
    tied = float(np.mean(count[place] > 1)) if len(place) else None
    names = set(CalibrationFigures.model_fields) - {"tied"}
    values = plain({name: found[name] for name in names})
    return CalibrationFigures(**values, tied=tied)
