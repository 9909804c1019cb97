"""What two exported versions answer to the same random requests, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hgr_tf.comparing.gate_config import TopK
from hgr_tf.comparing.gate_report import GateError
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.runtime.outputs import PROBABILITIES, probability_names
from hgr_tf.export.runtime.requests import DEFAULT_SIGNATURE
from hgr_tf.export.runtime.session import ServingSession


def changed_top_k(
    new: str | Path, old: str | Path, encoding: Any, top_k: TopK, seed: int = 0
) -> dict[str, float | None]:
    """Share of the old version's first k items that the new one ranks lower.

    Args:
        new: A SavedModel with the signature `rank`.
        old: Another one.
        encoding: Encoding of the new one; random requests are drawn from it.
        top_k: How many requests and items, and k.
        seed: Seed of the requests.

    Returns:
        The mean over the requests, by the name of each head, "" for a ranker with one
        output; None for a head that only one of the versions has.

    Raises:
        GateError: A version has no `rank`, or takes a feature that the encoding lacks.
    """
    sessions = [ServingSession(folder) for folder in (new, old)]
    names = [_features(session, "rank", encoding) for session in sessions]
    requests = SampleRequests(encoding, names[0] | names[1], seed)
    raw = requests.rank(top_k.requests, top_k.items)
    answers = [
        session.call("rank", {name: raw[name] for name in own})
        for session, own in zip(sessions, names, strict=True)
    ]
    new_heads, old_heads = (_by_head(answer) for answer in answers)
    return {
        head: _changed(new_heads[head], old_heads[head], top_k.k)
        if head in new_heads and head in old_heads
        else None
        for head in {**new_heads, **old_heads}
    }


def _by_head(answer: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The probabilities of an answer by head; "" for a single output."""
    return {
        "" if name == PROBABILITIES else name: answer[name]
        for name in probability_names(answer)
    }


def _changed(new: np.ndarray, old: np.ndarray, k: int) -> float:
    """The share, given the probabilities [requests, items] of both."""
    first = [np.argsort(-scores, axis=1, kind="stable")[:, :k] for scores in (new, old)]
    kept = (first[0][:, :, None] == first[1][:, None, :]).any(axis=2)
    return float(1 - kept.mean())


def milliseconds(
    folders: Sequence[str | Path],
    encoding: Any,
    rows: int,
    calls: int,
    seed: int = 0,
) -> list[np.ndarray]:
    """Milliseconds [calls] of requests to each version, asked in turns.

    Args:
        folders: SavedModels with the signature `serving_default`.
        encoding: Random requests are drawn from it.
        rows: Rows of a request.
        calls: Requests to each, after ten that are not timed.
        seed: Seed of the requests.
    """
    sessions = [ServingSession(folder) for folder in folders]
    taken = [_features(one, DEFAULT_SIGNATURE, encoding) for one in sessions]
    raw = SampleRequests(encoding, set().union(*taken), seed).raw(rows)
    times: list[list[float]] = [[] for _ in folders]
    for _ in range(calls + 10):
        for session, own, found in zip(sessions, taken, times, strict=True):
            request = {name: raw[name] for name in own}
            start = time.perf_counter()
            session.call(DEFAULT_SIGNATURE, request)
            found.append(1000 * (time.perf_counter() - start))
    return [np.array(found[10:]) for found in times]


def megabytes(folder: str | Path) -> float:
    """Size of a version's files, in 1,000,000 bytes."""
    paths = Path(folder).rglob("*")
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def _features(session: Any, signature: str, encoding: Any) -> set[str]:
    if signature not in session.signatures:
        raise GateError(
            f"both versions must have the signature {signature!r}, got "
            f"{sorted(session.signatures)}"
        )
    names = set(session.signatures[signature].inputs)
    unknown = names - {feature.name for feature in encoding.spec.features()}
    if unknown:
        raise GateError(
            "both versions must take features of the run's spec, got "
            f"{sorted(unknown)} of one of them"
        )
    return names
