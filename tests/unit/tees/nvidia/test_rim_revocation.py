"""Reference values are worth what their signer's certificates are: they are asked about as the device's own."""

from datetime import timedelta

import pytest

from sealroom.cbor import encode_cbor
from sealroom.errors import SealroomError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import nvidia
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_cases import AT, NONCE
from sealroom.testing.nvidia_ocsp import UNKNOWN, revoked


@pytest.fixture(scope="module")
def gpu() -> SimulatedGpu:
    return SimulatedGpu.create()


def _judge(gpu: SimulatedGpu, *rim_answers: bytes, at=AT) -> Claims:
    answers = [*(gpu.answer(depth) for depth in (1, 2, 3)), *rim_answers]
    items = gpu.items(ocsp=encode_cbor(list(answers)))
    roots = TrustRoots(insecure_simulated=gpu.root_fingerprints)
    evidence = nvidia.parse(gpu.report(NONCE))
    return nvidia.claims(nvidia.verify(evidence, roots=roots, collateral=Collateral(items=items), at=at))


def _answers(gpu: SimulatedGpu, **changes: object) -> list[bytes]:
    """Honest ones but for the one at ``depth``."""
    wrong = changes.pop("depth", None)
    return [gpu.rim_answer(depth, **(changes if depth == wrong else {})) for depth in range(3)]


def test_every_certificate_is_asked_about(gpu: SimulatedGpu) -> None:
    claims = _judge(gpu, *_answers(gpu))

    assert claims.details["certificates_checked"] == 6
    assert "revocation_not_checked" not in claims.flags


@pytest.mark.parametrize("depth", range(3))
def test_reference_values_of_a_signer_that_was_revoked_are_none(gpu: SimulatedGpu, depth: int) -> None:
    with pytest.raises(SealroomError, match=r"nvidia\.revoked"):
        _judge(gpu, *_answers(gpu, depth=depth, status=revoked(1)))


@pytest.mark.parametrize("depth", range(3))
def test_a_suspended_signer_is_told(gpu: SimulatedGpu, depth: int) -> None:
    assert "certificate_hold" in _judge(gpu, *_answers(gpu, depth=depth, status=revoked(6))).flags


@pytest.mark.parametrize("depth", range(3))
def test_no_answer_about_a_signer_is_told(gpu: SimulatedGpu, depth: int) -> None:
    honest = _answers(gpu)

    assert "revocation_not_checked" in _judge(gpu, *honest[:depth], *honest[depth + 1 :]).flags
    assert "revocation_not_checked" in _judge(gpu, *_answers(gpu, depth=depth, status=UNKNOWN)).flags


def test_an_answer_is_not_used_after_its_end_though_it_was_before(gpu: SimulatedGpu) -> None:
    end = _judge(gpu, *_answers(gpu)).validity.not_after

    with pytest.raises(SealroomError, match=r"x509\."):
        _judge(gpu, *_answers(gpu), at=end + timedelta(seconds=1))
