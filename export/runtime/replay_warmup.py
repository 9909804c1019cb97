"""Replay of a version's warm-up records on a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from hgr_tf.export.runtime.c_library import Code, SessionError
from hgr_tf.export.runtime.requests import run_classify, run_predict, run_regress
from hgr_tf.export.runtime.session import ServingSession

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MOST = 1000
_RUN = {
    "predict_log": run_predict,
    "classify_log": run_classify,
    "regress_log": run_regress,
}


def replay_warmup(session: ServingSession, folder: str | Path) -> int:
    """Runs the records of a version, if there are any.

    As in TensorFlow Serving a bad record, or one too many, refuses the model.

    Returns:
        Number of records.

    Raises:
        SessionError: A record cannot be parsed or fails, or there are more
            than `MOST`.
    """
    count = 0
    for count, log in enumerate(read_warmup(folder), start=1):
        if count > MOST:
            raise SessionError(
                Code.INVALID_ARGUMENT,
                f"Number of warmup records exceeds the maximum ({MOST}) at {folder}",
            )
        kind = log.WhichOneof("log_type")
        if kind not in _RUN:
            raise SessionError(Code.UNIMPLEMENTED, f"warm-up record of type {kind}")
        _RUN[kind](session, getattr(log, kind).request)
    return count


def read_warmup(folder: str | Path) -> Iterator[prediction_log_pb2.PredictionLog]:
    """The warm-up records of a version; none where it has no file of them.

    Raises:
        SessionError: One cannot be parsed.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return
    for record in _records(path):
        try:
            yield prediction_log_pb2.PredictionLog.FromString(record)
        except DecodeError as error:
            raise SessionError(Code.INVALID_ARGUMENT, f"{path}: {error}") from error


def _records(path: Path) -> Iterator[bytes]:
    """Records of an uncompressed TFRecord file: length, CRC, bytes, CRC."""
    with path.open("rb") as file:
        while header := file.read(12):
            length = int.from_bytes(header[:8], "little")
            record = file.read(length)
            if len(record) != length or len(file.read(4)) != 4:
                raise SessionError(Code.INVALID_ARGUMENT, f"{path}: cut short")
            yield record
