"""Every minted fault of a TPM's evidence is refused for its own reason; everything authentic says what it should."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from sealroom.errors import SealroomError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import tpm
from sealroom.tees._tpm.attest import TpmHash, read_attest
from sealroom.tees._tpm.quote import require_pcrs
from sealroom.testing.tpm import SoftTpm
from sealroom.testing.tpm_cases import NONCE, TpmBench, TpmCase, authentic
from sealroom.testing.tpm_faults import faults

AT = datetime(2026, 1, 1, tzinfo=UTC)
BENCHES = [TpmBench.create(kind) for kind in ("rsassa", "rsapss", "ecdsa")]
FAULTS = {case.name: case for bench in BENCHES for case in faults(bench)}
AUTHENTIC = {case.name: case for bench in BENCHES for case in authentic(bench)}


def judged(case: TpmCase, *, simulated: bool = False) -> Claims:
    roots = TrustRoots(insecure_simulated=case.keys) if simulated else TrustRoots(device_keys=case.keys)
    return tpm.claims(tpm.verify(tpm.parse(case.raw), roots=roots, collateral=Collateral(items={}), at=AT))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_for_its_own_reason(name):
    with pytest.raises(SealroomError) as refusal:
        judged(FAULTS[name])
    assert refusal.value.code == FAULTS[name].code


@pytest.mark.parametrize("name", AUTHENTIC)
def test_what_is_authentic_is_accepted_with_its_flags(name):
    claims = judged(AUTHENTIC[name])
    assert (claims.flags, claims.simulated) == (AUTHENTIC[name].flags, False)
    assert judged(AUTHENTIC[name], simulated=True).simulated


def test_each_case_has_a_name_of_its_own():
    names = Counter(case.name for bench in BENCHES for make in (faults, authentic) for case in make(bench))
    assert [name for name, times in names.items() if times > 1] == []
    assert len(FAULTS) > 200


@pytest.mark.parametrize("size", [0, 1, 31, 50, 64])
def test_a_nonce_is_told_to_its_last_byte_and_never_padded(size):
    """Fault gpu-cloud 16: one side filled what is shorter than a field with zeros, and the other compared."""
    nonce = bytes(range(1, size + 1))
    bench = BENCHES[2]
    assert judged(bench.quoted("a nonce", None, bench.tpm.form(nonce))).report_data == nonce


def test_a_key_that_was_enrolled_by_its_whole_public_area_vouches_for_what_it_may_sign():
    bench = BENCHES[2]
    area = bench.tpm.public_area()
    enrolled = replace(bench.case("x"), keys=frozenset({sha256(area).digest()}))
    assert judged(enrolled).details["enrolled_by"] == "name"
    posing = bench.case("x", tpm=replace(bench.tpm, attributes=bench.tpm.attributes & ~(1 << 16)))
    with pytest.raises(SealroomError) as refusal:
        judged(replace(posing, keys=enrolled.keys))
    assert refusal.value.code == "tpm.unknown-key"


@pytest.mark.parametrize("order", [(TpmHash.SHA1, TpmHash.SHA256), (TpmHash.SHA384, TpmHash.SHA1)])
def test_a_quote_of_two_banks_is_over_them_in_the_order_of_its_selection(order):
    quoted = SoftTpm.create("ecdsa")
    quoted.measure(3, b"something")
    selection = dict.fromkeys(order, (0, 3, 23))
    attest = read_attest(quoted.quote(NONCE, selection)[0])
    values = quoted.values(selection)
    require_pcrs(attest, values, quoted.digest)
    require_pcrs(attest, dict(reversed(values.items())), quoted.digest)
    turned = replace(attest, selection=attest.selection[::-1])
    with pytest.raises(SealroomError) as refusal:
        require_pcrs(turned, values, quoted.digest)
    assert refusal.value.code == "tpm.pcr-digest"
