import subprocess
import sys

import pytest
import typer

from hgr_tf.cli import main as cli


def run(*arguments, capsys):
    """Exit code, stdout and stderr of a command line."""
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    out, err = capsys.readouterr()
    return end.value.code, out, err


@pytest.fixture
def failing(monkeypatch):
    """A command line whose `train` raises what the test says."""

    def fail_with(error):
        app = typer.Typer()

        @app.command()
        def train():
            raise error

        @app.command()
        def other():
            pass

        monkeypatch.setattr(cli, "app", app)

    return fail_with


def test_help_lists_every_command(capsys):
    for arguments in ([], ["--help"]):
        code, out, _ = run(*arguments, capsys=capsys)
        assert code == 0
        assert all(f" {name} " in out for name in cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_and_a_seed(command, capsys):
    code, out, _ = run(command, "--help", capsys=capsys)
    assert code == 0
    assert "--seed" in out


@pytest.mark.parametrize("command", ["generate", "train", "evaluate", "predict"])
def test_every_command_of_a_group_has_help_and_a_seed(command, capsys):
    code, out, _ = run("qa", command, "--help", capsys=capsys)
    assert code == 0
    assert "--seed" in out


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from hgr_tf.cli.main import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'apache_beam', 'numpy', 'pyarrow'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False
    )
    assert done.returncode == 0


def test_version(capsys):
    assert run("--version", capsys=capsys)[:2] == (0, "hgr_tf 0.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tarin"], "No such command 'tarin'"),
        (["train"], "--config"),
        (["train", "--epochs", "x", "--config", "y"], "--epochs"),
        (["evaluate", "--run", "x", "--batch-size", "0"], "--batch-size"),
        (["train", "--confg", "x"], "--confg"),
    ],
)
def test_wrong_usage_is_one_line_and_exits_with_2(arguments, message, capsys):
    code, out, err = run(*arguments, capsys=capsys)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err and "--help" in err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("`x` must be 1,\n  got 2"), "hgr-tf: `x` must be 1, got 2\n"),
        (
            FileNotFoundError(2, "No such file", "a.yaml"),
            "hgr-tf: a.yaml: No such file\n",
        ),
        (ImportError("pip install it"), "hgr-tf: pip install it\n"),
        (
            ZeroDivisionError("division"),
            "hgr-tf: ZeroDivisionError: division (--debug shows the traceback)\n",
        ),
    ],
)
def test_errors_are_one_line_and_exit_with_1(error, line, failing, capsys):
    failing(error)
    assert run("train", capsys=capsys) == (1, "", line)


def test_debug_shows_the_traceback_wherever_it_stands(failing, capsys):
    for arguments in (["--debug", "train"], ["train", "--debug"]):
        failing(ValueError("told"))
        code, _, err = run(*arguments, capsys=capsys)
        assert code == 1
        assert "Traceback" in err and err.endswith("hgr-tf: told\n")


def test_interrupt_exits_with_130(failing, capsys):
    failing(KeyboardInterrupt())
    assert run("train", capsys=capsys) == (130, "", "hgr-tf: interrupted\n")
