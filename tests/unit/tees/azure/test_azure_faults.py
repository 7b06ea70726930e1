"""Every minted fault of Azure's evidence is refused for its own reason; everything authentic is accepted."""

from collections import Counter

import pytest
from azure_judged import BENCHES, TOKENS, code_of, judged

from sealroom.evidence import Tee
from sealroom.testing.azure_cases import NONCE, authentic
from sealroom.testing.azure_faults import faults
from sealroom.testing.azure_maa_cases import USER_DATA, authentic_tokens
from sealroom.testing.azure_maa_faults import token_faults

ALL = [*(case for bench in BENCHES.values() for make in (authentic, faults) for case in make(bench)),
       *authentic_tokens(TOKENS), *token_faults(TOKENS)]  # fmt: skip
CASES = {case.name: case for case in ALL}
FAULTS = [name for name, case in CASES.items() if case.code is not None]
GUESTS = [name for name, case in CASES.items() if case.code is None and case.flags is None]
AUTHENTIC_TOKENS = [name for name, case in CASES.items() if case.flags is not None]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_for_its_own_reason(name):
    """Fault gpu-cloud 12: nothing that is parsed is believed before the hardware, its hash and the quote hold."""
    assert code_of(CASES[name]) == CASES[name].code


@pytest.mark.parametrize("name", GUESTS)
def test_an_authentic_guest_is_accepted_and_says_what_its_quote_answers(name):
    claims = judged(CASES[name])
    assert (claims.report_data, claims.simulated, claims.tee) == (NONCE, True, Tee.AZURE_VTPM)
    assert claims.inner is not None
    assert claims.inner.tee.value == name.partition(":")[0]
    assert len(claims.measurements) == 24


@pytest.mark.parametrize("name", AUTHENTIC_TOKENS)
def test_an_authentic_token_is_accepted_with_its_flags(name):
    claims = judged(CASES[name])
    assert (claims.flags, claims.simulated, claims.inner) == (CASES[name].flags, True, None)
    assert claims.debug == ("debug" in claims.flags)
    assert claims.report_data in {USER_DATA, b""}


def test_each_case_has_a_name_of_its_own_and_none_is_missing():
    assert [name for name, times in Counter(case.name for case in ALL).items() if times > 1] == []
    assert (len(FAULTS) > 270, len(GUESTS) > 35, len(AUTHENTIC_TOKENS) > 40) == (True, True, True)
