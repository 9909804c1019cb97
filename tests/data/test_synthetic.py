import subprocess
import sys

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from sklearn.metrics import roc_auc_score

from hgr_tf.data.synthetic import DAY, write_logs
from hgr_tf.features import FeatureSpec


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write_logs(tmp_path_factory.mktemp("logs"), rows=40_000, users=300, seed=3)


def test_equal_seeds_give_equal_files(tmp_path, logs):
    again = write_logs(tmp_path, rows=40_000, users=300, seed=3)
    for name in ("logs.parquet", "users.csv", "items.csv", "spec.yaml"):
        before = logs.log.parent / name
        assert before.read_bytes() == (tmp_path / name).read_bytes()
    np.testing.assert_array_equal(logs.probability, again.probability)


def test_knobs_move_what_they_say(tmp_path, logs):
    def spread(name, **knobs):
        made = write_logs(tmp_path / name, rows=40_000, users=300, seed=3, **knobs)
        return np.std(made.probability), np.mean(made.probability)

    deviation, mean = np.std(logs.probability), np.mean(logs.probability)
    assert spread("bias", taste_strength=0.0)[0] < deviation
    assert spread("rare", intercept=-5.0)[1] < mean / 2
    assert spread("clusters", cluster_bias=2.0)[0] > 1.1 * deviation
    # What the cluster likes is clicked more often.
    assert spread("popular", shown_by_taste=0.0)[1] < mean
    with pytest.raises(ValueError, match="`shown_by_taste` must be in"):
        write_logs(tmp_path, shown_by_taste=1.5)


def test_another_seed_gives_another_log(tmp_path, logs):
    other = write_logs(tmp_path, rows=40_000, users=300, seed=4)
    assert logs.log.read_bytes() != other.log.read_bytes()


def test_spec_names_only_columns_that_exist(logs):
    spec = FeatureSpec.load(logs.spec)
    log = pyarrow.parquet.read_table(logs.log)
    assert set(spec.log_columns()) <= set(log.column_names)
    for owner, table in spec.tables.items():
        columns = pyarrow.csv.read_csv(logs.log.parent / table.path).column_names
        assert set(spec.table_columns(owner)) <= set(columns)


def test_times_ascend_over_all_days_and_the_last_is_cut_off(logs):
    time = pyarrow.parquet.read_table(logs.log)["time"].to_numpy()
    assert (np.diff(time) >= 0).all()
    assert len(np.unique(time // DAY)) == 7
    split = FeatureSpec.load(logs.spec).split
    assert split.starts == {"val": time.max() // DAY * DAY}


def test_clicks_follow_the_true_probabilities(logs):
    click = pyarrow.parquet.read_table(logs.log)["click"].to_numpy()
    assert 0.15 < click.mean() < 0.4
    # Five standard errors of a mean of 40,000 Bernoulli draws.
    assert abs(click.mean() - logs.probability.mean()) < 0.0125
    assert roc_auc_score(click, logs.probability) > 0.75


def test_taste_varies_within_an_item(logs):
    """Knowing the item alone must rank worse than knowing the user too."""
    log = pyarrow.parquet.read_table(logs.log)
    item, click = log["item_id"].to_numpy(), log["click"].to_numpy()
    sums = np.bincount(item, weights=logs.probability)
    item_rate = sums[item] / np.bincount(item)[item]
    gain = roc_auc_score(click, logs.probability) - roc_auc_score(click, item_rate)
    assert gain > 0.05


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Logs with purchases and positions, beside `logs`."""
    folder = tmp_path_factory.mktemp("shop")
    knobs = {"purchase_rate": 0.05, "position_effect": 1.0}
    return write_logs(folder, rows=40_000, users=300, seed=3, **knobs)


def test_purchases_are_a_share_of_the_clicks(shop):
    log = pyarrow.parquet.read_table(shop.log)
    click, purchase = log["click"].to_numpy(), log["purchase"].to_numpy()
    assert (purchase <= click).all()
    bought = purchase[click > 0]
    # Five standard errors.
    assert abs(bought.mean() - 0.05) < 5 * (0.05 * 0.95 / len(bought)) ** 0.5
    assert roc_auc_score(bought, shop.purchase[click > 0]) > 0.7
    labels = FeatureSpec.load(shop.spec).labels
    assert list(labels) == ["click", "purchase"] and labels["purchase"].given == "click"


def test_positions_move_clicks_and_what_stands_high_is_popular(logs, shop):
    log = pyarrow.parquet.read_table(shop.log)
    position, item = log["position"].to_numpy(), log["item_id"].to_numpy()
    assert np.unique(position, return_counts=True)[1].tolist() == [4_000] * 10
    odds = [p / (1 - p) for p in (shop.relevance, shop.probability)]
    np.testing.assert_allclose(odds[0] / odds[1], position, rtol=1e-9)
    popularity = np.bincount(item)[item]
    assert popularity[position == 1].mean() > 2 * popularity[position == 10].mean()
    np.testing.assert_array_equal(shop.relevance, logs.probability)
    assert "position" in FeatureSpec.load(shop.spec).log_columns()


@pytest.mark.parametrize("knobs", [{"purchase_rate": 0.1}, {"position_effect": 1.0}])
def test_one_knob_leaves_what_the_other_draws(tmp_path, shop, knobs):
    made = write_logs(tmp_path, rows=40_000, users=300, seed=3, **knobs)
    before = pyarrow.parquet.read_table(shop.log)
    same = set(pyarrow.parquet.read_table(made.log).column_names) & {"position"}
    for name in ("user_id", "item_id", "time", "device", *same):
        assert pyarrow.parquet.read_table(made.log)[name] == before[name]


def test_a_purchase_rate_is_a_share(tmp_path):
    with pytest.raises(ValueError, match=r"`purchase_rate` must be in \[0, 1\), got 1"):
        write_logs(tmp_path, purchase_rate=1)


@pytest.mark.parametrize("size", ["rows", "users", "items", "branching", "levels"])
def test_sizes_must_be_positive(tmp_path, size):
    with pytest.raises(ValueError, match=f"`{size}` must be at least 1, got 0"):
        write_logs(tmp_path, **{size: 0})


def test_validation_needs_a_day_of_its_own(tmp_path):
    with pytest.raises(ValueError, match="`days` must be at least 2, got 1"):
        write_logs(tmp_path, days=1)


def test_no_tensorflow_is_loaded():
    code = "import sys, hgr_tf.data.synthetic; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
