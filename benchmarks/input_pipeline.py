"""Does the reader keep the training step fed?

    python -m benchmarks.input_pipeline [--rows 200000] [--data FOLDER]

Prepares the rows of KuaiRand (FOLDER is `kuairand_pure_partial`; by default the one
below `../shared/data` beside the project, and a generated log where it is absent) as
Parquet and as TFRecords, and trains the default preset on both: two epochs of batches
of 4,096 rows. The share of waiting is the time in `next(batches)` over the time of the
whole run, the decoding of the first epoch included, but for what of it is done while
the training step is traced. Rows per CPU second count the CPU
time of all threads: of reading two shuffled epochs, and of training steps on one
batch in memory. `formats` compares the bytes and the reading of column formats.
"""

import argparse
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import tensorflow as tf

from benchmarks.timing import print_json
from hgr_tf.data import PreparedData, synthetic
from hgr_tf.pipelines.run import prepare
from hgr_tf.training import RunConfig
from hgr_tf.training.build_and_evaluate import build_model
from hgr_tf.training.optimizer import build_optimizer
from hgr_tf.training.run_metrics import run_metrics

ROOT = Path(__file__).resolve().parents[1]
KUAIRAND = ROOT.parent / "shared" / "data" / "kuairand_pure_partial"
SPEC = ROOT / "examples" / "kuairand_pure" / "spec.yaml"
BATCH, EPOCHS = 4096, 2
FORMATS = ("parquet", "tfrecord")


def prepared(folder, source, rows):
    """Prepares the same rows in both formats; returns what they are."""
    if (source / "train.parquet").exists():
        log = pq.read_table(source / "train.parquet")
        given = {
            "spec": SPEC,
            "user_table": source / "user_features_pure.csv",
            "item_table": source / "video_features_basic_pure.csv",
        }
        what = "KuaiRand-Pure (partial)"
        pq.write_table(log.slice(0, rows), folder / "train.parquet")
        inputs = [f"train={folder / 'train.parquet'}"]
    else:
        logs = synthetic.write_logs(folder / "logs", rows=rows or 800_000, seed=0)
        given, inputs, what = {"spec": logs.spec}, [str(logs.log)], "generated"
    for name in FORMATS:
        prepare(inputs=inputs, output=folder / name, output_format=name, **given)
    return what


def reading(folder):
    """Rows per CPU second and per second of two shuffled epochs."""
    data = PreparedData.load(folder)
    data.check_split("train")
    rows = EPOCHS * data.rows("train")
    batches = data.dataset("train", BATCH, shuffle=True, epochs=range(EPOCHS))
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in batches:
        pass
    return {
        "rows_per_cpu_s": rows / (time.process_time() - cpu),
        "rows_per_s": rows / (time.perf_counter() - wall),
    }


def make_step(data):
    """A training step of the default preset, traced and warm; and a batch."""
    config = RunConfig.from_yaml("method: default")
    steps = data.steps("train", BATCH)
    model = build_model(config, data.encoding, steps)
    optimizer = build_optimizer(config.training, steps * EPOCHS)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, metrics=run_metrics())
    one_step = tf.function(model.train_step, reduce_retracing=True)
    batch = next(iter(data.dataset("train", BATCH)))

    def step(batch):
        return float(one_step(batch)["loss"])

    for _ in range(5):
        step(batch)
    return step, batch


def stepping(folder, rounds):
    """Rows per CPU second of training steps on one batch in memory."""
    step, batch = make_step(PreparedData.load(folder))
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(rounds):
        step(batch)
    rows = rounds * int(batch[1].shape[0])
    return {
        "rows_per_cpu_s": rows / (time.process_time() - cpu),
        "rows_per_s": rows / (time.perf_counter() - wall),
    }


def waiting(folder):
    """Share of a training run that is spent waiting for batches."""
    data = PreparedData.load(folder)
    data.check_split("train")
    dataset = data.dataset("train", BATCH, shuffle=True, epochs=range(EPOCHS))
    step, _ = make_step(PreparedData.load(folder))  # after it, as in a run
    start, waited, by_epoch = time.perf_counter(), 0.0, []
    batches = iter(dataset)
    for _ in range(EPOCHS):
        epoch, before = time.perf_counter(), waited
        for _ in range(data.steps("train", BATCH)):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            step(batch)
        by_epoch.append((waited - before) / (time.perf_counter() - epoch))
    return {"share": waited / (time.perf_counter() - start), "by_epoch": by_epoch}


