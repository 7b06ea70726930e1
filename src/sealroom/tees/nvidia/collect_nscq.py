"""NVIDIA's library for NVLink switches (NSCQ, ``libnvidia-nscq.so.2``): its functions and structures, as they are.

Layouts and paths: ``nscq_attestation.h`` and ``pynscq`` of NVIDIA/nvtrust (API version 2). A question is a path that
is observed: the library calls back once for each device that the path names, with the answer in the call itself,
structures by value. A code below zero is an error, one above a warning with which the call succeeded all the same.

One session answers one question at a time: the nonce is set on the session before a report is observed.
"""

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sealroom.errors import MalformedError, UnavailableError

__all__ = ["LIBRARY", "Nscq", "NscqSession", "load_nscq"]

LIBRARY = "libnvidia-nscq.so.2"
_MOUNT_DEVICES = 1
_LABEL_SIZE = 64
_ALL = "/drv/nvswitch/{device}/uuid"
_CODES = {-1: "not implemented", -2: "no such device", -3: "the device can not be mounted", -4: "overflow",
          -5: "unexpected value", -6: "the library does not fit the driver", -7: "the driver failed", -8: "timeout",
          -127: "an error outside the library", -128: "unspecified"}  # fmt: skip
_ASKING = threading.Lock()

_Code = ctypes.c_int8
_Session = ctypes.c_void_p


class _Uuid(ctypes.Structure):
    """``nscq_uuid_t``."""

    _fields_ = (("octets", ctypes.c_uint8 * 16),)


class _SessionResult(ctypes.Structure):
    """``nscq_session_result_t``."""

    _fields_ = (("code", _Code), ("session", _Session))


class _Report(ctypes.Structure):
    """``nscq_attestation_report_t``."""

    _fields_ = (("size", ctypes.c_uint32), ("content", ctypes.c_uint8 * 0x2000))


class _Certificates(ctypes.Structure):
    """``nscq_attestation_certificate_t``."""

    _fields_ = (("content", ctypes.c_uint8 * 0x1400), ("size", ctypes.c_uint32))


def _callback(answer: Any) -> Any:
    """A function of C that gets device, code, answer and our own pointer (which we have no use for)."""
    return ctypes.CFUNCTYPE(None, ctypes.POINTER(_Uuid), _Code, answer, ctypes.c_void_p)


_ON_UUID, _ON_MODE = _callback(ctypes.POINTER(_Uuid)), _callback(ctypes.c_int8)
_ON_REPORT, _ON_CERTIFICATES = _callback(_Report), _callback(_Certificates)

_FUNCTIONS = {
    "nscq_session_create": (_SessionResult, (ctypes.c_uint32,)),
    "nscq_session_destroy": (None, (_Session,)),
    "nscq_session_path_observe": (_Code, (_Session, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p,
                                          ctypes.c_uint32)),
    "nscq_session_set_input": (_Code, (_Session, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)),
    "nscq_uuid_to_label": (_Code, (ctypes.POINTER(_Uuid), ctypes.c_char_p, ctypes.c_uint32)),
}  # fmt: skip


