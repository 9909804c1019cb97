"""run_gate: judges an exported version, alone and beside the one that is served."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hgr_tf.calibration.calibration import Calibration
from hgr_tf.calibration.heads import AnyCalibration, HeadCalibrations
from hgr_tf.comparing.calibrating import calibrated
from hgr_tf.comparing.gate_config import GateConfig, Limits, split_name
from hgr_tf.comparing.gate_report import FILE, GateError, GateReport, Line, judge
from hgr_tf.comparing.predicting import judged_on, predict_heads
from hgr_tf.comparing.served_requests import changed_top_k, megabytes, milliseconds
from hgr_tf.comparing.slices import ALL, Slice, Slicing, all_slices
from hgr_tf.models.heads import of_head

log = logging.getLogger(__name__)


class Candidate(NamedTuple):
    """A run that is judged, or served.

    Attributes:
        run: The `hgr_tf.training.run.Run`.
        calibration: What its export is calibrated by, or None.
        table_dtype: What its export stores tables as, or None.
    """

    run: Any
    calibration: Any
    table_dtype: Any = None


def run_gate(
    config: GateConfig,
    candidate: Candidate,
    data: Any,
    staged: str | Path,
    base_path: str | Path,
    seed: int = 0,
) -> GateReport:
    """Judges a version that is about to be published.

    Metrics are those of the run's ranker as it was exported, with its calibration and
    stored tables, on a split of prepared data; latency, size and changed items are of
    the SavedModels themselves.

    Args:
        config: What is asked.
        candidate: The run that was exported.
        data: The `hgr_tf.data.PreparedData`, of the run's encoding.
        staged: The exported SavedModel.
        base_path: Folder of the published versions; the newest is the served one.
        seed: Seed of random requests and intervals.

    Returns:
        The report; see `GateReport.raise_if_refused`.

    Raises:
        GateError: The served version's metrics are wanted and cannot be had, or are of
            other rows.
        ValueError: A slice is no column, or the split is none of the data.
    """
    from hgr_tf.export.versions import version_path, versions

    published = versions(base_path)
    served = version_path(base_path) if published else None
    skipped = [] if served else ["comparisons: no version is served"]
    found = sliced(candidate, data, config, seed)
    beside = None
    if served and config.compared_heads:
        beside = _served_slices(config, candidate, data, served, seed)
    lines = list(_metric_lines(config, found, beside, skipped))
    encoding = candidate.run.encoding
    lines += _model_lines(config, encoding, Path(staged), served, seed, skipped)
    return GateReport(
        split=config.split,
        run=str(candidate.run.path.resolve()),
        weights_sha256=candidate.run.weights_digest(),
        calibrated=candidate.calibration is not None,
        rows=next(iter(found.values()))[0].rows,
        served_version=published[-1] if published else None,
        lines=lines,
        skipped=skipped,
        slices={name: [one.as_json() for one in each] for name, each in found.items()},
    )


def parse_slices(config: GateConfig, encoding: Any) -> list[Slicing]:
    """How the gate cuts its split.

    Raises:
        ValueError: A slice is no column of the spec.
    """
    return [Slicing.parse(text, encoding, "`slices`") for text in config.slices]


def sliced(
    candidate: Candidate, data: Any, config: GateConfig, seed: int
) -> dict[str, list[Slice]]:
    """Metrics of each head of a run as it is exported, for the split and its slices."""
    from hgr_tf.export.ranker import ranker_of
    from hgr_tf.export.saving.low_precision import low_precision_tables

    run, calibration = candidate.run, candidate.calibration
    slicings = parse_slices(config, data.encoding)
    names = {name for slicing in slicings for name in slicing.inputs}
    names |= set() if calibration is None else set(calibration.inputs)
    log.info("predicting %r for the gate", config.split)
    served = ranker_of(run.model)
    with low_precision_tables(served, candidate.table_dtype), data.errors():
        by_head = predict_heads(
            run.model,
            data,
            config.split,
            sorted(names),
            from_logits=run.config.method.from_logits,
        )
    found: dict[str, list[Slice]] = {}
    for head, (rows, inputs) in by_head.items():
        own = _calibration_of(calibration, head)
        if own is not None:
            looked_at = {name: inputs[name] for name in own.inputs}
            rows = calibrated(own.function, rows, looked_at)
        slices = all_slices(rows, inputs, slicings, data.encoding, seed)
        found |= {of_head(head, text): each for text, each in slices.items()}
    return found


def check_heads(config: GateConfig, heads: Sequence[str]) -> None:
    """Raises `ValueError` unless the metrics are of heads of the ranker.

    Args:
        config: The gate.
        heads: Names of the heads; "" for a single output.
    """
    for name in (*config.metrics, *config.slice_metrics):
        head, metric = split_name(name)
        if head not in heads:
            wanted = [of_head(one, metric) for one in heads]
            raise ValueError(
                f"metrics of the gate must be of the ranker's heads, {wanted}, got "
                f"{name!r}"
            )


def _calibration_of(
    calibration: AnyCalibration | None, head: str
) -> Calibration | None:
    if isinstance(calibration, HeadCalibrations):
        return calibration.heads.get(head)
    return calibration


def _served_slices(
    config: GateConfig, candidate: Candidate, data: Any, served: Path, seed: int
) -> dict[str, list[Slice]]:
    """The same metrics of the run that the served version was exported from."""
    from hgr_tf.data import PreparedData
    from hgr_tf.export.options import ExportOptions
    from hgr_tf.training import load_run
    from hgr_tf.training.shrinkage import shrink_tables

    report = served / FILE
    kept = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    path = config.served.run or kept.get("run")
    if path is None or not Path(path).is_dir():
        raise GateError(
            f"{served} must say which run it was exported from, to be compared with, "
            f"got {path}: name it in the gate as `served: {{run: ...}}`"
        )
    run = load_run(path)
    kept_weights = kept.get("weights_sha256")
    if config.served.run is None and kept_weights != run.weights_digest():
        raise GateError(
            f"{served} must have been exported from the weights that {path} holds; "
            "it was trained anew since: name another copy as `served: {run: ...}`"
        )
    _check_same_rows(config, candidate.run.model, run.model)
    if config.served.data is not None:
        data = PreparedData.load(config.served.data, spec=run.encoding.spec)
    try:
        data.check_encoding(run.encoding)
    except ValueError as error:
        raise GateError(
            f"{served} can only be compared on data of its own encoding ({error}): "
            f"`hgr-tf prepare --encoding-from {path}/encoding`, and `served: {{data: "
            "...}` in the gate"
        ) from error
    options = ExportOptions.load(served)
    shrink_tables(run.model.ranker, run.encoding, path, options.shrinkage)
    return sliced(
        Candidate(run, options.calibration, options.table_dtype), data, config, seed
    )


def _check_same_rows(config: GateConfig, model: Any, served: Any) -> None:
    """Raises `GateError` where both models judge a compared head on other rows."""
    for head in config.compared_heads:
        ours, theirs = judged_on(model, head), judged_on(served, head)
        if head in served.heads and ours != theirs:
            raise GateError(
                f"the served version must judge {head!r} on the same rows, to be "
                f"compared with, got {theirs}, and {ours} of the new one: set its "
                "`entire_space` alike, or give it no drop_at_most and rise_at_most"
            )


def _metric_lines(
    config: GateConfig,
    found: dict[str, list[Slice]],
    beside: dict[str, list[Slice]] | None,
    skipped: list[str],
) -> Iterator[Line]:
    others = beside or {}
    for name, limits in config.metrics.items():
        whole_of = of_head(split_name(name)[0], ALL)
        (whole,) = found[whole_of]
        (served,) = others.get(whole_of, [None])
        if beside is not None and limits.compares and served is None:
            skipped.append(f"{name}: no such head of the served version")
        yield from _lines(name, "", limits, whole, served, skipped)
    for text in config.slices:
        for head, metrics in _by_head(config.slice_metrics).items():
            own = of_head(head, text)
            served_slices = None if beside is None else others.get(own, [])
            for one in found[own]:
                if one.rows < config.slice_rows:
                    skipped.append(f"{own} {one.value}: {one.rows} rows")
                    continue
                where = f" of {text} {one.value}"
                yield from _slice_lines(where, metrics, one, served_slices, skipped)


def _slice_lines(
    where: str,
    metrics: Mapping[str, Limits],
    one: Slice,
    served: Sequence[Slice] | None,
    skipped: list[str],
) -> Iterator[Line]:
    other = next((each for each in served or () if each.value == one.value), None)
    for name, limits in metrics.items():
        if np.isnan(one.metrics[split_name(name)[1]].value):
            skipped.append(f"{name}{where}: undefined")
            continue
        if served is not None and limits.compares and other is None:
            skipped.append(f"{name}{where}: no such slice of the served version")
        yield from _lines(name, where, limits, one, other, skipped)


def _by_head(limits: Mapping[str, Limits]) -> dict[str, dict[str, Limits]]:
    found: dict[str, dict[str, Limits]] = {}
    for name, one in limits.items():
        found.setdefault(split_name(name)[0], {})[name] = one
    return found


def _lines(
    name: str,
    where: str,
    limits: Limits,
    one: Slice,
    served: Slice | None,
    skipped: list[str],
) -> Iterator[Line]:
    metric = split_name(name)[1]
    other = None if served is None else served.metrics[metric].value
    if limits.compares and other is not None and np.isnan(other):
        skipped.append(f"{name}{where}: undefined for the served version")
    yield from judge(f"{name}{where}", limits, one.metrics[metric].value, other)


def _model_lines(
    config: GateConfig,
    encoding: Any,
    staged: Path,
    served: Path | None,
    seed: int,
    skipped: list[str],
) -> Iterator[Line]:
    if config.top_k is not None and served is not None:
        log.info("comparing the first %d items of random requests", config.top_k.k)
        changed = changed_top_k(staged, served, encoding, config.top_k, seed)
        limits = Limits(at_most=config.top_k.changed_at_most)
        for head, share in changed.items():
            what = of_head(head, f"changed top {config.top_k.k}")
            if share is None:
                skipped.append(f"{what}: only one of the versions has such a head")
                continue
            yield from judge(what, limits, share, None)
    if config.latency is not None:
        log.info("timing requests")
        rows, calls = config.latency.rows, config.latency.calls
        compared = served is not None and config.latency.rise_at_most is not None
        folders = [staged, served] if served and compared else [staged]
        own, *other = milliseconds(folders, encoding, rows, calls, seed)
        if config.latency.p95_ms_at_most is not None:
            limits = Limits(at_most=config.latency.p95_ms_at_most)
            p95 = float(np.quantile(own, 0.95))
            yield from judge(f"p95 ms of {rows} rows", limits, p95, None)
        if config.latency.rise_at_most is not None and other:
            medians = float(np.median(own)), float(np.median(other[0]))
            yield _risen("median ms", *medians, config.latency.rise_at_most)
    if config.size is not None:
        size = megabytes(staged)
        if config.size.mb_at_most is not None:
            limits = Limits(at_most=config.size.mb_at_most)
            yield from judge("size in MB", limits, size, None)
        if config.size.rise_at_most is not None and served is not None:
            rise = config.size.rise_at_most
            yield _risen("size in MB", size, megabytes(served), rise)


def _risen(what: str, value: float, served: float, share: float) -> Line:
    expected = f"at most {share:.6g} times more than the served version's {served:.6g}"
    return Line(what, value, expected, value <= served * (1 + share), served)
