"""The conformance runner on minted vectors of Arm: every encoding, form of key and fault comes out as it must."""

import json

import pytest

from sealroom.testing.cca_cases import CHALLENGE, Bench, CcaCase, authentic
from sealroom.testing.cca_key_faults import faults
from sealroom.testing.conformance import run_case
from sealroom.testing.psa_cases import authentic_devices
from sealroom.testing.vector_store import read_case

BENCH = Bench.create()
# a vector's key is trusted for it alone: there is no vector in which nobody enrolled it
CASES = [case for make in (authentic, authentic_devices, faults) for case in make(BENCH)
         if case.code != "cca.unknown-key"]  # fmt: skip


def ran(tmp_path, case: CcaCase, *, name="platform_public_key", fields=None, **collateral):
    (tmp_path / "token.cbor").write_bytes(case.raw)
    (tmp_path / "key").write_bytes(case.key)
    document = {
        "kind": "cca", "evidence": "token.cbor", "collateral": {name: "key", **collateral},
        "verify_at": "2026-01-01T00:00:00Z",
        "expect": {"verdict": "invalid" if case.code else "valid", "policy_flags": sorted(case.flags),
                   "fields": fields or {}},
    }  # fmt: skip
    (tmp_path / "vector.json").write_text(json.dumps(document))
    return run_case(read_case("minted", tmp_path))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_minted_case_comes_out_as_it_must(tmp_path, case):
    result = ran(tmp_path, case)
    assert (result.passed, result.code) == (True, case.code), result.as_line()


@pytest.mark.parametrize("name", ["platform_public_key", "iak_public_key", "platform_key", "public_key"])
def test_the_key_is_found_under_each_of_its_names(tmp_path, name):
    assert ran(tmp_path, BENCH.case("as it should be"), name=name).passed


def test_a_vector_without_a_key_is_not_supported(tmp_path):
    result = ran(tmp_path, BENCH.case("as it should be"), name="another")
    assert (result.passed, result.supported) == (False, False)


def test_fields_are_told_of_what_is_refused_too(tmp_path):
    spliced = next(case for case in CASES if case.name == "realm: the platform's token of another realm")
    told = {
        "platform_sig": True,
        "realm_sig": True,
        "binding": False,
        "challenge": CHALLENGE.hex(),
        "wrapper_tag": 907,
    }
    assert ran(tmp_path, spliced, fields=told).passed
    assert not ran(tmp_path, spliced, fields={**told, "binding": True}).passed


@pytest.mark.parametrize(("nonce", "passed"), [(CHALLENGE, True), (CHALLENGE[:32], False), (bytes(64), False)])
def test_the_challenge_is_compared_where_a_vector_has_one(tmp_path, nonce, passed):
    assert ran(tmp_path, BENCH.case("as it should be"), expected_nonce=nonce.hex()).passed is passed
