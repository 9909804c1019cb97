"""`hgr-tf qa`: question answering over reports; needs the extra `qa`."""

from __future__ import annotations

import json
import logging
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hgr_tf.cli.counted import counted
from hgr_tf.cli.options import (
    AsJson,
    Epochs,
    Keep,
    NewVersion,
    Overwrite,
    RunSeed,
    UnusedSeed,
)
from hgr_tf.cli.stages import load_tensorflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from hgr_tf.qa import decoding
    from hgr_tf.qa.decoding import Prediction
    from hgr_tf.qa.served import Served

log = logging.getLogger(__name__)

qa = typer.Typer(
    help="Answer questions about reports with no span, one span or several.",
    no_args_is_help=True,
)


class Choice(str, Enum):
    """What decides on an answer."""

    both = "both"
    tags = "tags"
    type = "type"
    span = "span"


@qa.command()
def generate(
    output: Annotated[Path, typer.Option(help="Folder to fill with .jsonl files.")],
    train: Annotated[int, typer.Option(min=0, help="Questions to train on.")] = 1600,
    val: Annotated[int, typer.Option(min=0, help="Questions to validate on.")] = 200,
    test: Annotated[int, typer.Option(min=0, help="Questions to test on.")] = 300,
    unseen: Annotated[
        int,
        typer.Option(
            min=0, help="Questions with names and templates that no other file has."
        ),
    ] = 300,
    min_events: Annotated[int, typer.Option(help="Fewest events of a report.")] = 5,
    max_events: Annotated[int, typer.Option(help="Most events of a report.")] = 9,
    no_answer: Annotated[
        float, typer.Option(help="Share of questions without an answer.")
    ] = 0.1,
    multi: Annotated[
        float, typer.Option(help="Share of questions with several spans.")
    ] = 0.4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all randomness.")] = 0,
) -> None:
    """Write questions about generated activity reports.

    Fills OUTPUT with train.jsonl, val.jsonl, test.jsonl and unseen.jsonl.
    """
    from pydantic import ValidationError

    from hgr_tf.features.strict_model import describe
    from hgr_tf.qa.reports import ReportOptions, write_reports

    try:
        options = ReportOptions(
            min_events=min_events,
            max_events=max_events,
            no_answer=no_answer,
            multi=multi,
        )
    except ValidationError as error:
        raise ValueError(f"options: {describe(error, ReportOptions)}") from error
    counts = {"train": train, "val": val, "test": test, "unseen": unseen}
    files = write_reports(output, counts, seed=seed, options=options)
    for split, path in files.items():
        typer.echo(f"{path}: {counted(counts[split], 'question')}")


