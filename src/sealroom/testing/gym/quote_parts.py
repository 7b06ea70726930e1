"""A DCAP quote in its parts, to be put together again with any of them changed. Checks nothing.

Offsets as in the quote generation library's format (versions 3, 4 and 5): header 48, body, length of the signature
data, signature data. Written apart from the parser that is being tried, so that one mistake is not made twice.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sealroom.testing.gym.byte_edits import Span

__all__ = ["HEADER", "QuoteParts", "enclave_report_fields", "spans", "split"]

HEADER = 48
_REPORT = 384
_BODY_SIZES = {1: 384, 2: 584, 3: 648}
_OUTER_TYPE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteParts:
    """Version 3 has no outer certification data: its ``outer_type`` is None."""

    header: bytes
    body_head: bytes
    """Version 5: type and size of the body, as they stand there."""
    body: bytes
    signature: bytes
    attestation_key: bytes
    outer_type: int | None
    qe_report: bytes
    qe_report_signature: bytes
    auth_data: bytes
    certification_type: int
    certification_data: bytes
    trailing: bytes

    @property
    def signed(self) -> bytes:
        """What the attestation key signs."""
        return self.header + self.body_head + self.body

    def joined(self) -> bytes:
        """The quote, every length as it has to be."""
        inner = self.qe_report + self.qe_report_signature + struct.pack("<H", len(self.auth_data)) + self.auth_data
        inner += struct.pack("<HI", self.certification_type, len(self.certification_data)) + self.certification_data
        outer = b"" if self.outer_type is None else struct.pack("<HI", self.outer_type, len(inner))
        data = self.signature + self.attestation_key + outer + inner
        return self.signed + struct.pack("<I", len(data)) + data + self.trailing


def split(raw: bytes) -> QuoteParts:
    """The parts of a quote that is known to be well formed."""
    version = int.from_bytes(raw[:2], "little")
    at = {span.name: span for span in spans(raw)}
    head = raw[HEADER : HEADER + 6] if version == 5 else b""
    begin = HEADER + len(head)
    return QuoteParts(
        header=raw[:HEADER],
        body_head=head,
        body=raw[begin : at["signature data length"].start],
        signature=raw[at["signature r"].start : at["signature s"].end],
        attestation_key=raw[at["attestation key x"].start : at["attestation key y"].end],
        outer_type=_OUTER_TYPE if version > 3 else None,
        qe_report=raw[at["qe report cpu_svn"].start : at["qe report report_data"].end],
        qe_report_signature=raw[at["qe report signature r"].start : at["qe report signature s"].end],
        auth_data=at["auth data"].of(raw),
        certification_type=int.from_bytes(at["certification type"].of(raw), "little"),
        certification_data=at["certification data"].of(raw),
        trailing=raw[at["certification data"].end :],
    )


def spans(raw: bytes) -> Iterator[Span]:
    """Every field of a well-formed quote, in order, the trailing bytes left out."""
    version = int.from_bytes(raw[:2], "little")
    tdx = int.from_bytes(raw[4:8], "little") == 0x81
    place, body_type = HEADER, 2 if tdx else 1
    yield from _rows("", 0, _HEADER_FIELDS)
    if version == 5:
        body_type = int.from_bytes(raw[48:50], "little")
        yield Span("body type", 48, 50)
        yield Span("body size", 50, 54, is_length=True)
        place += 6
    yield from enclave_report_fields(place, "") if body_type == 1 else _rows("", place, _td_fields(body_type))
    place += _BODY_SIZES[body_type]
    yield Span("signature data length", place, place + 4, is_length=True)
    place += 4
    yield from _signature_data(raw, place, nested=version > 3)


def enclave_report_fields(start: int, prefix: str) -> Iterator[Span]:
    """The fields of an SGX enclave report at ``start``."""
    yield from _rows(prefix, start, _REPORT_FIELDS)


def _signature_data(raw: bytes, place: int, *, nested: bool) -> Iterator[Span]:
    yield from _rows("", place, (("signature r", 32), ("signature s", 32), ("attestation key x", 32),
                                 ("attestation key y", 32)))  # fmt: skip
    place += 128
    if nested:
        yield Span("outer certification type", place, place + 2)
        yield Span("outer certification size", place + 2, place + 6, is_length=True)
        place += 6
    yield from enclave_report_fields(place, "qe report ")
    place += _REPORT
    yield from _rows("", place, (("qe report signature r", 32), ("qe report signature s", 32)))
    place += 64
    yield Span("auth size", place, place + 2, is_length=True)
    auth = place + 2 + int.from_bytes(raw[place : place + 2], "little")
    yield Span("auth data", place + 2, auth)
    yield Span("certification type", auth, auth + 2)
    yield Span("certification size", auth + 2, auth + 6, is_length=True)
    yield Span("certification data", auth + 6, auth + 6 + int.from_bytes(raw[auth + 2 : auth + 6], "little"))


def _rows(prefix: str, start: int, rows: tuple[tuple[str, int], ...]) -> Iterator[Span]:
    for name, size in rows:
        yield Span(prefix + name, start, start + size)
        start += size


_HEADER_FIELDS = (("version", 2), ("attestation key type", 2), ("tee type", 4), ("qe svn", 2), ("pce svn", 2),
                  ("qe vendor id", 16), ("user data", 20))  # fmt: skip
_REPORT_FIELDS = (("cpu_svn", 16), ("misc_select", 4), ("reserved 20", 12), ("isv_ext_prod_id", 16),
                  ("attributes", 8), ("xfrm", 8), ("mr_enclave", 32), ("reserved 96", 32), ("mr_signer", 32),
                  ("reserved 160", 32), ("config_id", 64), ("isv_prod_id", 2), ("isv_svn", 2), ("config_svn", 2),
                  ("reserved 262", 42), ("isv_family_id", 16), ("report_data", 64))  # fmt: skip


def _td_fields(body_type: int) -> tuple[tuple[str, int], ...]:
    fields = (("tee_tcb_svn", 16), ("mr_seam", 48), ("mr_signer_seam", 48), ("seam_attributes", 8),
              ("td_attributes", 8), ("xfam", 8), ("mr_td", 48), ("mr_config_id", 48), ("mr_owner", 48),
              ("mr_owner_config", 48), ("rtmr0", 48), ("rtmr1", 48), ("rtmr2", 48), ("rtmr3", 48),
              ("report_data", 64))  # fmt: skip
    return fields + ((("tee_tcb_svn_2", 16), ("mr_service_td", 48)) if body_type == 3 else ())
