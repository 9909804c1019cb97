"""`hgr-tf qa`: from generated reports to answers, on a tiny encoder."""

import json
import re

import pytest
import tensorflow as tf

from hgr_tf.cli.main import main
from hgr_tf.compat import KERAS_3
from hgr_tf.qa import QAConfig, load_qa_run, read_examples
from hgr_tf.qa.trainer import train_reader
from tests.qa.tiny import encoder_folder

pytest.importorskip(
    "keras_hub" if KERAS_3 else "keras_nlp", reason="the extra qa is not installed"
)
if not KERAS_3 and not tf.__version__.startswith("2.15"):
    pytest.skip("question answering does not work on tf-keras", allow_module_level=True)

CONFIG = """
data: {train: data/train.jsonl, validation: data/val.jsonl}
encoder: {folder: tiny, pretrained: false}
windows: {max_length: 128, overlap: 16, max_question: 24}
training: {batch_size: 8, epochs: 2, checkpoints: {every_steps: 3}}
dropout: 0.0
seed: 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    encoder_folder(place / "tiny")
    (place / "qa.yaml").write_text(CONFIG)
    return place


@pytest.fixture(autouse=True)
def inside(place, monkeypatch):
    monkeypatch.chdir(place)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["qa", *arguments])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


@pytest.fixture
def trained(run, place):
    sizes = [
        "--train",
        "40",
        "--val",
        "10",
        "--test",
        "5",
        "--unseen",
        "5",
        "--max-events",
        "6",
    ]
    assert run("generate", "--output", "data", *sizes)[0] == 0
    code, out, err = run("train", "--config", "qa.yaml", "--output", "run")
    assert code == 0, err
    return out


def test_generate_train_evaluate_predict(run, trained, place):
    assert "exact_match" in trained
    history = json.loads((place / "run/history.json").read_text())
    assert len(history) == 2
    assert {"loss", "tags_loss", "val_span_loss"} <= set(history[0])
    assert list((place / "run/tensorboard").rglob("events*"))
    assert not (place / "run/checkpoint").exists()

    code, out, _ = run("evaluate", "--run", "run", "--data", "data/val.jsonl", "--json")
    scores = json.loads(out.splitlines()[-1])
    assert code == 0
    assert set(scores) == {"both", "tags", "type", "span"}
    metrics = json.loads((place / "run/metrics.json").read_text())
    assert scores["both"] == pytest.approx(metrics)

    (place / "report.txt").write_text("At 9:05 Ann entered the kitchen.", "utf-8")
    asked = ["--question", "Who entered the kitchen?", "--question", "Who left?"]
    code, out, _ = run(
        "predict", "--run", "run", "--report", "report.txt", "--choice", "span", *asked
    )
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert [line["question"] for line in lines] == asked[1::2]
    for line in lines:
        for answer in line["answers"]:
            text = (place / "report.txt").read_text("utf-8")
            assert text[answer["start"] : answer["end"]] == answer["text"]
            assert 0 < answer["score"] <= 1


@pytest.mark.slow
def test_an_interrupted_run_ends_as_an_uninterrupted_one(trained, place, monkeypatch):
    from hgr_tf.training import TrainingInterruptedError
    from hgr_tf.training.step_end import StepEnd

    config = QAConfig.load("qa.yaml")
    count = 0

    def stopping(self, batch, logs=None):
        nonlocal count
        count += 1
        if count == 8:
            self._told_to_stop.set()
        whole(self, batch, logs)

    whole = StepEnd.on_train_batch_end
    monkeypatch.setattr(StepEnd, "on_train_batch_end", stopping)
    with pytest.raises(TrainingInterruptedError, match="after step 8"):
        train_reader(config, "other", verbose=0)
    resumed = train_reader(config, "other", verbose=0)
    whole_run = load_qa_run("run")
    for mine, its in zip(resumed.reader.weights, whole_run.reader.weights, strict=True):
        tf.debugging.assert_near(
            tf.convert_to_tensor(mine), tf.convert_to_tensor(its), atol=1e-5
        )


def test_a_cut_of_squad_and_quoref_trains_by_the_same_command(run, place):
    context = "Ann met Bo in the old town hall of Rome."
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": "1",
                    "question": "Who?",
                    "answers": [{"text": "Bo", "answer_start": 8}],
                }
            ],
        },
        {
            "context": context,
            "context_id": "c",
            "qas": [
                {
                    "id": "2",
                    "question": "Who met?",
                    "answers": [
                        {"text": "Ann", "answer_start": 0},
                        {"text": "Bo", "answer_start": 8},
                    ],
                }
            ],
        },
    ]
    document = {"data": [{"title": "t", "paragraphs": paragraphs}]}
    (place / "cut.json").write_text(json.dumps(document))
    assert [e.type for e in read_examples("cut.json")] == ["single", "multi"]
    files = ["--train", "cut.json", "--validation", "cut.json", "--epochs", "1"]
    code, out, err = run("train", "--config", "qa.yaml", "--output", "squad", *files)
    assert code == 0, err
    assert "multi_exact_match" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--output", "x"], "`data.train` must be a file of questions"),
        (
            ["train", "--output", "x", "--train", "no.json", "--validation", "no.json"],
            "no.json: No such file",
        ),
        (["evaluate", "--run", "nowhere", "--data", "x"], "cannot|No such file"),
        (["generate", "--output", "x", "--multi", "2"], "multi: .* got 2"),
        (
            ["generate", "--output", "x", "--min-events", "9", "--max-events", "5"],
            "`max_events` must be at least `min_events`",
        ),
    ],
)
def test_bad_input_is_one_line(run, arguments, message):
    code, _, err = run(*arguments)
    assert code == 1
    (line,) = [line for line in err.splitlines() if line.startswith("hgr-tf: ")]
    assert re.search(message, line)


def test_unknown_encoders_are_refused(run):
    write = ["--train", "data/train.jsonl", "--validation", "data/val.jsonl"]
    code, _, err = run("train", "--output", "x", "--encoder", "nowhere", *write)
    assert code == 1
    assert "`encoder.folder` must be 'minilm' or a folder" in err
