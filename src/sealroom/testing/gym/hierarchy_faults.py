"""One fault at a time in a hierarchy of one's own, all else right and signed: one check alone can refuse it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sealroom.evidence import Tee
from sealroom.testing import der
from sealroom.testing.gym.byte_edits import flipped
from sealroom.testing.gym.hierarchy import Hierarchy, with_revoked
from sealroom.testing.gym.json_spans import json_spans
from sealroom.testing.gym.mutation import Expectation, Level, Mutation

__all__ = ["hierarchy_mutations"]

Fault = tuple[str, Hierarchy]

_HEADERS = (
    ("version 2", 0, b"\2\0"),
    ("version 6", 0, b"\6\0"),
    ("attestation key type 3", 2, b"\3\0"),
    ("tee type 1", 4, b"\1\0\0\0"),
    ("another QE vendor", 12, bytes(16)),
    ("a QE vendor but for a bit", 27, b"\6"),
)

_SGX = "1.2.840.113741.1.13.1"
_PAST, _FUTURE = b"010101000000Z", b"490101000000Z"
_TIME = re.compile(rb"\x17\x0d(\d{12}Z)")


def hierarchy_mutations(world: Hierarchy) -> Iterator[Mutation]:
    """Every fault of this kind, and what is no fault although every byte of it was signed by another key."""
    for label, faulty in (*_quote(world), *_enclave(world), *_certificates(world), *_signers(world), *_lists(world),
                          *_tcb_info(world), *_modules(world), *_qe_identity(world)):  # fmt: skip
        yield _mutation(label, faulty, Expectation.FORGERY)
    for label, faulty in _other_spellings(world):
        yield _mutation(label, faulty, Expectation.BENIGN)
    for label, faulty in (*_wrong_types(world), *_without_root(world)):
        yield _mutation(label, faulty, Expectation.NEUTRAL)


def _mutation(label: str, world: Hierarchy, expectation: Expectation) -> Mutation:
    return Mutation(label=f"re-minted: {label}", level=Level.MINTED, expectation=expectation,
                    sample=world.sample())  # fmt: skip


def _changed(world: Hierarchy, name: str, value: object) -> Hierarchy:
    changes: dict[str, Any] = {name: value}
    return replace(world, **changes)


def _quote(world: Hierarchy) -> Iterator[Fault]:
    parts = world.parts
    for label, place, value in _HEADERS:
        header = parts.header[:place] + value + parts.header[place + len(value) :]
        yield f"quote of {label}", replace(world, parts=replace(parts, header=header))
    for label, outer in (("5", 5), ("0", 0)):
        if parts.outer_type is not None:
            yield f"outer certification type {label}", replace(world, parts=replace(parts, outer_type=outer))
    if parts.body_head:
        yield (
            "body type of another size",
            replace(world, parts=replace(parts, body_head=_other_type(parts.body_head))),
        )
    yield "report signed by the intermediate", replace(world, report_signer="intermediate")
    yield "report signed by the root", replace(world, report_signer="root")
    yield "report that binds another key", replace(world, bound=False)


def _other_type(head: bytes) -> bytes:
    return bytes((5 - head[0],)) + head[1:] if head[0] in {2, 3} else b"\2" + head[1:]


def _enclave(world: Hierarchy) -> Iterator[Fault]:
    """The quoting enclave's own report, signed by the right key."""
    report = world.parts.qe_report
    edits = {"mr_signer": flipped(report, 8 * 128), "mr_signer's last bit": flipped(report, 8 * 159 + 7),
             "isv_prod_id": flipped(report, 8 * 256), "high byte of isv_prod_id": flipped(report, 8 * 257),
             "isv_svn zero": report[:258] + bytes(2) + report[260:], "debug": flipped(report, 8 * 48 + 1),
             "misc_select": flipped(report, 8 * 16), "attributes' INIT": flipped(report, 8 * 48)}  # fmt: skip
    for label, changed in edits.items():
        yield f"quoting enclave of another {label}", replace(world, parts=replace(world.parts, qe_report=changed))


