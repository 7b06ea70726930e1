"""Until when each part of collateral says that it holds: read off, and not verified."""

import json
from collections.abc import Iterator
from datetime import datetime

from sealroom.errors import SealroomError
from sealroom.evidence import Collateral
from sealroom.tees._dcap.collateral import crl_bytes
from sealroom.tees.nvidia.ocsp_response import read_response
from sealroom.tees.nvidia.revocation import stapled_answers
from sealroom.tees.nvidia.rim import rim_certificates
from sealroom.x509_reader import read_certificates, read_crl, read_der_certificate

__all__ = ["earliest_end", "item_lines"]


def earliest_end(collateral: Collateral) -> datetime | None:
    """The earliest end that can be read off; None if none can."""
    ends = [end for name, raw in collateral.items.items() if (end := _end(name, raw)) is not None]
    return min(ends, default=None)


def item_lines(collateral: Collateral) -> list[tuple[str, str]]:
    """Each item's name, and its size and end in words."""
    return list(_lines(collateral))


def _lines(collateral: Collateral) -> Iterator[tuple[str, str]]:
    for name, raw in sorted(collateral.items.items()):
        end = _end(name, raw)
        yield name, f"{len(raw):>7} bytes, " + ("can not be read" if end is None else f"until {end.isoformat()}")


def _end(name: str, raw: bytes) -> datetime | None:
    try:
        if "crl" in name and not name.endswith("chain"):
            return read_crl(crl_bytes(raw)).validity.not_after
        if name == "ocsp":
            return _first_answer_to_end(raw)
        if name.endswith("_rim"):
            return min(read_der_certificate(der).validity.not_after for der in rim_certificates(raw))
        if name.endswith("response"):
            return _next_update(raw)
        return min(certificate.validity.not_after for certificate in read_certificates(raw))
    except SealroomError:
        return None


def _first_answer_to_end(raw: bytes) -> datetime:
    answers = [single for answer in stapled_answers(Collateral(items={"ocsp": raw}))
               for single in read_response(answer).singles]  # fmt: skip
    return min(answer.next_update or answer.this_update for answer in answers)


def _next_update(raw: bytes) -> datetime | None:
    try:
        (inner,) = (value for value in json.loads(raw).values() if isinstance(value, dict))
        return datetime.fromisoformat(inner["nextUpdate"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
