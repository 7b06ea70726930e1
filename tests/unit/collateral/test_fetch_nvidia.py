"""NVIDIA's services over real HTTP on loopback: reference values by name, and a responder that is asked by POST."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealroom.cbor import read_cbor
from sealroom.cli.main import _run
from sealroom.collateral.fetch.nvidia import fetch_nvidia
from sealroom.collateral.fetch.transport import Transport
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Collateral, Tee, TrustRoots
from sealroom.pem import as_pem
from sealroom.tees import nvidia
from sealroom.tees.needs import NvidiaRequest, what_is_needed
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_cases import AT, NONCE
from sealroom.testing.vendor_service import Reply, Served, nvidia_replies, ocsp_replies, serving
from sealroom.x509_reader import read_certificate


@pytest.fixture(scope="module")
def gpu() -> SimulatedGpu:
    return SimulatedGpu.create()


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(timeout=2.0, pause=lambda _seconds: None)
    yield made
    made.close()


@pytest.fixture
def service(gpu: SimulatedGpu) -> Iterator[Served]:
    items, needed = gpu.items(), _needed(gpu)
    rims = {needed.vbios_rim: items["vbios_rim"], str(needed.driver_rim): items["driver_rim"]}
    with serving(nvidia_replies(rims), ocsp_replies(gpu.answers_by_serial())) as served:
        yield served


def _needed(gpu: SimulatedGpu) -> NvidiaRequest:
    needed = what_is_needed(Tee.NVIDIA, gpu.report(NONCE), certificates=as_pem(*gpu.certificates))
    assert isinstance(needed, NvidiaRequest)
    return needed


def test_what_the_services_hand_out_verifies(gpu: SimulatedGpu, service: Served, transport: Transport) -> None:
    items = fetch_nvidia(_needed(gpu), transport, rims=service.address, ocsp=service.address)

    evidence, roots = nvidia.parse(gpu.report(NONCE)), TrustRoots(insecure_simulated=gpu.root_fingerprints)
    claims = nvidia.claims(nvidia.verify(evidence, roots=roots, collateral=Collateral(items=items), at=AT))
    assert claims.flags == frozenset()
    assert claims.details["measurements_compared"]
    assert service.asked[:2] == [f"/v1/rim/{_needed(gpu).vbios_rim}", f"/v1/rim/{_needed(gpu).driver_rim}"]


def test_no_certificate_is_asked_about_twice_and_the_leaf_never(
    gpu: SimulatedGpu, service: Served, transport: Transport
) -> None:
    items = fetch_nvidia(_needed(gpu), transport, rims=service.address, ocsp=service.address)

    answers = read_cbor(items["ocsp"])
    assert isinstance(answers, list)
    assert len(answers) == len(service.asked) - 2 == len(gpu.answers_by_serial())
    assert read_certificate(gpu.leaf).serial not in gpu.answers_by_serial()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"not JSON", MalformedError),
        (b"[]", MalformedError),
        (b'{"rim": "?"}', MalformedError),
        (b"{}", MalformedError),
    ],
)
def test_an_answer_that_is_no_reference_values_is_told(
    gpu: SimulatedGpu, transport: Transport, body: bytes, error: type[SealroomError]
) -> None:
    with serving(lambda _path, _query: Reply(body=body)) as served, pytest.raises(error) as refused:
        fetch_nvidia(_needed(gpu), transport, rims=served.address, ocsp=served.address)
    assert refused.value.code == "collateral.answer"


def test_a_responder_that_says_nothing_leaves_nothing_behind(gpu: SimulatedGpu, transport: Transport) -> None:
    items, needed = gpu.items(), _needed(gpu)
    rims = {needed.vbios_rim: items["vbios_rim"], str(needed.driver_rim): items["driver_rim"]}
    for posts in (None, lambda _body: Reply(body=b"")):
        with serving(nvidia_replies(rims), posts) as served, pytest.raises(UnavailableError):
            fetch_nvidia(needed, transport, rims=served.address, ocsp=served.address)


def test_a_switch_has_no_driver(gpu: SimulatedGpu) -> None:
    needed = _needed(SimulatedGpu.create("ls10", vendor=gpu.vendor))

    assert needed.driver_rim is None
    assert needed.vbios_rim.startswith("NV_SWITCH_BIOS_")


def test_certificates_have_to_be_named_and_some_evidence_needs_nothing(gpu: SimulatedGpu) -> None:
    with pytest.raises(MisuseError, match=r"collateral\.no-certificates"):
        what_is_needed(Tee.NVIDIA, gpu.report(NONCE))
    with pytest.raises(MalformedError, match=r"nvidia\.cert-chain"):
        what_is_needed(Tee.NVIDIA, gpu.report(NONCE), certificates=as_pem(gpu.leaf))
    with pytest.raises(MisuseError, match=r"collateral\.nothing-to-fetch"):
        what_is_needed(Tee.NITRO, b"\x84")


def test_the_command_fetches_shows_and_checks_one_file(
    gpu: SimulatedGpu, service: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.bin").write_bytes(gpu.report(NONCE))
    (tmp_path / "chain.pem").write_bytes(as_pem(*gpu.certificates))
    bundle = str(tmp_path / "gpu.collateral")

    options = ["--certificates", str(tmp_path / "chain.pem"), "--service", service.address, "--ocsp", service.address]
    fetched = _run(["collateral", "fetch", str(tmp_path / "report.bin"), "-o", bundle, *options])
    assert fetched == 0, capsys.readouterr()
    assert _run(["collateral", "show", bundle]) == 0
    shown = capsys.readouterr().out
    assert all(item in shown for item in ("cert_chain", "driver_rim", "vbios_rim", "ocsp"))
    assert "can not be read" not in shown
    judged = ["verify", str(tmp_path / "report.bin"), "--collateral", bundle, "--at", AT.isoformat()]
    assert _run(judged) == 4
    assert "x509" in capsys.readouterr().err


def test_nobody_at_the_address_is_told(gpu: SimulatedGpu, transport: Transport) -> None:
    with pytest.raises(UnavailableError, match=r"collateral\.service"):
        fetch_nvidia(
            dataclasses.replace(_needed(gpu)), transport, rims="http://127.0.0.1:9", ocsp="http://127.0.0.1:9"
        )
