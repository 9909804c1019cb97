"""Training a run from its config, into a run folder."""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf

from hgr_tf.compat import progress_bar
from hgr_tf.data import PreparedData
from hgr_tf.training.build_and_evaluate import (
    EVALUATION_BATCH,
    build_model,
    evaluate,
    ranking_metrics,
)
from hgr_tf.training.config import RunConfig
from hgr_tf.training.diagnostics import QuantizerDiagnostics
from hgr_tf.training.epoch_end import EpochEnd, should_stop
from hgr_tf.training.optimizer import (
    EvaluateAverages,
    averaged_weights,
    build_optimizer,
    check_tables,
)
from hgr_tf.training.run import Run, load_run
from hgr_tf.training.run_folder import RunFolder


def train(
    config: RunConfig,
    output: str | Path,
    *,
    overwrite: bool = False,
    verbose: int | None = None,
) -> Run:
    """Trains a ranker by the config's method, into a run folder.

    An unfinished run of the same config goes on from its last epoch; a
    finished one is loaded and returned. With equal seeds, data and machine,
    runs are equal.

    Args:
        config: Of the run; `config.data.path` must be set.
        output: The run folder; see `RunFolder` for what it will hold.
        overwrite: Remove a run that is there.
        verbose: As in Keras's `fit`; by default a progress bar on a terminal,
            and elsewhere a line an epoch.

    Returns:
        The finished run.

    Raises:
        ValueError: The data, the config or the folder cannot be used; the
            message says why.
    """
    if config.data.path is None:
        raise ValueError("`data.path` must be a folder that `hgr-tf prepare` wrote")
    if verbose is None:
        verbose = 1 if sys.stdout.isatty() else 2
    data = PreparedData.load(config.data.path)
    for split in (config.data.train, config.data.validation):
        data.check_split(split)
    folder = RunFolder(output)
    folder.open(config, overwrite)
    if not folder.is_finished:
        folder.keep_encoding(data)
        _train(config, data, folder, verbose)
    return load_run(folder.path)


def _train(config, data, folder, verbose):
    settings, splits = config.training, config.data
    steps = data.steps(splits.train, settings.batch_size)
    model = build_model(config, data.encoding, steps)
    check_tables(model, settings)
    optimizer = build_optimizer(settings, steps * settings.epochs)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, metrics=ranking_metrics())

    checkpoints = folder.checkpoints(model)
    checkpoints.restore_or_initialize()
    first = _epochs_done(checkpoints)
    epochs = range(first, settings.epochs)
    history = folder.history()[:first]
    if epochs and not should_stop(history, settings.early_stopping):
        model.fit(
            data.dataset(
                splits.train,
                settings.batch_size,
                shuffle=True,
                seed=config.seed,
                epochs=epochs,
            ),
            validation_data=data.dataset(splits.validation, EVALUATION_BATCH),
            initial_epoch=first,
            epochs=settings.epochs,
            steps_per_epoch=steps,
            callbacks=[
                EvaluateAverages(),
                progress_bar(),
                QuantizerDiagnostics(data.dataset(splits.train, settings.batch_size)),
                EpochEnd(folder, checkpoints, settings.early_stopping),
                tf.keras.callbacks.TensorBoard(
                    folder.tensorboard, write_graph=False, update_freq=100
                ),
            ],
            verbose=verbose,
        )
    if not settings.early_stopping:
        with averaged_weights(model):
            folder.save_weights(model)
    model.load_weights(str(folder.weights))
    folder.finish(evaluate(model, data, splits.validation))


def _epochs_done(checkpoints) -> int:
    latest = checkpoints.latest_checkpoint
    return int(latest.rsplit("-", 1)[1]) if latest else 0
