"""Codes of a trained run: of users and items, as a table and as groups."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from hgr_tf.cli import main
from hgr_tf.codes import (
    codes_of_split,
    codes_of_table,
    describe_groups,
    groups_of_split,
    html_page,
)
from hgr_tf.codes.groups import value_text
from hgr_tf.codes.item_codes import collisions, item_codes, made_unique
from hgr_tf.data import PreparedData
from hgr_tf.features import USER
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.tables.user_codes import load_codes
from hgr_tf.training import RunConfig, train
from tests.prepared import ENCODING, USERS, rows, write_prepared

CONFIG = """
data: {path: %s}
ranker: {embedding_dim: 4, hidden_units: [8]}
method: {preset: %s, num_levels: 2, codebook_size: 3}
training: {batch_size: 100, epochs: 1}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    write_prepared(folder, {"train": rows(1000, 0), "val": rows(300, 1)})
    return PreparedData.load(folder)


def trained(data, folder, preset):
    config = RunConfig.from_yaml(CONFIG % (data.folder, preset))
    return train(config, folder, verbose=0)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return trained(data, tmp_path_factory.mktemp("runs") / "coded", "default")


def expected_codes(run, users):
    """Codes of raw user ids, straight from the table of embeddings."""
    table = run.model.ranker.get_layer("user_embedding").embeddings.numpy()
    embeddings = tf.constant(table[np.asarray(users) + 2])
    codes = run.model.quantizer.encode(embeddings)
    left = embeddings - run.model.quantizer.decode(codes)
    return codes.numpy(), np.linalg.norm(left.numpy(), axis=1)


def test_users_of_a_split_come_once_with_the_codes_of_their_embedding(run, data):
    parts = list(codes_of_split(run, data, "train"))
    ids = pa.concat_arrays([part.ids for part in parts]).to_pylist()
    assert sorted(ids) == list(range(USERS))
    codes, distances = expected_codes(run, ids)
    np.testing.assert_array_equal(np.concatenate([p.codes for p in parts]), codes)
    found = np.concatenate([part.distances for part in parts])
    np.testing.assert_allclose(found, distances, atol=1e-5)


def test_a_table_of_users_needs_no_features_of_items(run, tmp_path):
    table = pa.table({"user": [3, 999, 7], "age": [30.0, None, 50.0]})
    pq.write_table(table, tmp_path / "users.parquet")
    (part,) = codes_of_table(run, tmp_path / "users.parquet")
    assert part.ids.to_pylist() == [3, 999, 7]
    np.testing.assert_array_equal(part.codes[[0, 2]], expected_codes(run, [3, 7])[0])
    np.testing.assert_array_equal(part.keys, [3, 999, 7])


def test_a_row_of_the_table_without_a_user_is_named(run, tmp_path):
    (tmp_path / "users.csv").write_text("user,age\n1,30\n,40\n")
    with pytest.raises(ValueError, match="'user' must not be missing"):
        list(codes_of_table(run, tmp_path / "users.csv"))


@pytest.mark.slow
def test_a_run_without_a_quantizer_has_no_codes(data, tmp_path):
    plain = trained(data, tmp_path / "plain", "none")
    with pytest.raises(ValueError, match=r"must quantize users.*got 'none'"):
        list(codes_of_split(plain, data, "train"))


def test_groups_count_what_a_loop_over_the_rows_counts(run, data):
    keys = np.arange(USERS - 5)  # some users have no codes
    codes = np.random.default_rng(0).integers(0, 3, (len(keys), 2))
    batches = [
        ({k: v.numpy() for k, v in features.items()}, labels.numpy())
        for features, labels in data.dataset("val", 64)
    ]
    groups = describe_groups(batches, keys, codes, ENCODING)
    flat = [
        (user, label, age)
        for features, labels in batches
        for user, label, age in zip(
            features[USER], labels, features["age"], strict=True
        )
        if user < len(keys)
    ]
    prefixes = {tuple(codes[user][:n]) for user, *_ in flat for n in (1, 2)}
    assert {group.prefix for group in groups} == prefixes
    ages = np.array([age for *_, age in flat])
    for group in groups:
        own = [
            r for r in flat if tuple(codes[r[0]][: len(group.prefix)]) == group.prefix
        ]
        assert group.rows == len(own)
        assert group.members == len({user for user, *_ in own})
        assert group.positive_rate == pytest.approx(np.mean([y for _, y, _ in own]))
        for top in group.top:
            assert top.feature == "age" and top.lift > 1
            (id_,) = [
                i for i in range(4) if value_text(ENCODING, "age", i) == top.value
            ]
            share = np.mean([age == id_ for *_, age in own if age])
            assert top.share == pytest.approx(share)
            assert top.lift == pytest.approx(share / np.mean(ages[ages > 0] == id_))


