import subprocess
import sys

WRITE = """
import os, sys, warnings
from hgr_tf.cli import quiet
quiet.silence()
quiet.filter_stderr()
os.write(2, b"I0000 00:00:1795728203.4 3020 port.cc:153] oneDNN is on\\n")
os.write(2, b"W0000 00:00:1795728203.4 3020 op.cc:1] a warning with a cause\\n")
os.write(2, b"E0000 00:00:1 1 cuda_dnn.cc:8310] Unable to register cuDNN factory\\n")
print("of Python", file=sys.stderr)
warnings.warn("users, look", UserWarning)
warnings.warn("of a library", FutureWarning)
os.write(2, b"last words")
{end}
"""


def run(end):
    return subprocess.run(
        [sys.executable, "-c", WRITE.format(end=end)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_only_what_a_user_cannot_act_on_is_left_out():
    lines = run(end="").stderr.splitlines()
    assert sorted(lines) == sorted(
        [
            "W0000 00:00:1795728203.4 3020 op.cc:1] a warning with a cause",
            "of Python",
            "hgr-tf: warning: users, look",
            "last words",
        ]
    )


def test_the_last_words_of_an_aborted_process_are_printed():
    done = run(end="os.abort()")
    assert done.returncode != 0
    assert "last words" in done.stderr
