"""Authentic evidence of NVIDIA's devices, and what a policy has to see of each."""

from collections.abc import Iterator
from dataclasses import replace

from sealroom.cbor import encode_cbor
from sealroom.pem import as_pem
from sealroom.tees.nvidia.claims import SAMPLE_NONCE
from sealroom.tees.nvidia.opaque import ENABLED, OpaqueType
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_cases import Bench, NvidiaCase
from sealroom.testing.nvidia_ocsp import UNKNOWN, OcspForm, mint_ocsp, revoked

__all__ = ["authentic"]

_HOLD = 6
_NVDEC0_INDEX = 35


def authentic(gpu: SimulatedGpu) -> Iterator[NvidiaCase]:
    """Every kind that can be had with ``gpu``; it is not over protected PCIe."""
    bench = Bench(gpu=gpu)
    yield bench.case("as it should be")
    yield from _answers(bench)
    yield from _references(bench)
    sample = gpu.sign(gpu.form(SAMPLE_NONCE))
    yield bench.case("the nonce of the vendor's samples", raw=sample, flags=frozenset({"sample_nonce"}))
    buffer = as_pem(*gpu.certificates).ljust(0x1400, b"\0")
    yield bench.case("certificates in the driver's buffer, filled with zeros", items={"cert_chain": buffer})
    form = bench.form()
    yield bench.case("opaque data of a type that nobody knows", form=form.with_item(99, b"later firmware"))
    if not gpu.family.is_switch:
        yield from _gpu(bench)


def _gpu(bench: Bench) -> Iterator[NvidiaCase]:
    gpu, form = bench.gpu, bench.form()
    missing = frozenset({"fwid_missing"})
    yield bench.case("firmware that does not name itself", form=form.with_item(OpaqueType.FWID, None), flags=missing)
    newer = form.with_item(OpaqueType.OPAQUE_DATA_VERSION, b"\2\0")
    yield bench.case("opaque data of a later version", form=newer, flags=frozenset({"opaque_version_unknown"}))
    off = form.with_measurement(_NVDEC0_INDEX, b"\x35" * 48)
    yield bench.case("NVDEC0 off and measured as something that was not released", form=off)
    on = replace(gpu, nvdec0=ENABLED)
    yield bench.on(on).case("NVDEC0 on and measured")
    for name, value in (("neither on nor off", b"\0"), ("not told", None)):
        odd = on.form(form.nonce).with_item(OpaqueType.NVDEC0_STATUS, value)
        yield bench.on(on).case(f"NVDEC0 {name}", form=odd, flags=frozenset({"nvdec0_unknown"}))
    pcie = frozenset({"protected_pcie"})
    yield bench.case("protected PCIe by its status", flags=pcie,
                     form=form.with_item(OpaqueType.PROTECTED_PCIE_STATUS, bytes((ENABLED,))))  # fmt: skip
    yield bench.case("protected PCIe by its feature flag", flags=pcie,
                     form=form.with_item(OpaqueType.FEATURE_FLAG, b"\2\0"))  # fmt: skip
    yield bench.case("several GPUs", form=form.with_item(OpaqueType.FEATURE_FLAG, b"\1\0"))
    old = form.with_item(OpaqueType.OPAQUE_DATA_VERSION, None).with_item(OpaqueType.FEATURE_FLAG, None)
    yield bench.case("firmware from before the feature flag", form=old)
    if gpu.family.chip == "GB100":
        yield bench.case("Blackwell that does not name its chip", form=form.with_item(OpaqueType.CHIP_INFO, None))


def _answers(bench: Bench) -> Iterator[NvidiaCase]:
    gpu = bench.gpu
    signers = [gpu.rim_answer(depth) for depth in range(3)]
    hold, unchecked = frozenset({"certificate_hold"}), frozenset({"revocation_not_checked"})
    for depth, name in ((1, "BROM"), (2, "provisioner"), (3, "identity CA")):
        yield bench.case(f"{name} on hold", items={"ocsp": gpu.ocsp({depth: revoked(_HOLD)})}, flags=hold)
        yield bench.case(f"{name} unknown to the responder", items={"ocsp": gpu.ocsp({depth: UNKNOWN})},
                         flags=unchecked)  # fmt: skip
        kept = encode_cbor([*(gpu.answer(other) for other in (1, 2, 3) if other != depth), *signers])
        yield bench.case(f"no answer for the {name}", items={"ocsp": kept}, flags=unchecked)
    yield bench.case("no answers", without=("ocsp",), flags=unchecked)
    for digest in ("sha1", "sha256"):
        answers = encode_cbor([*(gpu.answer(depth, digest=digest) for depth in (1, 2, 3)), *signers])
        yield bench.case(f"answers that name certificates by {digest}", items={"ocsp": answers})
    issuer, chain = gpu.vendor.provisioner(gpu.family), gpu.certificates
    own = mint_ocsp(OcspForm(certificate=chain[1], issuer=chain[2]), issuer.key)  # type: ignore[arg-type]
    answers = encode_cbor([own, gpu.answer(2), gpu.answer(3), *signers])
    yield bench.case("an answer signed by the issuer itself", items={"ocsp": answers})


def _references(bench: Bench) -> Iterator[NvidiaCase]:
    gpu, missing = bench.gpu, frozenset({"reference_values_missing"})
    yield bench.case("no reference values", without=("driver_rim", "vbios_rim"), flags=missing)
    if gpu.family.is_switch:
        return
    yield bench.case("no reference values of the driver", without=("driver_rim",), flags=missing)
    yield bench.case("no reference values of the VBIOS", without=("vbios_rim",), flags=missing)
    second = gpu.vbios_rim().values[12][1]
    yield bench.case(
        "a measurement that is the second of those released", form=bench.form().with_measurement(12, second)
    )
