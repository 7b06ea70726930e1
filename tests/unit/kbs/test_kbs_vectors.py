"""The recorded and derived messages in ``../shared/vectors/kbs``, those of them that this package speaks.

Not covered, because nothing here reads them: evidence of other TEEs (``evidence-*`` but SNP), attestation results of
other services (``ear-*``, ``jwk-x5c-*``: no passport mode), ``cmw-*`` (see the bundle), ``oms-*``, ``kserve-*``.
"""

import base64
import gzip
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwcrypto.jwk import JWK

from sealroom.errors import MalformedError, RefusedError, SealroomError
from sealroom.evidence import Collateral
from sealroom.kbs import binding, jwe
from sealroom.kbs.evidence import format_for
from sealroom.kbs.init_data import parse_init_data
from sealroom.kbs.json_text import b64url_decode, b64url_encode, parse_object
from sealroom.kbs.messages import parse_attestation, parse_challenge, parse_request
from sealroom.kbs.snp_json import parse_snp_json, write_snp_json
from sealroom.kbs.tee_key import parse_tee_key


def _private(path: Path) -> jwe.PrivateKey:
    key = JWK.from_json(path.read_text()).get_op_key("decrypt" if "RSA" in path.read_text() else "unwrapKey")
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return key


@pytest.mark.parametrize("name", ["rcar-sample-plain", "rcar-sample-with-device"])
def test_a_recorded_handshake_reads_binds_and_opens(shared_vectors: Path, name: str) -> None:
    folder = shared_vectors / "kbs" / name
    auth, attest, resource = json.loads((folder / "transcript.json").read_text())
    expect = json.loads((folder / "vector.json").read_text())["expect"]

    assert parse_request(json.dumps(auth["request"]["json"]).encode()).tee == "sample"
    nonce = parse_challenge(json.dumps(auth["response"]["json"]).encode())
    message = parse_attestation(json.dumps(attest["request"]["json"]).encode())
    assert message.nonce == nonce

    primary = binding.primary_runtime_data(message.runtime_data, message.additional_evidence)
    assert primary == (folder / "primary_runtime_data.canonical.bin").read_bytes()
    device = binding.device_runtime_data(message.runtime_data)
    assert device == (folder / "device_runtime_data.canonical.bin").read_bytes()
    digest = binding.primary_digest(message.runtime_data, message.additional_evidence)
    assert digest.hex() == expect["primary_report_data_sha384"]
    assert base64.b64decode(message.primary_evidence["report_data"]) == digest  # type: ignore[arg-type]
    assert binding.device_digest(message.runtime_data).hex() == expect["device_report_data_sha384"]

    answer = json.dumps(resource["response"]["json"]).encode()
    assert jwe.open_jwe(_private(folder / "tee_private_jwk.json"), answer) == expect["resource_plaintext"].encode()


def test_the_sample_tee_is_refused_by_name() -> None:
    with pytest.raises(RefusedError, match=r"broker\.tee-not-supported"):
        format_for("sample")


def test_report_data_is_what_a_running_attestation_service_attested(shared_vectors: Path) -> None:
    folder = shared_vectors / "kbs" / "runtime-data-recorded-cca"
    expect = json.loads((folder / "vector.json").read_text())["expect"]
    runtime = parse_object((folder / "runtime_data.json").read_bytes(), what="runtime data")
    additional = str(runtime.pop("additional-evidence"))
    assert binding.primary_runtime_data(runtime, additional) == (folder / "canonical.bin").read_bytes()
    digest = binding.primary_digest(runtime, additional)
    assert digest.hex() == expect["sha384"]
    assert binding.fit(digest, 64).hex() == expect["report_data_64"]


def test_a_1024_bit_rsa_key_of_an_old_client_is_refused(shared_vectors: Path) -> None:
    folder = shared_vectors / "kbs" / "runtime-data-recorded-cca"
    jwk = parse_object((folder / "runtime_data.json").read_bytes(), what="runtime data")["tee-pubkey"]
    with pytest.raises(RefusedError, match=r"kbs\.tee-key-algorithm"):
        parse_tee_key(jwk)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["jwe-p256", "jwe-p256-header-order-kty-first", "jwe-rsa-oaep-256"])
