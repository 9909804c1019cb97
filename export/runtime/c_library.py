"""TensorFlow's C library through ctypes: its functions, structures and errors."""

from __future__ import annotations

import ctypes
import enum
import functools
import importlib.util
from pathlib import Path


class Code(enum.IntEnum):
    """TF_Code, which are gRPC's status codes too."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class SessionError(Exception):
    """A request that TensorFlow, or the server in its place, refused.

    Attributes:
        code: Number of a `Code`, or another status code of gRPC.
        message: Why.
    """

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


class Output(ctypes.Structure):
    """TF_Output: an output of an operation."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class Buffer(ctypes.Structure):
    """TF_Buffer: bytes and their length."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("deallocator", ctypes.c_void_p),
    ]

    def __init__(self, data: ctypes.c_void_p | None = None, length: int = 0):
        super().__init__(data, length, None)


class Status:
    """TF_Status, freed with the object."""

    def __init__(self, c: ctypes.CDLL):
        self._c = c
        self.pointer = c.TF_NewStatus()

    def check(self) -> None:
        """Raises `SessionError` unless the status is OK."""
        code = self._c.TF_GetCode(self.pointer)
        if code:
            message = self._c.TF_Message(self.pointer).decode(errors="replace")
            raise SessionError(code, message)

    def __del__(self) -> None:
        self._c.TF_DeleteStatus(self.pointer)


_PROTOTYPES = {
    "TF_NewGraph": (ctypes.c_void_p,),
    "TF_DeleteGraph": (None, ctypes.c_void_p),
    "TF_NewStatus": (ctypes.c_void_p,),
    "TF_DeleteStatus": (None, ctypes.c_void_p),
    "TF_GetCode": (ctypes.c_int, ctypes.c_void_p),
    "TF_Message": (ctypes.c_char_p, ctypes.c_void_p),
    "TF_NewSessionOptions": (ctypes.c_void_p,),
    "TF_DeleteSessionOptions": (None, ctypes.c_void_p),
    "TF_SetConfig": (
        None,
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_void_p,
    ),
    "TF_NewBuffer": (ctypes.POINTER(Buffer),),
    "TF_DeleteBuffer": (None, ctypes.POINTER(Buffer)),
    "TF_LoadSessionFromSavedModel": (
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.POINTER(Buffer),
        ctypes.c_void_p,
    ),
    "TF_DeleteSession": (None, ctypes.c_void_p, ctypes.c_void_p),
    "TF_GraphOperationByName": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p),
    "TF_SessionRun": (
        None,
        ctypes.c_void_p,
        ctypes.POINTER(Buffer),
        ctypes.POINTER(Output),
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_int,
        ctypes.POINTER(Output),
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ),
    "TF_AllocateTensor": (
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_int64),
        ctypes.c_int,
        ctypes.c_size_t,
    ),
    "TF_DeleteTensor": (None, ctypes.c_void_p),
    "TF_TensorData": (ctypes.c_void_p, ctypes.c_void_p),
    "TF_TensorType": (ctypes.c_int, ctypes.c_void_p),
    "TF_TensorByteSize": (ctypes.c_size_t, ctypes.c_void_p),
    "TF_NumDims": (ctypes.c_int, ctypes.c_void_p),
    "TF_Dim": (ctypes.c_int64, ctypes.c_void_p, ctypes.c_int),
    "TF_StringGetDataPointer": (ctypes.c_void_p, ctypes.c_void_p),
    "TF_StringGetSize": (ctypes.c_size_t, ctypes.c_void_p),
}
"""Result and arguments of each C function, from tensorflow/c/c_api.h."""


@functools.cache
def load_library() -> ctypes.CDLL:
    """The C library inside the installed tensorflow wheel.

    Raises:
        ImportError: TensorFlow is not installed.
    """
    spec = importlib.util.find_spec("tensorflow")
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("libtensorflow_cc*")):
            library = ctypes.CDLL(str(path))
            for name, (result, *arguments) in _PROTOTYPES.items():
                function = getattr(library, name)
                function.restype, function.argtypes = result, arguments
            return library
    raise ImportError(
        "the C library of TensorFlow is not there; install it with "
        "`pip install tensorflow`"
    )
