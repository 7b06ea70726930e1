"""Every minted fault of a Google VM's evidence is refused for its own reason; all that is authentic is accepted."""

from collections import Counter
from dataclasses import replace
from importlib import import_module

import pytest

from sealroom.errors import MisuseError, SealroomError
from sealroom.evidence import Claims, Tee, TrustRoots
from sealroom.tees import gcp
from sealroom.testing.gcp import SimulatedGcp
from sealroom.testing.gcp_cases import AT, NONCE, GcpBench, GcpCase, authentic
from sealroom.testing.gcp_faults import faults

BENCHES = {tee: GcpBench.create(tee) for tee in (None, Tee.SNP, Tee.TDX)}
FAULTS = {case.name: case for bench in BENCHES.values() for case in faults(bench)}
AUTHENTIC = {case.name: case for bench in BENCHES.values() for case in authentic(bench)}


def judged(case: GcpCase, roots: frozenset[bytes] | None = None) -> Claims:
    trusted = TrustRoots(insecure_simulated=case.roots if roots is None else roots)
    return gcp.claims(gcp.verify(gcp.parse(case.raw), roots=trusted, collateral=case.collateral, at=case.at))


def refusal_of(case: GcpCase, roots: frozenset[bytes] | None = None) -> str:
    with pytest.raises(SealroomError) as refusal:
        judged(case, roots)
    return refusal.value.code


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_for_its_own_reason(name):
    assert refusal_of(FAULTS[name]) == FAULTS[name].code


@pytest.mark.parametrize("name", AUTHENTIC)
def test_what_is_authentic_is_accepted_with_its_flags(name):
    claims = judged(AUTHENTIC[name])
    assert (claims.flags, claims.simulated, claims.tee) == (AUTHENTIC[name].flags, True, Tee.GCP)


def test_each_case_has_a_name_of_its_own():
    names = Counter(case.name for bench in BENCHES.values() for make in (faults, authentic) for case in make(bench))
    assert [name for name, times in names.items() if times > 1] == []
    assert len(FAULTS) > 250


@pytest.mark.parametrize("tee", [Tee.SNP, Tee.TDX])
def test_the_hardware_inside_needs_a_root_of_its_own(tee):
    """A wrapper's root vouches for no silicon: each is pinned by itself."""
    case = BENCHES[tee].case("as it is")
    google, hardware = BENCHES[tee].guest.machine.root_fingerprints
    assert refusal_of(case, frozenset({google})) in {"x509.untrusted-root", "dcap.untrusted-root"}
    assert refusal_of(case, frozenset({hardware})) == "x509.untrusted-root"
    assert refusal_of(case, frozenset()) == "x509.untrusted-root"


@pytest.mark.parametrize("tee", [Tee.SNP, Tee.TDX])
def test_the_hardware_inside_says_what_it_would_say_alone(tee):
    claims = judged(BENCHES[tee].case("as it is"))
    inner = claims.inner
    assert inner is not None
    assert (inner.tee, inner.report_data) == (tee, NONCE.ljust(64, b"\0"))
    assert (claims.report_data, claims.tcb_status, claims.details["inner_tee"]) == (
        NONCE,
        inner.tcb_status,
        tee.value,
    )


@pytest.mark.parametrize("tee", [Tee.SNP, Tee.TDX])
def test_a_vm_is_simulated_and_runs_out_with_the_hardware_inside(tee, monkeypatch):
    """Google's own root above the vTPM makes nothing genuine of hardware that is not, nor prolongs its collateral."""
    bench = BENCHES[tee]
    google, _ = bench.guest.machine.root_fingerprints
    alone = judged(bench.case("as it is"))
    monkeypatch.setattr(import_module("sealroom.tees.gcp.verify"), "GCE_ROOTS", {google: "as if it were Google's"})
    claims = judged(bench.case("as it is"))
    assert claims.inner is not None
    assert (claims.root, claims.simulated, claims.inner.simulated) == (google, True, True)
    assert not judged(BENCHES[None].case("as it is")).inner
    chain = judged(BENCHES[None].case("as it is")).validity
    assert claims.validity == alone.validity == chain.meet(claims.inner.validity)
    assert tee is Tee.SNP or claims.validity.not_after < chain.not_after  # Intel's collateral ends first


def test_a_vtpm_alone_proves_nothing_of_memory():
    claims = judged(BENCHES[None].case("as it is"))
    assert claims.inner is None
    assert (claims.hardware_model, claims.debug, claims.migratable) == ("GCE vTPM", False, True)


def test_the_instance_is_what_the_certificate_says_and_only_of_production():
    claims = judged(BENCHES[None].case("as it is"))
    assert claims.details["project_id"] == "simulated-project"
    for name in ("bare: an instance that is not production", "bare: an instance of which that is not said",
                 "bare: a certificate that names no instance"):  # fmt: skip
        assert {"zone", "project_id", "instance_id"} & judged(AUTHENTIC[name]).details.keys() == set()


def test_registers_are_of_the_strongest_bank():
    claims = judged(BENCHES[None].case("as it is"))
    assert (claims.details["pcr_bank"], len(claims.measurements["pcr00"])) == ("sha384", 48)
    assert judged(AUTHENTIC["bare: a bank of SHA-512"]).details["pcr_bank"] == "sha512"


def test_a_log_is_believed_as_far_as_the_registers_prove_it():
    assert judged(BENCHES[None].case("as it is")).details["event_log"] == "none"
    for name in ("bare: with the log of its boot", "bare: with the log beside it"):
        assert judged(AUTHENTIC[name]).details["event_log"] == "replayed"


def test_a_certificate_of_the_vtpm_bounds_how_long_the_verdict_holds():
    case = BENCHES[None].case("as it is")
    window = judged(case).validity
    assert window.holds_at(AT)
    assert refusal_of(replace(case, at=window.not_after.replace(year=window.not_after.year + 1))) == "x509.expired"


@pytest.mark.parametrize("size", [0, 65])
def test_what_can_not_be_simulated(size):
    with pytest.raises(MisuseError, match=r"simulated\.report-data"):
        SimulatedGcp().collect(bytes(size))
