"""Entry point of the Dataflow Flex Template: parameters in, one job out."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pipelines.run import launch
from pipelines.storage import read_bytes


def main(arguments: list[str]) -> None:
    """Starts the job; the launcher does not wait for its end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--spec", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--user_table")
    parser.add_argument("--item_table")
    parser.add_argument("--max_bad_fraction", type=float, default=0.01)
    parser.add_argument("--shard_rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overwrite", choices=["true", "false"], default="false")
    given, beam_options = parser.parse_known_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder, "spec.yaml")
        spec.write_bytes(read_bytes(given.spec))
        launch(
            spec,
            given.input.split(","),
            given.output,
            user_table=given.user_table,
            item_table=given.item_table,
            runner="DataflowRunner",
            beam_options=beam_options,
            overwrite=given.overwrite == "true",
            max_bad_fraction=given.max_bad_fraction,
            shard_rows=given.shard_rows,
            seed=given.seed,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
