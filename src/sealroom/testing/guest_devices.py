"""The kernel's devices for guests, and a host's quote generation service, without silicon behind them.

Simulators: the code under test fills the same structures as on silicon, and these read and write the memory that they
point to as the kernel does. What they can not show is the kernel's own checks beyond those written here.
"""

import ctypes
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from sealroom.cbor import CborValue, encode_cbor, read_cbor
from sealroom.tees.nitro.collect_device import NSM_RAW, REQUEST_SIZE, RESPONSE_SIZE, NsmDevice, NsmRequest
from sealroom.tees.snp.collect_device import (
    GET_EXT_REPORT,
    GET_REPORT,
    ExtendedRequest,
    GuestRequest,
    ReportRequest,
    ReportResponse,
    SevGuestDevice,
)
from sealroom.tees.tdx.collect_device import TdReportRequest, TdxGuestDevice

__all__ = ["EmulatedNsm", "EmulatedQuoteService", "EmulatedSevGuest", "EmulatedTdxGuest"]

_REPORT_DATA_IN_TDREPORT = 128
"""REPORTDATA in REPORTMACSTRUCT (TDX module ABI, TDREPORT_STRUCT)."""


class EmulatedSevGuest(SevGuestDevice):
    """An emulated ``/dev/sev-guest``.

    Args:
        report: what the firmware answers to report data.
        table: the host's certificate table.
    """

    def __init__(self, report: Callable[[bytes], bytes], *, table: bytes = b"") -> None:
        self.pauses: list[float] = []
        super().__init__(Path("/dev/sev-guest"), pause=self.pauses.append)
        self.busy = 0
        """How many of the next requests the host puts off."""
        self.status = 0
        """What the firmware's message says."""
        self.error = 0
        """An error number for the next requests."""
        self.levels: list[int] = []
        """Every privilege level that was asked at."""
        self._answer = report
        self._table = table

    def control(self, number: int, request: GuestRequest) -> None:
        """What the driver does with a request."""
        if self.error:
            raise _os_error(self.error)
        if self.busy:
            self.busy -= 1
            request.vmm_error = 2
            raise _os_error(errno.EAGAIN)
        if request.msg_version != 1 or number not in {GET_REPORT, GET_EXT_REPORT}:
            raise _os_error(errno.EINVAL)
        plain = ReportRequest.from_address(request.req_data)
        if number == GET_EXT_REPORT:
            extended = ExtendedRequest.from_address(request.req_data)
            self._hand_over_table(extended, request)
            plain = extended.data
        self.levels.append(plain.vmpl)
        report = self._answer(bytes(plain.user_data))
        message = struct.pack("<II24x", self.status, len(report)) + report
        ctypes.memmove(request.resp_data, message.ljust(ctypes.sizeof(ReportResponse), b"\x00"), 4000)

    def _hand_over_table(self, extended: ExtendedRequest, request: GuestRequest) -> None:
        if extended.certs_len % 4096 or extended.certs_len > 0x4000:
            raise _os_error(errno.EINVAL)
        if len(self._table) > extended.certs_len:
            request.vmm_error = 1
            extended.certs_len = -(-len(self._table) // 4096) * 4096
            raise _os_error(errno.EIO)
        ctypes.memmove(extended.certs_address, self._table, len(self._table))


class EmulatedTdxGuest(TdxGuestDevice):
    """An emulated ``/dev/tdx_guest``: a TDREPORT with nothing in it but the report data."""

    def __init__(self) -> None:
        super().__init__(Path("/dev/tdx_guest"))
        self.error = 0

    def control(self, number: int, request: TdReportRequest) -> None:
        """What the driver does with a request."""
        if self.error or number != 0xC4405401:
            raise _os_error(self.error or errno.ENOTTY)
        request.td_report[_REPORT_DATA_IN_TDREPORT : _REPORT_DATA_IN_TDREPORT + 64] = bytes(request.report_data)


class EmulatedNsm(NsmDevice):
    """An emulated ``/dev/nsm``.

    Args:
        document: what the module answers to user data, nonce and public key.
        change: changes the answer before it is encoded, to have a module that is wrong or lies.
    """

    def __init__(
        self,
        document: Callable[[bytes | None, bytes | None, bytes | None], bytes],
        *,
        change: Callable[[CborValue], CborValue] = lambda answer: answer,
    ) -> None:
        super().__init__(Path("/dev/nsm"))
        self.error = 0
        self.raw_answer: bytes | None = None
        """In place of any other."""
        self.asked: list[CborValue] = []
        """Every request, decoded."""
        self._document = document
        self._change = change

    def control(self, number: int, request: NsmRequest) -> None:
        """What the driver does with a request."""
        if self.error:
            raise _os_error(self.error)
        if number != NSM_RAW or request.request.length > REQUEST_SIZE or request.response.length > RESPONSE_SIZE:
            raise _os_error(errno.EINVAL)
        body = ctypes.string_at(request.request.address, request.request.length)
        answer = self._answered(body) if self.raw_answer is None else self.raw_answer
        ctypes.memmove(request.response.address, answer, min(len(answer), request.response.length))
        request.response.length = len(answer)

    def _answered(self, body: bytes) -> bytes:
        question = read_cbor(body)
        self.asked.append(question)
        given = question.get("Attestation") if isinstance(question, dict) else None
        if not isinstance(given, dict):
            return encode_cbor({"Error": "InvalidOperation"})
        wanted = [value if isinstance(value := given.get(name), bytes) else None
                  for name in ("user_data", "nonce", "public_key")]  # fmt: skip
        if any(value is not None and len(value) > 512 for value in wanted[:2]):
            return encode_cbor({"Error": "InputTooLarge"})
        return encode_cbor(self._change({"Attestation": {"document": self._document(*wanted)}}))


class EmulatedQuoteService:
    """A host's quote generation service at the other end of a socket pair, one thread for each connection.

    Args:
        quote: the quote over report data.
        change: changes the framed answer before it is sent, to have a service that is wrong or lies.
    """

    def __init__(
        self, quote: Callable[[bytes], bytes], *, change: Callable[[bytes], bytes] = lambda raw: raw
    ) -> None:
        self._quote = quote
        self._change = change
        self.error = 0

    def connect(self) -> socket.socket:
        """One end of a stream; the service answers at the other."""
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return ours

    def _serve(self, stream: socket.socket) -> None:
        with stream, stream.makefile("rb") as received:
            (length,) = struct.unpack(">I", received.read(4))
            message = received.read(length)
            major, _minor, kind, size, _error, report_size, _ids = struct.unpack_from("<HHIIIII", message)
            assert (major, kind, size) == (1, 0, length)  # noqa: S101 - a simulator that refuses what QGS would
            report = message[24 : 24 + report_size]
            quote = self._quote(report[_REPORT_DATA_IN_TDREPORT : _REPORT_DATA_IN_TDREPORT + 64])
            answer = struct.pack("<HHIIIII", 1, 0, 1, 24 + len(quote), self.error, 0, len(quote)) + quote
            stream.sendall(self._change(struct.pack(">I", len(answer)) + answer))


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
