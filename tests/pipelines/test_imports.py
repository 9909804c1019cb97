"""What loading the pipeline costs a worker, and says."""

import subprocess
import sys


def test_loads_no_tensorflow_and_tells_of_no_python_version():
    program = "import sys, hgr_tf.pipelines.run; print('tensorflow' in sys.modules)"
    command = [sys.executable, "-W", "default", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert "FutureWarning" not in done.stderr
