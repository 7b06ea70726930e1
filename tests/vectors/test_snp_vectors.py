"""Recorded SNP evidence comes out as its vector.json says: verdict, fields and flags."""

import json
import warnings

import pytest

from sealroom.testing.conformance import run_case, run_folder
from sealroom.testing.vector_store import find_cases, read_case


@pytest.fixture(scope="module")
def folder(shared_vectors):
    return shared_vectors / "snp"


def test_every_vector_passes_and_none_is_left_out(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the serial numbers of real leaves are 0, and nothing may depend on a warning
        results = list(run_folder(folder))
    assert len(results) == sum(1 for _ in folder.glob("*/vector.json"))
    assert [result.as_line() for result in results if not result.passed] == []


def test_flags_are_exactly_the_expected_ones(folder):
    compared = 0
    for name, directory in find_cases(folder):
        case = read_case(name, directory)
        if case.expect.verdict == "valid" and case.expect.policy_flags is not None:
            assert set(run_case(case).flags) == case.expect.policy_flags, name
            compared += 1
    assert compared


def test_no_refusal_of_evidence_is_a_refusal_of_the_vector(folder):
    codes = {result.code for result in run_folder(folder) if result.verdict == "invalid"}
    assert codes
    assert not {code for code in codes if code.startswith(("conformance.", "internal.", "collateral."))}


def test_evidence_under_a_throwaway_root_is_refused_where_that_root_is_not_named(folder):
    refused = 0
    for name, directory in find_cases(folder):
        case = read_case(name, directory)
        if "trust_root" in case.document and case.expect.verdict == "valid":
            del case.document["trust_root"]
            assert run_case(case).code == "x509.untrusted-root", name
            refused += 1
    assert refused


def test_a_vendors_certificate_chain_is_not_believed_because_it_came_along(folder):
    """Each valid vector's own root, taken as the only anchor, is what the code pins: 'in place of' is told apart."""
    case = read_case("v2-milan-vcek", folder / "v2-milan-vcek")
    case.document["trust_root"] = "chain.pem"
    result = run_case(case)
    assert (result.verdict, result.passed) == ("valid", False)


def test_the_index_and_the_folders_agree(shared_vectors, folder):
    index = json.loads((shared_vectors / "cpu-index.json").read_text())
    listed = {entry["path"] for entry in index["vectors"] if entry["path"].startswith("snp/")}
    assert listed == {f"snp/{name}" for name, _ in find_cases(folder)}
