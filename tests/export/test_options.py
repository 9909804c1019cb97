"""The options of an export: what is read back, and what is refused."""

import json

import pytest

from hgr_tf.export.options import FILE, ExportOptions


def test_options_are_read_back_and_unknown_ones_are_named(tmp_path):
    options = ExportOptions(("serving_default",), shrinkage={"user": 20.0})
    options.save(tmp_path)
    assert ExportOptions.load(tmp_path) == options
    told = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**told, "pruned": True}))
    with pytest.raises(ValueError, match=r"export\.json: .*got \['pruned'\]: was it"):
        ExportOptions.load(tmp_path)
