"""Evidence of every kind, and what goes along with it, as readable trees that prove nothing."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.binding import Label, carried, report_data
from sealroom.cli.main import _run
from sealroom.collateral import EvidenceBundle
from sealroom.collateral.archive import CollateralArchive
from sealroom.evidence import Collateral, Tee
from sealroom.statement import RoomStatement
from sealroom.tees.recognise import recognise
from sealroom.testing.cca import cose_key
from sealroom.testing.machines import CPUS, Launched, SimulatedGuest, guest_at, power_on

_DATA = bytes(range(64))
_NONCE = bytes(range(32))
_WORDS = {
    "snp": "SEV-SNP attestation report", "tdx": "TDX quote", "nitro": "AWS Nitro enclave document",
    "cca": "Arm CCA token", "azure-vtpm": "evidence of an Azure guest", "gcp": "attestation of a Google VM",
    "tpm": "TPM evidence",
}  # fmt: skip
_BORN = datetime(2026, 6, 1, tzinfo=UTC)
_STATEMENT = RoomStatement(
    nonce=_NONCE, key_configs=b"none that anybody reads", model_name="SmolLM2", model_version=1,
    model_digest=b"\x11" * 32, package_digest=b"\x22" * 32, engine_name="llama.cpp", engine_version="1",
    engine_config_digest=b"\x33" * 32, sandbox_layers=("landlock",), software_version="0.1.0", created_at=_BORN,
    not_after=_BORN + timedelta(minutes=30),
)  # fmt: skip
Inspect = Callable[[bytes], "Shown"]


@dataclass(frozen=True)
class Shown:
    status: int
    out: str
    err: str
    content: Any


@pytest.fixture(name="inspect")
def _inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Inspect:
    def run(raw: bytes) -> Shown:
        path = tmp_path / "thing"
        path.write_bytes(raw)
        status = _run(["inspect", str(path)])
        text = capsys.readouterr()
        _run(["inspect", str(path), "--json"])
        parsed = capsys.readouterr().out
        return Shown(status, text.out, text.err, json.loads(parsed)["content"] if status == 0 else None)

    return run


@pytest.fixture(scope="module", name="guests")
def _guests(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], SimulatedGuest]:
    folder = tmp_path_factory.mktemp("machines")

    def launched(kind: str) -> SimulatedGuest:
        if not (folder / kind).exists():
            power_on(kind, folder / kind).launch(
                folder / kind, Launched(measurement=b"\x07" * 48, init_data=b"\x09" * 32)
            )
        return guest_at(folder / kind)

    return launched


@pytest.mark.parametrize("kind", list(CPUS))
def test_evidence_of_every_kind_of_machine_is_shown(
    guests: Callable[[str], SimulatedGuest], inspect: Inspect, kind: str
) -> None:
    cpu = guests(kind).cpu
    bound = carried(cpu.tee, _DATA)

    shown = inspect(cpu.collect(bound).raw)

    assert shown.status == 0, shown.err
    assert shown.out.startswith(_WORDS[cpu.tee])
    assert "nothing here is verified" in shown.out.splitlines()[0]
    assert bound.hex() in shown.out


@pytest.mark.parametrize("kind", list(CPUS))
def test_evidence_of_every_kind_is_recognised(guests: Callable[[str], SimulatedGuest], kind: str) -> None:
    cpu = guests(kind).cpu
    assert recognise(cpu.collect(carried(cpu.tee, _DATA)).raw) is cpu.tee


def test_a_device_and_all_that_goes_along_with_it_is_shown(
    guests: Callable[[str], SimulatedGuest], inspect: Inspect
) -> None:
    devices = guests("tdx+h100x8").devices
    gpu, switch = (devices[name].collect(_NONCE) for name in ("gpu0", "switch0"))

    report = inspect(gpu.raw)
    assert report.out.startswith("report of an NVIDIA GPU")
    assert report.content["request_nonce"] == _NONCE.hex()
    assert len(report.content["measurements"]) == 64
    assert "vbios_version" in report.content["opaque data"]
    assert inspect(switch.raw).out.startswith("report of an NVIDIA NVLink switch")

    rim = inspect(gpu.collateral.items["driver_rim"])
    assert rim.content["version"] == report.content["driver_version"]
    assert rim.content["active measurements"] == len(rim.content["values"]) > 0
    assert len(rim.content["certificates"]) == 4
    assert len(inspect(gpu.collateral.items["cert_chain"]).content) == 5


def test_a_bundle_shows_its_devices_and_whose_each_endorsement_is(
    guests: Callable[[str], SimulatedGuest], inspect: Inspect
) -> None:
    guest = guests("tdx+h100")
    devices = {name: device.collect(_NONCE) for name, device in guest.devices.items()}
    statement = _STATEMENT.with_devices(devices).encode()
    cpu = guest.cpu.collect(report_data(Label.ROOM_STATEMENT, statement))

    shown = inspect(EvidenceBundle.of(statement, cpu, devices).encode())

    assert shown.status == 0, shown.err
    assert set(shown.content["devices"]) == {"gpu0"}
    assert shown.content["devices"]["gpu0"]["driver_version"]
    names = " ".join(shown.content["endorsements"])
    for item in ("cert_chain", "driver_rim", "vbios_rim", "ocsp"):
        assert f"({item} of gpu0)" in names
    statuses = [answer["answers"][0]["status"] for name, found in shown.content["endorsements"].items()
                if "(ocsp" in name for answer in found]  # fmt: skip
    assert statuses
    assert set(statuses) == {"good"}


def test_every_recorded_piece_is_shown_or_refused_and_nothing_crashes(shared_vectors: Path, inspect: Inspect) -> None:
    shown = 0
    for tee in ("nvidia", "nitro", "cca", "azure", "gcp", "tpm"):
        for path in sorted((shared_vectors / tee).glob("*/*")):
            found = inspect(path.read_bytes())
            assert found.status in {0, 3, 4}, path
            shown += found.status == 0
    assert shown > 100


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("nvidia/h100-550-full/vbios_rim.xml", "NVIDIA reference values (RIM)"),
        ("nvidia/h100-550-full/nras_detached_eat.json", "answer of NVIDIA's attestation service"),
        ("azure/snp-milan-challenge/hcl_report.bin", "Azure HCL report"),
        ("azure/snp-milan-challenge/quote.msg", "TPM quote (TPMS_ATTEST)"),
        ("cca/psa-p2-tfm/token.cbor", "Arm PSA token"),
        ("cca/psa-p2-tfm/iak.jwk", "JSON web key"),
        ("gcp/cs-prod-sev/jwks.json", "JSON web key set"),
        ("gcp/cs-prod-sev/token.jwt", "JWS (JWT)"),
        ("tpm/coco-rsassa/ak.pem", "public key"),
    ],
)
def test_recorded_pieces_are_called_by_their_names(
    shared_vectors: Path, inspect: Inspect, path: str, kind: str
) -> None:
    target = shared_vectors / path
    if not target.exists():
        pytest.skip(f"no {path} among the vectors")
    assert inspect(target.read_bytes()).out.startswith(kind)


def test_a_key_is_shown_with_the_name_that_a_policy_has_for_it(shared_vectors: Path, inspect: Inspect) -> None:
    keys = inspect((shared_vectors / "gcp" / "cs-prod-sev" / "jwks.json").read_bytes()).content
    assert all(key["a policy names it"].startswith("sha256:") for key in keys)
    shared = inspect(json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).encode())
    assert "c2VjcmV0" not in shared.out
    assert shared.content[0]["a policy names it"].startswith("not at all")
    assert inspect(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").status == 3


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_a_key_has_one_name_in_every_form(inspect: Inspect, curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    forms = [
        key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        for encoding in (Encoding.PEM, Encoding.DER)
    ]

    shown = [inspect(raw) for raw in (*forms, cose_key(key))]

    assert all(one.out.startswith("public key") for one in shown)
    assert {one.content["a policy names it"] for one in shown} == {f"sha256:{sha256(forms[1]).hexdigest()}"}


def test_fetched_collateral_is_shown_part_by_part(inspect: Inspect) -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    archive = CollateralArchive(tee=Tee.SNP, subject="Genoa", fetched_at=at, holds_until=None,
                                collateral=Collateral(items={"leaf": b"no certificate"}))  # fmt: skip

    shown = inspect(archive.encode())

    assert shown.out.startswith("collateral bundle (nothing here is verified)")
    assert set(shown.content["items"]) == {"leaf"}
    assert (shown.content["tee"], shown.content["subject"]) == ("snp", "Genoa")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x11\xe0",
        b"HCLA",
        b"\xff\x54\x43\x47",
        b"\x84",
        b"\xd2\x84",
        b"<",
        b"<a/>",
        b"\xd9\x03\x8b\xa0",
        b"\x0a\x01",
    ],
)
def test_what_only_begins_like_it_is_refused(inspect: Inspect, raw: bytes) -> None:
    found = inspect(raw)
    assert found.status == 3
    assert found.content is None
