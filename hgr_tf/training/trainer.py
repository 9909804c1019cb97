"""Training a run from its config, into a run folder."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from hgr_tf.data import PreparedData
from hgr_tf.training.build_and_evaluate import (
    EVALUATION_BATCH,
    build_model,
    check_targets,
    evaluate,
)
from hgr_tf.training.checkpoints import Checkpoints
from hgr_tf.training.config import EarlyStopping, InitFrom, RunConfig
from hgr_tf.training.diagnostics import QuantizerDiagnostics
from hgr_tf.training.early_stopping import check_defined, should_stop
from hgr_tf.training.optimizer import (
    averaged_weights,
    build_optimizer,
    check_tables,
)
from hgr_tf.training.resumable_fit import ResumableFit
from hgr_tf.training.run import Run, load_run
from hgr_tf.training.run_folder import RunFolder
from hgr_tf.training.run_metrics import RUN_METRICS, run_metrics
from hgr_tf.training.unseen_users import warn_of_unseen_users
from hgr_tf.training.warm_start import WarmStart, save_slots

log = logging.getLogger(__name__)


def train(
    config: RunConfig,
    output: str | Path,
    *,
    overwrite: bool = False,
    verbose: int | None = None,
) -> Run:
    """Trains a ranker by the config's method, into a run folder.

    An unfinished run of the same config goes on from its last checkpoint; a
    finished one is loaded and returned. With equal seeds, data and machine,
    runs are equal.

    Args:
        config: Config of the run; `config.data.path` must be set.
        output: The run folder; see `RunFolder` for what it will hold.
        overwrite: Remove a run that is there.
        verbose: As in Keras's `fit`; by default a progress bar on a terminal,
            and elsewhere a line per epoch.

    Returns:
        The finished run.

    Raises:
        ValueError: The data, the config or the folder cannot be used, among them
            labels outside of [0, 1] and an early stopping by a metric that the
            validation split leaves undefined; or the loss stopped being finite.
            The message says why.
        TrainingInterruptedError: SIGTERM came; the same call goes on from there.
    """
    if config.data.path is None:
        raise ValueError("`data.path` must be a folder that `hgr-tf prepare` wrote")
    if verbose is None:
        verbose = 1 if sys.stdout.isatty() else 2
    source = config.data
    log.info("checking the data in %s", source.path)
    data = PreparedData.load(
        source.path,
        reader=source.reader,
        cache=source.cache,
        memory_mb=source.memory_mb,
    )
    for split in (source.train, source.validation):
        data.check_split(split)
    check_targets(data.encoding.spec)
    config = config.for_spec(data.encoding.spec)
    folder = RunFolder(output)
    if not folder.is_finished or overwrite:
        validation = data.dataset(config.data.validation, EVALUATION_BATCH)
        stopping = config.training.early_stopping
        check_defined(stopping, validation, config.data.validation)
        warn_of_unseen_users(data.encoding, validation, config.data.validation)
    start = None
    if config.init_from is not None and (overwrite or not folder.is_finished):
        # Before anything of an earlier run is removed.
        start = _begin(config.init_from, data, folder)
    folder.open(config, overwrite)
    if not folder.is_finished:
        folder.keep_encoding(data)
        _train(config, data, folder, start, verbose)
    return load_run(folder.path)


def _begin(config: InitFrom, data: PreparedData, folder: RunFolder) -> WarmStart:
    if config.run and Path(config.run).resolve() == folder.path.resolve():
        raise ValueError(
            "`init_from.run` must be another folder than that of the run, got "
            f"{config.run}"
        )
    log.info("loading the run %s to begin with", config.run)
    return WarmStart(config, data.encoding)


def _train(
    config: RunConfig,
    data: PreparedData,
    folder: RunFolder,
    start: WarmStart | None,
    verbose: int,
) -> None:
    settings, splits = config.training, config.data
    steps = data.steps(splits.train, settings.batch_size)
    log.info("building the model")
    model = build_model(config, data.encoding, steps)
    check_tables(model, settings)
    if start:
        start.init_model(model)
    first_step = start.steps if start else 0
    optimizer = build_optimizer(settings, steps * settings.epochs, first_step)
    optimizer.build(model.trainable_variables)
    if start:
        start.init_optimizer(optimizer, model.trainable_variables)
    metrics = run_metrics(config.metrics)
    _check_stopping(settings.early_stopping, metrics)
    model.compile(optimizer=optimizer, metrics=metrics)

    saving = settings.checkpoints
    checkpoints = Checkpoints(folder.checkpoints, model, metrics, saving.keep)
    trained = checkpoints.restore()
    epochs_done = trained // steps
    history = folder.history()[:epochs_done]
    if epochs_done < settings.epochs and not should_stop(
        history, settings.early_stopping
    ):
        _fit(config, data, folder, model, checkpoints, trained, verbose)
    if settings.keep_optimizer:
        save_slots(optimizer, folder)
    if not settings.early_stopping:
        with averaged_weights(model):
            folder.save_weights(model)
    model.load_weights(str(folder.weights))
    log.info("evaluating on %r", splits.validation)
    folder.finish(evaluate(model, data, splits.validation))


def _check_stopping(
    stopping: EarlyStopping | None, metrics: Sequence[tf.keras.metrics.Metric]
) -> None:
    names = {metric.name for metric in (*RUN_METRICS, *metrics)}
    if stopping and stopping.metric not in names:
        raise ValueError(
            "`training.early_stopping.metric` must be one of "
            f"{sorted(names)}, got {stopping.metric!r}"
        )


def _fit(
    config: RunConfig,
    data: PreparedData,
    folder: RunFolder,
    model: tf.keras.Model,
    checkpoints: Checkpoints,
    trained: int,
    verbose: int,
) -> None:
    settings, splits = config.training, config.data

    def batches(epochs: range, done: int) -> tf.data.Dataset:
        return data.dataset(
            splits.train,
            settings.batch_size,
            shuffle=True,
            seed=config.seed,
            epochs=epochs,
            first_step=done,
            shuffle_buffer=splits.shuffle_buffer,
        )

    fit = ResumableFit(
        model,
        settings,
        steps=data.steps(splits.train, settings.batch_size),
        batches=batches,
        validation=lambda: data.dataset(splits.validation, EVALUATION_BATCH),
        verbose=verbose,
    )
    looked_at = data.dataset(splits.train, settings.batch_size)
    with data.errors():
        fit.run(
            trained, folder, checkpoints, diagnostics=[QuantizerDiagnostics(looked_at)]
        )
