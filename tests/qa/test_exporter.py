"""An exported reader: equal to Keras, served, verified, and free of training."""

import json

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.cli.main import main
from hgr_tf.compat import KERAS_3
from hgr_tf.export.client import Client
from hgr_tf.qa import QAConfig, QAExample, Served, export_reader, load_qa_run
from hgr_tf.qa.answers import answer_questions, read_with
from hgr_tf.qa.reports import write_reports
from hgr_tf.qa.trainer import train_reader
from tests.export.server.processes import MODEL, local_server
from tests.qa.tiny import encoder_folder

pytest.importorskip(
    "keras_hub" if KERAS_3 else "keras_nlp", reason="the extra qa is not installed"
)
if not KERAS_3 and not tf.__version__.startswith("2.15"):
    pytest.skip("question answering does not work on tf-keras", allow_module_level=True)

REPORT = "At 9:05 Ann entered the kitchen. Bo walked into the kitchen at 9:30. " * 6
QUESTIONS = ["Who entered the kitchen?", "When did Bo leave the house?"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    files = write_reports(place, {"train": 16, "val": 4})
    config = QAConfig(
        data={"train": str(files["train"]), "validation": str(files["val"])},
        encoder={
            "folder": str(encoder_folder(place / "tiny", "roberta")),
            "pretrained": False,
        },
        windows={"max_length": 64, "overlap": 16, "max_question": 16},
        training={"epochs": 1},
    )
    return train_reader(config, place / "run", verbose=0)


@pytest.fixture(scope="module")
def version(run, tmp_path_factory):
    return export_reader(run, tmp_path_factory.mktemp("models") / MODEL)


def by_keras(run, choice):
    examples = [QAExample(str(n + 1), q, REPORT) for n, q in enumerate(QUESTIONS)]
    found = answer_questions(
        read_with(run.reader), examples, run.tokenizer, run.config.windows, [choice]
    )
    return [prediction for (prediction,) in found]


def check_equal(found, expected):
    for mine, its in zip(found, expected, strict=True):
        assert mine.texts == its.texts
        assert (mine.id, mine.spans) == (its.id, its.spans)
        assert mine.scores == pytest.approx(its.scores, rel=1e-3)


@pytest.mark.parametrize("choice", ["both", "tags", "type", "span"])
def test_the_saved_model_answers_as_keras_does(run, version, choice):
    expected = by_keras(run, choice)
    check_equal(Served(version).answer(REPORT, QUESTIONS, choice), expected)


def test_a_server_answers_as_keras_does(run, version):
    with (
        local_server(version.parent) as server,
        Client(server.grpc, MODEL, timeout_seconds=30) as client,
    ):
        found = Served(version, client.predict).answer(REPORT, QUESTIONS, "span")
    assert any(prediction.spans for prediction in found)
    check_equal(found, by_keras(run, "span"))


def test_the_command_line_exports_and_predicts_with_what_it_exported(
    run, tmp_path, capsys
):
    models, report = tmp_path / "reader", tmp_path / "report.txt"
    report.write_text(REPORT, encoding="utf-8")
    exports = ["export", "--run", str(run.path), "--output", str(models)]
    asks = ["predict", "--model", str(models), "--report", str(report)]
    asks += ["--question", QUESTIONS[0], "--choice", "span"]
    for arguments in (exports, asks):
        with pytest.raises(SystemExit) as end:
            main(["qa", *arguments])
        out, err = capsys.readouterr()
        assert end.value.code == 0, err
    line = json.loads(out.splitlines()[-1])
    (expected, _) = by_keras(run, "span")
    assert [answer["text"] for answer in line["answers"]] == list(expected.texts)


def test_a_version_holds_the_tokenizer_and_no_training(version):
    names = {path.name for path in (version / "assets.extra").iterdir()}
    assert names == {"tokenizer.json", "qa.json", "tf_serving_warmup_requests"}
    keys = tf.train.load_checkpoint(str(version / "variables/variables"))
    assert not [k for k in keys.get_variable_to_shape_map() if "optimizer" in k]


def test_what_leaks_is_not_published(run, tmp_path, monkeypatch):
    from hgr_tf.export.checking.leak_report import VerificationError
    from hgr_tf.qa import exporter

    class Leaking(exporter._Served):
        def __init__(self, reader):
            super().__init__(reader)
            self.optimizer = tf.Variable(np.ones(3, np.float32))

    monkeypatch.setattr(exporter, "_Served", Leaking)
    with pytest.raises(VerificationError, match="optimizer"):
        export_reader(run, tmp_path / "models")
    assert not list((tmp_path / "models").iterdir())


def test_another_kind_of_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not a version of a reader"):
        Served(tmp_path)


def test_a_loaded_run_answers_as_the_trained_one(run):
    loaded = load_qa_run(run.path)
    check_equal(by_keras(loaded, "span"), by_keras(run, "span"))
