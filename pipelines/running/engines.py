"""Engines that run beside this process: what each one needs before a run starts.

`make engines` puts their programs into the folder `.engines` of the clone: the jars of
Flink and Spark are those of tools/engines/pom.xml. Beam itself would fetch a program
that is missing from the network, and end in its own words where that fails.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions

from hgr_tf.pipelines.errors import PrepareError

FOLDER = Path(__file__).resolve().parents[2] / ".engines"


@dataclass(frozen=True)
class Engine:
    """An engine that Beam starts from a program on this machine.

    Attributes:
        option: Beam's option that names the program.
        pattern: Glob of the program's file in `FOLDER`.
        needs_java: Whether the program is a jar.
    """

    option: str
    pattern: str
    needs_java: bool


ENGINES = {
    "PrismRunner": Engine("prism_location", "prism", False),
    "FlinkRunner": Engine(
        "flink_job_server_jar", "beam-runners-flink-*-job-server-*.jar", True
    ),
    "SparkRunner": Engine(
        "spark_job_server_jar", "beam-runners-spark-*-job-server-*.jar", True
    ),
}
"""By Beam's name of the runner."""


def engine_options(
    runner: str, options: Sequence[str], folder: Path = FOLDER
) -> list[str]:
    """Finds the program of an engine and checks that it can start.

    Args:
        runner: Beam's name of the runner.
        options: Beam's options; those that name a program or a job service that runs
            already are left as they are.
        folder: Folder that is searched for the program.

    Returns:
        The option that names the program; nothing for runners that need none.

    Raises:
        PrepareError: The program or Java is missing: how to get it.

    Example:
        >>> engine_options("FnApiRunner", [])
        []
    """
    engine = ENGINES.get(runner)
    given = PipelineOptions([*options]).get_all_options()
    if engine is None or given["job_endpoint"]:
        return []
    if engine.needs_java:
        _check_java(runner, given["job_server_java_launcher"])
    named = given[engine.option]
    if named and ("://" in named or Path(named).is_file()):
        return []
    program = None if named else _program_in(folder, engine)
    if not program:
        raise PrepareError(
            f"{runner} needs {engine.pattern}: `make engines` puts it into {folder} "
            f"where it is served, or name the file with -- --{engine.option}=PATH; "
            f"got {named or 'none'}"
        )
    return [f"--{engine.option}={program}"]


def starts_java(runner: str, options: Sequence[str]) -> bool:
    """Tells whether the process that runs a job starts Java, to end with it."""
    engine = ENGINES.get(runner)
    given = PipelineOptions([*options]).get_all_options()
    return engine is not None and engine.needs_java and not given["job_endpoint"]


def _check_java(runner: str, launcher: str) -> None:
    if not shutil.which(launcher):
        raise PrepareError(
            f"{runner} needs Java, and {launcher!r} is no program on the PATH: install "
            "it (Debian: apt-get install openjdk-17-jre-headless), or name it with "
            "-- --job_server_java_launcher=PATH"
        )


def _program_in(folder: Path, engine: Engine) -> str | None:
    """Returns the engine's program in the folder, else the one on the PATH."""
    found = sorted(folder.glob(engine.pattern))
    return str(found[-1]) if found else shutil.which(engine.pattern)
