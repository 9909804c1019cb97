"""`hgr-tf evaluate`: the metrics of a run on any prepared split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hgr_tf.cli.options import AsJson, FinishedRun, RunData, StepSize
from hgr_tf.cli.stages import load_tensorflow

if TYPE_CHECKING:
    from hgr_tf.comparing.slices import Slicing
    from hgr_tf.features import FeatureEncoding
    from hgr_tf.training.importance import PermutationImportance


def evaluate(
    run: FinishedRun,
    data: RunData = None,
    split: Annotated[
        str | None, typer.Option(help="Which split. Default: the validation split.")
    ] = None,
    batch_size: StepSize = 8192,
    as_json: AsJson = False,
    user_taste: Annotated[
        bool,
        typer.Option(
            "--user-taste",
            help="Also swap the users' embeddings and rank again: what GAUC loses is "
            "what this ranker's embeddings tell of the users' tastes.",
        ),
    ] = False,
    permute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FEATURE",
            help="Also permute this feature of the spec and rank again; may be "
            "repeated.",
        ),
    ] = None,
    permutations: Annotated[
        int, typer.Option(min=1, help="How many times each is swapped or permuted.")
    ] = 5,
    slice_by: Annotated[
        list[str] | None,
        typer.Option(
            "--slice",
            metavar="COLUMN[:quantileN]",
            help="Also every metric of each value of this feature, or of N parts of "
            "a numeric one or of user_activity, or by user_in_training; with "
            "intervals; may be repeated.",
        ),
    ] = None,
    k: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Also NDCG and hit rate of a user's first K rows, with MRR and the "
            "intervals of --slice; may be repeated. 10 with --slice.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed for permutations and intervals.")
    ] = 0,
) -> None:
    """Evaluate a trained run: LogLoss, AUC, GAUC, PCOC and ECE, also by slice."""
    load_tensorflow()
    from hgr_tf import training
    from hgr_tf.cli.metrics_table import print_importance, print_metrics
    from hgr_tf.models.heads import of_head
    from hgr_tf.result_files import plain
    from hgr_tf.training.one_head import only_head
    from hgr_tf.training.run_data import load_run_and_data

    loaded, prepared = load_run_and_data(run, data, shrunk=True)
    split = split or loaded.config.data.validation
    features = training.permutables(loaded.encoding.spec, permute or [])
    cut = _slicings(slice_by or [], loaded.encoding)
    metrics = training.evaluate(loaded.model, prepared, split, batch_size=batch_size)
    lost: dict[str, PermutationImportance] = {}
    if user_taste or permute:
        layer = loaded.config.method.user_embedding if user_taste else None
        heads, given = loaded.model.heads, loaded.model.given
        batches = prepared.dataset(split, batch_size)
        with prepared.errors():
            for head in heads:
                lost[head] = training.permutation_importance(
                    loaded.model.ranker,
                    only_head(batches, head, heads, given),
                    user_embedding=layer,
                    features=features,
                    from_logits=loaded.config.method.from_logits,
                    permutations=permutations,
                    seed=seed,
                    head=head,
                )
    sliced = None
    if cut or k:
        from hgr_tf.comparing.slices import sliced_figures

        with prepared.errors():
            sliced = sliced_figures(
                loaded.model,
                prepared,
                split,
                cut,
                batch_size=batch_size,
                from_logits=loaded.config.method.from_logits,
                seed=seed,
                ks=sorted(set(k or [10])),
            )
    if as_json:
        told: dict[str, Any] = dict(metrics)
        if lost:
            told["importance"] = {
                of_head(head, name): {
                    "gauc_drops": one.gauc_drops,
                    "log_loss_rises": one.log_loss_rises,
                }
                for head, found in lost.items()
                for name, one in found.of.items()
            }
        if sliced is not None:
            told["slices"] = {
                name: [one.as_json() for one in each] for name, each in sliced.items()
            }
        typer.echo(json.dumps(plain(told), allow_nan=False))
        return
    print_metrics(
        {run.name: metrics}, title=f"{run}, on {split!r} of {prepared.folder}"
    )
    for head, found in lost.items():
        print_importance(found, head)
    if sliced is not None:
        from hgr_tf.cli.slice_table import print_slices

        for name, each in sliced.items():
            print_slices(name, each)


def _slicings(texts: Sequence[str], encoding: FeatureEncoding) -> list[Slicing]:
    if not texts:
        return []
    try:
        from hgr_tf.comparing.slices import Slicing
    except ImportError as error:
        raise ImportError(
            "--slice needs the extra `compare` (pip install 'hgr_tf[compare]'): "
            f"{error}"
        ) from error
    return [Slicing.parse(text, encoding) for text in texts]
