"""What is refused before anything is read, deleted or written."""

import json
from pathlib import Path

import pytest

from hgr_tf.features import FeatureSpec, SpecError
from hgr_tf.pipelines.errors import PrepareError
from tests.pipelines.conftest import SPEC, dead_letters, examples

ROWS = [{"user": f"u{i % 3}", "item": i % 5, "click": i % 2} for i in range(20)]


def write_log(path, rows=ROWS):
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_holds_the_log_is_refused(run, tmp_path, spec, overwrite):
    log = write_log(tmp_path / "out" / "log-00000-of-00001.jsonl")
    with pytest.raises(PrepareError, match="needs a folder of its own"):
        run(spec, [log], overwrite=overwrite)
    assert len(Path(log).read_text().splitlines()) == len(ROWS)


def test_an_output_that_holds_the_spec_is_refused(run, tmp_path):
    log = write_log(tmp_path / "log.jsonl")
    path = tmp_path / "out" / "spec.yaml"
    path.parent.mkdir()
    path.write_text(SPEC)
    with pytest.raises(PrepareError, match=r"holds .*spec\.yaml"):
        run(path, [log])
    assert path.read_text() == SPEC


def test_a_run_does_not_replace_the_encoding_it_takes_over(run, tmp_path, spec):
    log = write_log(tmp_path / "log.jsonl")
    folder, _ = run(spec, [log])
    with pytest.raises(PrepareError, match="needs a folder of its own"):
        run(spec, [log], overwrite=True, encoding_from=folder)
    assert (folder / "MANIFEST.json").exists()


@pytest.mark.parametrize("name", ["part-00000-of-00001.csv", "vocabularies/a.txt"])
def test_files_that_no_run_left_are_not_replaced(run, tmp_path, spec, name):
    log = write_log(tmp_path / "log.jsonl")
    theirs = tmp_path / "out" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    with pytest.raises(PrepareError, match="not of a finished run"):
        run(spec, [log], overwrite=True)
    assert theirs.read_text() == "mine"


def test_a_failed_run_leaves_dead_letters_alone(run, tmp_path, spec):
    log = write_log(tmp_path / "log.jsonl", [*ROWS, {"user": "u"}])
    with pytest.raises(PrepareError, match="are bad"):
        run(spec, [log])
    (left,) = (tmp_path / "out").rglob("*")
    assert left.name == "dead_letter-log-00000.jsonl"


def test_without_training_rows_an_encoding_is_needed(run, tmp_path, spec):
    log = write_log(tmp_path / "log.jsonl")
    with pytest.raises(PrepareError, match="no input is given for 'train'"):
        run(spec, [f"val={log}"])
    first, _ = run(spec, [log], name="first")
    folder, _ = run(spec, [f"val={log}"], encoding_from=first)
    assert examples(folder, "val") == examples(first, "train")


def test_a_training_split_without_rows_fails(run, tmp_path):
    rows = [row | {"when": 86_400} for row in ROWS]
    log = write_log(tmp_path / "log.jsonl", rows)
    split = "time: when\nsplit: {by: time, starts: {val: 1}}\n"
    with pytest.raises(PrepareError, match=r"no row is in 'train'.*'val': 20"):
        run(FeatureSpec.from_yaml(SPEC + split), [log])


def test_an_encoding_in_which_ids_mean_something_else_is_refused(run, tmp_path, spec):
    log = write_log(tmp_path / "log.jsonl")
    first, _ = run(spec, [log], name="first")
    changed = SPEC.replace(
        "type: categorical}, age", "type: categorical, oov_buckets: 5}, age"
    )
    with pytest.raises(PrepareError, match=r"'user' is .* cannot be taken over"):
        run(FeatureSpec.from_yaml(changed), [log], encoding_from=first)
    with pytest.raises(PrepareError, match="not a finished output"):
        run(spec, [log], encoding_from=tmp_path)


def test_unknown_splits_of_negatives_are_refused(run, tmp_path):
    log = write_log(tmp_path / "log.jsonl")
    negatives = "negatives: {rate: 0.5, splits: [training]}\n"
    with pytest.raises(PrepareError, match=r"got \['training'\]"):
        run(FeatureSpec.from_yaml(SPEC + negatives), [log])


def test_the_first_split_by_time_has_no_start():
    split = "time: when\nsplit: {by: time, starts: {train: 0, val: 1}}\n"
    with pytest.raises(SpecError, match="'train' is what comes before"):
        FeatureSpec.from_yaml(SPEC + split)


def test_a_path_that_holds_an_equals_sign_names_no_split(
    run, tmp_path, monkeypatch, spec
):
    write_log(tmp_path / "dt=1" / "log.jsonl")
    monkeypatch.chdir(tmp_path)
    _, manifest = run(spec, ["dt=1/*.jsonl"])
    assert list(manifest.splits) == ["train"]
    _, manifest = run(spec, ["train=dt=1/log.jsonl"], name="named")
    assert list(manifest.splits) == ["train"]


