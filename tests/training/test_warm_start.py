"""Runs that begin where an earlier one ended, and chains of days."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.cli import main
from hgr_tf.data import PreparedData
from hgr_tf.features import FeatureSpec
from hgr_tf.training import RunConfig, RunError, load_run, train, train_days
from hgr_tf.training.build_and_evaluate import build_model
from hgr_tf.training.config import InitFrom
from hgr_tf.training.optimizer import (
    LaterSchedule,
    averaged_weights,
    build_optimizer,
)
from hgr_tf.training.warm_start import WarmStart, load_slots, slots_of
from tests.prepared import ENCODING, rows, write_prepared

CONFIG = """
data: {path: %s}
ranker: {embedding_dim: 4, hidden_units: [8]}
method: {preset: default, num_levels: 2, codebook_size: 3}
training: {batch_size: 100, epochs: 1, keep_optimizer: true}
"""
NEW_ITEMS = ("new1", "new2", "new3")
GROWN = replace(
    ENCODING,
    vocabularies={
        **ENCODING.vocabularies,
        "tags": (*ENCODING.vocabularies["tags"], *NEW_ITEMS),
    },
)


@pytest.fixture(scope="module")
def day_one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("days")
    write_prepared(folder / "one", {"train": rows(1000, 0), "val": rows(200, 1)})
    run = train(RunConfig.from_yaml(CONFIG % (folder / "one")), folder / "run-one")
    write_prepared(folder / "two", {"train": rows(600, 2), "val": rows(200, 3)})
    GROWN.save(folder / "two")
    return folder, run


def started(run, encoding=GROWN, **options):
    config = RunConfig.from_yaml(CONFIG % "unused")
    model = build_model(config, encoding)
    fresh = [np.array(w) for w in model.ranker.weights]
    start = WarmStart(InitFrom(run=str(run.path), **options), encoding)
    start.init_model(model)
    return model, fresh, start


@pytest.mark.parametrize("new_rows", ["unknown", "mean", "random"])
def test_old_ids_keep_their_rows_and_new_ones_get_what_was_asked(day_one, new_rows):
    _, run = day_one
    model, fresh, _ = started(run, new_rows=new_rows)
    old = np.array(run.model.ranker.get_layer("embedding_tags").embeddings)
    table = np.array(model.ranker.get_layer("embedding_tags").embeddings)
    np.testing.assert_array_equal(table[:-3], old)
    if new_rows == "random":
        (made,) = [w for w in fresh if w.shape == table.shape and len(w) == len(table)]
        np.testing.assert_array_equal(table[-3:], made[-3:])
    else:
        row = old[1] if new_rows == "unknown" else old[1:].mean(axis=0)
        np.testing.assert_allclose(table[-3:], np.tile(row, (3, 1)), rtol=1e-6)
    for name in ("user_embedding", "deep_dense_1"):
        for new, before in zip(
            model.ranker.get_layer(name).weights,
            run.model.ranker.get_layer(name).weights,
            strict=True,
        ):
            np.testing.assert_array_equal(np.array(new), np.array(before))
    for new, before in zip(
        model.quantizer.codebooks, run.model.quantizer.codebooks, strict=True
    ):
        np.testing.assert_array_equal(new, before)


def test_a_quantizer_that_is_not_taken_starts_anew(day_one):
    model, _, _ = started(day_one[1], quantizer=False)
    assert bool(day_one[1].model.quantizer.started)
    assert not bool(model.quantizer.started)


def test_the_optimizer_goes_on_with_its_slots_and_its_step(day_one):
    _, run = day_one
    model, _, start = started(run, optimizer=True)
    assert start.steps == 10
    settings = run.config.training
    optimizer = build_optimizer(settings, 6, start.steps)
    optimizer.build(model.trainable_variables)
    start.init_optimizer(optimizer, model.trainable_variables)
    assert int(optimizer.iterations) == 10
    for new, old in zip(slots_of(optimizer), load_slots(run.path), strict=True):
        new = np.array(new)
        if new.ndim:
            np.testing.assert_array_equal(new[: len(old)], old)
            assert not new[len(old) :].any()
    assert any(old.any() for old in load_slots(run.path)[1:])


REUSED = replace(
    ENCODING,
    vocabularies={
        **ENCODING.vocabularies,
        "user": ("new", *ENCODING.vocabularies["user"][1:], "newer"),
    },
    unseen={"user": (0,) * 41},
)
"""The id 2 of users went to another one, and 42 is new."""


def test_reused_ids_begin_like_new_ones_and_with_cleared_slots(day_one):
    _, run = day_one
    before = np.array(run.model.ranker.get_layer("user_embedding").embeddings)
    model, _, start = started(run, REUSED, optimizer=True, new_rows="unknown")
    assert start.reused.keys() == {"user"} and start.reused["user"].tolist() == [2]
    layer = model.ranker.get_layer("user_embedding")
    after = np.array(layer.embeddings)
    np.testing.assert_array_equal(after[[2, 42]], before[[1, 1]])
    np.testing.assert_array_equal(np.delete(after[:42], 2, 0), np.delete(before, 2, 0))
    for new, old in zip(
        model.ranker.get_layer("embedding_item").weights,
        run.model.ranker.get_layer("embedding_item").weights,
        strict=True,
    ):
        np.testing.assert_array_equal(np.array(new), np.array(old))


@pytest.mark.parametrize(
    ("optimizer", "slots", "cleared"),
    [("adam", 2, 0.0), ("lazy_adam", 2, 0.0), ("rowwise_adagrad", 1, 0.0)],
)
def test_slots_of_reused_ids_are_cleared(
    day_one, monkeypatch, optimizer, slots, cleared
):
    _, run = day_one
    settings = run.config.training.model_copy(update={"optimizer": optimizer})

    def built(model):
        made = build_optimizer(settings, 6)
        made.build(model.trainable_variables)
        return made

    kept = [np.full(np.shape(slot), 7.0) for slot in slots_of(built(run.model))]
    kept[0] = np.array(10)
    monkeypatch.setattr("hgr_tf.training.warm_start.load_slots", lambda path: kept)
    model, _, start = started(run, REUSED, optimizer=True)
    made = built(model)
    start.init_optimizer(made, model.trainable_variables)
    found = [np.array(slot) for slot in slots_of(made)[1:]]
    of_users = [slot for slot in found if len(slot) == 43]
    assert len(of_users) == slots
    for slot in of_users:
        assert (slot[[2, 42]] == np.float32(cleared)).all()
        assert (np.delete(slot, [2, 42], 0) == 7).all()
    assert all((slot == 7).all() for slot in found if len(slot) != 43)


def test_a_schedule_begins_with_the_run_and_not_with_the_optimizer():
    decay = tf.keras.optimizers.schedules.PolynomialDecay(0.5, 6, 0.0)
    later = LaterSchedule(decay, 10)
    for step in range(7):
        assert float(later(tf.constant(10 + step))) == float(decay(tf.constant(step)))
    again = LaterSchedule(**later.get_config())
    assert float(again(tf.constant(12))) == float(later(tf.constant(12)))


def test_a_run_without_its_optimizer_says_how_to_keep_it(day_one, tmp_path):
    folder, _ = day_one
    text = CONFIG.replace("keep_optimizer: true", "keep_optimizer: false")
    run = train(RunConfig.from_yaml(text % (folder / "one")), tmp_path / "run")
    with pytest.raises(RunError, match="keep_optimizer: true"):
        WarmStart(InitFrom(run=str(run.path), optimizer=True), ENCODING)


def test_an_encoding_that_has_not_grown_from_the_runs_is_refused(day_one):
    other = replace(
        ENCODING, vocabularies={**ENCODING.vocabularies, "tags": ("other",) * 9}
    )
    with pytest.raises(
        ValueError, match=r"is 'other' there instead of 'tag0'.*prepare"
    ):
        WarmStart(InitFrom(run=str(day_one[1].path)), other)


def test_other_ids_of_equal_vocabularies_are_refused(day_one):
    text = ENCODING.spec.to_yaml()
    assert "oov_buckets: 1" in text
    other = replace(
        ENCODING,
        spec=FeatureSpec.from_yaml(text.replace("oov_buckets: 1", "oov_buckets: 2")),
    )
    with pytest.raises(ValueError, match="what their ids mean must be those of"):
        WarmStart(InitFrom(run=str(day_one[1].path)), other)


def test_averages_of_weights_begin_with_the_weights(day_one):
    _, run = day_one
    model, _, start = started(run, optimizer=True)
    settings = run.config.training.model_copy(update={"weight_ema": 0.9})
    optimizer = build_optimizer(settings, 6, start.steps)
    optimizer.build(model.trainable_variables)
    start.init_optimizer(optimizer, model.trainable_variables)
    model.compile(optimizer=optimizer)
    weights = [np.array(w) for w in model.trainable_variables]
    with averaged_weights(model):
        for average, weight in zip(model.trainable_variables, weights, strict=True):
            np.testing.assert_allclose(np.array(average), weight, rtol=1e-6)


def test_nothing_is_removed_before_the_run_to_begin_with_is_found(day_one):
    folder, run = day_one
    config = RunConfig.from_yaml(CONFIG % (folder / "one"))
    for path, message in (
        (str(run.path), "must be another folder"),
        (str(folder / "none"), "not a training run"),
    ):
        with pytest.raises(ValueError, match=message):
            train(config.beginning_with(path), run.path, overwrite=True)
    assert load_run(run.path).weights_digest() == run.weights_digest()


def test_another_run_keeps_the_options_of_the_section():
    config = RunConfig.from_yaml("init_from: {optimizer: true, new_rows: mean}")
    begun = config.beginning_with("runs/x").init_from
    assert begun == InitFrom(run="runs/x", optimizer=True, new_rows="mean")
    assert config.beginning_with(None) is config


def test_another_form_of_ranker_is_named(day_one):
    config = RunConfig.from_yaml((CONFIG % "unused").replace("[8]", "[16]"))
    start = WarmStart(InitFrom(run=str(day_one[1].path)), ENCODING)
    with pytest.raises(ValueError, match=r"kernel.* of the ranker must be of shape"):
        start.init_model(build_model(config, ENCODING))


def test_days_are_evaluated_before_they_are_trained_on_and_go_on(
    day_one, tmp_path, capsys
):
    folder, _ = day_one
    config = tmp_path / "daily.yaml"
    config.write_text(CONFIG % "unused" + "init_from: {optimizer: true}\n")
    output = tmp_path / "daily"
    days = [str(folder / "one"), str(folder / "two")]
    arguments = ["train-days", *days, "--config", str(config), "--output", str(output)]
    with pytest.raises(SystemExit) as end:
        main.main(arguments)
    assert end.value.code == 0
    report = json.loads((output / "days.json").read_text())
    assert [one["day"] for one in report] == ["one", "two"]
    assert report[0]["before"] is None
    first = load_run(output / "one")
    data = PreparedData.load(folder / "two")
    model, _, _ = started(first)
    model.compile(metrics=[])
    labels, scores = [], []
    for features, label in data.dataset("train", 600):
        labels.append(np.array(label))
        scores.append(np.array(model(features)))
    label, score = np.concatenate(labels), np.concatenate(scores).ravel()
    p = 1 / (1 + np.exp(-score.astype(float)))
    loss = -np.mean(label * np.log(p) + (1 - label) * np.log1p(-p))
    assert report[1]["before"]["log_loss"] == pytest.approx(loss, rel=1e-5)
    weights = output / "two" / "model.weights.h5"
    written = weights.stat().st_mtime_ns
    assert load_slots(output / "two")[0] == 10 + 6  # the optimizer went on
    assert load_run(output / "two").config.init_from.run == str(output / "one")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main.main(arguments)
    assert weights.stat().st_mtime_ns == written
    assert "of each day, before it was trained on" in capsys.readouterr().out


@pytest.mark.slow
def test_the_report_of_the_days_counts_evicted_ids(day_one, tmp_path):
    folder, _ = day_one
    write_prepared(
        tmp_path / "two", {"train": rows(100, 2), "val": rows(50, 3)}, encoding=REUSED
    )
    config = RunConfig.from_yaml(CONFIG % "unused")
    report = train_days(config, [folder / "one", tmp_path / "two"], tmp_path / "runs")
    assert "evicted" not in report[0] and report[1]["evicted"] == {"user": 1}
    told = json.loads((tmp_path / "runs" / "days.json").read_text())
    assert told[1]["evicted"] == {"user": 1}


@pytest.mark.slow
def test_days_after_one_that_was_trained_anew_are_refused(day_one, tmp_path):
    folder, _ = day_one
    config = RunConfig.from_yaml(CONFIG % "unused")
    days = [folder / "one", folder / "two"]
    train_days(config, days, tmp_path)
    shutil.rmtree(tmp_path / "one")
    with pytest.raises(RunError, match="trained anew since the days after it"):
        train_days(config.override(seed=5), days, tmp_path)


def test_an_optimizer_that_is_not_kept_is_named_before_the_first_day(tmp_path):
    config = RunConfig.from_yaml("init_from: {optimizer: true}")
    with pytest.raises(ValueError, match="keep_optimizer` must be true"):
        train_days(config, [tmp_path / "a", tmp_path / "b"], tmp_path)


def test_days_of_one_name_are_refused(day_one, tmp_path):
    config = RunConfig.from_yaml(CONFIG % "unused")
    with pytest.raises(ValueError, match="folders of different names"):
        train_days(config, [day_one[0] / "one"] * 2, tmp_path)