class Nscq:
    """The library, loaded."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    @contextmanager
    def session(self) -> Iterator["NscqSession"]:
        """A session of one's own; others wait meanwhile.

        Raises:
            UnavailableError: ``nvidia.no-nscq-session``.
        """
        with _ASKING:
            result = self._library.nscq_session_create(_MOUNT_DEVICES)
            if result.code < 0 or not result.session:
                raise UnavailableError(
                    "nvidia.no-nscq-session", "NVIDIA's switch library can not reach the switches' driver",
                    where=LIBRARY, got=_words(result.code),
                    hint="be root; are the switches passed to this machine (/dev/nvidia-nvswitch0), and the library "
                    "and the driver of one version?",
                )  # fmt: skip
            try:
                yield NscqSession(self._library, result.session)
            finally:
                self._library.nscq_session_destroy(result.session)


class NscqSession:
    """Questions to the switches. A switch is named by its label, as the library spells it."""

    def __init__(self, library: ctypes.CDLL, session: int) -> None:
        self._library = library
        self._session = session

    def labels(self) -> tuple[str, ...]:
        """Every switch of this machine, in an order that stays."""
        found = self._observed(_ALL, _ON_UUID, lambda uuid: self._label(uuid.contents), where="switches")
        return tuple(sorted(found))

    def mode(self, label: str) -> int:
        """What the switch says of its links: bit 0, they are trusted; bit 1, their set-up is locked."""
        return int(self._one(label, "pcie_mode", _ON_MODE, int))

    def certificates(self, label: str) -> bytes:
        """Its chain, as the library gives it."""
        return bytes(self._one(label, "certificate", _ON_CERTIFICATES, _content))

    def report(self, label: str, nonce: bytes) -> bytes:
        """A report that answers ``nonce``."""
        held = ctypes.create_string_buffer(nonce, len(nonce))
        self._require(self._library.nscq_session_set_input(self._session, 0, held, len(nonce)), f"switch {label}")
        return bytes(self._one(label, "attestation_report", _ON_REPORT, _content))

    def _one(self, label: str, name: str, kind: Any, read: Callable[[Any], Any]) -> Any:
        answers = self._observed(f"/{label}/config/{name}", kind, read, where=f"switch {label}")
        if len(answers) != 1:
            raise UnavailableError("nvidia.no-switch-answer", "the switch library gave no single answer",
                                   where=f"switch {label}, {name}", got=f"{len(answers)} answers")  # fmt: skip
        return answers[0]

    def _observed(self, path: str, kind: Any, read: Callable[[Any], Any], *, where: str) -> list[Any]:
        answers: list[Any] = []
        codes: list[int] = []

        def heard(_device: Any, code: int, answer: Any, _ours: Any) -> None:
            """Runs in C's hands, where an exception would be lost: what was wrong is kept for afterwards."""
            codes.append(code)
            if code >= 0:
                try:
                    answers.append(read(answer))
                except Exception as error:  # noqa: BLE001 - raised again below
                    answers.append(error)

        called = kind(heard)
        code = self._library.nscq_session_path_observe(
            self._session, path.encode(), ctypes.cast(called, ctypes.c_void_p), None, 0
        )
        for one in (code, *codes):
            self._require(one, where)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _label(self, uuid: _Uuid) -> str:
        text = ctypes.create_string_buffer(_LABEL_SIZE + 1)
        self._require(self._library.nscq_uuid_to_label(ctypes.byref(uuid), text, 0), "switches")
        return text.value.decode("ascii", "replace")

    def _require(self, code: int, where: str) -> None:
        if code < 0:
            raise UnavailableError("nvidia.no-switch-answer", "the switch library gave no answer", where=where,
                                   got=_words(code), hint="the driver's log (dmesg) may say more")  # fmt: skip


def load_nscq(library: str = LIBRARY) -> Nscq:
    """Load the library.

    Raises:
        UnavailableError: ``nvidia.no-nscq``: it is not there; ``nvidia.nscq-too-old``: it knows no attestation.
    """
    try:
        loaded = ctypes.CDLL(library)
    except OSError as error:
        raise UnavailableError("nvidia.no-nscq", "NVIDIA's library for NVLink switches can not be loaded",
                               where=library, got=str(error)[:120],
                               hint="install libnvidia-nscq in the version of the driver") from None  # fmt: skip
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(loaded, name, None)
        if function is None:
            raise UnavailableError("nvidia.nscq-too-old", "NVIDIA's library for NVLink switches has no attestation",
                                   where=library, got=f"no {name}",
                                   hint="install libnvidia-nscq in the version of the driver")  # fmt: skip
        function.restype, function.argtypes = result, arguments
    return Nscq(loaded)


def _content(answer: Any) -> bytes:
    if not 0 < answer.size <= len(answer.content):
        raise MalformedError("nvidia.wrong-length", "the switch library gave a buffer of a size that can not be",
                             got=answer.size, expected=f"1 to {len(answer.content)}")  # fmt: skip
    return bytes(answer.content[: answer.size])


def _words(code: int) -> str:
    return f"code {code}: {_CODES[code]}" if code in _CODES else f"code {code}"
