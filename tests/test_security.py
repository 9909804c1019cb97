"""What SECURITY.md promises of input that may be hostile."""

import ast
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import hgr_tf
from hgr_tf.comparing.config import CompareConfig
from hgr_tf.data.manifest import Manifest, ManifestError
from hgr_tf.features import FeatureSpec, SpecError
from hgr_tf.training.config import RunConfig
from hgr_tf.training.run_folder import RunFolder
from hgr_tf.training.warm_start import load_slots
from hgr_tf.training.yaml_config import ConfigError
from tests.prepared import rows, write_prepared

ROOT = Path(hgr_tf.__file__).parents[1]
SOURCES = [
    path
    for room in ("hgr_tf", "pipelines", "export")
    for path in (ROOT / room).rglob("*.py")
]
UNPICKLES_ITS_OWN_JOB = "pipelines/running/supervised.py"


PICKLES = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}


def dangerous_calls(tree: ast.AST):
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        words = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if (
            name in ("eval", "exec", "os.system", "yaml.load")
            or "unsafe_deserialization" in name
            or "True" in (words.get("shell"), words.get("allow_pickle"))
            or words.get("safe_mode") == "False"
        ):
            yield ast.unparse(node)


def imports(tree: ast.AST) -> set[str]:
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }


def test_nothing_evaluates_or_unpickles():
    found = []
    for path in SOURCES:
        place = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [f"{place}: {name}" for name in dangerous_calls(tree)]
        if place != UNPICKLES_ITS_OWN_JOB:
            found += [f"{place}: {name}" for name in imports(tree) & PICKLES]
    assert not found


@pytest.mark.parametrize(
    ("load", "error"),
    [
        (FeatureSpec.from_yaml, SpecError),
        (RunConfig.from_yaml, ConfigError),
        (CompareConfig.from_yaml, ConfigError),
    ],
)
def test_yaml_makes_no_objects(load, error, tmp_path):
    made = tmp_path / "made"
    with pytest.raises(error, match="could not determine a constructor"):
        load(f"name: !!python/object/apply:pathlib.Path.touch [{made}]")
    assert not made.exists()


@pytest.mark.parametrize("file", ["../secret", "/etc/passwd", "a/../../b", "..\\b", ""])
def test_a_manifest_names_no_file_outside_its_folder(file, tmp_path):
    write_prepared(tmp_path, {"train": rows(10, 0)}, shards=1)
    path = tmp_path / "MANIFEST.json"
    manifest = json.loads(path.read_text())
    changed = json.loads(path.read_text())
    changed["splits"]["train"]["shards"][0]["file"] = file
    path.write_text(json.dumps(changed))
    with pytest.raises(ManifestError, match="a path inside the folder"):
        Manifest.load(tmp_path)
    manifest["encoding_sha256"] = {file: "0" * 64}
    path.write_text(json.dumps(manifest))
    with pytest.raises(ManifestError, match="a path inside the folder"):
        Manifest.load(tmp_path)


class _Touches:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_arrays_of_a_run_are_never_unpickled(tmp_path):
    made = tmp_path / "made"
    hostile = np.array([_Touches(made)], dtype=object)
    np.savez(RunFolder(tmp_path).optimizer, **{"0": hostile})
    with pytest.raises(ValueError, match="allow_pickle"):
        load_slots(tmp_path)
    assert not made.exists()
    pickle.loads(pickle.dumps(hostile))
    assert made.exists()  # it would have been
