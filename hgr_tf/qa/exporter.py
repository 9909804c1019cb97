"""export_reader: a trained run becomes a version that a server picks up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from hgr_tf.export.checking.verification import verify
from hgr_tf.export.publishing import publish_checked
from hgr_tf.export.runtime.replay_warmup import FILE as WARMUP
from hgr_tf.export.signature import ConcreteFunction
from hgr_tf.qa.example import QAExample
from hgr_tf.qa.run import QARun
from hgr_tf.qa.served import ASSETS, ServedOptions
from hgr_tf.qa.window_answers import window_answers
from hgr_tf.qa.windows import cut_windows, model_inputs

log = logging.getLogger(__name__)

INPUTS = ("token_ids", "segment_ids", "padding_mask", "context_mask")
_WARMUP = (
    QAExample("short", "Who came home?", "Ann came home at 9:05."),
    QAExample("long", "Who came home?", "Ann came home at 9:05. " * 100),
)


def export_reader(
    run: QARun,
    base_path: str | Path,
    version: int | None = None,
    *,
    keep: int | None = None,
) -> Path:
    """Publishes the reader of a run as base_path/<version>/.

    Its signature takes `model_inputs` and gives `window_answers`: tags, spans and
    scores, decoded. Beside it, in assets.extra, are the tokenizer and how texts are
    cut; see `hgr_tf.qa.served.Served`. As with a ranker, what only training needs is
    looked for, and warm-up records are answered by a fresh process, before the
    version appears.

    Args:
        run: A finished run.
        base_path: Folder of the model's versions.
        version: A positive integer; by default one past the newest.
        keep: How many of the newest versions to keep beside this one.

    Returns:
        The published folder.

    Raises:
        ValueError: The version is taken, or `keep` is less than 1.
        VerificationError: What was written holds more than the reader.
        ReplayError: What was written does not run in a fresh process.
    """
    return publish_checked(
        base_path, version, lambda staged: _write(run, staged), verify, keep=keep
    )


class _Served(tf.Module):
    """The variables that the signature reads, and nothing else of the model."""

    def __init__(self, reader: tf.keras.Model):
        super().__init__(name="reader")

        def answer(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = reader(inputs, training=False)
            return window_answers(logits, inputs["context_mask"])

        specs = {name: tf.TensorSpec([None, None], tf.int32, name) for name in INPUTS}
        traced = tf.function(answer).get_concrete_function(**specs)
        self.reader_variables = list({id(v): v for v in traced.variables}.values())
        # Hidden from tracking: the signature is saved by its own name.
        self._traced: Callable[[], ConcreteFunction] = lambda: traced

    @property
    def signatures(self) -> dict[str, ConcreteFunction]:
        return {"serving_default": self._traced()}


def _write(run: QARun, staged: Path) -> None:
    log.info("writing the reader")
    module = _Served(run.reader)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(staged), module.signatures, options)
    (staged / ASSETS).mkdir(exist_ok=True)
    run.tokenizer.save(staged / ASSETS)
    ServedOptions(
        windows=run.config.windows, tagging=run.config.tagging, choice=run.config.choice
    ).save(staged)
    windows = cut_windows(_WARMUP, run.tokenizer, run.config.windows)
    with tf.io.TFRecordWriter(str(staged / WARMUP)) as writer:
        for count in (1, len(windows)):
            inputs = model_inputs(windows[:count], run.tokenizer)
            writer.write(_record(inputs).SerializeToString())


def _record(inputs: Mapping[str, np.ndarray]) -> prediction_log_pb2.PredictionLog:
    log_record = prediction_log_pb2.PredictionLog()
    request = log_record.predict_log.request
    request.model_spec.signature_name = "serving_default"
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return log_record
