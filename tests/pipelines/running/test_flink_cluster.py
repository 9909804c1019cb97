"""The command that starts a Flink cluster, without Flink."""

import http.server
import sys
import threading

import pytest

from hgr_tf.pipelines.running import flink_cluster


class Overview(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"slots-total": 4}')

    def log_message(self, *_):
        pass


def test_job_manager_is_asked_without_a_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://localhost:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.HTTPServer(("localhost", 0), Overview) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert flink_cluster._slots_of(server.server_port) == 4


def test_missing_java_is_told_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["flink_cluster"])
    monkeypatch.setattr(flink_cluster.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="flink_cluster: FlinkRunner needs Java, and"):
        flink_cluster._main()


def test_interrupt_during_the_start_ends_quietly(monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["flink_cluster"])
    monkeypatch.setattr(flink_cluster.signal, "signal", lambda *_: None)
    monkeypatch.setattr(flink_cluster, "flink_cluster", interrupted)
    flink_cluster._main()
