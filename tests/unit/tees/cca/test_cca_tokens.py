"""What a verifier of Arm tokens has to get right, each by name (gpu-cloud section 3); how tokens are asked for."""

import errno
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from sealroom.cbor import Tagged, encode_cbor, read_cbor
from sealroom.collect import Places, this_machine
from sealroom.errors import MalformedError, SealroomError, UnavailableError, UnverifiedError
from sealroom.evidence import Claims, Collateral, Tee, TrustRoots
from sealroom.policy import Subject, appraise, load_policy
from sealroom.tees import cca
from sealroom.tees.cca.collect import PROVIDER, CcaConfigfs
from sealroom.tees.cca.verify import PUBLIC_TEST_KEYS
from sealroom.tees.recognise import recognise
from sealroom.testing.cca import CcaPlatform, SimulatedCca, component, cose_key, sign1, wrapped
from sealroom.testing.cca_cases import CHALLENGE
from sealroom.testing.psa import psa_token
from sealroom.testing.tsm import EmulatedTsm

AT = datetime(2026, 11, 24, tzinfo=UTC)
PLATFORM = CcaPlatform.create()
REALM = SimulatedCca(platform=PLATFORM)
HONEST = REALM.collect(CHALLENGE).raw


def _claims(raw: bytes, *, key: bytes | None = None, roots: TrustRoots | None = None) -> Claims:
    roots = roots or TrustRoots(insecure_simulated=frozenset({PLATFORM.fingerprint}))
    collateral = Collateral(items={"platform_key": key or cose_key(PLATFORM.key)})
    return cca.claims(cca.verify(cca.parse(raw), roots=roots, collateral=collateral, at=AT))


def _refusal(raw: bytes, *, key: bytes | None = None, roots: TrustRoots | None = None) -> str:
    with pytest.raises(SealroomError) as refused:
        _claims(raw, key=key, roots=roots)
    return refused.value.code


def _enrolled() -> TrustRoots:
    return TrustRoots(device_keys=frozenset({PLATFORM.fingerprint}))


def test_fault_gpu_cloud_tokens_that_are_no_byte_strings_are_not_looked_into() -> None:
    form = REALM.form(CHALLENGE)
    tokens = [read_cbor(token) for token in (form.platform_token(), form.realm_token())]

    for legacy in (False, True):
        assert _refusal(wrapped(*tokens, legacy=legacy)) == "cca.token"


def test_fault_gpu_cloud_without_the_binding_a_realms_token_proves_nothing() -> None:
    """Two realms of one machine: every signature is right, and the platform vouches for the other one."""
    mine, other = REALM.form(CHALLENGE), SimulatedCca(platform=PLATFORM).form(CHALLENGE)

    assert _refusal(replace(mine, platform=other.platform).encode()) == "cca.binding"


def test_fault_gpu_cloud_the_binding_is_over_the_claims_bytes_whatever_form_the_key_has() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    for written in (point, cose_key(key)):
        honest = replace(REALM.form(CHALLENGE, key=written), realm_key=key)
        assert _claims(honest.encode()).report_data == CHALLENGE
    mixed = replace(REALM.form(CHALLENGE, key=point).changed(realm={44237: cose_key(key)}), realm_key=key)
    assert _refusal(mixed.encode()) == "cca.binding"


def test_fault_gpu_cloud_the_algorithm_is_compared_with_the_keys_curve_before_use() -> None:
    form = REALM.form(CHALLENGE)
    es256 = encode_cbor({1: -7})
    by_platform = encode_cbor(sign1(encode_cbor(dict(form.platform)), form.platform_key, protected=es256))
    by_realm = encode_cbor(sign1(encode_cbor(dict(form.realm)), form.realm_key, protected=es256))

    assert _refusal(wrapped(by_platform, form.realm_token())) == "cca.cose-key"
    assert _refusal(wrapped(form.platform_token(), by_realm)) == "cca.cose-key"


def test_fault_gpu_cloud_no_key_comes_with_the_token_so_it_has_to_be_enrolled() -> None:
    assert _refusal(HONEST, roots=TrustRoots()) == "cca.unknown-key"
    assert not _claims(HONEST, roots=_enrolled()).simulated
    with pytest.raises(UnverifiedError, match=r"collateral\.missing"):
        cca.verify(cca.parse(HONEST), roots=_enrolled(), collateral=Collateral(items={}), at=AT)


