from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from hgr_tf.comparing.figures import (
    Predictions,
    calibration_error,
    figures,
    mean_of,
    ndcg,
)
from hgr_tf.comparing.first_positive import hit_rate_by_user, mrr_by_user
from hgr_tf.comparing.intervals import estimates
from hgr_tf.comparing.slices import Slicing, slices
from tests.prepared import ENCODING


def predictions(rows=300, users=20, seed=0, decimals=1):
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(rows), decimals)
    return Predictions(
        rng.integers(users, size=rows),
        (rng.random(rows) < p).astype(float),
        np.ones(rows),
        p,
    )


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=12),
    st.integers(1, 6),
)
def test_hit_rate_and_mrr_are_means_over_orders_of_ties(rows, k):
    labels, scores = (np.array(c, float) for c in zip(*rows, strict=True))
    one = Predictions(np.zeros(len(rows), int), labels, np.ones(len(rows)), scores)
    if not labels.any():
        assert np.isnan(mean_of(hit_rate_by_user(one, k)))
        assert np.isnan(mean_of(mrr_by_user(one)))
        return
    rng = np.random.default_rng(0)
    ranks = []
    for _ in range(3000):
        order = np.lexsort((rng.random(len(rows)), -scores))
        ranks.append(1 + np.argmax(labels[order] > 0))
    ranks = np.array(ranks)
    assert mean_of(hit_rate_by_user(one, k)) == pytest.approx(
        np.mean(ranks <= k), abs=0.05
    )
    assert 1 / mean_of(mrr_by_user(one)) == pytest.approx(np.mean(ranks), abs=0.2)


def test_intervals_hold_the_figure_and_are_those_of_redrawn_users():
    rows = predictions(rows=2000, users=60)
    found = estimates(rows)
    for name, value in figures(rows).items():
        assert found[name].value == pytest.approx(value, abs=1e-12)
        if name != "ece":  # noise alone raises it, so redrawn ones lie above
            assert found[name].low < value < found[name].high
    rng = np.random.default_rng(0)
    redrawn = []
    for _ in range(200):
        times = np.bincount(rng.integers(60, size=60), minlength=60)[rows.users]
        drawn = rows._replace(weights=times.astype(float))
        redrawn.append(
            (
                roc_auc_score(rows.labels, rows.probabilities, sample_weight=times),
                calibration_error(drawn),
            )
        )
    auc, ece = np.quantile(redrawn, [0.025, 0.975], axis=0).T
    assert found["auc"][1:] == pytest.approx(auc, abs=1e-9)
    assert found["ece"][1:] == pytest.approx(ece, abs=1e-9)


def test_one_user_has_no_interval_and_no_positive_no_figure():
    rows = predictions(users=1)._replace(labels=np.zeros(300))
    found = estimates(rows)
    assert np.isnan(found["gauc"].value) and np.isnan(found["pcoc"].value)
    assert np.isnan(found["log_loss"].low) and found["log_loss"].value > 0


def test_slices_hold_every_row_once_under_the_names_of_the_values():
    rows = predictions()
    items = np.random.default_rng(1).choice(
        [0, 1, 2, 3, 4], 300, p=[0.1] * 3 + [0.35] * 2
    )
    slicing = Slicing.parse("item", ENCODING)
    found = slices(rows, {"item": items}, slicing, ENCODING)
    assert {s.value for s in found} == {"(missing)", "(unknown)", "0", "1", "2"}
    assert sum(s.rows for s in found) == 300
    assert [s.rows for s in found] == sorted((s.rows for s in found), reverse=True)
    alone = Predictions(*(c[items == 3] for c in rows))
    (one,) = (s for s in found if s.value == "1")
    assert one.metrics["gauc"].value == figures(alone)["gauc"]


def test_rare_values_share_a_slice():
    rows = predictions()
    slicing = Slicing.parse("item", ENCODING)
    found = slices(rows, {"item": 2 + np.arange(300) % 30}, slicing, ENCODING)
    assert len(found) == 21 and found[-1].value == "(others)"
    assert sum(s.rows for s in found) == 300


@pytest.mark.parametrize("text", ["price:quantile4", "user_activity:quantile4"])
def test_quantiles_rise_and_keep_equal_values_together(text):
    rows = predictions()
    price = np.round(np.random.default_rng(2).normal(size=300), 1).astype("float32")
    found = slices(rows, {"price": price}, Slicing.parse(text, ENCODING), ENCODING)
    assert sum(s.rows for s in found) == 300
    ends = [tuple(map(float, s.value.split(" to "))) for s in found]
    assert len(ends) == 4
    assert all(one[1] < two[0] for one, two in pairwise(ends))


def test_users_of_training_are_told_from_the_others():
    rows = predictions()
    slicing = Slicing.parse("user_in_training", ENCODING)
    assert slicing.inputs == ("user",)
    ids = np.where(rows.users < 5, 1, 2 + rows.users)
    found = {s.value: s for s in slices(rows, {"user": ids}, slicing, ENCODING)}
    assert found["no"].users == 5 and found["yes"].users == 15


@pytest.mark.parametrize(
    "text, told",
    [
        (
            "nation",
            "must name a feature .*user_activity or user_in_training, got 'nation'",
        ),
        ("price", "must be 'price:quantile5' for a feature of type 'numeric'"),
        ("item:quantile5", "must be 'item' for a feature of type 'categorical'"),
        ("price:decile", "must be COLUMN or COLUMN:quantileN, got 'price:decile'"),
        ("tags", "one value per row, got 'tags' of type 'multi_categorical'"),
    ],
)
def test_wrong_slices_are_told(text, told):
    with pytest.raises(ValueError, match=told):
        Slicing.parse(text, ENCODING)


def test_every_k_has_its_ndcg_and_hit_rate():
    rows = predictions()
    found = estimates(rows, ks=(1, 5), resamples=3)
    assert list(found) == [
        "gauc",
        "auc",
        "ndcg_1",
        "ndcg_5",
        "mrr",
        "hit_rate_1",
        "hit_rate_5",
        "log_loss",
        "pcoc",
        "ece",
    ]
    for k in (1, 5):
        assert found[f"hit_rate_{k}"].value == mean_of(hit_rate_by_user(rows, k))
        assert found[f"ndcg_{k}"].value == ndcg(rows, k)
    assert found["hit_rate_1"].value < found["hit_rate_5"].value
