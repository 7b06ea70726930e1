"""What a relying party asks of a Nitro document in a vector: what is absent is never what was asked for, nor is
anything where nothing is accepted; and a document that is parsed is not yet believed."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sealroom.errors import SealroomError
from sealroom.pem import as_pem
from sealroom.tees import nitro
from sealroom.testing.conformance import CaseResult, run_case
from sealroom.testing.nitro import NitroMachine, NitroVendor
from sealroom.testing.nitro_cases import AT, Bench
from sealroom.testing.nitro_document import DocumentForm
from sealroom.testing.vector_store import read_case

VENDOR = NitroVendor.create()
ENCLAVE = Bench.create(vendor=VENDOR)
INSTANCE = Bench(machine=NitroMachine.create(vendor=VENDOR, is_nitro_tpm=True), name="instance")
NONCE, DATA = b"asked".hex(), bytes(range(64)).hex()
PCR0 = ENCLAVE.form().pcrs[0].hex()
ZEROS = "00" * 48

Judge = Callable[..., CaseResult]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Runs a minted document as a vector whose collateral says what is asked."""

    def run(collateral: dict[str, Any], *, bench: Bench = ENCLAVE, form: DocumentForm | None = None,
            flags: list[str] | None = None) -> CaseResult:  # fmt: skip
        case = bench.case("x", form=form)
        (tmp_path / "attestation.cbor").write_bytes(case.raw)
        (tmp_path / "root.pem").write_bytes(as_pem(VENDOR.root.certificate))
        expect = {"verdict": "implementation_defined", "policy_flags": flags or []}
        document = {"kind": "nitro", "evidence": "attestation.cbor", "collateral": collateral,
                    "trust_root": "root.pem", "verify_at": AT.isoformat(), "expect": expect}  # fmt: skip
        (tmp_path / "vector.json").write_text(json.dumps(document))
        return run_case(read_case("x", tmp_path))

    return run


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({}, None),
        ({"nonce": NONCE, "user_data": DATA}, None),
        ({"nonce": "0x" + NONCE.upper()}, None),
        ({"nonce": None, "max_age_seconds": 0, "allow_debug": False}, None),
        ({"nonce": NONCE + "00"}, "nitro.nonce"),
        ({"nonce": ""}, "nitro.nonce"),
        ({"nonce": []}, "nitro.nonce"),
        ({"nonce": ["00", NONCE]}, None),
        ({"nonce": "asked"}, "nitro.nonce"),
        ({"public_key": "00"}, "nitro.public_key"),
        ({"require_nonce": True, "require_user_data": True}, None),
        ({"require_public_key": True}, "nitro.public_key"),
        ({"module_id": ENCLAVE.machine.module_id}, None),
        ({"module_id": ["i-0", ENCLAVE.machine.module_id]}, None),
        ({"module_id": "i-0"}, "nitro.module_id"),
        ({"pcrs": {"0": PCR0}}, None),
        ({"pcrs": {"PCR0": PCR0.upper(), "pcr3": ZEROS}}, None),
        ({"pcrs": {"0": [ZEROS, PCR0]}}, None),
        ({"pcrs": {"0": ZEROS}}, "nitro.pcr"),
        ({"pcrs": {"0": PCR0, "1": PCR0}}, "nitro.pcr"),
        ({"pcrs": {"0": []}}, "nitro.pcr"),
        ({"pcrs": {"0": None}}, "nitro.pcr"),
        ({"pcrs": {}}, "nitro.pcr"),
        ({"pcrs": {"31": ZEROS}}, "nitro.pcr"),
        ({"nitrotpm_pcrs": {"0": PCR0}}, "nitro.pcr"),
    ],
)
def test_what_a_relying_party_asks(judge: Judge, policy: dict[str, Any], code: str | None) -> None:
    assert judge({"policy": policy}).code == code


@pytest.mark.parametrize("policy", [{"comment": 1}, {"pcrs": [PCR0]}, {"pcrs": {"32": PCR0}}, {"pcrs": {"x": PCR0}},
                                    {"max_age_seconds": "1"}, [], "x"])  # fmt: skip
