"""ModelVersions: the loaded versions of a model, kept up to date with its folder."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from hgr_tf.export.runtime.c_library import Code, SessionError
from hgr_tf.export.runtime.replay_warmup import replay_warmup
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.versions import versions

State = get_model_status_pb2.ModelVersionStatus
log = logging.getLogger(__name__)


@dataclass
class _Version:
    number: int
    state: int = State.START
    error: SessionError | None = None
    session: ServingSession | None = None
    users: int = 0
    idle: threading.Condition = field(default_factory=threading.Condition)


class ModelVersions:
    """Serves the newest version of a folder.

    A new version is loaded and warmed up before the old one is unloaded, and
    that one only when its last request has ended. A version that does not load
    leaves the one before serving. When the newest folder goes away, the one
    before it is served again.

    Args:
        name: Name of the model, as requests say it.
        base_path: Folder of the versions.
        poll_seconds: Time between two looks at the folder.
        threads: Threads of each session; 0 lets TensorFlow choose.
    """

    def __init__(
        self, name: str, base_path: str | Path, poll_seconds: float, threads: int = 0
    ):
        self.name = name
        self._base_path = Path(base_path)
        self._poll_seconds = poll_seconds
        self._threads = threads
        self._versions: dict[int, _Version] = {}
        self._serving: _Version | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll, daemon=True)

    def start(self) -> None:
        """Loads the newest version, then keeps looking for newer ones.

        Raises:
            SessionError: NOT_FOUND: there is none; or why it does not load.
        """
        self.refresh()
        if self._serving is None:
            failed = [v.error for v in self._versions.values() if v.error]
            absent = f"{self._base_path}: no version of a model there"
            raise (failed or [SessionError(Code.NOT_FOUND, absent)])[-1]
        self._poller.start()

    @property
    def folder(self) -> Path:
        """Folder of the version that is served."""
        with self._lock:
            if self._serving is None:
                raise RuntimeError(f"{self._base_path}: no version is served")
            return self._base_path / str(self._serving.number)

    def stop(self) -> None:
        """Stops looking, and unloads when the last request has ended."""
        self._stop.set()
        if self._poller.is_alive():
            self._poller.join()
        with self._lock:
            serving, self._serving = self._serving, None
        if serving:
            self._unload(serving)

    @contextlib.contextmanager
    def session(
        self, spec: model_pb2.ModelSpec
    ) -> Iterator[tuple[int, ServingSession]]:
        """The version that a ModelSpec asks for, kept loaded meanwhile.

        Raises:
            SessionError: NOT_FOUND: no such model or version;
                INVALID_ARGUMENT: a version label.
        """
        version, session = self._acquire(spec)
        try:
            yield version.number, session
        finally:
            with version.idle:
                version.users -= 1
                version.idle.notify_all()

    def status(
        self, spec: model_pb2.ModelSpec
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """States of all versions that were seen, or of the one asked for.

        Raises:
            SessionError: NOT_FOUND: no such model or version;
                INVALID_ARGUMENT: a version label.
        """
        _refuse_label(spec)
        wanted = spec.version.value if spec.HasField("version") else None
        known = [
            v
            for v in sorted(self._versions.values(), key=lambda v: -v.number)
            if wanted in (None, v.number) and spec.name == self.name
        ]
        if not known:
            which = "any versions" if wanted is None else f"version {wanted}"
            raise SessionError(
                Code.NOT_FOUND, f"Could not find {which} of model {spec.name}"
            )
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in known:
            status = response.model_version_status.add(
                version=version.number, state=version.state
            )
            if version.error:
                status.status.error_code = version.error.code
                status.status.error_message = version.error.message
        return response

    def refresh(self) -> None:
        """Looks at the folder once: loads what is newest, unloads the rest."""
        # Newest first, so that a version that does not load leaves the next.
        for number in reversed(versions(self._base_path)):
            version = self._versions.get(number)
            if version is self._serving and version is not None:
                return
            if version is not None and version.error:
                continue
            version = self._load(number)
            if version.error is None:
                with self._lock:
                    previous, self._serving = self._serving, version
                if previous:
                    self._unload(previous)
                return

    def _poll(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            try:
                self.refresh()
                self._forget_withdrawn()
            except OSError as error:
                log.error("cannot look for versions now: %s", error)

    def _forget_withdrawn(self) -> None:
        """Forgets failures of folders that are gone, maybe while they loaded."""
        published = versions(self._base_path)
        for version in list(self._versions.values()):
            if version.error and version.number not in published:
                self._versions.pop(version.number)

    def _load(self, number: int) -> _Version:
        version = self._versions[number] = _Version(number, State.LOADING)
        folder = self._base_path / str(number)
        try:
            version.session = ServingSession(folder, self._threads)
            replay_warmup(version.session, folder)
            if not folder.is_dir():
                # TensorFlow loads a model whose variables went away without them.
                raise SessionError(Code.NOT_FOUND, "withdrawn while it loaded")
            version.state = State.AVAILABLE
            log.info("version %d is available", number)
        except Exception as error:
            # Whatever is wrong with one version, the poller must outlive it.
            if not isinstance(error, SessionError):
                error = SessionError(Code.INTERNAL, f"{type(error).__name__}: {error}")
            if version.session:
                version.session.close()
            version.error, version.state = error, State.END
            log.error("version %d does not load: %s", number, error)
        return version

    def _unload(self, version: _Version) -> None:
        version.state = State.UNLOADING
        with version.idle:
            version.idle.wait_for(lambda: version.users == 0)
        if version.session:
            version.session.close()
        version.state = State.END
        self._versions.pop(version.number)
        log.info("version %d is unloaded", version.number)

    def _acquire(self, spec: model_pb2.ModelSpec) -> tuple[_Version, ServingSession]:
        _refuse_label(spec)
        with self._lock:
            version = self._serving
            wanted = spec.version.value if spec.HasField("version") else None
            if (
                version is None
                or version.session is None
                or spec.name != self.name
                or wanted not in (None, version.number)
            ):
                raise _not_found(spec.name, wanted)
            with version.idle:
                version.users += 1
            return version, version.session


def _refuse_label(spec: model_pb2.ModelSpec) -> None:
    if spec.version_label:
        raise SessionError(
            Code.INVALID_ARGUMENT,
            f"Unrecognized servable version label: {spec.version_label}",
        )


def _not_found(name: str, version: int | None) -> SessionError:
    asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return SessionError(Code.NOT_FOUND, f"Servable not found for request: {asked}")
