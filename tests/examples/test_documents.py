"""What the documents say to type must work."""

import json
import re
import shlex
import sys
import types
from pathlib import Path

import pytest
import typer.main
import yaml

from hgr_tf.cli.main import GROUPS, app
from hgr_tf.qa.config import QAConfig
from hgr_tf.training import RunConfig

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
)


def blocks(path, language):
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def command_lines():
    for path in DOCUMENTS:
        for block in blocks(path, "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("hgr-tf "):
                    yield pytest.param(line, id=f"{path.name}: {line[:40]}")


@pytest.mark.parametrize("line", command_lines())
def test_command_lines_are_understood(line):
    """Parses them: an option that does not exist is an error."""
    _, name, *arguments = shlex.split(line, comments=True)
    group = typer.main.get_command(app)
    command = group.get_command(None, name)
    if name in GROUPS:
        name, *arguments = arguments
        command = command.get_command(None, name)
    assert command is not None
    command.make_context(name, arguments)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), target


def test_readme_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks(ROOT / "README.md", "python"))
    assert "HierarchicalGroupwiseRanker" in code
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert (tmp_path / "ranker.keras").exists()
    assert (tmp_path / "models/ranker/1/saved_model.pb").exists()


@pytest.mark.slow
def test_readme_commands_run_in_order_after_the_demo(tmp_path, monkeypatch, capfd):
    """All but `serve`, whose line needs a free port and has tests of its own."""
    monkeypatch.chdir(tmp_path)
    app(["demo", "--rows", "3000"], standalone_mode=False)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## From raw logs to predictions")[1].split("\n## ")[0]
    lines = re.search(r"^```bash\n(.*?)^```", section, re.S | re.M)[1].splitlines()
    assert [line.split()[1] for line in lines][-2:] == ["predict", "serve"]
    for line in lines[:-1]:
        app(shlex.split(line)[1:], standalone_mode=False)
    last = capfd.readouterr().out.strip().splitlines()[-1]
    assert 0 < json.loads(last)["probability"] < 1
    request = json.loads(
        Path("models/demo/1/assets.extra/request.json").read_text(encoding="utf-8")
    )
    assert len(request["instances"]) == 1


@pytest.fixture
def my_team(monkeypatch):
    """The package that docs/training.md tells of as the reader's own."""
    for module, name in (("rankers", "two_tower"), ("losses", "squared_gap")):
        own = types.ModuleType(f"my_team.{module}")
        setattr(own, name, lambda: None)
        monkeypatch.setitem(sys.modules, own.__name__, own)
    own = types.ModuleType("my_team.metrics")
    own.HitRate = type("HitRate", (), {})
    monkeypatch.setitem(sys.modules, own.__name__, own)
    monkeypatch.setitem(sys.modules, "my_team", types.ModuleType("my_team"))


@pytest.mark.usefixtures("my_team")
def test_training_configs_are_valid_and_the_shown_defaults_are_true():
    path = ROOT / "docs" / "training.md"
    whole, *_ = configs = blocks(path, "yaml")
    for text in configs:
        RunConfig.from_yaml(text)
    data = {"path": "prepared/kuairand_pure"}
    assert RunConfig.from_yaml(whole) == RunConfig.model_validate({"data": data})


def test_the_shown_defaults_of_question_answering_are_true():
    (text,) = blocks(ROOT / "docs" / "qa.md", "yaml")
    assert QAConfig.from_yaml(text) == QAConfig()


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.yaml")))
def test_example_run_configs_are_valid(path):
    if "ranker" in yaml.safe_load(path.read_text(encoding="utf-8")):
        RunConfig.load(path)
