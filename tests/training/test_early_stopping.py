import dataclasses
import json

import numpy as np
import pytest

from hgr_tf.data import PreparedData
from hgr_tf.features import LABEL, USER
from hgr_tf.features.labels import Label
from hgr_tf.training import RunConfig, evaluate, train
from hgr_tf.training.build_and_evaluate import check_targets
from hgr_tf.training.config import EarlyStopping
from hgr_tf.training.early_stopping import (
    UndefinedMetricError,
    best_epoch,
    check_defined,
)
from hgr_tf.training.run_folder import RunFolder
from tests import prepared
from tests.prepared import rows, write_prepared


def batch(labels, users, weights=None):
    columns = ({USER: np.array(users)}, np.float32(labels))
    return columns if weights is None else (*columns, np.float32(weights))


@pytest.mark.parametrize("metric", ["gauc", "auc", "log_loss"])
def test_reading_stops_at_the_batch_that_proves_the_metric_defined(metric):
    def batches():
        yield batch([1, 0], [1, 2], [0, 0])
        yield batch([1], [7], [1])
        yield batch([0, 0], [8, 7], [1, 2])
        raise AssertionError("read on")

    check_defined(EarlyStopping(metric=metric), batches(), "val")


@pytest.mark.parametrize(
    "metric, batches",
    [
        ("gauc", [batch([1, 0], [1, 2])]),
        ("gauc", [batch([1, 0], [1, 1], [1, 0])]),
        ("auc", [batch([1, 1], [1, 1]), batch([1], [2])]),
        ("log_loss", [batch([1, 0], [1, 1], [0, 0])]),
    ],
)
def test_a_split_that_leaves_the_metric_undefined_is_refused(metric, batches):
    message = f"`early_stopping.metric` must be defined .*'{metric}' where 'val' has no"
    with pytest.raises(UndefinedMetricError, match=message):
        check_defined(EarlyStopping(metric=metric), batches, "val")
    check_defined(None, batches, "val")


def test_an_epoch_with_an_undefined_metric_is_named():
    history = [{"val_gauc": 0.5}, {"val_gauc": float("nan")}]
    with pytest.raises(UndefinedMetricError, match="NaN in epoch 2"):
        best_epoch(history, EarlyStopping())


def config(folder, **training):
    return RunConfig.model_validate(
        {
            "data": {"path": str(folder)},
            "ranker": {"type": "mlp", "embedding_dim": 2, "hidden_units": [4]},
            "training": {"batch_size": 64, "epochs": 1, **training},
        }
    )


def test_one_class_is_refused_before_training_or_reported_as_undefined(tmp_path):
    validation = [{**row, LABEL: [0.0]} for row in rows(40, seed=1)]
    splits = {"train": rows(100, seed=0), "val": validation}
    folder = write_prepared(tmp_path / "data", splits)
    with pytest.raises(UndefinedMetricError, match="'gauc' where 'val' has no user"):
        train(config(folder, early_stopping={}), tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()
    with pytest.warns(UserWarning, match="gauc.*undefined"):
        run = train(config(folder), tmp_path / "run", verbose=0)
    stored = json.loads((run.path / "metrics.json").read_text())
    assert stored["gauc"] is stored["auc"] is stored["pcoc"] is None
    assert np.isnan(run.metrics["gauc"]) and np.isfinite(run.metrics["log_loss"])
    assert np.isnan(RunFolder(run.path).history()[0]["val_gauc"])


def test_specs_of_targets_that_log_loss_is_not_defined_for_are_refused(tmp_path):
    label = Label(column="click", min=1, max=5)
    stars = prepared.SPEC.model_copy(update={"label": label})
    with pytest.raises(ValueError, match=r"positive_at_least.*'click'.* 1 and 5"):
        check_targets(stars)
    binary = label.model_copy(update={"positive_at_least": 4.0})
    check_targets(stars.model_copy(update={"label": binary}))
    encoding = dataclasses.replace(prepared.ENCODING, spec=stars)
    splits = {"train": rows(9, 0), "val": rows(9, 1)}
    folder = write_prepared(tmp_path, splits, encoding=encoding)
    with pytest.raises(ValueError, match="positive_at_least"):
        train(config(folder), tmp_path / "run", verbose=0)
    with pytest.raises(ValueError, match="positive_at_least"):
        evaluate(None, PreparedData.load(folder), "val")