def numpy_batches(paths):
    """Rows per second of pyarrow alone, as numpy batches in the order of the file."""
    rows, wall = 0, time.perf_counter()
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(BATCH):
            for column in batch.columns:
                nested = pa.types.is_list(column.type)
                (column.flatten() if nested else column).to_numpy(zero_copy_only=False)
            rows += batch.num_rows
    return rows / (time.perf_counter() - wall)


def column_formats(paths):
    """Bytes per row, and rows per CPU second to read, of formats for columns."""
    tables = [pq.read_table(path) for path in paths]
    rows = sum(table.num_rows for table in tables)
    found = {}
    for name, (write, read) in _formats().items():
        stored = [write(table) for table in tables]
        seconds = []
        for _ in range(3):
            cpu = time.process_time()
            for one in stored:
                _as_numpy(read(one))
            seconds.append(time.process_time() - cpu)
        found[name] = {
            "mb": sum(map(len, stored)) / 1e6,
            "bytes_per_row": sum(map(len, stored)) / rows,
            "read_rows_per_cpu_s": rows / min(seconds),
        }
    return found


def _formats():
    def parquet(table):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        return sink.getvalue().to_pybytes()

    def from_parquet(stored):
        return pq.read_table(pa.BufferReader(stored), use_threads=False)

    def arrow(codec):
        def write(table):
            sink = pa.BufferOutputStream()
            options = pa.ipc.IpcWriteOptions(compression=codec, use_threads=False)
            with pa.ipc.new_file(sink, table.schema, options=options) as file:
                file.write_table(table, max_chunksize=1 << 14)
            return sink.getvalue().to_pybytes()

        return write

    def from_arrow(stored):
        options = pa.ipc.IpcReadOptions(use_threads=False)
        return pa.ipc.open_file(pa.BufferReader(stored), options=options).read_all()

    codecs = {"arrow": None, "arrow_lz4": "lz4", "arrow_zstd": "zstd"}
    formats = {name: (arrow(codec), from_arrow) for name, codec in codecs.items()}
    return {"parquet": (parquet, from_parquet), **formats}


def _as_numpy(table):
    for column in table.columns:
        column = column.combine_chunks()
        nested = pa.types.is_list(column.type)
        (column.flatten() if nested else column).to_numpy(zero_copy_only=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, help="rows to use; all by default")
    parser.add_argument("--data", type=Path, default=KUAIRAND)
    parser.add_argument("--steps", type=int, default=100, help="steps in memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        what = prepared(folder, options.data, options.rows)
        columns, records = (folder / name for name in FORMATS)
        paths = sorted(columns.glob("train-*.parquet"))
        read = {path.name: reading(path) for path in (columns, records)}
        waits = {path.name: waiting(path) for path in (columns, records)}
        step = stepping(columns, options.steps)
        print_json(
            {
                "columns_rows_per_cpu_s": read["parquet"]["rows_per_cpu_s"],
                "tfrecord_rows_per_cpu_s": read["tfrecord"]["rows_per_cpu_s"],
                "step_rows_per_cpu_s": step["rows_per_cpu_s"],
                "wait_share_default": waits["parquet"]["share"],
                "wait_share_tfrecord": waits["tfrecord"]["share"],
                "pyarrow_rows_per_s": numpy_batches(paths),
                "columns_rows_per_s": read["parquet"]["rows_per_s"],
                "tfrecord_rows_per_s": read["tfrecord"]["rows_per_s"],
                "step_rows_per_s": step["rows_per_s"],
                "wait_share_by_epoch": {k: v["by_epoch"] for k, v in waits.items()},
                "formats": column_formats(paths),
                "tfrecord_mb": sum(p.stat().st_size for p in records.glob("train-*"))
                / 1e6,
                "data": what,
                "rows": PreparedData.load(columns).rows("train"),
                "batch": BATCH,
                "epochs": EPOCHS,
            }
        )


if __name__ == "__main__":
    main()
