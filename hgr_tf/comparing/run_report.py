"""The page of one or several training runs: figures, curves and plots."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hgr_tf.comparing.figures import by_activity, figures, reliability
from hgr_tf.comparing.one_run import groups_of_run
from hgr_tf.comparing.predicting import history_of, judged_on, predict_heads
from hgr_tf.comparing.report import pictures, template
from hgr_tf.result_files import plain
from hgr_tf.training import RunFolder
from hgr_tf.training.run_data import load_run_and_data

log = logging.getLogger(__name__)


def run_report(
    folders: Sequence[str | Path],
    data: str | Path | None = None,
    split: str | None = None,
) -> str:
    """One HTML page without scripts or downloads, of the plots of a comparison.

    Args:
        folders: Folders of finished runs.
        data: Prepared data to predict, instead of that of each run.
        split: Split to predict; by default the validation split of each run.

    Raises:
        ValueError: A folder holds no finished run, or the data is not of its encoding.
    """
    runs = {
        f"{name}: {head}" if head else name: of_head
        for name, folder in _named(folders).items()
        for head, of_head in _of_run(Path(folder), data, split)
    }
    metrics = [*next(iter(runs.values()))["figures"]]
    return template("run_report.html.jinja").render(
        runs=runs, metrics=metrics, pictures=pictures(runs)
    )


def _named(folders: Sequence[str | Path]) -> dict[str, str | Path]:
    """The folders by their last names, or by their paths where these are equal."""
    names = [Path(folder).resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return dict(zip(names, folders, strict=True))


def _of_run(
    folder: Path, data: str | Path | None, split: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is shown of each head of a run."""
    log.info("predicting with %s", folder)
    run, prepared = load_run_and_data(folder, data)
    config = run.config
    split = split or config.data.validation
    with prepared.errors():
        rows = predict_heads(
            run.model, prepared, split, (), from_logits=config.method.from_logits
        )
    history = RunFolder(folder).history()
    for head, (predictions, _) in rows.items():
        shown = {
            "data": str(prepared.folder),
            "split": split,
            "ranker": config.ranker.type,
            "method": config.method.preset,
            "seed": config.seed,
            "rows": judged_on(run.model, head),
            "figures": figures(predictions),
            "by_activity": by_activity(predictions),
            "reliability": reliability(predictions),
            "history": history_of(history, head),
            "groups": groups_of_run(run, prepared, split, head),
        }
        yield head, plain(shown)
