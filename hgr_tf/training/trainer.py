"""Training a run from its config, into a run folder."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tensorflow as tf

from hgr_tf.compat import dtype_policy
from hgr_tf.data import PreparedData
from hgr_tf.metrics.group_metric import GroupMetric
from hgr_tf.models.heads import ONE_OUTPUT, of_head
from hgr_tf.training.build_and_evaluate import (
    EVALUATION_BATCH,
    build_model,
    check_positives,
    check_targets,
    evaluate,
)
from hgr_tf.training.checkpoints import Checkpoints
from hgr_tf.training.chief_copy import ChiefCopy
from hgr_tf.training.config import EarlyStopping, InitFrom, RunConfig
from hgr_tf.training.determinism import deterministic_ops
from hgr_tf.training.diagnostics import QuantizerDiagnostics
from hgr_tf.training.early_stopping import check_defined, should_stop
from hgr_tf.training.last_weights import LastWeights, averaged_steps
from hgr_tf.training.optimizer import (
    averaged_weights,
    build_optimizer,
    check_tables,
)
from hgr_tf.training.parameter_server_fit import ParameterServerFit
from hgr_tf.training.parameter_servers import serve
from hgr_tf.training.resumable_fit import ResumableFit
from hgr_tf.training.run import Run, load_run
from hgr_tf.training.run_folder import RunError, RunFolder
from hgr_tf.training.run_metrics import RUN_METRICS, run_metrics
from hgr_tf.training.strategies import make_strategy
from hgr_tf.training.unseen_users import warn_of_unseen_users
from hgr_tf.training.warm_start import WarmStart, save_slots
from hgr_tf.training.workers import Share, Workers

log = logging.getLogger(__name__)


def train(
    config: RunConfig,
    output: str | Path,
    *,
    overwrite: bool = False,
    verbose: int | None = None,
    profile: bool = False,
) -> Run:
    """Trains a ranker by the config's method, into a run folder.

    An unfinished run of the same config goes on from its last checkpoint; a
    finished one is loaded and returned. With equal seeds, data and machine,
    runs are equal. Other processes than the chief of a run with parameter servers
    serve it until it is finished.

    Args:
        config: Config of the run; `config.data.path` must be set.
        output: The run folder; see `RunFolder` for what it will hold.
        overwrite: Remove a run that is there.
        verbose: As in Keras's `fit`; by default a progress bar on a terminal,
            and elsewhere a line per epoch.
        profile: Write a trace of some steps beside TensorBoard's logs.

    Returns:
        The finished run.

    Raises:
        ValueError: The data, the config or the folder cannot be used, among them
            labels outside of [0, 1], a head without positives unless the run begins
            with another, and an early stopping by a metric that the validation split
            leaves undefined; or the loss stopped being finite. The message says why.
        TrainingInterruptedError: SIGTERM came, or another worker was lost; the same
            call goes on from there.
    """
    if config.data.path is None:
        raise ValueError("`data.path` must be a folder that `hgr-tf prepare` wrote")
    if verbose is None:
        verbose = 1 if sys.stdout.isatty() else 2
    folder = RunFolder(output)
    is_needed = overwrite or not folder.is_finished
    has_servers = config.distribution.has_servers
    if has_servers and profile:
        raise ValueError(
            "`profile` must be false where `distribution.strategy` is "
            "'parameter_server': the steps run in other processes"
        )
    if has_servers and is_needed and serve(folder):
        return load_run(folder.path)
    source = config.data
    log.info("checking the data in %s", source.path)
    data = PreparedData.load(
        source.path,
        reader=source.reader,
        cache=source.cache,
        memory_mb=source.memory_mb,
    )
    if has_servers:
        data.check_python_free()
    # Several workers must find each other before the first operation. Servers need
    # not be there to show a finished run.
    is_alone = has_servers and not is_needed
    workers = Workers(None if is_alone else make_strategy(config.distribution))
    for split in (source.train, source.validation):
        data.check_split(split)
    spec = data.encoding.spec
    check_targets(spec)
    begins_with = config.init_from.run if config.init_from else None
    check_positives(data, config.data.train, goes_on=begins_with is not None)
    config = config.for_spec(spec)
    start = None
    if is_needed:
        validation = data.dataset(config.data.validation, EVALUATION_BATCH)
        stopping = config.training.early_stopping
        heads = tuple(spec.labels) or ONE_OUTPUT
        split, given = config.data.validation, config.given(spec)
        check_defined(stopping, validation, split, heads, given)
        steps = data.steps(source.train, config.training.batch_size)
        averaged_steps(config.training, steps)  # refuses more than there will be
        warn_of_unseen_users(data.encoding, validation, config.data.validation)
        # Before anything of an earlier run is removed.
        start = _begin(config.init_from, data, folder)
    with workers.errors():
        if workers.is_chief:
            folder.open(config, overwrite)
        if is_needed:
            with workers.folder(folder) as own:
                own.keep_encoding(data)
                _Training(config, data, own, start, workers, verbose, profile).run()
    return load_run(folder.path)


def _begin(
    config: InitFrom | None, data: PreparedData, folder: RunFolder
) -> WarmStart | None:
    if config is None:
        return None
    if config.run and Path(config.run).resolve() == folder.path.resolve():
        raise ValueError(
            "`init_from.run` must be another folder than that of the run, got "
            f"{config.run}"
        )
    log.info("loading the run %s to begin with", config.run)
    return WarmStart(config, data.encoding)


@dataclass(frozen=True)
class _Training:
    """What training an opened folder's run needs."""

    config: RunConfig
    data: PreparedData
    folder: RunFolder
    start: WarmStart | None
    workers: Workers
    verbose: int
    profile: bool

    def run(self) -> None:
        """Trains the model from where the folder's run is, and finishes the run."""
        settings = self.config.training
        with deterministic_ops(self.config.compute.deterministic):
            log.info("building the model")
            has_servers = self.config.distribution.has_servers
            whole = self._whole_model() if has_servers else None
            with self.workers.strategy.scope():
                model, optimizer, metrics = self._compiled()
            copy = _begun_copy(whole, model) if whole else None
            saving = settings.checkpoints
            checkpoints = Checkpoints(
                self.folder.checkpoints, model, metrics, saving.keep
            )
            last_weights = LastWeights(
                self.folder.checkpoints / "weights",
                averaged_steps(settings, self._steps),
                (whole or model).ranker.trainable_weights,
            )
            trained = checkpoints.restore()
            self._check_alike(trained)
            epochs_done = trained // self._steps
            history = self.folder.history()[:epochs_done]
            if epochs_done < settings.epochs and not should_stop(
                history, settings.early_stopping
            ):
                fit = partial(self._fit_on_servers, copy) if copy else self._fit
                fit(model, checkpoints, trained, last_weights)
            if settings.keep_optimizer:
                save_slots(optimizer, self.folder)
            if not settings.early_stopping:
                if copy:
                    copy.pull()
                last_weights.assign_average()
                with averaged_weights(model):
                    self.folder.save_weights(whole or model)
        if self.workers.is_chief:
            self._finish(model)

    @property
    def _steps(self) -> int:
        """Steps of an epoch."""
        return self.data.steps(self.config.data.train, self.config.training.batch_size)

    def _whole_model(self) -> tf.keras.Model:
        """The model with the weights that training begins with, on this process."""
        model = build_model(self.config, self.data.encoding, self._steps)
        if self.start:
            self.start.init_model(model)
        model.compile(metrics=run_metrics(self.config.metrics))
        return model

    def _compiled(
        self,
    ) -> tuple[
        tf.keras.Model, tf.keras.optimizers.Optimizer, list[tf.keras.metrics.Metric]
    ]:
        """The model, its optimizer and metrics, with all their variables."""
        config, settings, start = self.config, self.config.training, self.start
        with dtype_policy(config.compute.precision):
            model = build_model(config, self.data.encoding, self._steps)
        check_tables(model, settings)
        has_servers = config.distribution.has_servers
        if start and not has_servers:
            start.init_model(model)
        first_step = start.steps if start else 0
        steps = self._steps * settings.epochs
        optimizer = build_optimizer(settings, steps, first_step)
        metrics = run_metrics(config.metrics)
        _check_stopping(settings.early_stopping, metrics, model.heads)
        if has_servers:  # metrics by user are of evaluation alone
            metrics = [one for one in metrics if not isinstance(one, GroupMetric)]
        jit = config.compute.jit_compile
        by_xla = {} if jit is None else {"jit_compile": jit}
        model.compile(optimizer=optimizer, metrics=metrics, **by_xla)
        model.optimizer.build(model.trainable_variables)
        if start:
            start.init_optimizer(optimizer, model.trainable_variables)
        return model, optimizer, metrics

    def _check_alike(self, trained: int) -> None:
        if self.workers.mean(trained) != trained:
            raise RunError(
                f"{self.folder.path}: workers found checkpoints of different steps: "
                "`--output` must be in a file system that all workers share"
            )

    def _fit(
        self,
        model: tf.keras.Model,
        checkpoints: Checkpoints,
        trained: int,
        last_weights: LastWeights,
    ) -> None:
        config, data = self.config, self.data
        settings, splits = config.training, config.data

        def batches(epochs: range, done: int, share: Share) -> tf.data.Dataset:
            return data.dataset(
                splits.train,
                settings.batch_size,
                shuffle=True,
                seed=config.seed,
                epochs=epochs,
                first_step=done,
                shuffle_buffer=splits.shuffle_buffer,
                worker=share,
            )

        def validation(share: Share) -> tf.data.Dataset:
            return data.dataset(splits.validation, EVALUATION_BATCH, worker=share)

        steps = data.steps(splits.validation, EVALUATION_BATCH)
        fit = ResumableFit(
            model,
            settings,
            steps=self._steps,
            batches=batches,
            validation=validation,
            validation_steps=steps if self.workers.are_several else None,
            verbose=self.verbose,
            workers=self.workers,
            last_weights=last_weights,
        )
        looked_at = data.dataset(splits.train, settings.batch_size)
        with data.errors():
            fit.run(
                trained,
                self.folder,
                checkpoints,
                diagnostics=[QuantizerDiagnostics(looked_at)],
                profile=self.profile and self.workers.is_chief,
            )

    def _fit_on_servers(
        self,
        copy: ChiefCopy,
        model: tf.keras.Model,
        checkpoints: Checkpoints,
        trained: int,
        last_weights: LastWeights,
    ) -> None:
        data, splits, settings = self.data, self.config.data, self.config.training
        fit = ParameterServerFit(
            model,
            copy,
            settings,
            steps=self._steps,
            batches=data.repeated_batches(
                splits.train, settings.batch_size, splits.shuffle_buffer
            ),
            evaluate=lambda: evaluate(copy.model, data, splits.validation),
            verbose=self.verbose,
            # Each that is kept takes all weights to the chief.
            last_weights=last_weights if settings.average_checkpoints else None,
        )
        fit.run(trained, self.folder, checkpoints)

    def _finish(self, model: tf.keras.Model) -> None:
        """Evaluates the weights to use, in float32 and on one device, and ends."""
        config, data = self.config, self.data
        one_device = config.distribution.strategy == "none"
        if config.compute.precision != "float32" or not one_device:
            model = build_model(config, data.encoding)
            model.compile(metrics=run_metrics(config.metrics))
        model.load_weights(str(self.folder.weights))
        log.info("evaluating on %r", config.data.validation)
        self.folder.finish(evaluate(model, data, config.data.validation))


def _begun_copy(whole: tf.keras.Model, model: tf.keras.Model) -> ChiefCopy:
    """The chief's copy of a model, which begins with the weights of the copy."""
    copy = ChiefCopy(whole, model)
    copy.push()
    log.info("weights that lie in shards, and in how many: %s", copy.shards())
    return copy


def _check_stopping(
    stopping: EarlyStopping | None,
    metrics: Sequence[tf.keras.metrics.Metric],
    heads: Sequence[str],
) -> None:
    names = {
        of_head(head, metric.name)
        for head in heads
        for metric in (*RUN_METRICS, *metrics)
    }
    if stopping and stopping.metric not in names:
        raise ValueError(
            "`training.early_stopping.metric` must be one of "
            f"{sorted(names)}, got {stopping.metric!r}"
        )