def _certificates(world: Hierarchy) -> Iterator[Fault]:
    for name in ("leaf", "intermediate", "tcb_signer"):
        body = getattr(world, name)
        first, last = (match.span(1) for match in _TIME.finditer(body))
        expired = body[: last[0]] + _PAST + body[last[1] :]
        early = body[: first[0]] + _FUTURE + body[first[1] :]
        yield f"{name} expired", _changed(world, name, expired)
        yield f"{name} not valid yet", _changed(world, name, early)
        usage = body.replace(b"\x55\x1d\x0f\x01\x01\xff", b"\x55\x1d\x7f\x01\x01\xff")
        if usage != body:
            yield f"{name} with a critical extension that nobody knows", _changed(world, name, usage)
    yield "leaf signed by the root", replace(world, leaf_signer="root")
    yield "leaf signed by itself", replace(world, leaf_signer="pck")
    yield "intermediate signed by itself", replace(world, intermediate_signer="intermediate")
    no_ca = world.intermediate.replace(b"\x01\x01\xff\x02\x01\x00", b"\x01\x01\x00\x02\x01\x00")
    yield "intermediate that is no CA", replace(world, intermediate=no_ca)
    no_sign = world.intermediate.replace(b"\x03\x02\x01\x06", b"\x03\x02\x01\x02")
    yield "intermediate that may not sign certificates", replace(world, intermediate=no_sign)
    renamed = world.intermediate.replace(b"Intel SGX PCK P", b"Intel SGX PCK Q")
    yield "intermediate of another name than the leaf's issuer", replace(world, intermediate=renamed)
    yield "chain without its intermediate", replace(world, quote_chain=("pck", "root"))
    yield "chain of the root alone", replace(world, quote_chain=("root",))
    for label, number, size in (("FMSPC", 4, 6), ("PCEID", 3, 2)):
        yield f"leaf of another {label}", replace(world, leaf=_another_octets(world.leaf, f"{_SGX}.{number}", size))
    without = world.leaf.replace(der.oid(_SGX) + b"\x04", der.oid("1.2.840.113741.1.13.9") + b"\x04", 1)
    yield "leaf without Intel's extension", replace(world, leaf=without)


def _another_octets(body: bytes, oid: str, size: int) -> bytes:
    marker = der.oid(oid) + bytes((0x04, size))
    place = body.index(marker) + len(marker)
    return body[:place] + bytes(byte ^ 0x11 for byte in body[place : place + size]) + body[place + size :]


def _signers(world: Hierarchy) -> Iterator[Fault]:
    """Documents signed by keys that lead to the root, and are not there for this."""
    yield "documents signed by the platform's key", replace(
        world, documents_signer="pck", documents_chain=("pck", "intermediate", "root"))  # fmt: skip
    yield "documents signed by the intermediate", replace(
        world, documents_signer="intermediate", documents_chain=("intermediate", "root"))  # fmt: skip
    yield "documents signed by the root", replace(world, documents_signer="root", documents_chain=("root", "root"))
    yield "documents signed by another key than their chain's", replace(world, documents_signer="pck")
    yield "signer of documents issued by the intermediate", replace(
        world, tcb_signer_signer="intermediate", documents_chain=("tcb", "intermediate", "root"))  # fmt: skip
    yield "signer of documents issued by itself", replace(world, tcb_signer_signer="tcb")
    renamed = world.tcb_signer.replace(b"Intel SGX TCB Signing", b"Intel SGX QCB Signing")
    yield "signer of documents of another name", replace(world, tcb_signer=renamed)


