"""prepare(): raw logs in, a finished folder of training data out."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import grpc
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult
from typing_extensions import Unpack

from hgr_tf.data.manifest import FILE_NAME, Manifest
from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines import graph
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import (
    delete,
    delete_folder,
    exists,
    join,
    matching,
    move_files,
    read_bytes,
)
from hgr_tf.pipelines.files.progress import Progress
from hgr_tf.pipelines.running.configure import Inputs, RunOptions, configure
from hgr_tf.pipelines.running.engines import engine_options, starts_java
from hgr_tf.pipelines.running.locking import locked
from hgr_tf.pipelines.running.notices import notices
from hgr_tf.pipelines.running.output_folder import (
    clear,
    keep_dead_letters,
    remove_results,
    remove_temporary,
)
from hgr_tf.pipelines.running.remote_jobs import ended_by_signals, is_remote, named
from hgr_tf.pipelines.running.supervised import run_supervised
from hgr_tf.pipelines.running.workers import worker_processes
from hgr_tf.pipelines.settings import DEAD_LETTERS, Settings
from hgr_tf.pipelines.steps.plan import ENCODING

_LOGGER = logging.getLogger(__name__)


def prepare(
    spec: FeatureSpec | str | Path,
    inputs: Inputs,
    output: str | Path,
    *,
    runner: str = "FnApiRunner",
    workers: int = 1,
    beam_options: Sequence[str] = (),
    overwrite: bool = False,
    progress: bool = False,
    **settings: Unpack[RunOptions],
) -> Manifest:
    """Turns raw logs into training data.

    Args:
        spec: The feature spec, or the path of its YAML file.
        inputs: Paths or globs; by name of split when they are split already,
            as a mapping or as texts "split=glob".
        output: Folder to write; MANIFEST.json appears in it last.
        runner: Beam's name of the runner.
        workers: Worker processes on this machine, for the runners FnApiRunner,
            FlinkRunner and SparkRunner; others have options of their own.
        beam_options: More options for Beam, such as "--region=europe-west1".
        overwrite: Whether a finished output may be replaced; it stays until the
            new one is ready.
        progress: Whether to show progress on stderr.
        **settings: user_table, item_table: path or glob of a table; win over the
            spec's. join: "side" holds tables in the memory of each worker,
            "shuffle" does not, "auto" (the default) goes by their size.
            output_format: "parquet" (the default), "tfrecord" or "elwc".
            layout: "shuffled" (the default), "user" (a user's rows lie
            together; the only one of "elwc") or "code", by code_table: a file
            of the user id column, code_1, code_2, ...; users that share
            code_prefix levels share a shard. where: conditions on the columns
            that folders of the inputs give, such as "dt>=2026-01-01"; files for
            which one does not hold are not read. And seed, shard_rows,
            compression, max_bad_fraction, history_from, encoding_from,
            grow_vocabularies, evict_after_days, as in
            `hgr_tf.pipelines.settings.Settings`.

    Returns:
        The manifest of the finished folder.

    Raises:
        PrepareError: The run cannot start, or had to stop: what to do about it.
        SpecError: The spec is wrong.
        KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP; nothing is left behind, and a
            job that was sent to a cluster is cancelled there.

    Example:
        >>> prepare("spec.yaml", ["train=logs/*.parquet"], "prepared", seed=1)
        ... # doctest: +SKIP
    """
    check_options(beam_options)
    beam_options = [*beam_options, *engine_options(runner, beam_options)]
    run = configure(spec, inputs, output, **settings)
    with ended_by_signals(), locked(run.output):
        if overwrite and exists(join(run.output, FILE_NAME)):
            run = dataclasses.replace(run, staged=True)
        clear(run.output, overwrite, keep=run.staged)
        try:
            with Progress(run.temporary, shown=progress):
                _run_job(run, runner, workers, beam_options)
            if run.staged:
                remove_results(run.output)
                delete(matching(run.output, DEAD_LETTERS))
                move_files(run.results, run.output, last=FILE_NAME)
        except Exception as error:
            if run.staged:
                keep_dead_letters(run)
            raise _explained(error) from error
        finally:
            if not exists(join(run.output, FILE_NAME)):
                # A worker that still works finds nothing to finish.
                delete_folder(join(run.temporary, ENCODING))
                remove_results(run.output)
            remove_temporary(run)
        text = read_bytes(join(run.output, FILE_NAME))
    manifest = Manifest.model_validate_json(text)
    for line in notices(run, manifest):
        _LOGGER.warning("warning: %s", line)
    return manifest


def launch(
    spec: FeatureSpec | str | Path,
    inputs: Inputs,
    output: str | Path,
    *,
    runner: str,
    beam_options: Sequence[str] = (),
    overwrite: bool = False,
    **settings: Unpack[RunOptions],
) -> PipelineResult:
    """Starts a preparation and does not wait for it. Arguments as in `prepare`.

    The job's temporary files, below the output, outlive it; the next run into
    the folder removes them. A finished output is removed at the start.
    """
    check_options(beam_options)
    beam_options = [*beam_options, *engine_options(runner, beam_options)]
    run = configure(spec, inputs, output, **settings)
    with locked(run.output):
        clear(run.output, overwrite)
    return _start(run, [f"--runner={runner}", *beam_options])


def check_options(options: Sequence[str]) -> None:
    """Checks the values of Beam's options, and reaches object stores by them.

    Raises:
        PrepareError: A value is wrong; Beam would tell of all its options, and exit.
    """
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            given = PipelineOptions([*options])
            given.get_all_options()
    except SystemExit as error:
        reason = told.getvalue().splitlines()[-1].rpartition("error: ")[2]
        raise PrepareError(f"Beam options: {reason}") from error
    FileSystems.set_options(given)


def _start(run: Settings, options: list[str]) -> PipelineResult:
    pipeline = beam.Pipeline(options=PipelineOptions(options))
    graph.build(pipeline, run)
    return pipeline.run()


def _run_job(
    run: Settings, runner: str, workers: int, beam_options: Sequence[str]
) -> None:
    with worker_processes(runner, workers, beam_options) as more:
        # Beam takes the last value of an option: what the user says wins.
        options = [f"--runner={runner}", *more, *beam_options]
        if remote := is_remote(options):
            options.append(named(options))
        if more or remote or starts_java(runner, beam_options):
            run_supervised(run, options)
        else:
            _finish(_start(run, options))


def _finish(result: PipelineResult) -> None:
    """Waits for a job, and cancels it where the wait does not end well."""
    try:
        result.wait_until_finish()
    except BaseException:
        with contextlib.suppress(Exception):
            result.cancel()
        raise


def _explained(error: Exception) -> BaseException:
    """What to tell of a failed run: the worker's own words where it has some."""
    text = str(error)
    if "KeyboardInterrupt" in text:  # it reached a worker in this process
        return KeyboardInterrupt()
    if isinstance(error, PrepareError):
        text = f"PrepareError: {text}"
    found = re.findall(r"PrepareError: (.*?)(?: \[while running|$)", text, re.M)
    if found:
        return PrepareError(found[0].strip())
    if isinstance(error, ValueError | OSError):
        return error
    if isinstance(error, grpc.RpcError):
        return PrepareError(f"Beam's runner was lost during the job: {error.details()}")
    lines = [line for line in text.splitlines() if line.strip()] or [repr(error)]
    return PrepareError(f"the Beam job failed: {lines[-1].strip()}")
