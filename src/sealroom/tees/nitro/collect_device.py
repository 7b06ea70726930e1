"""``/dev/nsm``: one request of Linux ``include/uapi/linux/nsm.h`` (kernel 6.8 and later; AWS's own module before it).

A request points to two buffers, and the kernel writes the length of the answer over that of the second. What is in
them is CBOR as AWS's crate ``aws-nitro-enclaves-nsm-api`` writes it: ``{"Attestation": {…}}``, ``{"Error": "…"}``.
"""

import ctypes
import errno
from pathlib import Path

from sealroom.cbor import CborValue, encode_cbor, read_cbor
from sealroom.errors import MalformedError, UnavailableError
from sealroom.tees._tsm.collect_device import device_request

__all__ = ["NSM_RAW", "REQUEST_SIZE", "RESPONSE_SIZE", "NsmDevice", "NsmRequest"]

DEVICE = Path("/dev/nsm")
NSM_RAW = 0xC0200A00
"""``_IOWR(0x0A, 0x0, struct nsm_raw)``."""
REQUEST_SIZE, RESPONSE_SIZE = 0x1000, 0x3000
"""The most that the kernel takes, and hands back."""


class _Buffer(ctypes.Structure):
    """``struct nsm_iovec``."""

    _fields_ = (("address", ctypes.c_uint64), ("length", ctypes.c_uint64))


class NsmRequest(ctypes.Structure):
    """``struct nsm_raw``."""

    _fields_ = (("request", _Buffer), ("response", _Buffer))


class NsmDevice:
    """The device. `sealroom.testing.guest_devices` emulates a kernel by extending it."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or DEVICE

    def control(self, number: int, request: NsmRequest) -> None:
        """Run one request.

        Raises:
            OSError: as the kernel gives it.
        """
        device_request(self.path, number, request)

    def document(self, *, user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes:
        """An attestation document that carries these.

        Raises:
            UnavailableError: ``nitro.no-document``: the device or the module gave none.
            MalformedError: ``nitro.*``: what it gave is no answer.
        """
        asked: CborValue = {"user_data": user_data, "nonce": nonce, "public_key": public_key}
        answer = read_cbor(self._asked(encode_cbor({"Attestation": asked})), area="nitro")
        if isinstance(answer, dict) and set(answer) == {"Error"}:
            raise self._no_document(f"the module answers {ascii(answer['Error'])[:80]}")
        given = answer.get("Attestation") if isinstance(answer, dict) and len(answer) == 1 else None
        document = given.get("document") if isinstance(given, dict) and len(given) == 1 else None
        if not isinstance(document, bytes):
            raise MalformedError("nitro.answer", "the security module's answer is no attestation",
                                 where=str(self.path), got=ascii(answer)[:80])  # fmt: skip
        return document

    def _asked(self, body: bytes) -> bytes:
        if len(body) > REQUEST_SIZE:
            raise self._no_document(f"a request of {len(body)} bytes is larger than the device takes")
        question = ctypes.create_string_buffer(body, len(body))
        answer = ctypes.create_string_buffer(RESPONSE_SIZE)
        request = NsmRequest(
            request=_Buffer(address=ctypes.addressof(question), length=len(body)),
            response=_Buffer(address=ctypes.addressof(answer), length=RESPONSE_SIZE),
        )
        try:
            self.control(NSM_RAW, request)
        except OSError as reason:
            name = errno.errorcode.get(reason.errno or 0, "an error")
            raise self._no_document(f"{name}: {reason.strerror}") from None
        length = int(request.response.length)
        if length > RESPONSE_SIZE:
            raise self._no_document(f"an answer of {length} bytes in a buffer of {RESPONSE_SIZE}")
        return answer.raw[:length]

    def _no_document(self, got: str) -> UnavailableError:
        return UnavailableError("nitro.no-document", "the security module gives no attestation document",
                                where=str(self.path), got=got, hint="is this a Nitro enclave, the module nsm loaded, "
                                "and the process root?")  # fmt: skip
