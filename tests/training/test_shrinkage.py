"""Shrinkage of tables against numpy, and the files that it leaves in a run folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hgr_tf.calibration.calibration import Calibration, CalibrationError
from hgr_tf.calibration.heads import HeadCalibrations
from hgr_tf.calibration.platt import Platt
from hgr_tf.data import PreparedData
from hgr_tf.training import RunConfig, load_run, train
from hgr_tf.training.run_folder import RunFolder
from hgr_tf.training.shrinkage import (
    COUNTS,
    Shrinkage,
    ShrinkageError,
    TableShrinkage,
    count_ids,
    shrink_tables,
    shrunk,
    table_of,
    training_counts,
)
from tests.prepared import ENCODING, rows, write_prepared

CONFIG = """
data: {path: %s}
ranker: {embedding_dim: 4, hidden_units: [8]}
training: {batch_size: 100, epochs: 1}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shrinkage")
    seen = [row for row in rows(600, 0) if row["user"] != [5]]
    splits = {"train": seen, "val": rows(100, 1)}
    write_prepared(folder / "data", splits)
    config = RunConfig.from_yaml(CONFIG % (folder / "data"))
    return train(config, folder / "run", verbose=0)


def kept(path):
    file = path / COUNTS
    return np.load(file).files if file.exists() else []


def said(tau):
    figures = {"": {"log_loss": 0.5}}
    return TableShrinkage(
        tau=tau,
        tried={0.0: 0.5, tau: 0.4},
        split="val",
        seed=0,
        halves="users",
        before=figures,
        after=figures,
    )


def test_rows_are_pulled_toward_the_mean_by_their_counts():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(6, 3)).astype(np.float32)
    counts, tau = np.array([0, 3, 1, 10, 0, 5]), 4.0
    found = shrunk(table, counts, tau, first_value=2)
    seen = [2, 3, 5]  # neither missing nor unknown, and in training
    mean = sum(table[i].astype(float) for i in seen) / 3
    for i, n in enumerate(counts):
        expected = n / (n + tau) * table[i] + tau / (n + tau) * mean
        np.testing.assert_allclose(found[i], expected, rtol=1e-5)
    assert found.dtype == np.float32


def test_tau_0_and_a_table_without_a_seen_value_stay_as_they_are():
    table = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    assert shrunk(table, np.array([0, 2, 1, 0]), 0.0) is table
    assert shrunk(table, np.array([3, 2, 0, 0]), 5.0, first_value=2) is table


def test_ids_are_counted_with_missing_and_unknown_ones_and_without_padding(tmp_path):
    some = rows(50, 3)
    some[0]["user"], some[1]["user"] = [0], [1]
    data = PreparedData.load(write_prepared(tmp_path, {"train": some}))
    users = count_ids(data, "train", "user")
    assert users[0] == 1 and users[1] == 1 and users.sum() == 50
    tags = count_ids(data, "train", "tags")
    assert tags[0] == 0 and tags.sum() == sum(len(row["tags"]) for row in some)


def test_a_run_is_loaded_with_shrunk_tables_only_where_asked(run):
    counts = training_counts(run.path, "user")
    np.testing.assert_array_equal(np.load(run.path / COUNTS)["user"], counts)
    Shrinkage(tables={"user": said(5.0)}).save(run.path)
    trained, found = load_run(run.path), load_run(run.path, shrunk=True)
    assert trained.shrinkage == found.shrinkage
    assert found.shrinkage.in_words == "user: tau 5"
    before, after = (
        np.array(table_of(r.model.ranker, ENCODING, "user").embeddings)
        for r in (trained, found)
    )
    assert counts[1] == 0 and counts[5] == 0
    mean = before[2:][counts[2:] > 0].mean(axis=0)
    np.testing.assert_allclose(after[1], mean, rtol=1e-5)  # the unknown id's
    np.testing.assert_allclose(after[5], mean, rtol=1e-5)  # in no row of training
    share = counts[7] / (counts[7] + 5)
    expected = share * before[7] + (1 - share) * mean
    np.testing.assert_allclose(after[7], expected, rtol=1e-5)
    for one, other in zip(
        trained.model.ranker.layers, found.model.ranker.layers, strict=True
    ):
        if one.name != "user_embedding":
            for a, b in zip(one.weights, other.weights, strict=True):
                np.testing.assert_array_equal(np.array(a), np.array(b))


