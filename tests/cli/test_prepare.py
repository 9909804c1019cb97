from types import SimpleNamespace

import pytest

from hgr_tf.cli import main as cli
from hgr_tf.cli.prepare import _rates
from hgr_tf.data.manifest import LabelCounts, Split
from hgr_tf.pipelines import run

LINE = ["prepare", "--spec=spec.yaml", "--output=out", "--input", "a.csv"]


@pytest.fixture
def started(monkeypatch):
    """What the command asked for, instead of running it."""
    calls = []

    def prepare(*arguments, **settings):
        calls.append(settings)
        train = SimpleNamespace(rows=1, positives=1, shards=["one"], labels={})
        return SimpleNamespace(counters={}, splits={"train": train})

    monkeypatch.setattr(run, "prepare", prepare)
    return calls


@pytest.mark.parametrize(("rows", "end"), [(10, ""), (4, " before sampling")])
def test_rates_of_several_labels_say_when_they_are_of_more_rows(rows, end):
    labels = {
        "click": LabelCounts(rows=10, positives=2),
        "buy": LabelCounts(rows=2, positives=1),
    }
    split = Split(rows=rows, positives=2, shards=[], labels=labels)
    assert _rates(split) == f"click 20.0% of 10, buy 50.0% of 2{end}"


@pytest.mark.parametrize(
    "rest", [["b.csv"], ["--", "b.csv"], ["b.csv", "--", "--region=x"]]
)
def test_files_of_an_unquoted_glob_are_refused(rest, started, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([*LINE, *rest])
    error = capsys.readouterr().err
    assert end.value.code == 2 and not started
    assert "got 'b.csv'" in error and "quote it, or repeat --input" in error


@pytest.mark.parametrize(
    "options", [[], ["--region=x", "--no_auth"], ["--region", "x", "--project", "y"]]
)
def test_options_for_beam_may_have_values(options, started):
    with pytest.raises(SystemExit) as end:
        cli.main([*LINE, "--", *options])
    assert end.value.code == 0
    assert list(started[0]["beam_options"]) == options


def test_one_of_a_thing_is_singular(started, capsys):
    with pytest.raises(SystemExit):
        cli.main(LINE)
    assert "train: 1 row, 100.0% positive, 1 shard\n" in capsys.readouterr().out
