"""Warm-up records: requests that a server replays before it takes traffic."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.runtime.replay_warmup import FILE, MOST
from hgr_tf.export.signature import signature_class
from hgr_tf.features import FeatureEncoding

ROWS = (1, 10, 100)
"""Rows, or items to rank, of the requests in turn."""


def write_warmup(
    folder: str | Path,
    encoding: FeatureEncoding,
    names: Collection[str],
    signatures: Collection[str],
    records: int,
    seed: int = 0,
) -> None:
    """Writes warm-up records for the signatures in turn.

    Args:
        folder: A SavedModel.
        encoding: What it was exported with.
        names: The features it takes.
        signatures: The keys of its signatures.
        records: How many; 0 writes no file.
        seed: Seed of the drawn values.

    Raises:
        ValueError: `records` is negative or more than `MOST`.
    """
    check_records(records)
    if not records:
        return
    requests = SampleRequests(encoding, names, seed)
    signatures = sorted(signatures)
    with tf.io.TFRecordWriter(str(Path(folder) / FILE)) as writer:
        for i in range(records):
            rows = ROWS[i // len(signatures) % len(ROWS)]
            log = _record(signatures[i % len(signatures)], requests, rows)
            writer.write(log.SerializeToString())


def check_records(records: int) -> None:
    """Raises `ValueError` unless a model may have this many records."""
    if not 0 <= records <= MOST:
        raise ValueError(f"`warmup` must be between 0 and {MOST}, got {records}")


def _record(
    signature: str, requests: SampleRequests, rows: int
) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    request = signature_class(signature).log_request(log, requests, rows)
    request.model_spec.signature_name = signature
    return log