def test_fault_gpu_cloud_keys_that_everybody_has_are_never_anchors(shared_vectors: Path) -> None:
    """Public tokens are signed by test keys: whoever enrols one still gets a refusal."""
    everybodys = TrustRoots(device_keys=frozenset(PUBLIC_TEST_KEYS))
    refusals = [
        _refusal((folder / "token.cbor").read_bytes(), key=key.read_bytes(), roots=everybodys)
        for folder in _folders(shared_vectors, "coco-rme-2025", "cmw-907-good", "psa-p2-tfm")
        for key in folder.glob("*.jwk")
    ]
    assert refusals == ["cca.public-test-key"] * 3


def test_fault_gpu_cloud_a_shared_secrets_code_is_no_signature() -> None:
    whole = read_cbor(psa_token(PLATFORM, CHALLENGE))
    assert isinstance(whole, Tagged)

    with pytest.raises(MalformedError, match="shared secret"):
        cca.parse(encode_cbor(Tagged(17, whole.value)))


@pytest.mark.parametrize(
    ("lifecycle", "word", "flags"),
    [
        (0x0000, "unknown", {"not_secured"}),
        (0x1000, "assembly-and-test", {"not_secured"}),
        (0x2000, "rot-provisioning", {"not_secured"}),
        (0x3000, "secured", set()),
        (0x30FF, "secured", set()),
        (0x3100, "invalid", {"not_secured"}),
        (0x4000, "non-rot-debug", {"not_secured", "debug"}),
        (0x5000, "recoverable-rot-debug", {"not_secured", "debug"}),
        (0x6000, "decommissioned", {"not_secured"}),
        (0x7000, "invalid", {"not_secured"}),
    ],
)
def test_fault_gpu_cloud_a_devices_place_in_life_is_told(lifecycle: int, word: str, flags: set[str]) -> None:
    of_realm = _claims(REALM.form(CHALLENGE).changed(platform={2395: lifecycle}).encode())
    of_device = _claims(psa_token(PLATFORM, CHALLENGE, changes={2395: lifecycle}))

    for claims in (of_realm, of_device):
        assert (claims.details["lifecycle"], set(claims.flags), claims.debug) == (word, flags, "debug" in flags)


def test_a_realm_says_what_it_was_started_with_and_what_lies_below_it() -> None:
    claims = _claims(HONEST)

    assert recognise(HONEST) is Tee.CCA
    assert (claims.measurements["rim"], claims.signer, claims.simulated) == (b"\x5a" * 32, "CPAK", True)
    assert claims.measurements["sw.RMM"] == component("RMM")[2]
    assert claims.details["sw_version.RMM"] == "3.4.2"


def test_tokens_of_2024_say_what_is_attached_and_whose_memory_key_it_is() -> None:
    claims = _claims(REALM.second_form(CHALLENGE).encode())

    assert claims.measurements["device.0.certificates"] == b"\1" * 48
    assert claims.measurements["device.1"] == bytes(32)
    assert claims.measurements["boot_key.DM.0.1"] == b"\6" * 32
    assert claims.measurements["realm_instance_id"] == b"\1" + b"\7" * 32
    told = {"memory_context": "private", "device_kind.0": "cxl-type-3", "device_protocol.0": "spdm-1.3.0",
            "device_ide.0": 1, "device_ide.1": 0, "device_encryption.0": 0, "manufacturing_config": "04",
            "peer_signers": "05", "client_id": 1}  # fmt: skip
    assert {name: claims.details.get(name) for name in told} == told
    assert "device_encryption.1" not in claims.details


@pytest.mark.parametrize("first", [False, True])
def test_a_device_with_trustzone_is_a_psa_token_under_a_key_that_was_enrolled(first: bool) -> None:
    """TrustZone has no attestation of its own, and no vendor a root for it: the key is enrolled, or nobody's."""
    raw = psa_token(PLATFORM, CHALLENGE, first=first)
    measured = hashlib.sha256(b"simulated PRoT").hexdigest()
    policy = load_policy(
        f"""\
policy = 1
name = "a device of ours"
[trust]
tees = ["cca"]
device_keys = ["sha256:{PLATFORM.fingerprint.hex()}"]
[cca]
token = ["psa"]
implementation_id = ["{PLATFORM.implementation_id.hex()}"]
[cca.components.PRoT]
measurement = ["{measured}"]
minimum_version = "3.4"
[unchecked]
init_data = "a device has none"
""",
        source="device.toml",
    )
    assert recognise(raw) is Tee.CCA
    assert _refusal(raw, roots=TrustRoots()) == "cca.unknown-key"
    claims = _claims(raw, roots=_enrolled())
    assert (claims.signer, claims.hardware_model, claims.simulated) == ("IAK", "PSA device", False)
    assert _verdict(policy, claims) == []
    patched = psa_token(PLATFORM, CHALLENGE, first=first,
                        changes={-75006 if first else 2399: [component("PRoT", version="3.3")]})  # fmt: skip
    assert _verdict(policy, _claims(patched, roots=_enrolled())) == ["cca.component-below-minimum"]
    assert _verdict(policy, _claims(HONEST, roots=_enrolled())) == [
        "cca.token-not-accepted",
        "cca.component-not-accepted",
        "cca.component-below-minimum",
    ]


