"""Differences of methods to the baseline in the slices of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hgr_tf.comparing.config import CompareConfig
from hgr_tf.comparing.differences import differences
from hgr_tf.comparing.figures import BY_USER, Predictions, mean_of
from hgr_tf.comparing.slices import Slicing, cut, rows_of
from hgr_tf.data import PreparedData


def check_slices(config: CompareConfig) -> None:
    """Raises `ValueError` where a slice is no column, or cannot be cut like this."""
    if config.slices:
        _slicings(config, _data(config))


def sliced_differences(
    config: CompareConfig, runs: Mapping[str, Sequence[Predictions]]
) -> dict[str, list[dict[str, Any]]]:
    """Compares the methods within each slice, as over the whole split.

    Args:
        config: Config of the comparison; its `slices` are cut.
        runs: Predictions of each method's seeds, rows in the order of the split.

    Returns:
        By the text of a cut its slices: "value", "rows", "users", and "methods", which
        have "gauc" and "log_loss" as means over the seeds and, but for the baseline,
        "difference" of either. An interval holds 95% for the methods of one slice
        together, not for all slices.
    """
    if not config.slices:
        return {}
    data = _data(config)
    asked = _slicings(config, data)
    inputs = _inputs(data, config.split, {n for one in asked for n in one.inputs})
    users = runs[config.baseline][0].users
    return {
        one.text: [
            {
                "value": value,
                "rows": int(inside.sum()),
                "users": len(np.unique(users[inside])),
                "methods": _methods(config, runs, inside),
            }
            for value, inside in cut(users, inputs, one, data.encoding)
        ]
        for one in asked
    }


def _data(config: CompareConfig) -> PreparedData:
    return PreparedData.load(config.run(config.baseline, config.seeds[0]).data.path)


def _slicings(config: CompareConfig, data: PreparedData) -> list[Slicing]:
    return [Slicing.parse(text, data.encoding, "`slices`") for text in config.slices]


def _methods(
    config: CompareConfig,
    runs: Mapping[str, Sequence[Predictions]],
    inside: np.ndarray,
) -> dict[str, Any]:
    rows = {name: [rows_of(p, inside) for p in own] for name, own in runs.items()}
    found: dict[str, Any] = {name: {"difference": {}} for name in runs}
    for metric, by_user in BY_USER.items():
        sums = {name: [by_user(p) for p in own] for name, own in rows.items()}
        for name, own in sums.items():
            found[name][metric] = float(np.mean([mean_of(one) for one in own]))
        for name, difference in differences(sums, config.baseline).items():
            found[name]["difference"][metric] = difference._asdict()
    return found


def _inputs(data: PreparedData, split: str, names: set[str]) -> dict[str, np.ndarray]:
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    with data.errors():
        for inputs, *_ in data.dataset(split, 8192) if names else ():
            for name, values in parts.items():
                values.append(inputs[name].numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}
