"""What do histories cost a ranker, in training and when it is served?

    python -m benchmarks.history_cost

The default MLP of a spec with a history of 30 items, and the same ranker that goes
without the history. Prints JSON of medians of interleaved calls:

    step_ratio   training step at batch 4,096, history pooled by its mean / without
    rank_ratio   `rank` of 1,000 candidates, history by target attention / without
    cases        milliseconds of each, and of the other poolings
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import tensorflow as tf
import typer

from benchmarks.timing import interleaved_ms, print_json, train_function_of
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.ranker import feature_names, ranker_of
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.saving.writer import write
from hgr_tf.features import USER, FeatureEncoding, FeatureSpec
from hgr_tf.training.build_and_evaluate import build_model
from hgr_tf.training.config import RunConfig

LENGTH = 30
SIZES = {"user": 20_000, "item": 8_000}
CONTEXT = 14
SPEC = FeatureSpec(
    name="history_cost",
    user_id="user",
    item_id="item",
    label="label",
    time="time",
    user={"user": {"type": "categorical", "dtype": "int64"}},
    item={"item": {"type": "categorical", "dtype": "int64"}},
    context={
        f"feature_{i}": {"type": "hashed", "num_buckets": 100} for i in range(CONTEXT)
    },
    history={"watched": {"of": "item", "length": LENGTH}},
)
ENCODING = FeatureEncoding(
    SPEC, {name: tuple(map(str, range(size))) for name, size in SIZES.items()}
)
RANKERS = {
    "without": {"without": ("watched",)},
    "mean": {"history": {"pooling": "mean"}},
    "attention": {"history": {"pooling": "attention"}},
    "transformer": {"history": {"pooling": "transformer"}},
}


def build(ranker: dict) -> tf.keras.Model:
    """The default MLP with a method of LogLoss alone."""
    return build_model(RunConfig.model_validate({"ranker": ranker}), ENCODING)


def step_of(ranker: dict, rows: int) -> Callable[[], float]:
    """A training step on one batch that is held in memory."""
    model = build(ranker)
    model.compile(tf.keras.optimizers.Adam(1e-3))
    random = np.random.default_rng(0)
    inputs = {
        name: random.integers(
            1,
            ENCODING.num_ids(name),
            (rows,) if form.size is None else (rows, form.size),
        )
        for name, form in SPEC.inputs().items()
    }
    labels = (random.random(rows) < 0.3).astype(np.float32)
    batch = ({**inputs, USER: inputs["user"]}, labels)
    step = train_function_of(model)
    iterator = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: float(step(iterator)["loss"])


def rank_of(ranker: dict, candidates: int, folder: Path) -> Callable[[], object]:
    """A call of the exported signature `rank`."""
    model = ranker_of(build(ranker))
    write(model, folder, ENCODING)
    session = ServingSession(folder, 1)
    names = feature_names(model, ENCODING)
    request = SampleRequests(ENCODING, names).rank(1, candidates)
    return lambda: session.call("rank", request)


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Calls of each case.")] = 60,
    batch: Annotated[int, typer.Option(min=1, help="Rows of a step.")] = 4096,
    candidates: Annotated[int, typer.Option(min=1, help="Items of a request.")] = 1000,
) -> None:
    """Measures and prints."""
    steps = interleaved_ms(
        {name: step_of(ranker, batch) for name, ranker in RANKERS.items()}, rounds
    )
    with tempfile.TemporaryDirectory() as scratch:
        ranks = interleaved_ms(
            {
                name: rank_of(ranker, candidates, Path(scratch, name))
                for name, ranker in RANKERS.items()
            },
            rounds,
        )
    print_json(
        {
            "step_ratio": steps["mean"] / steps["without"],
            "rank_ratio": ranks["attention"] / ranks["without"],
            "cases": {"step_ms": steps, "rank_ms": ranks},
        }
    )


if __name__ == "__main__":
    typer.run(main)
