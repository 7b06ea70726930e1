"""``/dev/sev-guest``: the requests of Linux ``include/uapi/linux/sev-guest.h``, kernel 5.19 and later.

A request is a small structure that points to two others, and the kernel answers into our memory. The firmware's own
answer (56860 section 7.3, MSG_REPORT_RSP) is a status, a size, and the report at offset 32.
"""

import ctypes
import errno
import time
from collections.abc import Callable
from pathlib import Path

from sealroom.errors import UnavailableError
from sealroom.tees._tsm.collect_device import device_request

__all__ = [
    "GET_EXT_REPORT",
    "GET_REPORT",
    "ExtendedRequest",
    "GuestRequest",
    "ReportRequest",
    "ReportResponse",
    "SevGuestDevice",
]

DEVICE = Path("/dev/sev-guest")
GET_REPORT = 0xC0205300
"""``_IOWR('S', 0x0, struct snp_guest_request_ioctl)``."""
GET_EXT_REPORT = 0xC0205302
"""``_IOWR('S', 0x2, struct snp_guest_request_ioctl)``."""

_MESSAGE_VERSION = 1
_TABLE_SIZE = 0x4000
"""The most that the kernel takes for certificates (SEV_FW_BLOB_MAX_SIZE); a multiple of the page size, as it must."""
_REPORT_OFFSET, _REPORT_SIZE = 32, 1184
_HOST_LENGTH, _HOST_BUSY = 1, 2
"""What the host may answer (``vmm_error``): the table is longer than the buffer; ask again later."""
_ATTEMPTS = 8


class ReportRequest(ctypes.Structure):
    """``struct snp_report_req``."""

    _fields_ = (("user_data", ctypes.c_uint8 * 64), ("vmpl", ctypes.c_uint32), ("reserved", ctypes.c_uint8 * 28))


class ExtendedRequest(ctypes.Structure):
    """``struct snp_ext_report_req``."""

    _fields_ = (("data", ReportRequest), ("certs_address", ctypes.c_uint64), ("certs_len", ctypes.c_uint32))


class ReportResponse(ctypes.Structure):
    """``struct snp_report_resp``: the firmware's message."""

    _fields_ = (("data", ctypes.c_uint8 * 4000),)


class GuestRequest(ctypes.Structure):
    """``struct snp_guest_request_ioctl``."""

    _fields_ = (
        ("msg_version", ctypes.c_uint8),
        ("req_data", ctypes.c_uint64),
        ("resp_data", ctypes.c_uint64),
        ("fw_error", ctypes.c_uint32),
        ("vmm_error", ctypes.c_uint32),
    )


class SevGuestDevice:
    """The device. `sealroom.testing.guest_devices` emulates a kernel by extending it."""

    def __init__(self, path: Path | None = None, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.path = path or DEVICE
        self._pause = pause

    def control(self, number: int, request: GuestRequest) -> None:
        """Run one request.

        Raises:
            OSError: as the kernel gives it.
        """
        device_request(self.path, number, request)

    def extended_report(self, report_data: bytes, *, vmpl: int) -> tuple[bytes, bytes]:
        """The report and the host's certificate table (empty if the host has none that fits).

        Raises:
            UnavailableError: ``snp.no-report``.
        """
        table = ctypes.create_string_buffer(_TABLE_SIZE)
        plain = ReportRequest(user_data=(ctypes.c_uint8 * 64)(*report_data), vmpl=vmpl)
        extended = ExtendedRequest(data=plain, certs_address=ctypes.addressof(table), certs_len=_TABLE_SIZE)
        response = ReportResponse()
        if self._asked(GET_EXT_REPORT, extended, response):
            return self._report(response), table.raw[: min(extended.certs_len, _TABLE_SIZE)]
        # the table is longer than the kernel hands on: the report alone, and the certificates from elsewhere
        if not self._asked(GET_REPORT, plain, response):
            raise self._no_report("the host refuses even a report without certificates")
        return self._report(response), b""

    def require_answer(self, got: bytes, wanted: bytes) -> None:
        """Raise `UnavailableError` unless the report is over what was asked for."""
        if got != wanted:
            raise UnavailableError("snp.other-report", "the device answered with a report over something else",
                                   where=str(self.path), got=got.hex(), expected=wanted.hex())  # fmt: skip

    def _asked(self, number: int, body: ctypes.Structure, response: ReportResponse) -> bool:
        """Whether the request was answered; False: the host's table did not fit."""
        for attempt in range(1, _ATTEMPTS + 1):
            request = GuestRequest(msg_version=_MESSAGE_VERSION, req_data=ctypes.addressof(body),
                                   resp_data=ctypes.addressof(response))  # fmt: skip
            try:
                self.control(number, request)
            except OSError as reason:
                if request.vmm_error == _HOST_LENGTH:
                    return False
                if request.vmm_error != _HOST_BUSY and reason.errno not in {errno.EAGAIN, errno.EINTR, errno.EBUSY}:
                    raise self._refused(reason, request) from None
            else:
                return True
            self._pause(min(0.01 * 2**attempt, 1.0))
        raise self._no_report(f"busy, {_ATTEMPTS} times")

    def _report(self, response: ReportResponse) -> bytes:
        message = bytes(response.data)
        status, size = (int.from_bytes(message[at : at + 4], "little") for at in (0, 4))
        if status or size != _REPORT_SIZE:
            raise self._no_report(f"firmware status 0x{status:x}, {size} bytes")
        return message[_REPORT_OFFSET : _REPORT_OFFSET + _REPORT_SIZE]

    def _refused(self, reason: OSError, request: GuestRequest) -> UnavailableError:
        name = errno.errorcode.get(reason.errno or 0, "an error")
        return self._no_report(
            f"{name}: {reason.strerror}, firmware 0x{request.fw_error:x}, host 0x{request.vmm_error:x}"
        )

    def _no_report(self, got: str) -> UnavailableError:
        return UnavailableError("snp.no-report", "the device gives no attestation report", where=str(self.path),
                                got=got, hint="is this an SEV-SNP guest, the module sev-guest loaded, the process "
                                "root, and the VMPL not below the guest's own?")  # fmt: skip
