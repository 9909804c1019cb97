"""drift: how far one snapshot of data lies from another, measure by measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import jensenshannon

from hgr_tf.comparing.drift_config import DriftThresholds, FeatureLimits
from hgr_tf.comparing.snapshot import Snapshot
from hgr_tf.hints import did_you_mean

LABEL = "(label)"

LabelRates = Mapping[str, float | None]
"""Label rates by "split" or "split/label"; see `Snapshot`."""


class Finding(NamedTuple):
    """One measure.

    Attributes:
        feature: The feature, or "(label)".
        measure: A field of `FeatureLimits`, "label_rate", or "feature", "type", "split"
            and "label" for what came, went or changed its type.
        value: How far it moved.
        limit: How far it may move; None if it is not judged.
        before: What it was, where it is one number.
        now: What it is.
    """

    feature: str
    measure: str
    value: float
    limit: float | None
    before: Any = None
    now: Any = None

    @property
    def drifted(self) -> bool:
        """Whether it moved too far."""
        return self.limit is not None and self.value > self.limit

    def __str__(self) -> str:
        if self.measure in ("feature", "type", "split", "label"):
            return f"{self.feature}: {self.measure} was {self.before}, is {self.now}"
        limit = "no limit" if self.limit is None else f"limit {self.limit:g}"
        moved = f"{self.feature}: {self.measure} {self.value:.4g}, {limit}"
        known = self.before is not None and self.now is not None
        return moved + (f" (was {self.before:.4g}, is {self.now:.4g})" if known else "")


def drift(
    now: Snapshot, before: Snapshot, thresholds: DriftThresholds
) -> list[Finding]:
    """Compares two snapshots.

    Args:
        now: The later data.
        before: What it is compared with.
        thresholds: How far it may move.

    Returns:
        Every measure that both allow, features in the order of `before`, then labels.

    Raises:
        ValueError: The thresholds name a feature that neither has.
    """
    names = [*before.features, *(n for n in now.features if n not in before.features)]
    for name in thresholds.features:
        if name not in names:
            raise ValueError(
                f"thresholds of `features` must be of features of the data, got "
                f"{name!r}{did_you_mean(name, names)}"
            )
    found: list[Finding] = []
    for name in names:
        pair = now.features.get(name), before.features.get(name)
        found += _feature(name, *pair, now, before, thresholds.of(name))
    return found + list(_labels(now, before, thresholds))


def _feature(
    name: str,
    now: Mapping[str, Any] | None,
    before: Mapping[str, Any] | None,
    later: Snapshot,
    earlier: Snapshot,
    limits: FeatureLimits,
) -> Iterator[Finding]:
    if now is None or before is None:
        presence = ["absent" if one is None else "there" for one in (before, now)]
        yield Finding(name, "feature", 1.0, 0.0, *presence)
        return
    if now["type"] != before["type"]:
        yield Finding(name, "type", 1.0, 0.0, before["type"], now["type"])
        return
    for measure, sign in (("missing_share", 0), ("unknown_share", 1)):
        was, is_ = before.get(measure), now.get(measure)
        if was is not None and is_ is not None:
            moved = max(0.0, is_ - was) if sign else abs(is_ - was)
            yield Finding(name, measure, moved, getattr(limits, measure), was, is_)
    counts = [each.values.get(name, {}) for each in (later, earlier)]
    distances = _distances(now, before, counts)
    if distances is not None:
        yield Finding(name, "jensen_shannon", distances[0], limits.jensen_shannon)
        yield Finding(name, "l_infinity", distances[1], limits.l_infinity)
    known, values = earlier.values.get(name), later.values.get(name)
    if known is not None and values:
        share = len(values.keys() - known.keys()) / len(values)
        yield Finding(name, "new_values", share, limits.new_values)


def _labels(
    now: Snapshot, before: Snapshot, thresholds: DriftThresholds
) -> Iterator[Finding]:
    if not now.label_rates:  # requests
        return
    later = _named_alike(now.label_rates, before.label_rates)
    earlier = _named_alike(before.label_rates, later)
    for name in dict.fromkeys([*earlier, *later]):
        was, is_ = earlier.get(name), later.get(name)
        told = f"{LABEL} of {name}"
        if was is not None and is_ is not None:
            moved = abs(is_ / was - 1) if was else float(is_ > 0)
            yield Finding(told, "label_rate", moved, thresholds.label_rate, was, is_)
        elif (was is None) != (is_ is None):
            measure = "label" if "/" in name else "split"
            presence = [_presence(name, rates) for rates in (earlier, later)]
            yield Finding(told, measure, 1.0, 0.0, *presence)


def _named_alike(rates: LabelRates, others: LabelRates) -> LabelRates:
    """The rates, those of an only label by the first label that the others have."""
    first: dict[str, str] = {}
    for name in others:
        first.setdefault(name.partition("/")[0], name)
    return {first.get(name, name): rate for name, rate in rates.items()}


def _presence(name: str, rates: LabelRates) -> str:
    if rates.get(name) is not None:
        return "there"
    if "/" not in name:
        return "without rows"
    return "without rows where it is defined" if name in rates else "absent"


def _distances(
    now: Mapping[str, Any],
    before: Mapping[str, Any],
    counts: Sequence[Mapping[str, int]],
) -> tuple[float, float] | None:
    """Jensen-Shannon (base 2) and L-infinity distances; None where nothing is known."""
    if "top" in now and "top" in before:
        pair = _shares(now, before, counts)
        if pair is None:
            return None
        p, q = pair
        furthest = float(np.abs(p - q).max())
    elif "deciles" in now and "deciles" in before:
        # Not the smallest and largest values, which move with every outlier.
        points = np.unique([*now["deciles"][1:-1], *before["deciles"][1:-1]])
        cumulated = [_cumulated(one["deciles"], points) for one in (now, before)]
        furthest = float(np.abs(cumulated[0] - cumulated[1]).max())
        # Parts of the earlier data of about a tenth each: finer ones would measure how
        # deciles were interpolated.
        edges = np.unique(before["deciles"][1:-1])
        p, q = (_parts(one["deciles"], edges) for one in (now, before))
    else:
        return None
    distance = float(jensenshannon(p, q, base=2))
    return (distance if np.isfinite(distance) else 0.0), furthest


def _shares(
    now: Mapping[str, Any],
    before: Mapping[str, Any],
    counts: Sequence[Mapping[str, int]],
) -> tuple[np.ndarray, np.ndarray] | None:
    """Shares of the most frequent values of either, and of all others together."""
    told, totals = [], []
    for one, counted in zip((now, before), counts, strict=True):
        top = {each["value"]: each["count"] for each in one["top"]}
        whole = one["distinct"] <= len(top) or any(counted.values())
        told.append(({**counted, **top}, whole, top))
        seen = one["rows"] - one["missing"]
        totals.append(
            one["rows"] * one["mean_length"] if "mean_length" in one else seen
        )
    if not all(totals):
        return None
    # A value that a cut list lacks, and no vocabulary counts, may be in its tail.
    values = [
        value
        for value in dict.fromkeys(value for _, _, top in told for value in top)
        if all(whole or value in top for _, whole, top in told)
    ]
    both = []
    for (counted, _, _), total in zip(told, totals, strict=True):
        shares = np.array([counted.get(value, 0) / total for value in values])
        both.append(np.append(shares, max(0.0, 1 - shares.sum())))
    return both[0], both[1]


def _cumulated(deciles: list[float], points: np.ndarray) -> np.ndarray:
    """[points] share of the values up to each point, linear between deciles."""
    values, first = np.unique(deciles, return_index=True)
    last = len(deciles) - 1 - np.unique(deciles[::-1], return_index=True)[1]
    # A value that is several deciles is an atom: the share jumps there.
    reached = np.repeat(values, 2)
    levels = np.column_stack([first, last]).ravel() / (len(deciles) - 1)
    found = np.interp(points, reached, levels)
    at = np.searchsorted(values, points)
    exact = (at < len(values)) & (values[np.minimum(at, len(values) - 1)] == points)
    found[exact] = last[at[exact]] / (len(deciles) - 1)
    return found


def _parts(deciles: list[float], edges: np.ndarray) -> np.ndarray:
    """[edges + 1] shares up to the first edge, between edges, and past the last."""
    return np.diff(_cumulated(deciles, edges), prepend=0.0, append=1.0)
