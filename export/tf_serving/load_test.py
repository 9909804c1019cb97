"""`python -m hgr_tf.export.tf_serving.load_test`: latency of a server under load.

Sends the warm-up requests of a version, over and over, and prints JSON.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import grpc
import numpy as np
import typer
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from hgr_tf.export.runtime.replay_warmup import read_warmup
from hgr_tf.export.versions import version_path


def main(
    server: Annotated[str, typer.Option(help="host:port of the gRPC service.")],
    model: Annotated[Path, typer.Option(help="Folder of the model's versions.")],
    name: Annotated[str | None, typer.Option(help="The folder's name if None.")] = None,
    signature: Annotated[
        str, typer.Option(help="Whose requests to send.")
    ] = "serving_default",
    clients: Annotated[int, typer.Option(min=1, help="Requests at once.")] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, help="Duration.")] = 10.0,
    timeout: Annotated[float, typer.Option(help="Seconds for a request.")] = 1.0,
) -> None:
    """Measures requests a second, latency percentiles and errors by code."""
    name = name or model.resolve().name
    requests = list(_requests(version_path(model), name, signature))
    if not requests:
        raise typer.BadParameter(f"{model} has no warm-up requests of {signature!r}")
    end = time.monotonic() + seconds
    results = [_Results() for _ in range(clients)]
    threads = [
        threading.Thread(target=_ask, args=(server, requests, end, timeout, result))
        for result in results
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    typer.echo(json.dumps(_summary(results, seconds), indent=1))


class _Results:
    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.errors: list[str] = []


def _requests(
    folder: Path, name: str, signature: str
) -> Iterator[predict_pb2.PredictRequest]:
    for log in read_warmup(folder):
        request = log.predict_log.request
        if request.model_spec.signature_name == signature:
            request.model_spec.name = name
            yield request


def _ask(
    server: str,
    requests: list[predict_pb2.PredictRequest],
    end: float,
    timeout: float,
    results: _Results,
) -> None:
    with grpc.insecure_channel(server) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        sent = 0
        while (start := time.monotonic()) < end:
            try:
                stub.Predict(requests[sent % len(requests)], timeout=timeout)
                results.milliseconds.append((time.monotonic() - start) * 1000)
            except grpc.RpcError as error:
                results.errors.append(error.code().name)
            sent += 1


def _summary(results: list[_Results], seconds: float) -> dict:
    latencies = np.concatenate([r.milliseconds for r in results])
    errors = [code for r in results for code in r.errors]
    percentiles = {}
    if len(latencies):
        for percentile in (50, 90, 99):
            value = float(np.percentile(latencies, percentile))
            percentiles[f"p{percentile}_ms"] = round(value, 3)
    return {
        "answers": len(latencies),
        "answers_per_second": round(len(latencies) / seconds, 1),
        **percentiles,
        "errors": {code: errors.count(code) for code in sorted(set(errors))},
    }


if __name__ == "__main__":
    typer.run(main)
