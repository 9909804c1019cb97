"""A small feature store: histories and counters of a served ranker stay fresh.

Trains and exports a ranker on generated logs, serves it, fills an SQLite file from the
stream of events, and asks the server to rank for one user before and after new events.
In production the file would be a service of yours, and the server TensorFlow Serving;
what they have to do is the same.
"""

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from hgr_tf.export.client import Client
from hgr_tf.features import Counter, FeatureSpec, History
from hgr_tf.features.durations import in_units
from hgr_tf.features.histories import DAY, LABEL_KEY
from hgr_tf.features.past import counter_feature, key_values, sections
from hgr_tf.features.splits import TRAIN

SPEC = """
name: feed
user_id: user
item_id: item
label: liked
time: time
time_unit: s
split: {by: time, starts: {val: 2026-01-05}}
user: {user: {type: categorical, dtype: int64}}
item:
  item: {type: categorical, dtype: int64}
  topic: {type: categorical}
history:
  liked_last: {of: item, with: [topic], where: {label: 1}, length: 8, as_of: request}
counters:
  user_rate: {by: user, windows: [all, 1d], prior: 0.2, as_of: request}
  user_topic: {by: [user, topic], windows: [6h], prior: 0.2, as_of: request, delay: 1m}
  item_rate: {by: item, windows: [2d], prior: 0.2, as_of: day, label_delay: 1h}
"""
TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS runs (
    section TEXT, key TEXT, item TEXT, run INTEGER, PRIMARY KEY (section, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    stream TEXT, key TEXT, number INTEGER, run INTEGER, time INTEGER, row TEXT,
    PRIMARY KEY (stream, key, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_time ON events (stream, key, time);
"""
Row = Mapping[str, Any]
START, DAY_SECONDS = 1_767_225_600, 86_400  # 2026-01-01 00:00 UTC
USERS, TOPICS, ITEMS = 100, 10, 60


class FeatureStore:
    """What users did, in an SQLite file, as a spec's histories and counters ask for it.

    Each history, and each counter's exposures and positives, is a stream of events for
    each key, numbered from 1. Consecutive rows of a user with one item are one event,
    as in the pipeline. The number of the last event before a moment is the count up
    to it, so a window is the difference of two numbers, and old events can go.

    Features must have the names of their columns. Rows come in the order of time, and
    no question is older than the last row. A past that ends at the row in training ends
    at the request here: nothing after it.

    Args:
        path: The file; ":memory:" for none.
        spec: Spec of the served model.

    Raises:
        ValueError: The spec has several labels, each of which would be streams.
    """

    def __init__(self, path: str | Path, spec: FeatureSpec) -> None:
        if spec.labels:
            raise ValueError(f"`spec` must have one label, got {list(spec.labels)}")
        self._spec = spec
        self._sections = sections(spec)
        self._db = sqlite3.connect(path)
        self._db.executescript(TABLES)

    def add(self, row: Row) -> None:
        """Takes in a row of the log, with the item's features beside it."""
        time = row[self._spec.time]
        with self._db:
            for place, section in self._sections.items():
                key = self._key(section, row)
                if key is None:
                    continue
                run = self._run_of(place, key, row)
                for stream, values in self._streams(place, section, row):
                    self._append(stream, key, run, time, values)
                    self._forget(stream, key, section, time)

    def features(self, row: Row, now: int, of_item: bool) -> dict[str, Any]:
        """Raw values of a request at a moment, by name of the feature.

        Args:
            row: The ids and features that histories and counters go by.
            now: The moment, in units of the time column.
            of_item: Whether to give what depends on the item, or all else.
        """
        found: dict[str, Any] = {}
        for place, section in self._sections.items():
            name = place.partition(".")[2]
            if self._is_of_item(name, section) == of_item:
                values_of = (
                    self._lists if isinstance(section, History) else self._counts
                )
                found |= values_of(name, section, self._key(section, row), now)
        return found

    def _is_of_item(self, name: str, section: History | Counter) -> bool:
        if isinstance(section, History):
            return False
        feature = counter_feature(name, section.windows[0], section.statistics[0])
        return self._spec.feature(feature).owner == "item"

    def _lists(
        self, name: str, history: History, key: str | None, now: int
    ) -> dict[str, list]:
        stream = f"history.{name}"
        late = history.label_delay if LABEL_KEY in history.where else 0
        end = self._before(stream, key, self._past(history, now, history.delay, late))
        rows = self._db.execute(
            "SELECT row FROM events WHERE stream = ? AND key = ? AND number > ? "
            "AND number <= ? ORDER BY number",
            (stream, key, end - history.length, end),
        )
        events = [json.loads(text) for (text,) in rows]
        events = events[::-1] if history.newest_first else events
        return {f"{name}_{of}": [e[of] for e in events] for of in history.listed}

    def _counts(
        self, name: str, counter: Counter, key: str | None, now: int
    ) -> dict[str, float]:
        def count(kind: str, window: int | str, *delays: int | str) -> int:
            stream = f"counters.{name}/{kind}"
            end = self._before(stream, key, self._past(counter, now, *delays))
            if window == "all":
                return end
            start = self._past(counter, now, *delays, window)
            return end - self._before(stream, key, start)

        found = {}
        late = (counter.delay, counter.label_delay)
        for window in counter.windows:
            positives = count("positives", window, *late)
            of_prior = counter.strength * counter.prior
            seen = count("exposures", window, *late) + counter.strength
            values = {
                "exposures": count("exposures", window, counter.delay),
                "positives": positives,
                "rate": (positives + of_prior) / seen,
            }
            for statistic in counter.statistics:
                feature = counter_feature(name, window, statistic)
                found[feature] = float(values[statistic])
        return found

    def _streams(
        self, place: str, section: History | Counter, row: Row
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The streams that a row is an event of, and what of it is kept."""
        label = row[self._spec.label.column]
        if isinstance(section, History):
            named = {**row, LABEL_KEY: label}
            if all(named[name] in values for name, values in section.where.items()):
                yield place, {name: row[name] for name in section.listed}
            return
        yield f"{place}/exposures", {}
        if label > 0:
            yield f"{place}/positives", {}

    def _key(self, section: History | Counter, row: Row) -> str | None:
        by = section.by if isinstance(section, Counter) else (self._spec.user_id,)
        values = [self._shared(name, row[name]) for name in by]
        return None if None in values else json.dumps(values)

    def _shared(self, name: str, value: Any) -> Any:
        return key_values(name, pa.array([value]), self._spec)[0].as_py()

    def _run_of(self, place: str, key: str, row: Row) -> int:
        """The number of the run that a row goes on with, or starts."""
        item = json.dumps([row[self._spec.user_id], row[self._spec.item_id]])
        self._db.execute(
            "INSERT INTO runs VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET "
            "run = run + (item <> excluded.item), item = excluded.item",
            (place, key, item),
        )
        query = "SELECT run FROM runs WHERE section = ? AND key = ?"
        return self._db.execute(query, (place, key)).fetchone()[0]

    def _append(
        self, stream: str, key: str, run: int, time: int, values: dict[str, Any]
    ) -> None:
        """Adds an event, unless its run has one."""
        last = self._db.execute(
            "SELECT number, run FROM events WHERE stream = ? AND key = ? "
            "ORDER BY number DESC LIMIT 1",
            (stream, key),
        ).fetchone()
        number, last_run = last or (0, None)
        if run != last_run:
            event = (stream, key, number + 1, run, time, json.dumps(values))
            self._db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", event)

    def _forget(
        self, stream: str, key: str, section: History | Counter, time: int
    ) -> None:
        """Removes events that no later question reaches back to."""
        lags = [section.delay, section.label_delay]
        kept = 1  # its number is the count so far
        if isinstance(section, History):
            kept = section.length
        elif windows := [w for w in section.windows if w != "all"]:
            lags.append(max(in_units(w, self._spec.time_unit) for w in windows))
        last = self._before(stream, key, self._past(section, time, *lags))
        self._db.execute(
            "DELETE FROM events WHERE stream = ? AND key = ? AND number <= ?",
            (stream, key, last - kept),
        )

    def _before(self, stream: str, key: str | None, time: int) -> int:
        """The number of the last event before a moment; 0 without one."""
        found = self._db.execute(
            "SELECT number FROM events WHERE stream = ? AND key = ? AND time < ? "
            "ORDER BY time DESC, number DESC LIMIT 1",
            (stream, key, time),
        ).fetchone()
        return found[0] if found else 0

    def _past(self, section: History | Counter, now: int, *lags: int | str) -> int:
        """Where the past of a request ends, some lags earlier."""
        unit = self._spec.time_unit
        if section.moment(TRAIN) == DAY:
            now -= now % in_units("1d", unit)
        return now - sum(in_units(lag, unit) for lag in lags)


def rank_inputs(
    store: FeatureStore, spec: FeatureSpec, request: Row, items: Sequence[Row], now: int
) -> dict[str, np.ndarray]:
    """Raw tensors of the signature `rank`: of the request [1, ...], of items [1, N]."""
    request = {**request, **store.features(request, now, of_item=False)}
    items = [
        {**item, **store.features({**request, **item}, now, of_item=True)}
        for item in items
    ]
    inputs = {}
    for feature in spec.request_features():
        of_item = feature.owner == "item"
        values = [row[feature.name] for row in (items if of_item else [request])]
        raw = feature.transform.to_raw(pa.array(values), spec.missing_values)
        inputs[feature.name] = raw[np.newaxis] if of_item else raw
    return inputs


def catalogue() -> list[dict[str, Any]]:
    """The items, with their features."""
    return [{"item": i, "topic": f"topic{i % TOPICS}"} for i in range(ITEMS)]


def generate(requests: int, seed: int = 0) -> list[dict[str, Any]]:
    """A log of five days: each request shows four items, one after another.

    A user likes one topic, and another one from time to time: what the user liked
    last tells which.
    """
    rng = np.random.default_rng(seed)
    items, taste = catalogue(), rng.integers(TOPICS, size=USERS)
    rows = []
    for number in range(requests):
        user = int(rng.integers(USERS))
        if rng.random() < 0.05:
            taste[user] = rng.integers(TOPICS)
        start = START + number * 5 * DAY_SECONDS // requests
        for place, item in enumerate(rng.choice(ITEMS, 4).tolist()):
            chance = 0.7 if item % TOPICS == taste[user] else 0.15
            row = {"user": user, "request": number, "time": start + place}
            rows.append({**row, **items[item], "liked": int(rng.random() < chance)})
    return rows


def train_and_export(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """What `hgr-tf prepare`, `train` and `export` do; the folder of versions."""
    from hgr_tf.export import export_for_serving
    from hgr_tf.pipelines.run import prepare
    from hgr_tf.training import RunConfig, train

    pa.parquet.write_table(pa.Table.from_pylist(rows), folder / "log.parquet")
    spec = FeatureSpec.from_yaml(SPEC)
    prepare(spec, [str(folder / "log.parquet")], folder / "prepared", overwrite=True)
    config = RunConfig.model_validate(
        {
            "data": {"path": str(folder / "prepared")},
            "ranker": {"type": "mlp", "history": {"pooling": "attention"}},
            "training": {"batch_size": 512, "epochs": 3, "learning_rate": 0.003},
        }
    )
    run = train(config, folder / "run", overwrite=True, verbose=2)
    return export_for_serving(run.model, folder / "feed", encoding=run.encoding).parent


@contextlib.contextmanager
def served(models: Path) -> Iterator[Client]:
    """A client of `hgr-tf serve`, which ends with it."""
    command = ["hgr_tf.export.server", "--model", str(models), "--name", models.name]
    command = [sys.executable, "-m", *command, "--port", "0", "--rest-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ready = process.stdout.readline()  # "serving feed: grpc ADDRESS, rest ADDRESS"
        address = ready.split("grpc ")[1].split(",")[0]
        with Client(address, models.name) as client:
            yield client
        process.terminate()


def main(folder: str = "feature_store", requests: int = 4_000) -> dict[str, list[str]]:
    """Ranks for a user before and after new likes; returns topics, the best first."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    spec, log, items = FeatureSpec.from_yaml(SPEC), generate(requests), catalogue()
    models = train_and_export(out, log)
    file = out / "store.sqlite"
    for old in out.glob("store.sqlite*"):
        old.unlink()
    store = FeatureStore(file, spec)
    for row in log:
        store.add(row)
    print(f"{file}: {len(log):,} rows of the log, {file.stat().st_size:,} bytes")

    def ranked_topics(client: Client, now: int) -> list[str]:
        inputs = rank_inputs(store, spec, {"user": 7}, items, now)
        scores = client.predict(inputs, "rank")["probabilities"][0]
        return [items[place]["topic"] for place in np.argsort(-scores)]

    now = START + 5 * DAY_SECONDS
    with served(models) as client:
        before = ranked_topics(client, now)
        liked = [item for item in items if item["topic"] == before[-1]]
        for seconds, item in enumerate(liked):
            store.add({"user": 7, "time": now + seconds, **item, "liked": 1})
        after = ranked_topics(client, now + 600)
    print(f"the first of {len(items)} items, by topic: {before[:5]}")
    print(f"after {len(liked)} likes of {before[-1]}:     {after[:5]}")
    return {"before": before, "after": after}


if __name__ == "__main__":
    main()
