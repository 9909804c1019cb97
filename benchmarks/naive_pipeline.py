"""The pipeline as one would first write it: a dict per row, a proto per row."""

from __future__ import annotations

import csv
import math
from collections import Counter
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsSingleton
from tensorflow.core.example import example_pb2

from hgr_tf.features import Bucketized, Feature, FeatureSpec, Numeric
from hgr_tf.features.vocabulary_kind import VocabularyKind

REJECTED = "rejected"
Features = tuple[Feature, ...]


def prepare(spec_path: Path, logs: list[str], output: str, data: Path) -> None:
    """Checks, joins, counts, encodes and writes the rows one by one."""
    spec = FeatureSpec.load(spec_path)
    features = tuple(spec.features())
    Path(output).mkdir()
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        checked = (
            pipeline
            | beam.Create(logs)
            | beam.io.ReadAllFromParquet(columns=spec.log_columns())
            | beam.ParDo(Check(spec)).with_outputs(REJECTED, main="good")
        )
        checked[REJECTED] | beam.Map(str) | beam.io.WriteToText(f"{output}/dead_letter")
        joined = checked.good | beam.ParDo(Join(spec, data))
        learned = joined | beam.CombineGlobally(Learn(features))
        (
            joined
            | beam.Map(encode, features, AsSingleton(learned))
            | beam.Reshuffle()
            | beam.io.WriteToTFRecord(
                f"{output}/train", file_name_suffix=".tfrecord.gz", num_shards=10
            )
        )


def read_table(path: Path, key: str) -> dict[int, dict]:
    """Rows of a CSV file by key."""
    with path.open() as file:
        return {int(row[key]): row for row in csv.DictReader(file)}


class Check(beam.DoFn):
    """Passes good rows on."""

    def __init__(self, spec: FeatureSpec):
        self._spec = spec

    def process(self, row):
        """Yields the row, or what is wrong with it."""
        spec = self._spec
        if row[spec.user_id] is None or row[spec.item_id] is None:
            yield beam.pvalue.TaggedOutput(REJECTED, ("missing", row))
            return
        label = row[spec.label.column]
        if label is None or not math.isfinite(label):
            yield beam.pvalue.TaggedOutput(REJECTED, ("missing", row))
        elif not spec.label.min <= label <= spec.label.max:
            yield beam.pvalue.TaggedOutput(REJECTED, ("label outside its range", row))
        else:
            yield row


class Join(beam.DoFn):
    """Joins rows to both tables, which each worker reads for itself."""

    def __init__(self, spec: FeatureSpec, data: Path):
        self._spec, self._data = spec, data

    def setup(self):
        """Reads the tables."""
        self._features = tuple(self._spec.features())
        self._tables = {
            "user": read_table(self._data / "user_features_pure.csv", "user_id"),
            "item": read_table(
                self._data / "video_features_basic_pure.csv", "video_id"
            ),
        }

    def process(self, row):
        """Yields the joined row."""
        yield join(row, self._spec, self._features, self._tables)


def join(row: dict, spec: FeatureSpec, features: Features, tables: dict) -> dict:
    """The typed values of every feature, with the reserved keys."""
    rows = {
        "user": tables["user"].get(row[spec.user_id], {}),
        "item": tables["item"].get(row[spec.item_id], {}),
    }
    values = {
        "__label__": float(row[spec.label.column]),
        "__user__": row[spec.user_id],
        "__item__": row[spec.item_id],
    }
    for feature in features:
        source = rows[feature.owner] if feature.from_table else row
        values[feature.name] = typed(source.get(feature.column), feature, spec)
    return values


def typed(value, feature, spec: FeatureSpec):
    """A raw value as the feature's type; None or [] if it is missing."""
    transform = feature.transform
    if transform.is_multivalued:
        return [int(v) for v in value.split(transform.delimiter) if v] if value else []
    if value in (None, "") or value in spec.missing_values:
        return None
    if transform.dtype == "string":
        return str(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{feature.name}: not finite: {value}")
    return int(number) if transform.dtype == "int64" else number


class Learn(beam.CombineFn):
    """Counts the values of every feature."""

    def __init__(self, features: Features):
        self._features = features

    def create_accumulator(self):
        """An empty counter a feature."""
        return {feature.name: Counter() for feature in self._features}

    def add_input(self, counts, values):
        """Counts the values of one row."""
        for name, counter in counts.items():
            value = values[name]
            if isinstance(value, list):
                counter.update(value)
            else:
                counter[value] += 1
        return counts

    def merge_accumulators(self, many):
        """Adds counters up."""
        total = self.create_accumulator()
        for counts in many:
            for name, counter in counts.items():
                total[name].update(counter)
        return total

    def extract_output(self, counts):
        """Ids, boundaries or moments by feature."""
        return {f.name: learned(f, counts[f.name]) for f in self._features}


def learned(feature, counter: Counter):
    """Ids, boundaries or moments of a feature."""
    transform = feature.transform
    present = {v: n for v, n in counter.items() if v is not None}
    if isinstance(transform, VocabularyKind):
        enough = [v for v, n in present.items() if n >= transform.min_count]
        enough.sort(key=lambda value: (-present[value], str(value)))
        first = 1 + transform.oov_buckets
        return {value: first + i for i, value in enumerate(enough)}
    if isinstance(transform, Bucketized):
        values = sorted(Counter(present).elements())
        step = len(values) / transform.num_buckets
        return sorted({values[int(i * step)] for i in range(1, transform.num_buckets)})
    numbers = {transformed(v, transform): 0 for v in counter}
    for value, count in counter.items():
        numbers[transformed(value, transform)] += count
    total = sum(numbers.values())
    mean = sum(x * n for x, n in numbers.items()) / total
    variance = sum((x - mean) ** 2 * n for x, n in numbers.items()) / total
    return mean, math.sqrt(variance) or 1.0


def transformed(value, transform: Numeric) -> float:
    """A number before it is standardized."""
    x = transform.default if value is None else value
    return math.copysign(math.log1p(abs(x)), x) if transform.log1p else x


def encode(values: dict, features: Features, learned: dict) -> bytes:
    """A serialized tf.train.Example."""
    example = example_pb2.Example()
    fields = example.features.feature
    fields["__label__"].float_list.value.append(values["__label__"])
    fields["__user__"].int64_list.value.append(values["__user__"])
    fields["__item__"].int64_list.value.append(values["__item__"])
    for feature in features:
        name, transform, value = feature.name, feature.transform, values[feature.name]
        known = learned[name]
        if isinstance(transform, Numeric):
            mean, deviation = known
            x = (transformed(value, transform) - mean) / deviation
            fields[name].float_list.value.append(x)
        elif transform.is_multivalued:
            ids = [known.get(v, 1) for v in value[: transform.max_length]]
            fields[name].int64_list.value.extend(ids)
        elif value is None:
            fields[name].int64_list.value.append(0)
        elif isinstance(transform, Bucketized):
            below = sum(boundary <= value for boundary in known)
            fields[name].int64_list.value.append(1 + below)
        else:
            fields[name].int64_list.value.append(known.get(value, 1))
    return example.SerializeToString(deterministic=True)