def _verdict(policy: object, claims: Claims) -> list[str]:
    subject = Subject.guest(expected_report_data=CHALLENGE, init_data=None)
    return [check.code for check in appraise(policy, claims, subject=subject, at=AT).failures]  # type: ignore[arg-type]


@given(raw=st.binary(max_size=300))
def test_any_bytes_get_a_clear_error(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        cca.parse(raw)


@given(data=st.data())
def test_a_turned_bit_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    """What the signatures do not cover is the wrapping, and nothing that it says is told."""
    raw = bytearray(HONEST)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        claims = _claims(bytes(raw))
    except SealroomError:
        return
    assert claims == _claims(HONEST)


def test_the_kernel_is_asked_and_a_machine_with_realms_is_found(tmp_path: Path) -> None:
    kernel = EmulatedTsm(tmp_path, lambda data: REALM.collect(data).raw, provider=PROVIDER)
    collected = this_machine(collateral=REALM.collateral(), places=Places(tsm=kernel)).collect(CHALLENGE)

    assert collected.tee is Tee.CCA
    assert _claims(collected.raw).report_data == CHALLENGE
    assert collected.collateral == REALM.collateral()
    assert list(tmp_path.iterdir()) == []


def test_tokens_over_another_challenge_are_never_handed_out(tmp_path: Path) -> None:
    kernel = EmulatedTsm(tmp_path, lambda _asked: REALM.collect(bytes(64)).raw, provider=PROVIDER)
    with pytest.raises(UnavailableError, match=r"tsm\.disturbed"):
        CcaConfigfs(kernel, pause=lambda _seconds: None).collect(CHALLENGE)


def test_while_the_kernel_is_busy_it_is_asked_again_and_not_for_ever(tmp_path: Path) -> None:
    waited: list[float] = []
    kernel = EmulatedTsm(tmp_path, lambda data: REALM.collect(data).raw, provider=PROVIDER)
    kernel.errors += [errno.EBUSY, errno.EAGAIN]
    assert _claims(CcaConfigfs(kernel, pause=waited.append).collect(CHALLENGE).raw).report_data == CHALLENGE
    assert len(waited) == 2
    kernel.errors += [errno.EBUSY] * 9
    with pytest.raises(UnavailableError, match=r"tsm\."):
        CcaConfigfs(kernel, attempts=3, pause=waited.append).collect(CHALLENGE)


def test_another_kind_of_machine_is_not_taken_for_one_with_realms(tmp_path: Path) -> None:
    kernel = EmulatedTsm(tmp_path, lambda data: REALM.collect(data).raw, provider="tdx_guest")
    with pytest.raises(UnavailableError, match=r"tsm\."):
        CcaConfigfs(kernel, pause=lambda _seconds: None).collect(CHALLENGE)


@pytest.mark.parametrize("answer", [b"", b"\xff", HONEST[:-1]])
def test_what_is_no_token_is_never_handed_out(tmp_path: Path, answer: bytes) -> None:
    kernel = EmulatedTsm(tmp_path, lambda _data: answer, provider=PROVIDER)
    with pytest.raises(SealroomError):
        CcaConfigfs(kernel, pause=lambda _seconds: None).collect(CHALLENGE)


def test_a_token_of_no_realm_is_none_of_ours(tmp_path: Path) -> None:
    kernel = EmulatedTsm(tmp_path, lambda data: psa_token(PLATFORM, data), provider=PROVIDER)
    with pytest.raises(UnavailableError, match=r"cca\.no-realm"):
        CcaConfigfs(kernel, pause=lambda _seconds: None).collect(CHALLENGE)


def _folders(shared_vectors: Path, *names: str) -> Iterable[Path]:
    return [shared_vectors / "cca" / name for name in names]
