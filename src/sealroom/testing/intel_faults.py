"""One fault each in Intel evidence, all else right: every one has to be refused, each for its own reason.

`faults` gives them all; those in what Intel signs are in `intel_fault_chain`, those in what the platform signs here.
"""

from collections.abc import Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.evidence import Tee
from sealroom.tees._dcap.quote import TDX
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.intel_cases import Bench, MintedCase
from sealroom.testing.intel_fault_chain import (
    certificate_faults,
    document_faults,
    level_faults,
    list_faults,
    module_faults,
)

__all__ = ["faults"]


def faults(platform: DcapPlatform) -> Iterator[MintedCase]:
    """Every fault that is minted, for TDX and SGX."""
    for tee in (Tee.TDX, Tee.SGX):
        bench = Bench(platform=platform, tee=tee)
        for part in (_headers, _certification_types, _enclaves, _keys, certificate_faults, list_faults,
                     document_faults, level_faults):  # fmt: skip
            yield from part(bench)
    yield from module_faults(Bench(platform=platform))
    yield from _bodies(Bench(platform=platform))


def _headers(bench: Bench) -> Iterator[MintedCase]:
    form = bench.form()
    other = replace(bench, tee=Tee.TDX if bench.tee is Tee.SGX else Tee.SGX)
    yield bench.case("version 2", "dcap.unsupported-version", form=replace(form, version=2))
    yield bench.case("attestation key on P-384", "dcap.attestation-key-type", form=replace(form, key_type=3))
    yield bench.case("another QE vendor", "dcap.qe-vendor", form=replace(form, vendor=bytes(16)))
    if bench.tee is Tee.SGX:
        yield bench.case("TD in version 3", "dcap.tee-type", form=replace(form, tee_type=TDX))
    yield bench.case("quote of the other TEE", f"{bench.tee}.other-tee", form=other.form(version=4))
    yield bench.case("cut off", "dcap.too-short", raw=bench.platform.quote(form)[:-1])


def _certification_types(bench: Bench) -> Iterator[MintedCase]:
    """Types 1 to 4 are genuine, and bring no chain."""
    for kind in (1, 2, 3, 4, 6, 7):
        yield bench.case(f"certification data of type {kind}", "dcap.unsupported-certification",
                         form=replace(bench.form(), certification_type=kind))  # fmt: skip
    if bench.tee is Tee.TDX:
        yield bench.case("outer certification data of type 5", "dcap.unsupported-certification",
                         form=replace(bench.form(), outer_certification_type=5))  # fmt: skip


def _enclaves(bench: Bench) -> Iterator[MintedCase]:
    """The quoting enclave is another one than Intel's."""
    changes: tuple[tuple[str, str, dict[str, int | bytes]], ...] = (
        ("in debug mode", "dcap.qe-attributes", {"attributes": 0x17}),
        ("of another signer", "dcap.qe-mrsigner", {"mr_signer": b"\x01" * 32}),
        ("of another product", "dcap.qe-isvprodid", {"isv_prod_id": 7}),
        ("with other state saved", "dcap.qe-miscselect", {"misc_select": b"\x01\x00\x00\x00"}),
        ("below every level", "dcap.qe-tcb-not-supported", {"isv_svn": 0}),
    )
    for name, code, qe in changes:
        yield bench.case(f"quoting enclave {name}", code, form=replace(bench.form(), qe=qe))


def _keys(bench: Bench) -> Iterator[MintedCase]:
    """Signed by somebody else, or something else was signed."""
    form, platform = bench.form(), bench.platform
    point = platform.attestation_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    bound = "dcap.attestation-key-binding"
    yield bench.case("key bound without the auth data", bound, form=replace(form, bound_to=point))
    yield bench.case("another key bound", bound, form=replace(form, bound_to=bytes(64) + form.auth_data))
    raw = platform.quote(form)
    start = raw.rindex(form.auth_data)
    auth = raw[:start] + bytes(32) + raw[start + 32 :]
    yield bench.case("other auth data than were bound", bound, raw=auth)
    other = replace(platform, pck_key=ec.generate_private_key(ec.SECP256R1()))
    yield bench.case("QE report signed by another key", "dcap.qe-report-signature",
                     raw=other.quote(form, leaf=platform.leaf))  # fmt: skip
    end = raw.index(point)
    theirs = replace(platform, attestation_key=other.pck_key).quote(form)[end - 64 : end]
    yield bench.case("quote signed by another key", "dcap.quote-signature", raw=raw[: end - 64] + theirs + raw[end:])
    edited = form.body[:-1] + bytes((form.body[-1] ^ 1,))
    yield bench.case("report data changed", "dcap.quote-signature", raw=raw.replace(form.body, edited))


def _bodies(bench: Bench) -> Iterator[MintedCase]:
    """Version 5 states what its body is."""
    form = bench.form(version=5, td_15=True)
    for name, kind in (("1.5 said to be 1.0", 2), ("of type 4", 4), ("said to be an enclave's", 1)):
        changed = replace(form, body_type=kind, tee_type=TDX)
        yield bench.case(f"body {name}", "dcap.body-type", form=changed)
