"""What a policy asks of a Nitro document: each check alone refuses, and the code says which."""

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
        (f'pcr0 = ["{"02" * 48}"]\ndocument = "both"', "policy.bad-value"),
    ],
)
def test_a_table_that_pins_nothing_or_mixes_registers_is_no_policy(lines: str, code: str) -> None:
    with pytest.raises(MalformedError) as refused:
        policy_for(Tee.NITRO, f"[nitro]\n{lines}\n")

    assert refused.value.code == code