def _lists(world: Hierarchy) -> Iterator[Fault]:
    revoked = {"leaf": "pck_crl", "intermediate": "root_crl", "tcb_signer": "root_crl"}
    for name, place in revoked.items():
        body = with_revoked(getattr(world, place), world.serial(name))
        yield f"{name} revoked", _changed(world, place, body)
    for name, signers in (("pck_crl", ("root", "pck", "tcb")), ("root_crl", ("intermediate", "pck", "tcb"))):
        for signer in signers:
            yield f"{name} signed by {signer}", _changed(world, f"{name}_signer", signer)
        body = getattr(world, name)
        first, last = (match.span(1) for match in list(_TIME.finditer(body))[:2])
        yield f"{name} expired", _changed(world, name, body[: last[0]] + _PAST + body[last[1] :])
        yield f"{name} not valid yet", _changed(world, name, body[: first[0]] + _FUTURE + body[first[1] :])
    yield "the root's list as the intermediate's", replace(world, pck_crl=world.root_crl, pck_crl_signer="root")
    yield "the intermediate's list as the root's", replace(
        world, root_crl=world.pck_crl, root_crl_signer="intermediate")  # fmt: skip


def _with(text: bytes, path: str, value: bytes) -> bytes:
    """The text with another value at ``path``, where ``*`` stands for every element; unchanged if there is none."""
    pattern = re.compile(re.escape(path).replace(r"\*", r"\d+"))
    for span in reversed([span for span in json_spans(text) if pattern.fullmatch(span.path)]):
        text = text[: span.start] + value + text[span.end :]
    return text


def _edited(world: Hierarchy, name: str, edits: dict[str, tuple[str, bytes]]) -> Iterator[Fault]:
    text = getattr(world, name)
    for label, (path, value) in edits.items():
        changed = _with(text, path, value)
        if changed != text:
            yield f"{name} {label}", _changed(world, name, changed)


_TIMES = {
    "issued tomorrow": ("/issueDate", b'"2049-01-01T00:00:00Z"'),
    "out of date": ("/nextUpdate", b'"2001-01-01T00:00:00Z"'),
    "of version 1": ("/version", b"1"),
    "of version 9": ("/version", b"9"),
    "without levels": ("/tcbLevels", b"[]"),
    "whose levels are all revoked": ("/tcbLevels/*/tcbStatus", b'"Revoked"'),
    "of a status that nobody knows": ("/tcbLevels/*/tcbStatus", b'"Fine"'),
}


def _tcb_info(world: Hierarchy) -> Iterator[Fault]:
    text = world.tcb_info
    other = b'"SGX"' if world.base.tee is Tee.TDX else b'"TDX"'
    edits = _TIMES | {
        "of another FMSPC": ("/fmspc", b'"0123456789AB"'),
        "of another PCEID": ("/pceId", b'"ABCD"'),
        "of the other TEE": ("/id", other),
        "of no TEE": ("/id", b'"NONE"'),
        "whose levels ask for more components": ("/tcbLevels/*/tcb/sgxtcbcomponents/*/svn", b"255"),
        "whose levels ask for a later PCE": ("/tcbLevels/*/tcb/pcesvn", b"65535"),
        "with eight components": ("/tcbLevels/*/tcb/sgxtcbcomponents", b"[" + b",".join([b'{"svn":0}'] * 8) + b"]"),
        "with no components": ("/tcbLevels/*/tcb/sgxtcbcomponents", b"[]"),
    }
    if world.base.tee is Tee.TDX:
        svns = b"[" + b",".join([b'{"svn":0}'] * 8) + b"]"
        edits |= {"whose levels ask for more of the module": ("/tcbLevels/*/tcb/tdxtcbcomponents/2/svn", b"255"),
                  "with eight components of the module": ("/tcbLevels/*/tcb/tdxtcbcomponents", svns)}  # fmt: skip
    yield from _edited(world, "tcb_info", edits)
    if _with(text, "/id", b'""') != text:
        twice = text.replace(b'"fmspc":', b'"fmspc":"000000000000","fmspc":', 1)
        yield "tcb_info with two FMSPCs", replace(world, tcb_info=twice)


