"""TDX and SGX quotes as trees: header, report, what signed it, and the platform's certificates."""

from collections.abc import Mapping

from sealroom.cli.inspecting.certificates import describe_certificates
from sealroom.cli.inspecting.tree import Description, Tree, shown_bytes
from sealroom.errors import MalformedError, SealroomError, UnverifiedError
from sealroom.fixed_layout import Layout
from sealroom.tees._dcap.layouts import ENCLAVE_REPORT, HEADER, TD_REPORT_10, TD_REPORT_15
from sealroom.tees._dcap.pck import read_pck_identity
from sealroom.tees._dcap.quote import TDX, Quote, read_quote
from sealroom.x509_reader import read_certificates

__all__ = ["describe_quote", "looks_like_quote"]

_VERSIONS, _KEY_TYPES = range(3, 6), (2, 3)
_BODIES = {1: ENCLAVE_REPORT, 2: TD_REPORT_10, 3: TD_REPORT_15}
_PADDING = b"\x00 \t\r\n"
_BITS: Mapping[str, Mapping[int, str]] = {
    "td_attributes": {
        0: "debug", 27: "lass", 28: "sept_ve_disable", 29: "migratable", 30: "pks", 31: "kl", 62: "tpa",
        63: "perfmon",
    },
    "attributes": {
        0: "init", 1: "debug", 2: "mode64", 4: "provision_key", 5: "einittoken_key", 6: "cet", 7: "kss",
        10: "aex_notify",
    },
}  # fmt: skip
"""Names of bits (TDX module ABI, TDATTRIBUTES; SDM volume 3D, ATTRIBUTES)."""
_IN_HEX = ("xfam", "xfrm", "tee_type")


def looks_like_quote(raw: bytes) -> bool:
    """Whether ``raw`` begins as quotes do: version, and type of the attestation key."""
    version, key_type = int.from_bytes(raw[:2], "little"), int.from_bytes(raw[2:4], "little")
    return version in _VERSIONS and key_type in _KEY_TYPES


def describe_quote(raw: bytes) -> Description:
    """A quote, part by part; one without a chain, or cut off, as far as it can be read."""
    header = HEADER.parse(raw[: HEADER.size])
    is_tdx = header.integer("tee_type") == TDX
    content: dict[str, Tree] = {"header": _fields(HEADER, raw[: HEADER.size])}
    content["report"] = _report(raw, header.integer("version"), is_tdx=is_tdx)
    try:
        content |= _signed(read_quote(raw), raw)
    except (MalformedError, UnverifiedError) as error:
        content["signature"] = f"can not be read: {error}"
    return Description(f"{'TDX' if is_tdx else 'SGX'} quote, version {header.integer('version')}", content)


def _report(raw: bytes, version: int, *, is_tdx: bool) -> Tree:
    body_type, start = (2 if is_tdx else 1), HEADER.size
    if version == 5:  # says itself what body follows
        body_type, start = int.from_bytes(raw[start : start + 2], "little"), start + 6
    layout = _BODIES.get(body_type)
    if layout is None:
        return f"of type {body_type}, which is not known here"
    try:
        return _fields(layout, raw[start : start + layout.size])
    except MalformedError as error:
        return f"can not be read: {error}"


def _signed(quote: Quote, raw: bytes) -> dict[str, Tree]:
    after = len(raw) - quote.size
    try:
        enclave: Tree = _fields(ENCLAVE_REPORT, quote.qe_report)
    except MalformedError as error:
        enclave = f"can not be read: {error}"
    return {
        "attestation key": quote.attestation_key.hex(),
        "quoting enclave": enclave,
        "platform": _platform(quote),
        "certificates": _certificates(quote),
        "after the quote": f"{after} bytes, which nobody vouches for" if after else "nothing",
    }


def _platform(quote: Quote) -> Tree:
    """What the leaf says of the machine."""
    try:
        leaf, issuer, *_ = read_certificates(quote.pck_chain.rstrip(_PADDING))
        pck = read_pck_identity(leaf, issuer)
    except (SealroomError, ValueError) as error:
        return f"can not be read: {error}"
    shown: dict[str, Tree] = {
        "fmspc": pck.fmspc.hex(),
        "pce_id": pck.pce_id.hex(),
        "ppid": pck.ppid.hex(),
        "components": ", ".join(map(str, pck.components)),
        "pcesvn": pck.pcesvn,
        "certified by": f"the {pck.ca} CA",
    }
    if pck.platform_instance_id is not None:
        shown["platform_instance_id"] = pck.platform_instance_id.hex()
    return shown


def _certificates(quote: Quote) -> Tree:
    try:
        return describe_certificates(quote.pck_chain.rstrip(_PADDING)).content
    except (MalformedError, UnverifiedError) as error:
        return f"can not be read: {error}"


def _fields(layout: Layout, raw: bytes) -> dict[str, Tree]:
    shown: dict[str, Tree] = {}
    for name, value in layout.parse(raw).items():
        if isinstance(value, bytes):
            shown[name] = shown_bytes(value)
        elif name in _BITS:
            shown[name] = f"0x{value:016x}: {_named(value, _BITS[name])}"
        else:
            shown[name] = f"0x{value:x}" if name in _IN_HEX else value
    return shown


def _named(value: int, names: Mapping[int, str]) -> str:
    bits = [names.get(bit, f"bit {bit}") for bit in range(64) if value >> bit & 1]
    return ", ".join(bits) or "none"
