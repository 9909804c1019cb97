"""Differences of figures that were taken seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """Mean of ours minus theirs, its 95% interval (t) and the difference by seed.

    Args:
        ours: A figure for each seed.
        theirs: The same of what it is compared with.
    """
    gained = np.subtract(ours, theirs)
    interval = None
    if len(gained) > 1:
        half = scipy.stats.t.ppf(0.975, len(gained) - 1) * scipy.stats.sem(gained)
        interval = [float(gained.mean() - half), float(gained.mean() + half)]
    return {
        "mean": float(gained.mean()),
        "interval": interval,
        "by_seed": gained.tolist(),
    }
