"""Settings of a run: everything that its workers need to know."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from hgr_tf.features import FeatureSpec
from hgr_tf.features.spec import TableOwner
from hgr_tf.pipelines.files.files import join
from hgr_tf.registry import Registry

OUTPUT_FORMATS = Registry("hgr_tf.pipelines.output.formats")
OutputFormat = Annotated[str, AfterValidator(OUTPUT_FORMATS.check)]
Layout = Literal["shuffled", "user", "code"]
Join = Literal["auto", "side", "shuffle"]
JoinMode = Literal["side", "shuffle"]

DEAD_LETTERS = "dead_letter-*.jsonl"
FAILED_DEAD_LETTERS = f"failed-{DEAD_LETTERS}"
"""Pattern used when a replacing run fails; the finished run keeps its own."""

_PARTITION_BYTES = 16 << 20
_FEWEST_PARTITIONS, _MOST_PARTITIONS = 16, 1_024


class InputFile(NamedTuple):
    """An input file: path, bytes, and its split when inputs are given by split."""

    path: str
    size: int
    split: int | None = None


@dataclass(frozen=True, config={"extra": "forbid"})
class Settings:
    """A run, checked; small enough to travel to every worker.

    Attributes:
        spec: The feature spec.
        files: Files of the log, by path within a split.
        tables: Files of each owner's table.
        history_from: Files of the log whose rows are only the past of others.
        splits: Names of the splits, in order.
        output: Folder of the result.
        temporary: Folder below it, for this run alone.
        seed: Seed of everything that is random.
        shard_rows: Rows per shard, about.
        compression: Level of gzip (ISA-L's), 0 to 3.
        output_format: Output format of the shards: a file of `output/formats/`.
        layout: Order of the rows.
        join: How each owner's table is joined: "side" or "shuffle".
        max_bad_fraction: Share of bad rows past which the run fails.
        encoding_from: Prepared folder whose encoding is taken over.
        grow_vocabularies: Whether new values are appended to it.
        evict_after_days: Prepared folders in a row, this one included, whose training
            rows must lack a value before a new one takes its id; None for never.
        code_table: File of user codes, for the layout "code".
        code_prefix: Codes that share so many levels share a shard.
        staged: Whether the results wait in a folder of their own, because the
            output holds a finished run that they replace in the end.
    """

    spec: FeatureSpec
    files: tuple[InputFile, ...]
    tables: dict[TableOwner, tuple[InputFile, ...]]
    splits: tuple[str, ...]
    output: str
    temporary: str
    seed: int = Field(default=0, ge=0)
    shard_rows: int = Field(default=100_000, ge=1)
    compression: int = Field(default=1, ge=0, le=3)
    output_format: OutputFormat = "parquet"
    layout: Layout = "shuffled"
    join: tuple[tuple[TableOwner, JoinMode], ...] = ()
    max_bad_fraction: float = Field(default=0.01, ge=0, le=1)
    encoding_from: str | None = None
    grow_vocabularies: bool = False
    evict_after_days: int | None = Field(default=None, ge=1)
    history_from: tuple[InputFile, ...] = ()
    code_table: InputFile | None = None
    code_prefix: int = Field(default=1, ge=1)
    staged: bool = False

    @property
    def log_files(self) -> tuple[InputFile, ...]:
        """Every file that is read as a log, those of the past last."""
        return (*self.files, *self.history_from)

    @property
    def results(self) -> str:
        """Folder that the run writes its results to."""
        return join(self.temporary, "results") if self.staged else self.output

    @property
    def dead_letters(self) -> str:
        """Pattern of the names of the dead letters that it leaves if it fails."""
        return FAILED_DEAD_LETTERS if self.staged else DEAD_LETTERS

    def side_owners(self) -> tuple[TableOwner, ...]:
        """Owners whose table each worker holds whole."""
        return tuple(owner for owner, how in self.join if how == "side")

    def shuffled_owners(self) -> tuple[TableOwner, ...]:
        """Owners whose table is joined by shuffling log and table."""
        return tuple(owner for owner, how in self.join if how == "shuffle")

    def may_reject_later(self) -> bool:
        """Whether good rows may turn out bad once tables are joined by shuffling."""
        tables = self.spec.tables
        return any(tables[o].unmatched == "reject" for o in self.shuffled_owners())

    @property
    def partitions(self) -> int:
        """Partitions of the log where rows that belong together meet."""
        # A batch goes to each of them: past a limit they grow, not their number.
        partitions = sum(file.size for file in self.log_files) // _PARTITION_BYTES
        return min(max(_FEWEST_PARTITIONS, partitions), _MOST_PARTITIONS)