def test_recorded_answers_open(shared_vectors: Path, name: str) -> None:
    folder = shared_vectors / "kbs" / name
    plaintext = bytes.fromhex((folder / "plaintext.hex").read_text().strip())
    private = _private(folder / "tee_private_jwk.json")
    assert jwe.open_jwe(private, (folder / "response.json").read_bytes()) == plaintext
    # and what we make for the same key opens likewise
    key = parse_tee_key(parse_object((folder / "tee_pubkey.json").read_bytes(), what="key"))
    assert jwe.open_jwe(private, jwe.seal_jwe(key, plaintext)) == plaintext


def test_changed_answers_do_not_open(shared_vectors: Path) -> None:
    folder = shared_vectors / "kbs" / "jwe-negative"
    private = _private(folder / "tee_private_jwk.json")
    assert jwe.open_jwe(private, (folder / "good.json").read_bytes()) == b"secret"
    changed = sorted(folder.glob("bad-*.json"))
    assert len(changed) >= 3
    for bad in changed:
        with pytest.raises(SealroomError, match=r"kbs\.jwe"):
            jwe.open_jwe(private, bad.read_bytes())


def test_answers_with_unknown_headers_are_read_and_refused(shared_vectors: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    for case in json.loads((shared_vectors / "kbs" / "types-response-parse" / "cases.json").read_text()):
        expected = case.pop("_expect_header")
        header = b64url_decode(case["protected"], what="protected")
        assert parse_object(header, what="header") == expected
        with pytest.raises(MalformedError):
            jwe.open_jwe(private, json.dumps(case).encode())


def test_concat_kdf_gives_the_key_of_rfc_7518_appendix_c(shared_vectors: Path) -> None:
    folder = shared_vectors / "kbs" / "concat-kdf-rfc7518-c"
    alice, bob = (_private(folder / f"{name}.json") for name in ("alice", "bob"))
    assert isinstance(alice, ec.EllipticCurvePrivateKey)
    assert isinstance(bob, ec.EllipticCurvePrivateKey)
    shared = alice.exchange(ec.ECDH(), bob.public_key())
    derived = jwe.concat_kdf(shared, algorithm=b"A128GCM", bits=128, apu=b"Alice", apv=b"Bob")
    expect = json.loads((folder / "vector.json").read_text())["expect"]["derived_key"]
    assert b64url_encode(derived) == expect


def test_snp_evidence_is_the_report_that_was_signed(shared_vectors: Path) -> None:
    folder = shared_vectors / "kbs" / "evidence-snp-vcek"
    evidence = parse_object((folder / "evidence.json").read_bytes(), what="evidence")
    raw, collateral = parse_snp_json(evidence)
    assert raw == (folder / "report.bin").read_bytes()
    assert dict(collateral.items) == {"leaf": (folder / "cert.der").read_bytes()}
    assert write_snp_json(raw, collateral) == evidence


def test_every_recorded_snp_report_survives_the_way_through_json(shared_vectors: Path) -> None:
    reports = [path for path in (shared_vectors / "snp").rglob("*") if path.is_file() and path.stat().st_size == 1184]
    assert reports
    seen = set()
    for path in reports:
        raw = path.read_bytes()
        try:
            back, _ = parse_snp_json(write_snp_json(raw, Collateral(items={})))
        except MalformedError:
            continue  # a negative vector with reserved bytes set
        assert back == raw
        seen.add(raw[0])
    assert seen >= {2, 3, 5}


def test_init_data_is_hashed_as_the_exact_bytes_of_the_document(shared_vectors: Path) -> None:
    folder = shared_vectors / "kbs" / "initdata-digests"
    document = (folder / "initdata.toml").read_bytes()
    expect = json.loads((folder / "vector.json").read_text())["expect"]
    init = parse_init_data(document)
    assert init.digest.hex() == expect["sha256"]
    assert init.fitted() == init.digest
    sha384 = parse_init_data(document.replace(b'"sha256"', b'"sha384"'))
    assert len(sha384.fitted(64)) == 64
    assert sha384.fitted(48) == sha384.digest
    assert gzip.decompress(base64.b64decode(expect["annotation"])) == document
