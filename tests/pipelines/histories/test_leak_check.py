import numpy as np
import pytest

from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.histories.sequence import Sequence
from tests.pipelines.histories.logs import make_spec, past_of

HISTORY = {"seen": {"of": "item", "where": {"label": 1}}}
COUNTERS = {"n": {"by": "user"}}


def random_rows(count=300, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {
            "user": str(rng.integers(5)),
            "item": str(rng.integers(9)),
            "author": "x",
            "request": "p",
            "label": float(rng.integers(2)),
            "t": int(rng.integers(20)),
            "split": "train",
            "id": i,
        }
        for i in range(count)
    ]


@pytest.mark.parametrize("sections", [{"history": HISTORY}, {"counters": COUNTERS}])
def test_what_is_computed_leaks_nothing(sections):
    past_of(random_rows(), make_spec(**sections))


@pytest.mark.parametrize("sections", [{"history": HISTORY}, {"counters": COUNTERS}])
def test_a_row_that_sees_its_own_moment_is_found(sections, monkeypatch):
    def ends_of_moments(sequence, cut):
        places = np.arange(len(cut))
        starts = np.append(sequence.tie_start, len(cut))
        return np.searchsorted(starts[:-1], sequence.tie_start[places], "right")

    monkeypatch.setattr(Sequence, "ends", ends_of_moments)
    with pytest.raises(PrepareError, match=r"leak check: .(seen|n_all_rate). moved"):
        past_of(random_rows(), make_spec(**sections))


def test_a_row_that_sees_the_future_is_found(monkeypatch):
    def whole_keys(sequence, cut):
        _, inverse, counts = np.unique(
            sequence.key_start, return_inverse=True, return_counts=True
        )
        return sequence.key_start + counts[inverse]

    monkeypatch.setattr(Sequence, "ends", whole_keys)
    with pytest.raises(PrepareError, match="leak check: 'seen' moved in"):
        past_of(random_rows(), make_spec(history={"seen": {"of": "item"}}))