def test_tau_0_leaves_every_bit(run):
    Shrinkage(tables={"user": said(0.0)}).save(run.path)
    for shrunk_too in (False, True):
        found = load_run(run.path, shrunk=shrunk_too).model.get_weights()
        for a, b in zip(found, run.model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_counts_of_a_run_that_began_with_another_hold_both(run, tmp_path):
    second = write_prepared(
        tmp_path / "two", {"train": rows(200, 4), "val": rows(100, 5)}
    )
    config = RunConfig.from_yaml(CONFIG % second).beginning_with(run.path)
    later = RunFolder(tmp_path / "run")
    later.open(config)
    later.keep_encoding(PreparedData.load(second))
    own = count_ids(PreparedData.load(second), "train", "item")
    found = training_counts(later.path, "item")
    assert "item" not in kept(run.path)  # earlier runs are read alone
    np.testing.assert_array_equal(found, own + training_counts(run.path, "item"))
    assert "item" in kept(run.path)
    first = Path(run.config.data.path)
    first.rename(tmp_path / "away")
    try:
        message = f"{first}: no such folder, and the rows that {run.path} was trained"
        with pytest.raises(ShrinkageError, match=message):
            training_counts(later.path, "tags", second)
    finally:
        (tmp_path / "away").rename(first)


def test_moved_data_is_counted_if_it_is_that_of_the_training(run, tmp_path):
    other = write_prepared(tmp_path / "other", {"train": rows(50, 7)})
    own = Path(run.config.data.path)
    moved = tmp_path / "moved"
    expected = count_ids(PreparedData.load(own), "train", "tags")
    copied = shutil.copytree(run.path, tmp_path / "run")
    own.rename(moved)
    try:
        with pytest.raises(ShrinkageError, match=r"other: holds other data .*missing"):
            training_counts(copied, "tags", other)
        found = training_counts(copied, "tags", moved)
        np.testing.assert_array_equal(found, expected)
        (copied / "data.json").unlink()
        (copied / COUNTS).unlink()
        with pytest.raises(ShrinkageError, match=r"has no data\.json to tell"):
            training_counts(copied, "tags", moved)
    finally:
        moved.rename(own)


def test_a_calibration_of_tables_that_were_shrunk_otherwise_is_refused(run, tmp_path):
    folder = shutil.copytree(run.path, tmp_path / "run")
    (folder / "shrinkage.json").unlink(missing_ok=True)
    figures = dict.fromkeys(("pcoc", "ece", "log_loss", "gauc", "auc", "tied"))
    fitted = Calibration(
        function=Platt(slope=1.0, intercept=0.0),
        split="val",
        seed=0,
        halves="users",
        fitted_rows=1,
        measured_rows=1,
        before=figures,
        after=figures,
    )
    fitted.save(folder / "calibration.json")
    assert load_run(folder).calibration == fitted
    Shrinkage(tables={"user": said(5.0)}).save(folder)
    by_head = HeadCalibrations(heads={"click": fitted})
    for one in (fitted, by_head):
        one.save(folder / "calibration.json")
        with pytest.raises(CalibrationError, match="shrunk otherwise than shrinkage"):
            load_run(folder)
    fitted.model_copy(update={"shrinkage": {"user": 5.0}}).save(
        folder / "calibration.json"
    )
    assert load_run(folder).shrinkage.taus == {"user": 5.0}


def test_what_cannot_be_shrunk_is_named(run, tmp_path):
    ranker = run.model.ranker
    with pytest.raises(ValueError, match=r"the feature must be .*got 'price'"):
        table_of(ranker, ENCODING, "price")
    with pytest.raises(ShrinkageError, match="must hold the counts of the 42 ids"):
        shrink_tables(ranker, ENCODING, tmp_path, {"user": 5.0})
    (tmp_path / "shrinkage.json").write_text('{"tables": {"user": {"tau": -1}}}')
    with pytest.raises(ShrinkageError, match=r"shrinkage\.json: "):
        Shrinkage.load(tmp_path)
    with pytest.raises(ValueError, match="finite number"):
        said(5.0).model_validate({**said(5.0).model_dump(), "tried": {0: np.nan}})
    (tmp_path / COUNTS).write_bytes(b"not an archive")
    with pytest.raises(ShrinkageError, match="damaged"):
        shrink_tables(ranker, ENCODING, tmp_path, {"user": 5.0})
