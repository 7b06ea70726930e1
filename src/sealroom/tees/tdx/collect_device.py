"""``/dev/tdx_guest`` and the host's quote generation service, where there is no configfs-tsm (kernel 6.2 to 6.6).

The device (Linux ``include/uapi/linux/tdx-guest.h``) gives a TDREPORT, which only this machine can check. The host's
quoting enclave turns it into a quote: over vsock, port 4050, in the messages of Intel's DCAP (``qgs_msg_lib.h``):
four bytes of length, most significant first, then a message of little-endian numbers.
"""

import ctypes
import errno
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from sealroom.errors import MalformedError, UnavailableError
from sealroom.tees._tsm.collect_device import device_request

__all__ = ["GET_REPORT", "QUOTE_PORT", "QuoteService", "TdReportRequest", "TdxGuestDevice"]

DEVICE = Path("/dev/tdx_guest")
GET_REPORT = 0xC4405401
"""``_IOWR('T', 1, struct tdx_report_req)``: TDX_CMD_GET_REPORT0."""
QUOTE_PORT = 4050

_HOST = 2
"""VMADDR_CID_HOST."""
_TIMEOUT = 30.0
"""Seconds: a quoting enclave that must be loaded first takes some."""
_VERSION = (1, 0)
_REQUEST, _RESPONSE = 0, 1
_HEADER = struct.Struct("<HHIII")
"""Major, minor, type, size with the header, error."""
_SIZES = struct.Struct("<II")
_LENGTH = struct.Struct(">I")
_MAX_MESSAGE = 64 * 1024


class TdReportRequest(ctypes.Structure):
    """``struct tdx_report_req``."""

    _fields_ = (("report_data", ctypes.c_uint8 * 64), ("td_report", ctypes.c_uint8 * 1024))


class TdxGuestDevice:
    """The device. `sealroom.testing.guest_devices` emulates a kernel by extending it."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or DEVICE

    def control(self, number: int, request: TdReportRequest) -> None:
        """Run one request.

        Raises:
            OSError: as the kernel gives it.
        """
        device_request(self.path, number, request)

    def td_report(self, report_data: bytes) -> bytes:
        """The TDREPORT (1024 bytes) over ``report_data`` (64 bytes).

        Raises:
            UnavailableError: ``tdx.no-report``.
        """
        request = TdReportRequest(report_data=(ctypes.c_uint8 * 64)(*report_data))
        try:
            self.control(GET_REPORT, request)
        except OSError as reason:
            raise UnavailableError(
                "tdx.no-report",
                "the device gives no TDREPORT",
                where=str(self.path),
                got=f"{errno.errorcode.get(reason.errno or 0, 'an error')}: {reason.strerror}",
                hint="is this a TDX guest, the module tdx-guest loaded, and the process root?",
            ) from None
        return bytes(request.td_report)


class QuoteService:
    """The host's quote generation service (QGS). It is outside, and nothing that it says is believed.

    Args:
        connect: opens a stream to it; by default vsock to the host.
    """

    def __init__(self, connect: Callable[[], socket.socket] | None = None) -> None:
        self._connect = connect or _vsock

    def quote(self, td_report: bytes) -> bytes:
        """The quote over ``td_report``.

        Raises:
            UnavailableError: ``tdx.no-quote``: the service can not be reached, or refuses.
            MalformedError: ``tdx.quote-message``: its answer is not one.
        """
        size = _HEADER.size + _SIZES.size + len(td_report)
        message = _HEADER.pack(*_VERSION, _REQUEST, size, 0) + _SIZES.pack(len(td_report), 0) + td_report
        try:
            with self._connect() as stream:
                stream.settimeout(_TIMEOUT)
                stream.sendall(_LENGTH.pack(len(message)) + message)
                (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
                if length > _MAX_MESSAGE:
                    raise _bad_message("is longer than any", length, f"at most {_MAX_MESSAGE} bytes")
                answer = _exactly(stream, length)
        except OSError as reason:
            raise _no_quote(f"{type(reason).__name__}: {reason.strerror or reason}") from None
        return _quote_in(answer)


def _vsock() -> socket.socket:
    stream = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        stream.settimeout(_TIMEOUT)
        stream.connect((_HOST, QUOTE_PORT))
    except BaseException:
        stream.close()
        raise
    return stream


def _exactly(stream: socket.socket, size: int) -> bytes:
    parts, missing = [], size
    while missing:
        part = stream.recv(missing)
        if not part:
            raise _bad_message("ends early", size - missing, f"{size} bytes")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _quote_in(answer: bytes) -> bytes:
    start = _HEADER.size + _SIZES.size
    if len(answer) < start:
        raise _bad_message("is too short", len(answer), f"{start} bytes or more")
    major, _minor, kind, size, error = _HEADER.unpack_from(answer)
    if (major, kind, size) != (_VERSION[0], _RESPONSE, len(answer)):
        raise _bad_message("has another header", f"version {major}, type {kind}, size {size}",
                           f"version {_VERSION[0]}, type {_RESPONSE}, size {len(answer)}")  # fmt: skip
    if error:
        raise _no_quote(f"error 0x{error:x}")
    identity, quote = _SIZES.unpack_from(answer, _HEADER.size)
    if start + identity + quote != len(answer) or not quote:
        raise _bad_message("has sizes that do not fill it", f"{identity} and {quote} bytes", f"{len(answer) - start}")
    return answer[start + identity :]


def _no_quote(got: str) -> UnavailableError:
    return UnavailableError("tdx.no-quote", "the host's quote generation service gives no quote",
                            where=f"vsock port {QUOTE_PORT}", got=got,
                            hint="the operator must run one (qgsd) on the host, within reach of this guest",
                            )  # fmt: skip


def _bad_message(what: str, got: object, expected: str) -> MalformedError:
    return MalformedError("tdx.quote-message", f"the quote generation service's answer {what}", got=got,
                          expected=expected)  # fmt: skip
