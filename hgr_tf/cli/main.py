"""The `hgr-tf` command: registers the commands and reports errors."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

import hgr_tf
from hgr_tf.cli.quiet import silence
from hgr_tf.cli.stages import show_stages

COMMANDS = (
    "demo",
    "prepare",
    "validate",
    "train",
    "train-days",
    "evaluate",
    "tune",
    "compare",
    "shrink",
    "calibrate",
    "report",
    "codes",
    "export",
    "predict",
    "serve",
    "docs",
)
"""Each is the function of that name in the module of that name, with "_" for "-", in
the order in which a newcomer meets them. The modules import what is heavy inside the
function, so that --help stays quick."""

GROUPS = ("qa",)
"""Groups of commands: each is the Typer of that name in the module of that name."""

# What bad input raises. Anything else is an error of this package.
USER_ERRORS = (ValueError, OSError, ImportError, KeyError)

app = typer.Typer(
    name="hgr-tf",
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="`hgr-tf COMMAND --help` explains a command; --debug, anywhere, shows "
    "the traceback of an error.",
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.")
    ] = False,
) -> None:
    """Hierarchical group-wise ranking for TensorFlow and Keras recommenders.

    From logs to a served model: prepare, train, evaluate, export, predict.
    Start with `hgr-tf demo`.
    """
    if version:
        typer.echo(f"hgr_tf {hgr_tf.__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _register() -> None:
    for name in COMMANDS:
        function = name.replace("-", "_")
        module = importlib.import_module(f"{__package__}.{function}")
        app.command(name)(getattr(module, function))
    for name in GROUPS:
        module = importlib.import_module(f"{__package__}.{name}")
        app.add_typer(getattr(module, name), name=name)


_register()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits.

    Exit codes: 0 done, 1 bad input or a failed run, 2 wrong usage, 3 data that drifted
    (`validate`), 75 stopped by SIGTERM with the state saved, or another worker of the
    run was lost: the same command goes on, 130 interrupted (`prepare`: SIGTERM, too).
    Stages of long work go to stderr. An error is one line there, the last;
    `--debug` adds the traceback.

    Args:
        arguments: Without the program's name; those of the process if None.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    if debug:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0")
    else:
        silence()
    code = 0
    with show_stages() as stages:
        try:
            code = app(arguments, standalone_mode=False) or 0
        except KeyboardInterrupt:
            code = 130
        except Exception as error:
            stages.stop()
            if debug:
                traceback.print_exc()
            typer.echo(f"hgr-tf: {_one_line(error)}", err=True)
            code = getattr(error, "exit_code", 1)
    if code == 130:
        typer.echo("hgr-tf: interrupted", err=True)
    sys.exit(code)


def _one_line(error: Exception) -> str:
    if hasattr(error, "format_message"):  # wrong usage, found by typer
        context = getattr(error, "ctx", None)
        hint = f" (see `{context.command_path} --help`)" if context else ""
        message = error.format_message() + hint
    elif isinstance(error, OSError) and error.filename:
        message = f"{error.filename}: {error.strerror}"
    elif isinstance(error, USER_ERRORS):
        message = str(error) or type(error).__name__
    else:
        kind = type(error).__name__
        message = f"{kind}: {error!s:.500} (--debug shows the traceback)"
    return " ".join(message.split())


if __name__ == "__main__":
    main()
