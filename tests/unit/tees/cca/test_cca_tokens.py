"""Minted Arm tokens: right ones verify, and each fault alone is refused for its own reason."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from sealroom.cbor import Tagged, encode_cbor, read_cbor
from sealroom.collect import Places, this_machine
from sealroom.errors import MalformedError, SealroomError, UnavailableError
from sealroom.evidence import Claims, Collateral, Tee, TrustRoots
from sealroom.tees import cca
from sealroom.tees.cca.collect import PROVIDER, CcaConfigfs
from sealroom.tees.cca.verify import PUBLIC_TEST_KEYS
from sealroom.tees.recognise import recognise
from sealroom.testing.cca import CcaForm, CcaPlatform, SimulatedCca, component, cose_key, psa_token, sign1
from sealroom.testing.tsm import EmulatedTsm

AT = datetime(2026, 11, 24, tzinfo=UTC)
DATA = bytes(range(64))


@pytest.fixture(scope="module")
def platform() -> CcaPlatform:
    return CcaPlatform.create()


@pytest.fixture(scope="module")
def realm(platform: CcaPlatform) -> SimulatedCca:
    return SimulatedCca(platform=platform)


def _claims(
    platform: CcaPlatform, raw: bytes, *, key: bytes | None = None, roots: TrustRoots | None = None
) -> Claims:
    roots = roots or TrustRoots(insecure_simulated=frozenset({platform.fingerprint}))
    collateral = Collateral(items={"platform_key": key or cose_key(platform.key)})
    return cca.claims(cca.verify(cca.parse(raw), roots=roots, collateral=collateral, at=AT))


def _refusal(platform: CcaPlatform, raw: bytes, **more: Any) -> str:
    with pytest.raises(SealroomError) as refused:
        _claims(platform, raw, **more)
    return refused.value.code


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("key_hash", ["sha-256", "sha-384", "sha-512"])
def test_a_realm_is_vouched_for_in_both_wrappings_and_by_every_hash(
    platform: CcaPlatform, realm: SimulatedCca, legacy: bool, key_hash: str
) -> None:
    form = realm.form(DATA, key_hash=key_hash)
    raw = CcaForm(platform=form.platform, realm=form.realm, platform_key=form.platform_key, realm_key=form.realm_key,
                  legacy=legacy).encode()  # fmt: skip
    claims = _claims(platform, raw)

    assert recognise(raw) is Tee.CCA
    assert (claims.report_data, claims.simulated, claims.flags) == (DATA, True, frozenset())
    assert claims.measurements["rim"] == b"\x5a" * 32
    assert claims.details["lifecycle"] == "secured"


@pytest.mark.parametrize(("hash_name", "size"), [("sha-256", 32), ("sha-384", 48), ("sha-512", 64)])
def test_measurements_have_the_size_of_the_hash_that_the_claim_names(
    platform: CcaPlatform, hash_name: str, size: int
) -> None:
    realm = SimulatedCca(platform=platform, initial_measurement=b"\x01" * size, hash_name=hash_name)

    assert _claims(platform, realm.collect(DATA).raw).measurements["rim"] == b"\x01" * size


@pytest.mark.parametrize("first", [False, True])
def test_a_psa_device_speaks_either_profile(platform: CcaPlatform, first: bool) -> None:
    claims = _claims(platform, psa_token(platform, DATA[:32], first_profile=first))

    assert claims.details["token"] == "psa"
    assert claims.report_data == DATA[:32]
    assert claims.measurements["sw.BL"] == component("BL")[2]


def test_fault_gpu_cloud_a_realm_that_the_platform_does_not_vouch_for(
    platform: CcaPlatform, realm: SimulatedCca
) -> None:
    """The two tokens of different realms of one machine, each of them authentic."""
    other = SimulatedCca(platform=platform).form(DATA)
    mine = realm.form(DATA)
    spliced = CcaForm(platform=other.platform, realm=mine.realm, platform_key=mine.platform_key,
                      realm_key=mine.realm_key)  # fmt: skip

    assert _refusal(platform, spliced.encode()) == "cca.binding"


def test_the_binding_is_by_the_hash_that_the_realm_names(platform: CcaPlatform, realm: SimulatedCca) -> None:
    form = realm.form(DATA)

    assert _refusal(platform, form.changed(realm={44240: "sha-512"}).encode()) == "cca.binding"


def test_each_signature_counts(platform: CcaPlatform, realm: SimulatedCca) -> None:
    form, stranger = realm.form(DATA), ec.generate_private_key(ec.SECP384R1())
    by_stranger = CcaForm(platform=form.platform, realm=form.realm, platform_key=stranger, realm_key=form.realm_key)
    not_its_own = CcaForm(
        platform=form.platform, realm=form.realm, platform_key=form.platform_key, realm_key=stranger
    )

    assert _refusal(platform, by_stranger.encode()) == "cca.signature"
    assert _refusal(platform, not_its_own.encode()) == "cca.signature"


def test_a_key_that_nobody_enrolled_is_none_and_an_enrolled_one_is_silicon(
    platform: CcaPlatform, realm: SimulatedCca
) -> None:
    raw = realm.collect(DATA).raw

    assert _refusal(platform, raw, roots=TrustRoots()) == "cca.unknown-key"
    assert not _claims(platform, raw, roots=TrustRoots(device_keys=frozenset({platform.fingerprint}))).simulated
    with pytest.raises(SealroomError, match=r"collateral\.missing"):
        cca.verify(cca.parse(raw), roots=TrustRoots(), collateral=Collateral(items={}), at=AT)


def test_keys_that_everybody_has_are_never_anchors(platform: CcaPlatform, shared_vectors: Path) -> None:
    """Public tokens are signed by test keys: whoever enrols one still gets a refusal."""
    everybodys = TrustRoots(device_keys=frozenset(PUBLIC_TEST_KEYS))
    seen = 0
    for folder in sorted((shared_vectors / "cca").iterdir()):
        for key in folder.glob("*.jwk"):
            raw = next(folder.glob("*.cbor")).read_bytes()
            code = _refusal(platform, raw, key=key.read_bytes(), roots=everybodys)
            seen += code == "cca.public-test-key"
    assert seen


@pytest.mark.parametrize(
    ("which", "changes", "code"),
    [
        ("platform", {10: None}, "cca.claim-missing"),
        ("platform", {10: b"\x01" * 31}, "cca.claim"),
        ("platform", {265: "another profile"}, "cca.claim"),
        ("platform", {256: b"\x02" + bytes(32)}, "cca.claim"),
        ("platform", {256: bytes(32)}, "cca.claim"),
        ("platform", {2396: bytes(31)}, "cca.claim"),
        ("platform", {2395: -1}, "cca.claim"),
        ("platform", {2395: "secured"}, "cca.claim"),
        ("platform", {2402: "md5"}, "cca.claim"),
        ("platform", {2399: b"no list"}, "cca.claim"),
        ("platform", {2399: [{1: "BL"}]}, "cca.claim-missing"),
        ("realm", {10: b"\x01" * 32}, "cca.claim"),
        ("realm", {44235: bytes(63)}, "cca.claim"),
        ("realm", {44238: bytes(33)}, "cca.claim"),
        ("realm", {44239: [bytes(32)] * 3}, "cca.claim"),
        ("realm", {44237: b"\x04" + bytes(96)}, "cca.key"),
        ("realm", {44240: None}, "cca.claim-missing"),
    ],
)  # fmt: skip
def test_one_claim_wrong_is_refused(
    platform: CcaPlatform, realm: SimulatedCca, which: str, changes: Mapping[Any, Any], code: str
) -> None:
    assert _refusal(platform, realm.form(DATA).changed(**{which: changes}).encode()) == code


@pytest.mark.parametrize(
    ("lifecycle", "word", "flags"),
    [
        (0x3000, "secured", set()),
        (0x30FF, "secured", set()),
        (0x2000, "rot-provisioning", {"not_secured"}),
        (0x4000, "non-rot-debug", {"not_secured", "debug"}),
        (0x5000, "recoverable-rot-debug", {"not_secured", "debug"}),
        (0x6000, "decommissioned", {"not_secured"}),
        (0x7000, "invalid", {"not_secured"}),
        (0x3100, "invalid", {"not_secured"}),
    ],
)
def test_a_devices_place_in_life_is_told(
    platform: CcaPlatform, realm: SimulatedCca, lifecycle: int, word: str, flags: set[str]
) -> None:
    claims = _claims(platform, realm.form(DATA).changed(platform={2395: lifecycle}).encode())

    assert (claims.details["lifecycle"], set(claims.flags)) == (word, flags)
    assert claims.debug is ("debug" in flags)


def test_what_is_not_known_is_told(platform: CcaPlatform, realm: SimulatedCca) -> None:
    assert _claims(platform, realm.form(DATA).changed(realm={99999: 1}).encode()).flags == {"unknown_claims"}
    legacy = realm.form(DATA).changed(platform={265: "http://arm.com/CCA-SSD/1.0.0"})
    assert _claims(platform, legacy.encode()).flags == {"legacy_profile"}


@pytest.mark.parametrize("alg", [-7, -257, -37, 0, 5])
def test_an_algorithm_of_another_curve_or_kind_is_refused(platform: CcaPlatform, alg: int) -> None:
    payload = read_cbor(psa_token(platform, DATA))
    assert isinstance(payload, Tagged)
    assert isinstance(payload.value, list)
    raw = encode_cbor(sign1(bytes(payload.value[2]), platform.key, alg=alg))  # type: ignore[arg-type]

    assert _refusal(platform, raw).startswith("cca.")


def test_a_shared_secrets_code_is_no_signature(platform: CcaPlatform) -> None:
    whole = read_cbor(psa_token(platform, DATA))
    assert isinstance(whole, Tagged)

    with pytest.raises(MalformedError, match="shared secret"):
        cca.parse(encode_cbor(Tagged(17, whole.value)))


@given(raw=st.binary(max_size=300))
def test_any_bytes_get_a_clear_error(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        cca.parse(raw)


@given(data=st.data())
def test_a_turned_bit_is_never_accepted_as_it_was(data: st.DataObject) -> None:
    raw = bytearray(_HONEST)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        claims = _claims(_PLATFORM, bytes(raw))
    except SealroomError:
        return
    # what the signatures do not cover is the wrapping, and nothing that it says is told
    assert claims == _claims(_PLATFORM, _HONEST)


_PLATFORM = CcaPlatform.create()
_HONEST = SimulatedCca(platform=_PLATFORM).collect(DATA).raw


def test_the_kernel_is_asked_and_a_machine_with_realms_is_found(tmp_path: Path, realm: SimulatedCca) -> None:
    kernel = EmulatedTsm(tmp_path, lambda data: realm.collect(data).raw, provider=PROVIDER)
    collected = this_machine(collateral=realm.collateral(), places=Places(tsm=kernel)).collect(DATA)

    assert collected.tee is Tee.CCA
    assert _claims(realm.platform, collected.raw).report_data == DATA
    assert collected.collateral == realm.collateral()


def test_tokens_over_another_challenge_are_never_handed_out(tmp_path: Path, realm: SimulatedCca) -> None:
    kernel = EmulatedTsm(tmp_path, lambda _asked: realm.collect(bytes(64)).raw, provider=PROVIDER)
    with pytest.raises(UnavailableError, match=r"tsm\.disturbed"):
        CcaConfigfs(kernel, pause=lambda _seconds: None).collect(DATA)


def test_a_token_of_no_realm_is_none_of_ours(tmp_path: Path, platform: CcaPlatform) -> None:
    kernel = EmulatedTsm(tmp_path, lambda data: psa_token(platform, data), provider=PROVIDER)
    with pytest.raises(UnavailableError, match=r"cca\.no-realm"):
        CcaConfigfs(kernel, pause=lambda _seconds: None).collect(DATA)
