"""What a policy asks of a Nitro document: each check alone refuses, and the code says which."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from made_claims import AT, changed, codes, judged, made, policy_for

from sealroom.errors import MalformedError
from sealroom.evidence import Tee

_STAMP = int(AT.timestamp() * 1000)
_ENCLAVE = made(
    Tee.NITRO, signer="NSM", measurements={f"pcr{index}": bytes((index + 1,)) * 48 for index in range(9)},
    details={"document": "enclave", "module_id": "i-0abc-enc0", "timestamp_ms": _STAMP, "digest": "SHA384"},
)  # fmt: skip
_INSTANCE = made(
    Tee.NITRO, signer="NSM", measurements={"nitrotpm_pcr4": b"\x04" * 48, "nitrotpm_pcr7": b"\x07" * 48},
    details={"document": "nitro-tpm", "module_id": "i-0abc", "timestamp_ms": _STAMP, "digest": "SHA384"},
)  # fmt: skip
_IMAGE = f'[nitro]\npcr0 = ["{"01" * 48}"]\n'


def test_an_enclave_is_accepted_by_its_image() -> None:
    assert judged(policy_for(Tee.NITRO, _IMAGE), _ENCLAVE).accepted


@pytest.mark.parametrize(
    "pins",
    [f'pcr1 = ["{"02" * 48}"]\npcr2 = ["{"03" * 48}"]', f'pcr8 = ["{"09" * 48}"]'],
    ids=["parts", "signer"],
)
def test_an_enclave_is_accepted_by_its_parts_or_by_its_signer(pins: str) -> None:
    assert judged(policy_for(Tee.NITRO, f"[nitro]\n{pins}\n"), _ENCLAVE).accepted


@pytest.mark.parametrize(
    ("lines", "changes", "code"),
    [
        ("", {"measurements": {"pcr0": b"\x02" * 48}}, "nitro.pcr0-not-accepted"),
        ("", {"measurements": {"pcr0": None}}, "nitro.pcr0-not-accepted"),
        ("", {"flags": frozenset({"debug"})}, "nitro.debug"),
        ('allow = ["debug"]', {"flags": frozenset({"debug"})}, None),
        ("", {"flags": frozenset({"new"})}, "nitro.flag-not-known"),
        (f'pcr3 = ["{"aa" * 48}"]', {}, "nitro.pcr3-not-accepted"),
        (f'pcr3 = ["{"04" * 48}"]', {}, None),
        ('module_id = ["i-0def-enc0"]', {}, "nitro.module-id-not-accepted"),
        ("", {"details": {"timestamp_ms": _STAMP - 3_601_000}}, "nitro.document-too-old"),
        ("", {"details": {"timestamp_ms": _STAMP - 3_599_000}}, None),
        (
            "maximum_document_age_seconds = 60",
            {"details": {"timestamp_ms": _STAMP - 61_000}},
            "nitro.document-too-old",
        ),
        ("", {"details": {"timestamp_ms": _STAMP + 61_000}}, "nitro.document-from-the-future"),
        ("", {"details": {"timestamp_ms": _STAMP + 59_000}}, None),
        ("", {"details": {"timestamp_ms": 2**63}}, "nitro.document-too-old"),
        ("", {"details": {"timestamp_ms": None}}, "nitro.document-too-old"),
    ],
)
def test_one_thing_wrong_is_one_refusal(lines: str, changes: dict[str, Any], code: str | None) -> None:
    refused = codes(judged(policy_for(Tee.NITRO, f"{_IMAGE}{lines}\n"), changed(_ENCLAVE, **changes)))

    assert refused == ([] if code is None else [code])


def test_an_instances_tpm_is_no_enclave_and_takes_a_word_of_its_own() -> None:
    instance = policy_for(Tee.NITRO, f'[nitro]\ndocument = "nitro-tpm"\nnitrotpm_pcr4 = ["{"04" * 48}"]\n')

    assert judged(instance, _INSTANCE).accepted
    assert "nitro.document-not-accepted" in codes(judged(policy_for(Tee.NITRO, _IMAGE), _INSTANCE))
    assert "nitro.document-not-accepted" in codes(judged(instance, _ENCLAVE))


def test_what_runs_is_left_open_by_a_reason_alone() -> None:
    open_ = policy_for(Tee.NITRO, "[nitro]\n", unchecked='[unchecked.nitro]\nmeasurement = "development"')
    other = changed(_ENCLAVE, measurements={"pcr0": b"\x66" * 48})

    verdict = judged(open_, other, at=AT + timedelta(minutes=5))

    assert verdict.accepted
    (left,) = [check for check in verdict.checks if check.name == "nitro.measurement"]
    assert (left.code, left.got) == ("policy.unchecked", "66" * 48)
    assert left.source == "policy: [unchecked.nitro] measurement"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("", "policy.nothing-pinned"),
        (f'pcr1 = ["{"02" * 48}"]', "policy.nothing-pinned"),
        (f'pcr3 = ["{"02" * 48}"]', "policy.nothing-pinned"),
        (f'document = "nitro-tpm"\npcr0 = ["{"02" * 48}"]', "policy.nothing-pinned"),
        (f'pcr0 = ["{"02" * 48}"]\nnitrotpm_pcr4 = ["{"02" * 48}"]', "policy.bad-value"),
        (f'pcr0 = ["{"02" * 32}"]', "policy.bad-value"),
        (f'pcr32 = ["{"02" * 48}"]', "policy.unknown-key"),
        ("pcr0 = []", "policy.bad-value"),
        (f'pcr0 = ["{"02" * 48}"]\ndocument = "both"', "policy.bad-value"),
    ],
)
def test_a_table_that_pins_nothing_or_mixes_registers_is_no_policy(lines: str, code: str) -> None:
    with pytest.raises(MalformedError) as refused:
        policy_for(Tee.NITRO, f"[nitro]\n{lines}\n")

    assert refused.value.code == code


_ZEROS = "00" * 48


@pytest.mark.parametrize(
    "lines",
    [
        f'pcr0 = ["{_ZEROS}"]',
        f'pcr0 = ["{"01" * 48}", "{_ZEROS}"]',
        f'pcr1 = ["{_ZEROS}"]\npcr2 = ["{_ZEROS}"]',
        f'pcr8 = ["{_ZEROS}"]',
        f'pcr8 = ["{_ZEROS}"]\nallow = ["debug"]',
        f'document = "nitro-tpm"\nnitrotpm_pcr4 = ["{_ZEROS}"]',
    ],
)
def test_a_register_of_zeros_is_no_software_that_a_policy_could_pin(lines: str) -> None:
    """Fault gpu-cloud 11: every enclave in debug mode has them, and every image that nobody signed."""
    with pytest.raises(MalformedError, match=r"policy\.bad-value"):
        policy_for(Tee.NITRO, f"[nitro]\n{lines}\n")


def test_where_debug_mode_is_allowed_zeros_name_it() -> None:
    policy = policy_for(Tee.NITRO, f'[nitro]\npcr0 = ["{_ZEROS}"]\nallow = ["debug"]\n')
    zero = changed(_ENCLAVE, measurements=dict.fromkeys(("pcr0", "pcr1", "pcr2"), bytes(48)),
                   flags=frozenset({"debug"}))  # fmt: skip

    assert judged(policy, zero).accepted
    assert codes(judged(policy, _ENCLAVE)) == ["nitro.pcr0-not-accepted"]


def test_a_register_that_the_document_lacks_meets_no_pin() -> None:
    """Fault gpu-cloud 11: not even a pin of zeros."""
    policy = policy_for(Tee.NITRO, f'{_IMAGE}pcr12 = ["{_ZEROS}"]\n')

    assert codes(judged(policy, _ENCLAVE)) == ["nitro.pcr12-not-accepted"]


def test_zeros_that_a_reference_file_brought_are_no_software_either() -> None:
    policy = policy_for(Tee.NITRO, f'[nitro]\npcr8 = ["{"09" * 48}"]\n')
    assert policy.nitro is not None
    brought = replace(policy, nitro=replace(policy.nitro, measurements={"pcr8": (bytes(48),)}))
    unsigned = changed(_ENCLAVE, measurements={"pcr8": bytes(48)})

    assert codes(judged(brought, unsigned)) == ["nitro.pcr8-not-accepted"]


def test_an_empty_list_of_registers_is_no_policy() -> None:
    """Fault gpu-cloud 13: it would accept everything, or nothing; nobody knows."""
    for lines in ("pcr0 = []", "pcr8 = []", ""):
        with pytest.raises(MalformedError):
            policy_for(Tee.NITRO, f"[nitro]\n{lines}\n")
