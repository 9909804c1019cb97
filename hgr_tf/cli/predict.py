"""`hgr-tf predict`: probabilities of rows, from an exported model."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, TypeAlias

import typer

from hgr_tf.cli.counted import counted
from hgr_tf.cli.options import UnusedSeed

if TYPE_CHECKING:
    import numpy as np

    from hgr_tf.export.runtime.outputs import Scores

    Score: TypeAlias = Callable[[Mapping[str, np.ndarray]], Scores]

log = logging.getLogger(__name__)


def predict(
    model: Annotated[
        Path, typer.Option(help="Folder of the model's versions, or of one version.")
    ],
    rows: Annotated[
        Path,
        typer.Option(
            "--input", help="Rows to score, in any format that prepare reads."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Where to write; standard output by default.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Which version; the newest by default.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            help="Score on this server, host:port of its gRPC service; the model "
            "folder then only says how rows are read."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the model there; its folder's name by default."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds that the server has for a batch of rows.")
    ] = 5.0,
    seed: UnusedSeed = 0,
) -> None:
    """Score rows with an exported model, as a server would.

    Writes one line of JSON per row, in order: {"probability": p}, or that of each head
    of the ranker by its name; or {"error": reason} for a row that cannot be read; then
    the exit code is 1.
    """
    from hgr_tf.export.inputs.log_rows import read_rows
    from hgr_tf.export.options import load_spec
    from hgr_tf.export.versions import version_path

    if output and output.resolve() == rows.resolve():
        raise ValueError(f"--output must be another file than --input, got {output}")
    is_version = (model / "saved_model.pb").exists()
    folder = model if is_version else version_path(model, version)
    log.info("loading the model %s", folder)
    spec = load_spec(folder)
    name = name or folder.resolve().parent.name
    score = _remote(server, name, version, timeout) if server else _local(folder)
    read = failed = 0
    with output.open("w", encoding="utf-8") if output else _standard_output() as sink:
        for batch in read_rows(rows, spec):
            scores = _by_row(score(batch.inputs))
            for error in batch.errors:
                line = {"error": error} if error else next(scores)
                sink.write(json.dumps(line) + "\n")
                failed += error is not None
            read += len(batch.errors)
            log.info("rows scored", extra={"done": read, "total": None})
    scored = f"{counted(read, 'row')}, {read - failed:,} scored"
    typer.echo(f"{scored} by {server or folder}", err=True)
    if failed:
        raise ValueError(f"{failed} of {read} rows could not be read; see their errors")


def _by_row(scores: Scores) -> Iterator[dict[str, float | str]]:
    named = scores if isinstance(scores, dict) else {"probability": scores}
    for row in zip(*(values.tolist() for values in named.values()), strict=True):
        yield dict(zip(named, row, strict=True))


def _standard_output() -> contextlib.nullcontext[TextIO]:
    return contextlib.nullcontext(sys.stdout)


def _local(folder: Path) -> Score:
    from hgr_tf.export.runtime.protos import protos_only

    with protos_only():
        from hgr_tf.export.runtime.predictor import Predictor

    return Predictor(folder).probabilities


def _remote(server: str, name: str, version: int | None, timeout: float) -> Score:
    import grpc

    from hgr_tf.export.runtime.protos import protos_only

    with protos_only():
        from hgr_tf.export.client import Client

    client = Client(server, name, version=version, timeout_seconds=timeout)

    def score(inputs: Mapping[str, np.ndarray]) -> Scores:
        try:
            return client.probabilities(inputs)
        except grpc.RpcError as error:
            hint = "; this is a REST port, and --server takes gRPC's (8500 by default)"
            raise ValueError(
                f"{server}: {error.code().name}: {error.details()}"
                f"{hint if _answers_http(server) else ''}"
            ) from error

    return score


def _answers_http(server: str) -> bool:
    connection = http.client.HTTPConnection(server, timeout=1.0)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