@qa.command()
def train(
    output: Annotated[Path, typer.Option(help="Run folder.")],
    config: Annotated[
        Path | None,
        typer.Option(help="YAML of the run; see `hgr-tf docs qa`. Defaults without."),
    ] = None,
    train: Annotated[
        Path | None, typer.Option(help="File to train on, instead of the config's.")
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="File to validate on, instead of the config's.")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help='"minilm" or a folder, instead of the config\'s.'),
    ] = None,
    epochs: Epochs = None,
    seed: RunSeed = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a reader on a file of questions.

    Takes SQuAD's, Quoref's, DROP's and MultiSpanQA's JSON and JSON Lines. Run again
    after an interruption, it goes on from its last checkpoint.
    """
    load_tensorflow()
    from hgr_tf.qa.config import QAConfig
    from hgr_tf.qa.run import qa_folder
    from hgr_tf.qa.trainer import train_reader

    settings = (QAConfig.load(config) if config else QAConfig()).override(
        data__train=train and str(train),
        data__validation=validation and str(validation),
        encoder__folder=encoder,
        training__epochs=epochs,
        seed=seed,
    )
    was_finished = qa_folder(output).is_finished and not overwrite
    run = train_reader(settings, output, overwrite=overwrite, verbose=2)
    if was_finished:
        typer.echo(f"{output}: finished before; --overwrite trains it anew")
    _print_scores({settings.choice: run.metrics}, f"{output}, on its validation file")


@qa.command()
def evaluate(
    run: Annotated[Path, typer.Option(help="Folder of a finished `hgr-tf qa train`.")],
    data: Annotated[Path, typer.Option(help="File of questions with answers.")],
    choice: Annotated[
        list[Choice] | None,
        typer.Option(help="What decides, once or more; all four by default."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many first questions.")
    ] = None,
    as_json: AsJson = False,
    seed: UnusedSeed = 0,
) -> None:
    """Score a trained reader by each way of deciding, one span alone among them."""
    load_tensorflow()
    from hgr_tf.qa.answers import evaluate as score_run
    from hgr_tf.qa.readers import read_examples
    from hgr_tf.qa.run import load_qa_run
    from hgr_tf.result_files import plain

    examples = read_examples(data)[:limit]
    choices = [_decides(one) for one in choice or Choice]
    scores = score_run(load_qa_run(run), examples, choices)
    if as_json:
        typer.echo(json.dumps(plain(scores), allow_nan=False))
    else:
        _print_scores(scores, f"{run}, on {counted(len(examples), 'question')}")


@qa.command()
def export(
    run: Annotated[Path, typer.Option(help="Folder of a finished `hgr-tf qa train`.")],
    output: Annotated[
        Path,
        typer.Option(help="Folder of the model's versions."),
    ],
    version: NewVersion = None,
    keep: Keep = None,
    seed: UnusedSeed = 0,
) -> None:
    """Export a trained reader for TensorFlow Serving and `hgr-tf serve`.

    Writes OUTPUT/<version>/, a SavedModel over token ids that gives tags, spans and
    scores, with its tokenizer. It is checked, and then appears in one step.
    """
    load_tensorflow()
    from hgr_tf.qa.exporter import export_reader
    from hgr_tf.qa.run import load_qa_run

    folder = export_reader(load_qa_run(run), output, version, keep=keep)
    typer.echo(f"{folder}: verified and published")


@qa.command()
def predict(
    report: Annotated[Path, typer.Option(help="Text file that is asked about.")],
    question: Annotated[
        list[str], typer.Option(help="A question; give it once or more.")
    ],
    run: Annotated[
        Path | None, typer.Option(help="Folder of a finished `hgr-tf qa train`.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Folder of an exported reader's versions, instead of --run."),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            help="Read on this server, host:port of its gRPC service; --model then "
            "only says how texts are cut."
        ),
    ] = None,
    choice: Annotated[
        Choice | None, typer.Option(help="What decides; the config's by default.")
    ] = None,
    seed: UnusedSeed = 0,
) -> None:
    """Answer questions about a report, by a run or by an exported reader.

    Prints a line of JSON per question: its type and its answers, each with text,
    start and end in characters of the report, and a score.
    """
    if (run is None) == (model is None):
        raise ValueError("one of --run and --model must be given")
    if server and model is None:
        raise ValueError("--server needs --model, which says how texts are cut")
    text = report.read_text(encoding="utf-8")
    decides = _decides(choice)
    if model:
        found = _served(model, server).answer(text, question, decides)
    elif run:
        found = _by_run(run, text, question, decides)
    for asked, prediction in zip(question, found, strict=True):
        answers = [
            {"text": words, "start": start, "end": end, "score": score}
            for words, (start, end), score in zip(
                prediction.texts, prediction.spans, prediction.scores, strict=True
            )
        ]
        line = {"question": asked, "type": prediction.type, "answers": answers}
        typer.echo(json.dumps(line, ensure_ascii=False))


def _decides(choice: Choice | None) -> Any:
    """The choice as functions take it: a plain text."""
    return None if choice is None else choice.value


def _by_run(
    run: Path, text: str, questions: list[str], choice: decoding.Choice | None
) -> list[Prediction]:
    load_tensorflow()
    from hgr_tf.qa.answers import answer_questions, read_with
    from hgr_tf.qa.example import QAExample
    from hgr_tf.qa.run import load_qa_run

    loaded = load_qa_run(run)
    answered = answer_questions(
        read_with(loaded.reader),
        [QAExample(str(n), asked, text) for n, asked in enumerate(questions)],
        loaded.tokenizer,
        loaded.config.windows,
        [choice or loaded.config.choice],
        loaded.config.tagging,
    )
    return [prediction for (prediction,) in answered]


def _served(model: Path, server: str | None) -> Served:
    from hgr_tf.export.runtime.protos import protos_only
    from hgr_tf.export.versions import version_path
    from hgr_tf.qa.served import Served

    folder = version_path(model)
    if server is None:
        return Served(folder)
    with protos_only():
        from hgr_tf.export.client import Client

    client = Client(server, model.resolve().name, timeout_seconds=60)

    def read(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        import grpc

        try:
            return client.predict(inputs)
        except grpc.RpcError as error:
            raise ValueError(
                f"{server}: {error.code().name}: {error.details()}"
            ) from error

    return Served(folder, read)


def _print_scores(scores: Mapping[str, Mapping[str, float]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from hgr_tf.cli.metrics_table import figure

    table = Table(title=title, title_justify="left")
    table.add_column()
    for choice in scores:
        table.add_column(f"by {choice}", justify="right")
    names = next(iter(scores.values()))
    for name in names:
        form = ".0f" if name == "questions" else ".4f"
        table.add_row(name, *(figure(row[name], form) for row in scores.values()))
    Console().print(table)
