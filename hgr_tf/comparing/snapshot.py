"""Snapshot: statistics of prepared data, or of a log of requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hgr_tf.features import FeatureEncoding
from hgr_tf.features.column_summary import ColumnSummary


class SnapshotError(ValueError):
    """Statistics that cannot be read; the message says why."""


class Snapshot(NamedTuple):
    """What is known of some data.

    Attributes:
        source: Where it is from, for people.
        features: By feature, what statistics.json has of it.
        label_rates: Label rate of each split, by "split/label" where there are several
            labels; None where a split has no rows in which the label is defined.
        values: By feature, its distinct values and how often each came, 0 where that
            is not known: of prepared data those of the vocabulary, of requests all.
            Features without are left out.
    """

    source: str
    features: Mapping[str, Mapping[str, Any]]
    label_rates: Mapping[str, float | None]
    values: Mapping[str, Mapping[str, int]]


def load_snapshot(path: str | Path) -> Snapshot:
    """Reads a statistics.json, and the vocabularies beside it if they are there.

    Raises:
        SnapshotError: There is no such file, or it holds something else.
    """
    path = Path(path)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        features = {name: dict(one) for name, one in told["features"].items()}
        rates = _label_rates(told["splits"])
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotError(
            f"{path}: must be a statistics.json of `hgr-tf prepare` ({error!r:.80})"
        ) from error
    folder = path.parent / "vocabularies"
    values = {
        name: _counted(folder, name)
        for name in features
        if (folder / f"{name}.txt").exists()
    }
    return Snapshot(str(path), features, rates, values)


def snapshot_of_requests(
    path: str | Path, prepared: str | Path
) -> tuple[Snapshot, Snapshot]:
    """What a log of requests holds, and what the data it is compared with held.

    Values are read and counted as the pipeline reads and counts those of training.

    Args:
        path: JSON lines, CSV, Parquet or Avro, as `hgr-tf predict` takes them.
        prepared: Output of `hgr-tf prepare`.

    Returns:
        The requests, without label rates, and what they can be compared with of the
        prepared data: not the features that only training knows.

    Raises:
        SnapshotError: No row can be read, or the folder has no statistics.
        ValueError: The file cannot be read, or lacks a column.
    """
    from hgr_tf.export.inputs.log_rows import read_columns
    from hgr_tf.pipelines.learning.statistics import feature_statistics

    encoding = FeatureEncoding.load(prepared)
    trained = load_snapshot(Path(prepared) / "statistics.json")
    served = {
        name: of
        for name, of in trained.features.items()
        if name not in encoding.spec.training_only
    }
    trained = trained._replace(features=served)
    features = {feature.name: feature for feature in encoding.spec.served_features()}
    summaries: dict[str, ColumnSummary] = {}
    for columns in read_columns(path, encoding.spec):
        for name, column in columns.items():
            hits = np.ones(len(column), np.int64)
            one = features[name].transform.summarize(column, hits)
            summaries[name] = summaries[name] + one if name in summaries else one
    if not any(summary.rows for summary in summaries.values()):
        raise SnapshotError(f"{path}: must hold rows that can be read, got none")
    told = {
        name: feature_statistics(features[name], summary, encoding)
        for name, summary in summaries.items()
    }
    values = {
        name: _counts(summaries[name])
        for name in trained.values
        if name in summaries and summaries[name].counts is not None
    }
    return Snapshot(str(path), told, {}, values), trained


def _label_rates(splits: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    rates = {}
    for split, told in splits.items():
        labels = told.get("labels", {})
        several = {f"{split}/{label}": of for label, of in labels.items()}
        for name, of in (several or {split: told}).items():
            rates[name] = of["positive_rate"]
    return rates


def _counted(folder: Path, name: str) -> dict[str, int]:
    texts = (folder / f"{name}.txt").read_bytes().decode("utf-8").split("\n")[:-1]
    counts = folder / f"{name}.counts.txt"
    if not counts.exists():
        return dict.fromkeys(texts, 0)
    numbers = map(int, counts.read_text(encoding="utf-8").split())
    return dict(zip(texts, numbers, strict=True))


def _counts(summary: ColumnSummary) -> dict[str, int]:
    ranked = summary.ranked_counts()
    texts, counts = ranked["text"].to_pylist(), ranked["count"].to_pylist()
    return dict(zip(texts, counts, strict=True))
