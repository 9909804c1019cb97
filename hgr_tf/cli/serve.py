"""`hgr-tf serve`: a local server of an exported model."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hgr_tf.cli.options import UnusedSeed


def serve(
    model: Annotated[Path, typer.Option(help="Folder of the model's versions.")],
    name: Annotated[
        str | None,
        typer.Option(help="Name of the model in requests; its folder's by default."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; this machine only by default.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of gRPC; 0 takes a free one.")] = 8500,
    rest_port: Annotated[int, typer.Option(help="Of REST; 0 takes a free one.")] = 8501,
    threads: Annotated[
        int, typer.Option(min=1, help="Requests at once; more wait.")
    ] = 8,
    max_message_mb: Annotated[
        int, typer.Option(min=1, help="Larger requests are refused.")
    ] = 64,
    poll_seconds: Annotated[
        float, typer.Option(min=0.01, help="Between two looks for a new version.")
    ] = 1.0,
    seed: UnusedSeed = 0,
) -> None:
    """Serve the newest version over gRPC and REST, for development and tests.

    Speaks TensorFlow Serving's protocol and follows new versions and rollbacks.
    Production is TensorFlow Serving: see `hgr-tf docs serving`.
    """
    from hgr_tf.export.runtime.fresh_process import command_of

    options = {
        "--model": model,
        "--name": name or model.resolve().name,
        "--host": host,
        "--port": port,
        "--rest-port": rest_port,
        "--threads": threads,
        "--max-message-bytes": max_message_mb << 20,
        "--poll-seconds": poll_seconds,
    }
    arguments = [str(part) for pair in options.items() for part in pair]
    # The server takes this process over, so that neither Keras nor hgr_tf is in it.
    sys.stdout.flush()
    os.execv(sys.executable, command_of("hgr_tf.export.server", *arguments))
