"""Training a reader from its config, into a run folder."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from hgr_tf.qa.answers import evaluate
from hgr_tf.qa.batches import WindowBatches
from hgr_tf.qa.config import QAConfig
from hgr_tf.qa.example import QAExample
from hgr_tf.qa.multi_span_reader import MultiSpanReader
from hgr_tf.qa.readers import read_examples
from hgr_tf.qa.run import QARun, build_reader, keep_encoder, load_qa_run, qa_folder
from hgr_tf.qa.tokenization import OffsetTokenizer
from hgr_tf.training.checkpoints import Checkpoints
from hgr_tf.training.optimizer import (
    averaged_weights,
    build_optimizer,
)
from hgr_tf.training.resumable_fit import ResumableFit
from hgr_tf.training.run_folder import RunFolder

log = logging.getLogger(__name__)


def train_reader(
    config: QAConfig,
    output: str | Path,
    *,
    overwrite: bool = False,
    verbose: int | None = None,
) -> QARun:
    """Trains a reader on a file of questions, into a run folder.

    An unfinished run of the same config goes on from its last checkpoint; a
    finished one is loaded and returned.

    Args:
        config: Config of the run; `data.train` and `data.validation` must be set.
        output: The run folder; see `hgr_tf.training.RunFolder`.
        overwrite: Remove a run that is there.
        verbose: As in Keras's `fit`; by default a progress bar on a terminal,
            and elsewhere a line per epoch.

    Returns:
        The finished run.

    Raises:
        ImportError: The extra `qa` is not installed.
        ValueError: A file, the config or the folder cannot be used, or the loss
            stopped being finite. The message says why.
        TrainingInterruptedError: SIGTERM came; the same call goes on from there.
    """
    for name, path in config.data.model_dump().items():
        if path is None:
            raise ValueError(f"`data.{name}` must be a file of questions")
    if verbose is None:
        verbose = 1 if sys.stdout.isatty() else 2
    train, validation = (
        read_examples(str(path)) for path in config.data.model_dump().values()
    )
    folder = qa_folder(output)
    folder.open(config, overwrite)
    if not folder.is_finished:
        _train(config, train, validation, folder, verbose)
    return load_qa_run(folder.path)


def _train(
    config: QAConfig,
    train: Sequence[QAExample],
    validation: Sequence[QAExample],
    folder: RunFolder,
    verbose: int,
) -> None:
    settings = config.training
    source = keep_encoder(config, folder.path)
    tokenizer = OffsetTokenizer.load(source)
    log.info("cutting %d questions into windows", len(train) + len(validation))
    batches, held_out = (
        WindowBatches(
            examples, tokenizer, config.windows, config.tagging, settings.batch_size
        )
        for examples in (train, validation)
    )
    log.info("building the model")
    reader = build_reader(config, source, pretrained=config.encoder.pretrained)
    optimizer = build_optimizer(settings, batches.steps * settings.epochs)
    optimizer.build(reader.trainable_variables)
    reader.compile(optimizer=optimizer)
    checkpoints = Checkpoints(
        folder.checkpoints, reader, keep=settings.checkpoints.keep
    )
    trained = checkpoints.restore()
    if trained < batches.steps * settings.epochs:
        _fit(config, reader, batches, held_out, folder, checkpoints, trained, verbose)
    with averaged_weights(reader):
        folder.save_weights(reader)
    reader.load_weights(str(folder.weights))
    log.info("evaluating on %s", config.data.validation)
    run = QARun(folder.path, config, tokenizer, reader, {})
    folder.finish(evaluate(run, validation)[config.choice])


def _fit(
    config: QAConfig,
    reader: MultiSpanReader,
    batches: WindowBatches,
    held_out: WindowBatches,
    folder: RunFolder,
    checkpoints: Checkpoints,
    trained: int,
    verbose: int,
) -> None:
    settings = config.training
    fit = ResumableFit(
        reader,
        settings,
        steps=batches.steps,
        batches=lambda epochs, done, _: batches.shuffled(epochs, done, config.seed),
        validation=lambda _: held_out.in_order(),
        verbose=verbose,
    )
    fit.run(trained, folder, checkpoints, faulty_batch=_flat, log_every=20)


def _flat(
    batch: tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]],
) -> tuple[dict[str, tf.Tensor]]:
    """Inputs and targets in one dict, as a faulty batch is written."""
    inputs, targets = batch
    return ({**inputs, **targets},)
