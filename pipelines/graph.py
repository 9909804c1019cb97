"""The Beam graph: three passes over descriptors of files, batches and blocks.

    files -> units -> Ingest -> batches -> Observe -> observation -> MakePlan
                        |          |                                    |
                   dead letters    +----------> Encode <----------------+
                                                  |
                                  blocks -> GroupByKey -> WriteShard -> Finish

Rows lie in temporary files; what Beam moves is small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.pvalue import AsDict, AsList, AsSingleton

from hgr_tf.features.spec import TableOwner
from hgr_tf.pipelines.histories.partition import counters_of_keys, has_past_of_users
from hgr_tf.pipelines.output.layouts import reaches_all
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.sources.bigquery import is_bigquery
from hgr_tf.pipelines.steps import (
    decide_splits,
    past_of_keys,
    past_of_users,
    shuffle_join,
    split_starts,
)
from hgr_tf.pipelines.steps.dead_letters import WriteDeadLetters
from hgr_tf.pipelines.steps.deal_groups import GROUPED, ByWayOfGroups, reaches_many
from hgr_tf.pipelines.steps.elements import COUNTS, REJECTED
from hgr_tf.pipelines.steps.encode import Encode
from hgr_tf.pipelines.steps.finish import Finish
from hgr_tf.pipelines.steps.from_bigquery import IngestRows, ReadRows, wanted_columns
from hgr_tf.pipelines.steps.ingest import Ingest, PlanUnits
from hgr_tf.pipelines.steps.load_tables import LoadCodes, LoadTable
from hgr_tf.pipelines.steps.observe import MergeObservations, Observe
from hgr_tf.pipelines.steps.plan import MakePlan, Plan
from hgr_tf.pipelines.steps.write_shards import WriteShard

PCollections = list[beam.PCollection]


def build(pipeline: beam.Pipeline, settings: Settings) -> beam.PCollection:
    """Adds the whole preparation to a pipeline.

    Returns:
        One element: the manifest as JSON, once it is written.
    """
    side, found, reports = _side_tables(pipeline, settings)
    tables = AsDict(side)
    read = list(_ingested(pipeline, settings, tables))
    batches = [part.batches for part in read] | "AllBatches" >> beam.Flatten()
    counts = [*found, *(part[COUNTS] for part in read)]
    reports = [*reports, *(part[REJECTED] for part in read)]
    for owner in settings.shuffled_owners():
        batches, found, rejected = _joined(batches, settings, owner)
        counts += found
        reports += rejected
    if decide_splits.is_needed(settings):
        batches, found = _assigned(batches, settings)
        counts.append(found)
    batches = _with_past(batches, settings, tables)
    batches = batches | "SpreadBatches" >> beam.Reshuffle()

    counts = _summed(counts)
    dead_letters = _dead_letters(reports, settings)
    observation = (
        batches
        | "Observe" >> beam.ParDo(Observe(settings), tables)
        | "MergeObservations" >> beam.CombineGlobally(MergeObservations())
    )
    plan = _once(pipeline, "Plan") | "MakePlan" >> beam.ParDo(
        MakePlan(settings),
        AsSingleton(observation),
        tables,
        AsSingleton(counts),
        AsList(dead_letters),
    )
    blocks = _encoded(batches, settings, plan, tables)
    shards = (
        (*blocks, plan | "AllShards" >> beam.FlatMap(_empty_shards))
        | "WithEmpty" >> beam.Flatten()
        | "GroupByShard" >> beam.GroupByKey()
        | "WriteShard" >> beam.ParDo(WriteShard(settings), AsSingleton(plan))
    )
    return _once(pipeline, "Finish") | "WriteManifest" >> beam.ParDo(
        Finish(settings), AsSingleton(plan), AsList(shards), AsSingleton(counts)
    )


def _encoded(
    batches: beam.PCollection,
    settings: Settings,
    plan: beam.PCollection,
    tables: AsDict,
) -> PCollections:
    """Blocks of encoded rows by shard."""
    encoded = batches | "Encode" >> beam.ParDo(
        Encode(settings), AsSingleton(plan), tables
    ).with_outputs(GROUPED, main="blocks")
    if not reaches_all(settings.layout):
        return [encoded.blocks]
    grouped = encoded[GROUPED] | "ToShards" >> ByWayOfGroups(settings)
    return [encoded.blocks, grouped]


def _once(pipeline: beam.Pipeline, name: str) -> beam.PCollection:
    return pipeline | f"{name}Once" >> beam.Create([None])


def _ingested(
    pipeline: beam.Pipeline, settings: Settings, tables: AsDict
) -> Iterator[beam.pvalue.DoOutputsTuple]:
    """Batches, counts and reports of the log's files, and of its tables in BigQuery."""
    files = []
    for index, file in enumerate(settings.log_files):
        if not is_bigquery(file.path):
            files.append(index)
            continue
        rows = pipeline | f"ReadRows.{index}" >> ReadRows(
            file.path, wanted_columns(settings)
        )
        yield rows | f"IngestRows.{index}" >> beam.ParDo(
            IngestRows(settings, index), tables
        ).with_outputs(REJECTED, COUNTS, main="batches")
    units = (
        pipeline
        | "Files" >> beam.Create(files)
        | "SpreadFiles" >> beam.Reshuffle()
        | "PlanUnits" >> beam.ParDo(PlanUnits(settings))
        | "SpreadUnits" >> beam.Reshuffle()
    )
    yield units | "Ingest" >> beam.ParDo(Ingest(settings), tables).with_outputs(
        REJECTED, COUNTS, main="batches"
    )


