"""Benchmarks follow the library: what they call still works, at their smallest."""

from pathlib import Path

import pytest

from benchmarks import naive_pipeline, train_step
from hgr_tf.features import FeatureSpec

SPEC = Path(__file__).parents[1] / "examples" / "kuairand_pure" / "spec.yaml"


OTHERS = [name for name in train_step.METHODS if name != "default"]


@pytest.mark.parametrize(
    "name", ["default", *(pytest.param(n, marks=pytest.mark.slow) for n in OTHERS)]
)
def test_every_method_of_the_step_trains(name):
    method = train_step.METHODS[name]
    encoding = train_step.make_encoding()
    batch = train_step.make_batch(encoding, 8)
    assert train_step.train_function(method, encoding, 4, batch)() > 0


def test_the_naive_pipeline_encodes_every_feature_of_its_spec():
    features = tuple(FeatureSpec.load(SPEC).features())
    rows = [
        {"__label__": 1.0, "__user__": 1, "__item__": 2}
        | {f.name: _value(f.transform, number) for f in features}
        for number in (1, 2, 3)
    ]
    learn = naive_pipeline.Learn(features)
    counts = learn.create_accumulator()
    for row in rows:
        counts = learn.add_input(counts, row)
    learned = learn.extract_output(counts)
    assert len({naive_pipeline.encode(row, features, learned) for row in rows}) == 3


def _value(transform, number):
    if transform.is_multivalued:
        return [number]
    return str(number) if transform.dtype == "string" else number
