"""What the outputs of a signature are called, and the probabilities among them.

A ranker with one output gives "probabilities". One with several heads gives those of
each under the head's name. Logits, where an export gives them, lie beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

PROBABILITIES = "probabilities"
LOGITS = "logits"

Scores: TypeAlias = np.ndarray | dict[str, np.ndarray]
"""Probabilities of a ranker with one output, or of each head by its name."""


def logits_name(output: str) -> str:
    """Name of the logits beside an output of probabilities.

    No head can have it: a head's name holds no slash.
    """
    return LOGITS if output == PROBABILITIES else f"{output}/{LOGITS}"


def probability_names(outputs: Iterable[str]) -> list[str]:
    """Those of a signature's outputs that are probabilities, by name."""
    return sorted(name for name in outputs if name.rpartition("/")[2] != LOGITS)


def joined(
    batches: Sequence[Mapping[str, np.ndarray]], outputs: Iterable[str]
) -> Scores:
    """Probabilities [rows] of consecutive batches of rows.

    Args:
        batches: The outputs of each, [rows of the batch] by name.
        outputs: Names of the outputs of the signature.
    """
    none = np.zeros(0, np.float32)
    scores = {
        name: np.concatenate([none, *(batch[name] for batch in batches)])
        for name in probability_names(outputs)
    }
    return scores.get(PROBABILITIES, scores)