def _side_tables(
    pipeline: beam.Pipeline, settings: Settings
) -> tuple[beam.PCollection, PCollections, PCollections]:
    """Blocks of the tables that workers hold whole; counts and reports of them."""
    owners = pipeline | "Owners" >> beam.Create(settings.side_owners())
    loaded = owners | "LoadTable" >> beam.ParDo(LoadTable(settings)).with_outputs(
        REJECTED, COUNTS, main="tables"
    )
    tables = loaded.tables
    if settings.code_table:
        codes = (
            pipeline
            | "CodeTable" >> beam.Create([settings.code_table])
            | "LoadCodes" >> beam.ParDo(LoadCodes(settings))
        )
        tables = (tables, codes) | "TablesAndCodes" >> beam.Flatten()
    return tables, [loaded[COUNTS]], [loaded[REJECTED]]


def _joined(
    batches: beam.PCollection, settings: Settings, owner: TableOwner
) -> tuple[beam.PCollection, PCollections, PCollections]:
    """The batches with the columns of a table; counts and reports of it."""
    sent = (
        batches.pipeline
        | f"Files.{owner}" >> beam.Create(range(len(settings.tables[owner])))
        | f"PlanTable.{owner}"
        >> beam.ParDo(shuffle_join.PlanTableUnits(settings, owner))
        | f"SpreadTable.{owner}" >> beam.Reshuffle()
        | f"SendTable.{owner}"
        >> beam.ParDo(shuffle_join.SendTable(settings, owner)).with_outputs(
            REJECTED, COUNTS, main="blocks"
        )
    )
    log = batches | f"SendLog.{owner}" >> beam.ParDo(
        shuffle_join.SendLog(settings, owner)
    )
    table = sent.blocks
    if reaches_many(settings):
        log = log | f"LogToPartitions.{owner}" >> ByWayOfGroups(settings)
        table = table | f"TableToPartitions.{owner}" >> ByWayOfGroups(settings)
    joined = (
        {"log": log, "table": table}
        | f"Meet.{owner}" >> beam.CoGroupByKey()
        | f"Join.{owner}"
        >> beam.ParDo(shuffle_join.Join(settings, owner)).with_outputs(
            REJECTED, COUNTS, main="batches"
        )
    )
    counts = [sent[COUNTS], joined[COUNTS]]
    return joined.batches, counts, [sent[REJECTED], joined[REJECTED]]


def _assigned(
    batches: beam.PCollection, settings: Settings
) -> tuple[beam.PCollection, beam.PCollection]:
    """The batches by what all rows together tell, and counts of it."""
    decided = (
        batches
        | "SendHashes" >> beam.ParDo(decide_splits.SendHashes(settings))
        | "GroupHashes" >> beam.GroupByKey()
        | "Decide"
        >> beam.ParDo(decide_splits.Decide(settings)).with_outputs(
            COUNTS, main="decisions"
        )
    )
    if decide_splits.changes_rows(settings.spec):
        keyed = batches | "ByKey" >> beam.Map(lambda batch: (batch.key, batch))
        batches = (
            {"batch": keyed, "decisions": decided.decisions}
            | "MeetDecisions" >> beam.CoGroupByKey()
            | "Apply" >> beam.ParDo(decide_splits.Apply(settings))
        )
    return batches, decided[COUNTS]


def _with_past(
    batches: beam.PCollection, settings: Settings, tables: AsDict
) -> beam.PCollection:
    """The batches with what came before their rows."""
    spec = settings.spec
    counters, of_users = counters_of_keys(spec), has_past_of_users(spec)
    if not (counters or of_users):
        return batches
    starts = AsSingleton(
        batches
        | "FirstTimes" >> beam.ParDo(split_starts.FirstTimes(settings))
        | "MergeTimes" >> beam.CombineGlobally(split_starts.merged)
        | "SplitStarts" >> beam.Map(split_starts.with_given, settings)
    )
    if counters:
        counts = (
            batches
            | "DealByKey" >> beam.ParDo(past_of_keys.DealByKey(settings), tables)
            | "GroupByKeys" >> beam.GroupByKey()
            | "Count" >> beam.ParDo(past_of_keys.Count(settings), starts)
        )
        keyed = batches | "CountsByKey" >> beam.Map(lambda batch: (batch.key, batch))
        batches = (
            {"batch": keyed, "counts": counts}
            | "MeetCounts" >> beam.CoGroupByKey()
            | "AddCounts" >> beam.ParDo(past_of_keys.AddCounts(settings, of_users))
        )
    if of_users:
        dealt = batches | "DealByUser" >> beam.ParDo(
            past_of_users.DealByUser(settings), tables
        )
        if reaches_many(settings):
            dealt = dealt | "ToUsers" >> ByWayOfGroups(settings)
        batches = (
            dealt
            | "GroupByUsers" >> beam.GroupByKey()
            | "AddPast" >> beam.ParDo(past_of_users.AddPast(settings), starts)
        )
    return batches


def _summed(parts: PCollections) -> beam.PCollection:
    return (
        parts
        | "AllCounts" >> beam.Flatten()
        | "SumCounts" >> beam.CombineGlobally(_sum_counters)
    )


def _dead_letters(parts: PCollections, settings: Settings) -> beam.PCollection:
    return (
        parts
        | "AllReports" >> beam.Flatten()
        | "ByFile" >> beam.Map(lambda r: ((r.source, r.file_index), r))
        | "GroupByFile" >> beam.GroupByKey()
        | "WriteDeadLetters" >> beam.ParDo(WriteDeadLetters(settings))
    )


def _sum_counters(counters: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total


def _empty_shards(plan: Plan) -> Iterator[tuple[tuple[int, int], None]]:
    """A key for every shard, so that one without rows is written too."""
    for split, shards in plan.shards.items():
        for shard in range(shards):
            yield (split, shard), None
