"""What do histories and counters cost? Against a prepare without, and a naive one.

    python -m benchmarks.history [--rows N] [--data FOLDER]

Length-30 histories and three counters over KuaiRand's training rows, each repetition
of the log with users of its own. Each case runs in a process of its own; a core's
rows/s are rows over the processor seconds of that process. Prints JSON:

    rows_per_s_core   rows over the seconds that histories and counters add
    share_of_prepare  these seconds over those of a prepare without them
    memory_mb_1x, memory_mb_4x  peak memory, of a log of four times the rows, too
    naive_ratio       rows_per_s_core over that of a Beam state for each user
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import typer

from benchmarks.pipeline import SHARED, SPEC

ROW_GROUP = 131_072
LENGTH = 30
SECTIONS = f"""
history:
  watched: {{of: video_id, where: {{label: 1}}, length: {LENGTH}}}
counters:
  user_rate: {{by: user_id, prior: 0.36}}
  user_author: {{by: [user_id, author_id], prior: 0.36}}
  user_tag: {{by: [user_id, tag], prior: 0.36}}
"""


def write_log(data: Path, folder: Path, rows: int) -> str:
    """KuaiRand's training rows, repeated for new users up to `rows`."""
    whole = pq.read_table(data / "train.parquet").slice(0, rows)
    copies, parts = -(-rows // whole.num_rows), []
    users = pc.max(whole["user_id"]).as_py() + 1
    for copy in range(copies):
        own = pc.add(whole["user_id"], copy * users)
        at = whole.column_names.index("user_id")
        parts.append(whole.set_column(at, "user_id", own))
    path = folder / f"log-{rows}.parquet"
    pq.write_table(
        pa.concat_tables(parts).slice(0, rows), path, row_group_size=ROW_GROUP
    )
    return str(path)


def run_prepare(data: Path, log: str, output: str, sections: str) -> None:
    """A whole prepare, with more sections of the spec or without."""
    from hgr_tf.features import FeatureSpec
    from hgr_tf.pipelines.run import prepare

    text = SPEC.read_text(encoding="utf-8") + sections
    prepare(
        FeatureSpec.from_yaml(text),
        [log],
        output,
        user_table=data / "user_features_pure.csv",
        item_table=data / "video_features_basic_pure.csv",
    )


def run_naive(data: Path, log: str, output: str) -> None:
    """The histories and counters alone: a state for each user, a row at a time."""
    import apache_beam as beam
    from apache_beam.coders import PickleCoder
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

    videos = pa.csv.read_csv(data / "video_features_basic_pure.csv").to_pylist()
    items = {row["video_id"]: (row["author_id"], row["tag"]) for row in videos}

    class AddPast(beam.DoFn):
        STATE = ReadModifyWriteStateSpec("past", PickleCoder())

        def process(self, element, state=beam.DoFn.StateParam(STATE)):  # noqa: B008
            user, row = element
            watched, counts = state.read() or (deque(maxlen=LENGTH), {})
            author, tag = items.get(row["video_id"], (None, None))
            keys = [("user",), ("author", author), ("tag", tag)]
            found = {"watched": list(watched)}
            for key in keys:
                exposures, positives = counts.get(key, (0, 0))
                rate = (positives + 3.6) / (exposures + 10)
                found[key[0]] = (exposures, rate)
                label = row["long_view"]
                counts[key] = (exposures + 1, positives + label)
            if row["long_view"]:
                watched.append(row["video_id"])
            state.write((watched, counts))
            yield user, found

    options = PipelineOptions(["--runner=FnApiRunner"])
    with beam.Pipeline(options=options) as pipeline:
        (
            pipeline
            | beam.Create([log])
            | beam.io.ReadAllFromParquet()
            | beam.Map(lambda row: (row["user_id"], row))
            | beam.GroupByKey()
            | beam.FlatMap(_in_order)
            | beam.Reshuffle()
            | beam.ParDo(AddPast())
            | beam.combiners.Count.Globally()
            | beam.Map(str)
            | beam.io.WriteToText(output)
        )


def _in_order(element):
    user, rows = element
    for row in sorted(rows, key=lambda row: row["seq"]):
        yield user, row


def run_reading(data: Path, log: str, output: str) -> None:
    """What the naive one does before its state: read, and write a count."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        (
            pipeline
            | beam.Create([log])
            | beam.io.ReadAllFromParquet()
            | beam.combiners.Count.Globally()
            | beam.Map(str)
            | beam.io.WriteToText(output)
        )


def measure(case: str, data: Path, log: str, output: str) -> dict:
    """Runs one case in this process."""
    import hgr_tf.pipelines.run  # noqa: F401  # imports are not what is measured

    start = time.process_time()
    if case == "naive":
        run_naive(data, log, output)
    elif case == "reading":
        run_reading(data, log, output)
    else:
        sections = "\norder: seq\n" + (SECTIONS if case == "with" else "")
        run_prepare(data, log, output, sections)
    return {
        "cpu_seconds": round(time.process_time() - start, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def in_process(case: str, data: Path, log: str) -> dict:
    """Measures one case in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = json.dumps([case, str(data), log, f"{folder}/out"])
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.history"]
        command += ["--case", arguments]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(
    rows: Annotated[int, typer.Option(min=1, help="Rows of the 1x log.")] = 1_048_576,
    naive_rows: Annotated[int, typer.Option(min=1, help="Of the naive one.")] = 65_536,
    data: Annotated[Path, typer.Option(help="The KuaiRand-Pure part.")] = SHARED
    / "kuairand_pure_partial",
    case: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure what histories and counters cost."""
    if case:
        name, folder, log, output = json.loads(case)
        print(json.dumps(measure(name, Path(folder), log, output)))
        return
    if not data.exists():
        raise SystemExit(f"no data in {data}: give --data, the KuaiRand-Pure part")
    with tempfile.TemporaryDirectory() as folder:
        one = write_log(data, Path(folder), rows)
        four = write_log(data, Path(folder), 4 * rows)
        few = write_log(data, Path(folder), naive_rows)
        without = in_process("without", data, one)
        with_past = in_process("with", data, one)
        larger = in_process("with", data, four)
        naive, reading = (in_process(c, data, few) for c in ("naive", "reading"))
    added = with_past["cpu_seconds"] - without["cpu_seconds"]
    naive_seconds = naive["cpu_seconds"] - reading["cpu_seconds"]
    result = {
        "rows_per_s_core": round(rows / added),
        "share_of_prepare": round(added / without["cpu_seconds"], 3),
        "memory_mb_1x": with_past["peak_mb"],
        "memory_mb_4x": larger["peak_mb"],
        "naive_ratio": round(naive_seconds / naive_rows / (added / rows), 2),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    typer.run(main)