def test_what_is_not_understood_is_no_verdict(judge: Judge, policy: Any) -> None:
    result = judge({"policy": policy})
    assert (result.verdict, result.supported) == ("unsupported", False)


def test_a_nonce_may_be_asked_for_beside_a_policy(judge: Judge) -> None:
    assert judge({"expected_nonce": NONCE}).code is None
    assert judge({"expected_nonce": NONCE[:-2]}).code == "nitro.nonce"
    assert judge({"expected_nonce": NONCE, "policy": {"user_data": "00"}}).code == "nitro.user_data"
    without = replace(ENCLAVE.form(), nonce=None)
    assert judge({"expected_nonce": NONCE}, form=without).code == "nitro.nonce"
    assert judge({"expected_nonce": ""}, form=replace(ENCLAVE.form(), nonce=b"")).code == "nitro.nonce"


def test_an_old_document_is_old_before_its_certificate_runs_out(judge: Judge) -> None:
    old = replace(ENCLAVE.form(), timestamp_ms=int((AT - timedelta(seconds=2)).timestamp() * 1000))
    assert judge({"policy": {"max_age_seconds": 2}}, form=old).code is None
    assert judge({"policy": {"max_age_seconds": 1}}, form=old).code == "nitro.timestamp"


def debug_form(**changes: Any) -> DocumentForm:
    zero = dict.fromkeys(range(3), bytes(48))
    return replace(ENCLAVE.form(), pcrs={**ENCLAVE.form().pcrs, **zero}, **changes)


def test_debug_mode_passes_where_it_is_allowed_and_shows_where_nobody_asked(judge: Judge) -> None:
    """Fault gpu-cloud 11: a policy of any kind that does not allow it refuses it."""
    for policy in ({}, {"allow_debug": False}, {"nonce": NONCE}, {"pcrs": {"0": ZEROS}}, {"allow_debug": "yes"}):
        assert judge({"policy": policy}, form=debug_form()).code == "nitro.debug"
    assert judge({"policy": {"allow_debug": True}}, form=debug_form(), flags=["debug"]).passed
    assert judge({}, form=debug_form(), flags=["debug"]).passed


def test_a_register_that_is_missing_meets_no_pin(judge: Judge) -> None:
    """Fault gpu-cloud 11: of the image, or of anything."""
    without = {index: value for index, value in ENCLAVE.form().pcrs.items() if index != 0}
    missing = replace(ENCLAVE.form(), pcrs=without)
    for value in (PCR0, ZEROS, "", None, []):
        assert judge({"policy": {"pcrs": {"0": value}}}, form=missing).code == "nitro.pcr"


def test_an_empty_list_of_registers_accepts_nothing(judge: Judge) -> None:
    """Fault gpu-cloud 13."""
    for pins in ({}, {"0": []}, {"0": ""}):
        assert judge({"policy": {"pcrs": pins}}).code == "nitro.pcr"


def test_the_registers_of_an_instances_tpm_are_not_those_of_an_enclave(judge: Judge) -> None:
    """Software in an instance could extend one to what an image's is."""
    pins = {"0": INSTANCE.form().pcrs[0].hex()}
    assert judge({"policy": {"nitrotpm_pcrs": pins}}, bench=INSTANCE).code is None
    assert judge({"policy": {"pcrs": pins}}, bench=INSTANCE).code == "nitro.pcr"


def test_a_document_that_can_be_read_is_not_believed() -> None:
    """Fault gpu-cloud 12: reading gives evidence, and claims are to be had from what was verified alone."""
    forged = replace(ENCLAVE.machine, vendor=NitroVendor.create())
    raw = forged.sign(replace(ENCLAVE.form(), chain=forged.issue(forged.forms(AT))))
    evidence = nitro.parse(raw)
    assert evidence.document.pcrs[0].hex() == PCR0
    with pytest.raises(SealroomError, match=r"nitro\.other-tee"):
        nitro.claims(evidence)  # type: ignore[arg-type]


def test_the_vectors_own_root_is_what_counts(judge: Judge) -> None:
    """Fault gpu-cloud 14: a chain in order, with lengths, to the root that was named."""
    stranger = Bench.create()
    assert judge({}, bench=stranger).code == "x509.untrusted-root"
