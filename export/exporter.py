"""export_for_serving: from a trained model to a published version."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import tensorflow as tf

from hgr_tf.calibration.heads import AnyCalibration
from hgr_tf.export.checking.answers import check_answers, check_weights
from hgr_tf.export.checking.leak_report import Report
from hgr_tf.export.checking.verification import verify
from hgr_tf.export.options import SIGNATURES, ExportOptions
from hgr_tf.export.publishing import publish_checked
from hgr_tf.export.ranker import (
    check_calibration,
    feature_names,
    gives_logits,
    head_names,
    ranker_of,
)
from hgr_tf.export.runtime.requests import DEFAULT_SIGNATURE
from hgr_tf.export.saving.request_file import write_request
from hgr_tf.export.saving.warmup import check_records, write_warmup
from hgr_tf.export.saving.writer import write
from hgr_tf.export.signature import signature_class, signature_keys
from hgr_tf.export.table_dtype import TableDtype
from hgr_tf.export.versions import check_keep
from hgr_tf.features import FeatureEncoding

log = logging.getLogger(__name__)


def export_for_serving(
    model: tf.keras.Model,
    base_path: str | Path,
    version: int | None = None,
    *,
    encoding: FeatureEncoding | None = None,
    signatures: Collection[str] | None = None,
    warmup: int = 30,
    table_dtype: TableDtype | None = None,
    with_logits: bool = False,
    calibration: AnyCalibration | None = None,
    shrinkage: Mapping[str, float] | None = None,
    keep: int | None = None,
    approve: Callable[[Path], None] | None = None,
    seed: int = 0,
) -> Path:
    """Publishes the ranker of a model as base_path/<version>/.

    What is saved is the ranker alone with the preprocessing of raw values;
    nothing that only training needs, which is verified, and every warm-up
    record is answered by a fresh process, before the version appears.

    Args:
        model: A `HierarchicalGroupwiseRanker`, a TFRS model with a `ranker`,
            or a ranker: a Keras model over a dict of encoded features, giving
            [B, 1], or a dict of these by the names of its heads, which are then the
            outputs' names. Its `from_logits` says whether these are logits; without
            one they are, but for a functional ranker that ends in a sigmoid.
        base_path: Folder of the model's versions.
        version: A positive integer; by default one past the newest.
        encoding: How raw values are encoded. Without it the signatures take
            the ranker's own inputs, and there is no `rank` and no warm-up.
        signatures: Which of `SIGNATURES` to write; by default all that can be.
        warmup: Number of warm-up records that a server replays, at most 1,000.
        table_dtype: "bfloat16", "float16" or "int8" store the embedding tables
            smaller; see `hgr_tf.export.saving.low_precision.score_change`.
        with_logits: Whether to give logits beside the probabilities.
        calibration: What the logits of every signature go through, such as a run's
            `calibration`; None leaves them as they are.
        shrinkage: The tau by which the table of each feature of `model` was shrunk, for
            the record in `assets.extra/export.json`, which a later gate needs.
        keep: How many of the newest versions to keep, beside this one where a
            lower `version` makes it an older one; all by default.
        approve: Called with the written and verified folder before it is published;
            what it raises, such as a gate's refusal, is raised here.
        seed: Seed of the warm-up values.

    Returns:
        The published folder.

    Raises:
        ValueError: An argument is wrong, the ranker's inputs are not features
            of the spec, the calibration is not of its heads or looks at what it
            lacks, or the version is taken.
        VerificationError: What was written holds more than the ranker.
        ReplayError: What was written does not run in a fresh process.
        AnswerError: It answers NaN, infinity, or the same to every request.
        In each case nothing is published.

    Example:
        >>> export_for_serving(model, "models/ranker", encoding=data.encoding)
        PosixPath('models/ranker/1')
    """
    check_records(warmup)
    check_keep(keep)
    ranker = ranker_of(model)
    check_weights(ranker)
    if signatures is None:
        ranks = encoding is not None and _takes_items(ranker, encoding)
        signatures = [
            name
            for name in SIGNATURES.names()
            if ranks or not signature_class(name).needs_items
        ]
    options = ExportOptions(
        tuple(signatures),
        with_logits,
        table_dtype,
        gives_logits(model),
        calibration,
        shrinkage or {},
    )
    check_calibration(ranker, calibration)

    def write_version(staged: Path) -> None:
        log.info("writing %d signatures", len(options.signatures))
        write(ranker, staged, encoding, options)
        if encoding is not None:
            names = feature_names(ranker, encoding)
            keys = signature_keys(options.signatures, head_names(ranker))
            write_warmup(staged, encoding, names, keys, warmup, seed)
            if DEFAULT_SIGNATURE in options.signatures:
                write_request(staged, encoding, names, seed)

    def check(staged: Path) -> Report:
        if encoding is not None and DEFAULT_SIGNATURE in options.signatures:
            check_answers(staged, encoding, feature_names(ranker, encoding), seed)
        log.info("checking for training-only parts, against a ranker never wrapped")
        return verify(staged, model, encoding)

    return publish_checked(
        base_path, version, write_version, check, keep=keep, approve=approve
    )


def _takes_items(ranker: tf.keras.Model, encoding: FeatureEncoding) -> bool:
    return any(name in encoding.spec.item for name in feature_names(ranker, encoding))
