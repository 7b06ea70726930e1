"""Each arrow of the trust chain is one function: nobody else holds its warrant, and nothing else makes its type."""

import ast
import dataclasses
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

import pytest

import sealroom
from sealroom import evidence
from sealroom.errors import MisuseError
from sealroom.evidence import (
    APPRAISED,
    BOUND,
    CLAIMED,
    VERIFIED,
    Appraisal,
    AttestedKey,
    Check,
    Claims,
    Collateral,
    KeyPurpose,
    PolicyRefusedError,
    TrustRoots,
    Verified,
)
from sealroom.tees import snp
from sealroom.testing.snp import SimulatedSnp

ROOT = Path(sealroom.__file__).parent
AT = datetime(2026, 6, 1, tzinfo=UTC)
WARRANTS = {"VERIFIED": VERIFIED, "CLAIMED": CLAIMED, "APPRAISED": APPRAISED, "BOUND": BOUND}
HOLDERS = {
    "VERIFIED": "tees/*/verify.py",
    "CLAIMED": "tees/*/claims.py",
    "APPRAISED": "policy/appraise.py",
    "BOUND": "verifier.py",
}
SOURCES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(ROOT.rglob("*.py"))
}


def names_in(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name.split(".")[-1]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value  # getattr(evidence, "VERIFIED")


def breaches(sources=SOURCES):
    for name, tree in sources.items():
        if name == "evidence.py":
            continue
        used = set(names_in(tree))
        for warrant, holder in HOLDERS.items():
            if warrant in used and not fnmatch(name, holder):
                yield f"{name} holds {warrant}, which is for {holder}"
        if "Warrant" in used or "warrant" in used & {"covers", "_for"}:
            yield f"{name} handles warrants"
        if any(
            isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names) for node in ast.walk(tree)
        ):
            yield f"{name} imports everything, warrants too"


def test_each_warrant_is_held_by_its_one_module():
    assert list(breaches()) == []


def test_each_warrant_is_used_by_its_holder():
    for warrant, holder in HOLDERS.items():
        users = [name for name, tree in SOURCES.items() if fnmatch(name, holder) and warrant in set(names_in(tree))]
        assert users, f"nobody uses {warrant}"


@pytest.mark.parametrize(
    "source",
    [
        "from sealroom.evidence import VERIFIED",
        "from sealroom import evidence\nmade = evidence.VERIFIED",
        "from sealroom import evidence\nmade = getattr(evidence, 'VERIFIED')",
        "from sealroom.evidence import Warrant\nmade = Warrant('Verified')",
        "from sealroom.evidence import *",
    ],
)
def test_a_module_that_helps_itself_to_a_warrant_is_found(source):
    assert list(breaches({"client/session.py": ast.parse(source)}))


# In the program itself, too: no warrant fits another type, and a copy is no way around one.


@pytest.fixture(scope="module")
def verified(snp_platform):
    collected = SimulatedSnp(platform=snp_platform, measurement=b"m" * 48).collect(b"r" * 64)
    roots = TrustRoots(insecure_simulated=frozenset({snp_platform.root_fingerprint}))
    return snp.verify(snp.parse(collected.raw), roots=roots, collateral=collected.collateral, at=AT)


@pytest.fixture(scope="module")
def claims(verified):
    return snp.claims(verified)


def appraisal_of(claims, *, passed=True, warrant=APPRAISED):
    check = Check(name="c", got="a", wanted="a", passed=passed, source="default", code="c.c", fix="mend it")
    return Appraisal(
        checks=(check,), simulated=True, policy_name="p", policy_digest=bytes(32), claims=claims, warrant=warrant
    )


def fields_of(value):
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


@pytest.mark.parametrize("name", WARRANTS)
def test_only_its_own_warrant_makes_a_type(name, verified, claims):
    def makers(warrant):
        key = {"purpose": KeyPurpose.CHANNEL, "key": b"k", "validity": verified.validity}
        return {
            "VERIFIED": lambda: Verified(warrant=warrant, **{
                f.name: getattr(verified, f.name) for f in dataclasses.fields(Verified)}),
            "CLAIMED": lambda: Claims(warrant=warrant, **fields_of(claims)),
            "APPRAISED": lambda: appraisal_of(claims, warrant=warrant),
            "BOUND": lambda: AttestedKey(appraisal=appraisal_of(claims), warrant=warrant, **key),
        }  # fmt: skip

    for other, warrant in WARRANTS.items():
        if other == name:
            assert makers(warrant)[name]()
        else:
            with pytest.raises(MisuseError):
                makers(warrant)[name]()


def test_a_tees_own_kind_of_verified_wants_the_same_warrant(verified):
    with pytest.raises(MisuseError):
        type(verified)(warrant=CLAIMED, **fields_of(verified))
    with pytest.raises(TypeError):
        type(verified)(**fields_of(verified))


@pytest.mark.parametrize("which", ["verified", "claims"])
def test_a_trusted_value_can_not_be_changed_nor_copied_with_a_change(request, which):
    value = request.getfixturevalue(which)
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.simulated = False
    with pytest.raises(ValueError, match="warrant"):
        dataclasses.replace(value, simulated=False)


def test_claims_do_not_follow_a_mapping_that_changes_later(claims):
    with pytest.raises(TypeError):
        claims.measurements["measurement"] = bytes(48)
    with pytest.raises(TypeError):
        claims.details["vmpl"] = 3
    with pytest.raises(TypeError):
        claims.tcb["reported"]["microcode"] = 255
    with pytest.raises(TypeError):
        claims.tcb["reported"] = {}


def test_a_refused_appraisal_makes_no_key(claims, verified):
    with pytest.raises(PolicyRefusedError):
        AttestedKey(
            purpose=KeyPurpose.CHANNEL,
            key=b"k",
            appraisal=appraisal_of(claims, passed=False),
            validity=verified.validity,
            warrant=BOUND,
        )


def test_claims_are_made_of_verified_evidence_and_of_nothing_else(verified):
    for not_verified in (verified.evidence, verified.evidence.report, None):
        with pytest.raises(MisuseError):
            snp.claims(not_verified)


def test_evidence_can_not_be_exchanged_under_a_verdict(verified, snp_platform):
    other = snp.parse(SimulatedSnp(platform=snp_platform, measurement=b"o" * 48).report(bytes(64)))
    with pytest.raises(ValueError, match="warrant"):
        dataclasses.replace(verified, evidence=other)


def test_a_warrant_says_what_it_is_for_and_refuses_the_rest():
    with pytest.raises(MisuseError) as error:
        VERIFIED.covers(Collateral(items={}))
    assert error.value.code == "evidence.no-warrant"
    assert {name for name in vars(evidence) if isinstance(getattr(evidence, name), evidence.Warrant)} == set(WARRANTS)
