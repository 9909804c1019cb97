import pytest

from hgr_tf.cli import main as cli
from hgr_tf.training import INTERRUPTED, TrainingInterruptedError


def test_training_stopped_by_sigterm_has_an_exit_code_of_its_own(monkeypatch, capsys):
    def stopped(*arguments, **options):
        raise TrainingInterruptedError("stopped by SIGTERM after step 8")

    monkeypatch.setattr(cli, "app", stopped)
    with pytest.raises(SystemExit) as ended:
        cli.main(["train"])
    assert ended.value.code == INTERRUPTED == 75
    assert "hgr-tf: stopped by SIGTERM after step 8" in capsys.readouterr().err