def _modules(world: Hierarchy) -> Iterator[Fault]:
    """The TDX module's own identity and levels; a version 0 module has none, and then there is nothing to change."""
    if world.base.tee is not Tee.TDX:
        return
    svn = world.parts.body[:16]
    path = "/tdxModuleIdentities/*"
    if svn[1]:
        edits = {"without the module": (f"{path}/id", b'"TDX_7E"'),
                 "without modules": ("/tdxModuleIdentities", b"[]"),
                 "whose module is revoked": (f"{path}/tcbLevels/*/tcbStatus", b'"Revoked"'),
                 "whose module is too new": (f"{path}/tcbLevels/*/tcb/isvsvn", b"255"),
                 "whose module has no levels": (f"{path}/tcbLevels", b"[]"),
                 "whose module has another signer": (f"{path}/mrsigner", b'"' + b"11" * 48 + b'"')}  # fmt: skip
        yield from _edited(world, "tcb_info", edits)
    body = world.parts.body
    for label, changed in (("signer", flipped(body, 8 * 64)), ("attributes", flipped(body, 8 * 112))):
        yield f"module of another {label}", replace(world, parts=replace(world.parts, body=changed))
    unknown = replace(world.parts, body=body[:1] + b"\x7d" + body[2:])
    yield "module of a version that nobody knows", replace(world, parts=unknown)


def _qe_identity(world: Hierarchy) -> Iterator[Fault]:
    other = b'"QE"' if world.base.tee is Tee.TDX else b'"TD_QE"'
    edits = _TIMES | {
        "of the other enclave": ("/id", other),
        "of the verifying enclave": ("/id", b'"QVE"'),
        "of another signer": ("/mrsigner", b'"' + b"11" * 32 + b'"'),
        "of another product": ("/isvprodid", b"7"),
        "of other attributes": ("/attributes", b'"' + b"FF" * 16 + b'"'),
        "whose levels are all newer": ("/tcbLevels/*/tcb/isvsvn", b"65535"),
    }
    yield from _edited(world, "qe_identity", edits)


def _other_spellings(world: Hierarchy) -> Iterator[Fault]:
    """Signed as they stand: it is the bytes that count, and not how somebody would have written them."""
    for name in ("tcb_info", "qe_identity"):
        text = getattr(world, name)
        yield f"{name} with spaces", _changed(world, name, text.replace(b",", b" , ").replace(b":{", b": {"))
        yield f"{name} with a member that nobody knows", _changed(world, name, text[:-1] + b',"unheardOf":[{}]}')
    yield "tcb_info in small letters", replace(world, tcb_info=_with(world.tcb_info, "/fmspc", _fmspc(world).lower()))
    yield "tcb_info in capitals", replace(world, tcb_info=_with(world.tcb_info, "/fmspc", _fmspc(world).upper()))
    yield "another certificate revoked", replace(world, pck_crl=with_revoked(world.pck_crl, 12345))


def _fmspc(world: Hierarchy) -> bytes:
    return next(span.of(world.tcb_info) for span in json_spans(world.tcb_info) if span.path == "/fmspc")


def _wrong_types(world: Hierarchy) -> Iterator[Fault]:
    """Signed, and of other types than Intel's documents have: no verifier need take them, none may misread them."""
    level = "/tcbLevels/*/tcb"
    for word, value in (("a text", b'"1"'), ("a fraction", b"0.5"), ("less than nothing", b"-1"), ("true", b"true"),
                        ("null", b"null"), ("a list", b"[]"), ("beyond a byte", b"256"),
                        ("beyond any machine", b"9" * 40), ("an exponent", b"1e400")):  # fmt: skip
        edits = {f"with {word} for a version": (f"{level}/sgxtcbcomponents/0/svn", value),
                 f"with {word} for the PCE": (f"{level}/pcesvn", value)}  # fmt: skip
        yield from _edited(world, "tcb_info", edits)
        yield from _edited(world, "qe_identity", {f"with {word} for a version": (f"{level}/isvsvn", value)})


def _without_root(world: Hierarchy) -> Iterator[Fault]:
    """Who keeps the root need not be sent it."""
    yield "chain without its root", replace(world, quote_chain=("pck", "intermediate"))
    yield "signer of documents alone", replace(world, documents_chain=("tcb",))