def test_folders_that_a_condition_leaves_out_are_not_read(run, tmp_path, spec):
    kept = write_log(tmp_path / "dt=2026-01-02" / "log.jsonl")
    write_log(tmp_path / "dt=2026-01-01" / "log.jsonl", ["broken"])
    _, manifest = run(spec, [tmp_path / "dt=*"], where=["dt>2026-01-01"])
    assert manifest.arguments["inputs"] == [str(kept)]


def test_lists_of_examples_take_no_code_table(run, tmp_path, spec):
    log = write_log(tmp_path / "log.jsonl")
    with pytest.raises(PrepareError, match=r"code table must not be given, got .*log"):
        run(spec, [log], output_format="elwc", code_table=log)


@pytest.mark.filterwarnings("ignore:Possible nested set")
@pytest.mark.parametrize("inputs", ["log[1].jsonl", "train=log[1].jsonl", "log[[]*"])
def test_characters_of_globs_in_a_path_are_plain(run, tmp_path, monkeypatch, inputs):
    folder = tmp_path / "exp[1]"
    log = write_log(folder / "log[1].jsonl")
    for other in (folder / "log1.jsonl", tmp_path / "exp1" / "log[1].jsonl"):
        write_log(other, ["not the log"])
    (folder / "users.csv").write_text("id,age\nu0,5\n")
    (folder / "spec.yaml").write_text(
        SPEC + "tables: {user: {key: id, path: 'users*'}}\n"
    )
    monkeypatch.chdir(folder)
    output, manifest = run("spec.yaml", inputs, name="out[*]")
    assert manifest.arguments["inputs"][0].endswith(log)
    assert manifest.splits["train"].rows == len(ROWS)
    again = run("spec.yaml", inputs, name="out[*]", overwrite=True)
    assert again == (output, manifest)
    assert not list(output.glob(".*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "random"}, "layout: .* got 'random'"),
        ({"output_format": "csv"}, "output_format: .* got 'csv'"),
        ({"join": "hash"}, "join must be one of .* got 'hash'"),
        ({"shard_rows": 0}, "shard_rows: .* got 0"),
        ({"compression": 9}, "compression: .* got 9"),
        ({"max_bad_fraction": 5}, "max_bad_fraction: .* got 5"),
        ({"code_prefix": 0}, "code_prefix: .* got 0"),
        ({"seed": -1}, "seed: .* got -1"),
        ({"shards": 3}, "shards: Unexpected keyword argument"),
        ({"grow_vocabularies": True}, "needs --encoding-from"),
        ({"evict_after_days": 2}, "--evict-after-days needs --grow-vocabularies"),
        ({"evict_after_days": 0}, "evict_after_days: .* got 0"),
        ({"beam_options": ["--direct_num_workers=two"]}, "Beam options: .* 'two'"),
    ],
)
def test_wrong_arguments_are_named(run, tmp_path, spec, arguments, message, capfd):
    log = write_log(tmp_path / "log.jsonl")
    with pytest.raises(PrepareError, match=message):
        run(spec, [log], **arguments)
    assert "usage" not in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_names_of_given_splits_are_checked(run, tmp_path, spec):
    inputs = {name: write_log(tmp_path / f"{name}.jsonl") for name in ("train", "val")}
    inputs["../evil"] = inputs.pop("val")
    with pytest.raises(PrepareError, match=r"names of splits .* got \['../evil'\]"):
        run(spec, inputs)


@pytest.mark.parametrize("name", ["table.jsonl", "table-*.csv", "table-2.csv"])
def test_code_tables_that_cannot_be_used_are_refused(run, tmp_path, spec, name):
    log = write_log(tmp_path / "log.jsonl")
    write_log(tmp_path / "table.jsonl", [{"user": "u0", "code_1": 0}])
    (tmp_path / "table-1.csv").write_text("user,code_1\nu0,0\n")
    (tmp_path / "table-2.csv").write_text("user,code_1\nnobody,0\n")
    message = "got JSON Lines|is one file, got 2 files|no user of the log has a code"
    with pytest.raises(PrepareError, match=message):
        run(spec, [log], code_table=tmp_path / name)
    _, manifest = run(spec, [log], code_table=tmp_path / "table-1.csv")
    assert manifest.counters["rows_with_code"] == 7


def test_a_run_that_replaces_another_keeps_its_dead_letters_until_then(
    run, tmp_path, spec
):
    old = write_log(tmp_path / "old.jsonl", [*ROWS, {"user": "old"}])
    new = write_log(tmp_path / "new.jsonl", [*ROWS, *[{"user": "new"}] * 2])
    folder, _ = run(spec, [old], max_bad_fraction=0.5)
    before = dead_letters(folder)
    with pytest.raises(PrepareError, match=r"see failed-dead_letter-\*\.jsonl in"):
        run(spec, [new], overwrite=True)
    assert dead_letters(folder) == before
    (failed,) = folder.glob("failed-*")
    assert failed.name == "failed-dead_letter-log-00000.jsonl"
    assert failed.read_text().count(new) == 2
    run(spec, [new], overwrite=True, max_bad_fraction=0.5)
    assert [letter["file"] for letter in dead_letters(folder)] == [new] * 2
    assert not list(folder.glob("failed-*"))
