"""One fault each in the answers about a device's certificates."""

from collections.abc import Iterator

from sealroom.cbor import encode_cbor
from sealroom.evidence import Validity
from sealroom.testing.nvidia_cases import FUTURE, PAST, Bench, NvidiaCase
from sealroom.testing.nvidia_ocsp import OcspForm, mint_ocsp, revoked
from sealroom.testing.nvidia_vendor import new_key

__all__ = ["ocsp_faults"]

_NAMES = {1: "BROM", 2: "provisioner", 3: "identity CA"}
_KEY_COMPROMISE = 1


def ocsp_faults(bench: Bench) -> Iterator[NvidiaCase]:
    """What was withdrawn; answers that are not authentic, not of now, not for this certificate."""
    gpu = bench.gpu
    for depth, name in _NAMES.items():
        for word, status in (("for its key", revoked(_KEY_COMPROMISE)), ("for no reason", revoked(None)),
                             ("as superseded", revoked(4))):  # fmt: skip
            yield bench.case(f"{name} withdrawn {word}", "nvidia.revoked", items={"ocsp": gpu.ocsp({depth: status})})
        for word, window, code in (("that ran out", PAST, "x509.expired"), ("of tomorrow", FUTURE,
                                                                           "x509.not-yet-valid")):  # fmt: skip
            yield _with(bench, f"answer {word} for the {name}", code, gpu.answer(depth, window=window))
        stale = Validity(not_before=PAST.not_before, not_after=PAST.not_before)
        yield _with(bench, f"old answer without an end for the {name}", "x509.expired",
                    gpu.answer(depth, window=stale, has_end=False))  # fmt: skip
    yield from _authenticity(bench)
    for name, items in (("no CBOR", b"\xff"), ("an empty list", encode_cbor([])), ("a list of texts",
                        encode_cbor(["x"])), ("one answer and no list", encode_cbor(gpu.answer(1))),
                        ("a list of seventeen", encode_cbor([gpu.answer(1)] * 17))):  # fmt: skip
        broken = "nvidia.ocsp.cbor-simple-value" if name == "no CBOR" else "nvidia.ocsp"
        yield bench.case(f"answers that are {name}", broken, items={"ocsp": items})


def _authenticity(bench: Bench) -> Iterator[NvidiaCase]:
    gpu, chain = bench.gpu, bench.gpu.certificates
    issuer = gpu.vendor.provisioner(gpu.family)
    form, stranger = OcspForm(certificate=chain[1], issuer=chain[2]), new_key()
    yield _with(bench, "answer signed by a stranger", "x509.signature", mint_ocsp(form, stranger))
    yield _with(bench, "answer signed by the device itself", "nvidia.ocsp-responder",
                mint_ocsp(form, gpu.key, responder=gpu.leaf))  # fmt: skip
    yield _with(bench, "answer signed by a boot ROM of the same issuer", "nvidia.ocsp-responder",
                mint_ocsp(form, gpu.brom_key, responder=gpu.brom.certificate))  # fmt: skip
    above = gpu.vendor.identity(gpu.family)
    yield _with(bench, "answer by the responder of another CA", "x509.issuer-name", gpu.vendor.answer(form, above))
    for word, window, code in (("that ran out", PAST, "x509.expired"), ("of tomorrow", FUTURE, "x509.not-yet-valid")):
        yield _with(bench, f"answer by a responder {word}", code, gpu.vendor.answer(form, issuer, window=window))
    other = OcspForm(certificate=chain[1], issuer=chain[3])
    yield _with(bench, "answer that names another issuer", "nvidia.ocsp-other-certificate",
                gpu.vendor.answer(other, issuer))  # fmt: skip
    twice = OcspForm(certificate=chain[1], issuer=chain[2], answers=2)
    yield _with(bench, "two answers for one certificate", "nvidia.ocsp-other-certificate",
                gpu.vendor.answer(twice, issuer))  # fmt: skip
    for word, code, changed in (
        ("no answer: try later", "nvidia.ocsp-no-answer", {"response_status": 3}),
        ("an answer of another kind", "nvidia.ocsp", {"kind": "1.3.6.1.5.5.7.48.1.2"}),
        ("an answer with a digest that is not known", "nvidia.ocsp", {"digest": "sha512"}),
    ):
        yield _with(bench, word, code, gpu.answer(1, **changed))
    answer = gpu.answer(1)
    yield _with(bench, "answer cut off", "x509.der", answer[:-1])


def _with(bench: Bench, name: str, code: str, answer: bytes) -> NvidiaCase:
    """``answer`` alone: those that it does not speak of are not answered."""
    return bench.case(name, code, items={"ocsp": encode_cbor([answer])})
