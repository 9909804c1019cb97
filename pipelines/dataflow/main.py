"""Entry point of the Dataflow Flex Template: parameters in, one job out."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from hgr_tf.pipelines.files.files import read_bytes
from hgr_tf.pipelines.run import launch
from hgr_tf.pipelines.settings import OUTPUT_FORMATS


def main(arguments: list[str]) -> None:
    """Starts the job; the launcher does not wait for its end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--spec", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--where", type=_texts)
    parser.add_argument("--user_table")
    parser.add_argument("--item_table")
    parser.add_argument("--join", choices=["auto", "side", "shuffle"])
    parser.add_argument("--output_format", choices=OUTPUT_FORMATS.names())
    parser.add_argument("--layout", choices=["shuffled", "user", "code"])
    parser.add_argument("--code_table")
    parser.add_argument("--code_prefix", type=int)
    parser.add_argument("--history_from", type=_texts)
    parser.add_argument("--encoding_from")
    parser.add_argument("--grow_vocabularies", type=_flag)
    parser.add_argument("--evict_after_days", type=int)
    parser.add_argument("--compression", type=int)
    parser.add_argument("--max_bad_fraction", type=float)
    parser.add_argument("--shard_rows", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--overwrite", type=_flag)
    given, beam_options = parser.parse_known_args(arguments)
    settings = {name: value for name, value in vars(given).items() if value is not None}
    spec, inputs, output = (settings.pop(name) for name in ("spec", "input", "output"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spec.yaml")
        path.write_bytes(read_bytes(spec))
        launch(
            path,
            inputs.split(","),
            output,
            runner="DataflowRunner",
            beam_options=beam_options,
            **settings,
        )


def _texts(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be true or false, got {text!r}")
    return text == "true"


if __name__ == "__main__":
    main(sys.argv[1:])