def test_groups_count_the_rows_where_the_given_label_is_positive():
    batches = [
        (
            {USER: tf.constant([0, 0, 1, 1])},
            {"click": tf.constant([1, 0, 0, 1]), "buy": tf.constant([1, 0, 0, 0])},
        )
    ]
    data = SimpleNamespace(
        errors=contextlib.nullcontext,
        dataset=lambda *_: batches,
        encoding=SimpleNamespace(
            spec=SimpleNamespace(id_feature=lambda _: None, features=lambda _: [])
        ),
    )
    parts = [SimpleNamespace(keys=np.array([0, 1]), codes=np.array([[0], [0]]))]
    (group,) = groups_of_split(data, "val", parts, label="buy", given="click")
    assert (group.rows, group.positive_rate) == (2, 0.5)
    (group,) = groups_of_split(data, "val", parts, label="buy")
    assert (group.rows, group.positive_rate) == (4, 0.25)


def test_the_page_shows_every_group(run, data):
    groups = describe_groups(
        [
            (
                {USER: np.array([0, 1, 1]), "age": np.array([1, 2, 2])},
                np.array([0, 1, 1]),
            )
        ],
        np.array([0, 1]),
        np.array([[0, 1], [2, 0]]),
        ENCODING,
    )
    page = html_page("Codes <1>", groups, "users", "val")
    assert "Codes &lt;1&gt;" in page and page.count("<svg") == 1
    for text in ("0.1", "2.0", "1.0000", "age = 20..40: 100%"):
        assert f">{text}" in page
    with pytest.raises(ValueError, match="no row of 'val'"):
        html_page("none", [], "users", "val")


def test_items_have_codes_of_their_embeddings_and_unique_ones_on_request(run):
    coded = item_codes(run, num_levels=2, codebook_size=3)
    assert coded.ids.to_pylist() == [int(i) for i in ENCODING.vocabularies["item"]]
    assert coded.codes.shape == (30, 2)
    assert collisions(coded.codes) >= 30 - 9
    unique = made_unique(coded.codes)
    assert collisions(unique) == 0
    np.testing.assert_array_equal(unique[:, :2], coded.codes)
    first_of_each = np.unique(coded.codes, axis=0, return_index=True)[1]
    assert (unique[first_of_each, 2] == 0).all()


def test_the_command_writes_a_code_table_and_a_page(run, tmp_path, capsys):
    output, page = tmp_path / "codes.parquet", tmp_path / "codes.html"
    arguments = ["codes", "--run", str(run.path), "--output", str(output)]
    with pytest.raises(SystemExit) as end:
        main.main([*arguments, "--split", "train", "--describe", str(page)])
    assert end.value.code == 0
    file = File(str(output), output.stat().st_size)
    assert load_codes(file, ENCODING.spec, 1).num_rows == USERS  # as `prepare` does
    table = pq.read_table(output)
    assert table.column_names == ["user", "code_1", "code_2", "distance"]
    assert table.num_rows == USERS
    assert "Groups of the first level" in capsys.readouterr().out
    assert "<svg" in page.read_text()
    with pytest.raises(SystemExit):
        main.main([*arguments, "--of", "item", "--levels", "2", "--unique"])
    assert pq.read_table(output).column_names[:4] == [
        "item",
        "code_1",
        "code_2",
        "code_3",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--of item --table items.csv", "--table must go with --of user"),
        ("--table users.csv --describe page.html", "--table must go with --of user"),
        ("--unique", "must go with --of item"),
        ("--levels 4", "must go with --of item"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message, capsys):
    line = f"codes --run nowhere --output codes.parquet {options}"
    with pytest.raises(SystemExit) as end:
        main.main(line.split())
    assert end.value.code == 1
    assert message in capsys.readouterr().err
