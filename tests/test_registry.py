"""Packages whose modules are the things of one kind."""

import pytest

from hgr_tf.registry import Registry


@pytest.fixture
def registry(tmp_path, monkeypatch):
    folder = tmp_path / "toy_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "one.py").write_text(
        "import enum\nfrom pathlib import Path\nclass _Helper: pass\nclass One: pass\n"
    )
    (folder / "two.py").write_text("class Two: pass\nclass Three: pass\n")
    (folder / "broken.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return Registry("toy_package")


def test_names_are_listed_without_importing_the_modules(registry):
    assert registry.names() == ("broken", "one", "two")


def test_a_module_gives_its_one_public_class(registry):
    assert registry["one"].__name__ == "One"
    with pytest.raises(TypeError, match=r"one public class, got \['Two', 'Three'\]"):
        registry["two"]


def test_an_unknown_name_is_told_with_the_known_ones(registry):
    with pytest.raises(ValueError, match=r"one of \['broken', .*got 'three'"):
        registry.check("three")
    with pytest.raises(KeyError, match="three"):
        registry["three"]
