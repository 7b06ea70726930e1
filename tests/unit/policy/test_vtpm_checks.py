"""What a policy asks of TPMs, of Azure's and of Google's wrapping, and of the hardware inside."""

from typing import Any

import pytest
from made_claims import changed, codes, judged, made, policy_for

from sealroom.errors import MalformedError
from sealroom.evidence import Claims, Tee
from sealroom.policy.clouds import AZURE_FLAGS, GCP_FLAGS
from sealroom.policy.tpm import FLAGS

_PCRS = {"pcr04": b"\x04" * 32, "pcr07": b"\x07" * 32, "pcr11": b"\x0b" * 32}
_QUOTED = {"pcr_bank": "sha256", "event_log": "none"}
_KERNEL = f'pcr04 = ["{"04" * 32}"]\n'
_INNER = made(
    Tee.SNP, hardware_model="Genoa", signer="VCEK", measurements={"measurement": b"\x4d" * 48}, details={"vmpl": 0},
    tcb={kind: {"snp": 23, "bootloader": 10, "tee": 0, "microcode": 84}
         for kind in ("reported", "committed", "current")},
)  # fmt: skip
_SNP = f"""
measurement = ["{"4d" * 48}"]
minimum_tcb = {{ Genoa = {{ snp = 20, bootloader = 1, tee = 0, microcode = 1 }} }}
"""
_TPM = made(Tee.TPM, measurements=_PCRS, details=_QUOTED)
_AZURE = made(Tee.AZURE_VTPM, measurements=_PCRS, details={**_QUOTED, "vm_unique_id": "v1"}, inner=_INNER)
_MAA = made(Tee.AZURE_VTPM, measurements={"measurement": b"\x4d" * 48}, flags=frozenset({"token"}),
            details={"issuer": "https://a.attest.azure.net", "attestation_type": "sevsnpvm",
                     "compliance": "azure-compliant-cvm"})  # fmt: skip
_GCP = made(Tee.GCP, measurements=_PCRS, details={**_QUOTED, "zone": "z1", "project_id": "p1"}, inner=_INNER)
_SPACE = made(Tee.GCP, flags=frozenset({"token"}),
              details={"image_digest": f"sha256:{'ab' * 32}", "support_attributes": "LATEST STABLE USABLE",
                       "issuer": "https://confidentialcomputing.googleapis.com", "audience": "us"})  # fmt: skip
_IMAGE = f'image_digest = ["sha256:{"ab" * 32}"]\n'
_TABLES = {
    Tee.TPM: f"[tpm]\n{_KERNEL}",
    Tee.AZURE_VTPM: f"[azure-vtpm]\n{_KERNEL}%s\n[azure-vtpm.snp]{_SNP}",
    Tee.GCP: f"[gcp]\n{_KERNEL}%s\n[gcp.snp]{_SNP}",
}
_SOUND = {Tee.TPM: _TPM, Tee.AZURE_VTPM: _AZURE, Tee.GCP: _GCP}
_ALL_FLAGS = [(tee, flag, known[flag].allowance)
              for tee, known in ((Tee.TPM, FLAGS), (Tee.AZURE_VTPM, AZURE_FLAGS), (Tee.GCP, GCP_FLAGS))
              for flag in sorted(known)]  # fmt: skip


def _judge(tee: Tee, lines: str = "", claims: Claims | None = None, **changes: Any) -> list[str]:
    table = _TABLES[tee] % lines if "%s" in _TABLES[tee] else _TABLES[tee] + lines
    return codes(judged(policy_for(tee, table), changed(claims or _SOUND[tee], **changes)))


@pytest.mark.parametrize("tee", _SOUND)
def test_a_sound_quote_is_accepted(tee: Tee) -> None:
    assert _judge(tee) == []


@pytest.mark.parametrize(("tee", "flag", "allowance"), _ALL_FLAGS)
def test_each_weakening_fact_is_refused_and_let_pass_by_its_own_word_alone(
    tee: Tee, flag: str, allowance: str | None
) -> None:
    weak = frozenset({flag})

    assert _judge(tee, flags=weak) == [f"{tee}.{flag.replace('_', '-')}"]
    if allowance is not None:
        assert _judge(tee, f'allow = ["{allowance}"]', flags=weak) == []


@pytest.mark.parametrize("tee", _SOUND)
def test_a_fact_that_nobody_here_knows_is_refused(tee: Tee) -> None:
    assert _judge(tee, flags=frozenset({"something_new"})) == [f"{tee}.flag-not-known"]


@pytest.mark.parametrize("tee", _SOUND)
@pytest.mark.parametrize(
    ("lines", "changes", "code"),
    [
        ("", {"measurements": {"pcr04": b"\x05" * 32}}, "pcr04-not-accepted"),
        ("", {"measurements": {"pcr04": None}}, "pcr04-not-accepted"),
        ("", {"details": {"pcr_bank": "sha1"}}, "bank-not-accepted"),
        ('bank = ["sha384"]', {}, "bank-not-accepted"),
        ('event_log = "required"', {}, "no-event-log"),
        ('event_log = "required"', {"details": {"event_log": "replayed"}}, None),
        (f'pcr07 = ["{"08" * 32}"]', {}, "pcr07-not-accepted"),
    ],
)
def test_registers_are_asked_alike(tee: Tee, lines: str, changes: dict[str, Any], code: str | None) -> None:
    assert _judge(tee, lines, **changes) == ([] if code is None else [f"{tee}.{code}"])


@pytest.mark.parametrize("tee", _SOUND)
def test_secure_boot_that_is_asked_for_has_to_be_proved_by_something(tee: Tee) -> None:
    """Whoever starts a machine without it only has to leave the log at home."""
    asked, pinned = "secure_boot = true\n", f'secure_boot = true\npcr07 = ["{"07" * 32}"]\n'

    assert _judge(tee, asked) == [f"{tee}.no-event-log"]
    assert _judge(tee, asked, details={"event_log": "replayed"}) == []
    assert _judge(tee, pinned) == []
    assert _judge(tee, asked, details={"secure_boot": 1}) == []  # by a configuration that the hardware vouches for


@pytest.mark.parametrize("tee", [Tee.AZURE_VTPM, Tee.GCP])
def test_the_hardware_inside_is_judged_by_its_own_rules(tee: Tee) -> None:
    other = changed(_INNER, measurements={"measurement": b"\x4e" * 48})
    verdict = judged(policy_for(tee, _TABLES[tee] % ""), changed(_SOUND[tee], inner=other))

    assert codes(verdict) == ["snp.measurement-not-accepted"]
    assert verdict.failures[0].source == f"policy: [{tee}.snp] measurement"
    assert _judge(tee, inner=changed(_INNER, flags=frozenset({"guest_debug"}))) == ["snp.debug"]


@pytest.mark.parametrize("tee", [Tee.AZURE_VTPM, Tee.GCP])
def test_rules_for_such_hardware_anywhere_serve_where_the_wrapper_has_none_of_its_own(tee: Tee) -> None:
    general = policy_for(tee, f"[{tee}]\n{_KERNEL}[snp]{_SNP}")
    none = policy_for(tee, f"[{tee}]\n{_KERNEL}")

    assert judged(general, _SOUND[tee]).accepted
    assert codes(judged(none, _SOUND[tee])) == ["policy.no-inner-rules"]
    assert codes(judged(general, changed(_SOUND[tee], inner=made(Tee.TDX)))) == ["policy.no-inner-rules"]


def test_simulated_hardware_inside_is_refused_until_its_root_is_named() -> None:
    inner = changed(_INNER, simulated=True, root=b"\x5e" * 32)

    assert _judge(Tee.GCP, inner=inner) == ["trust.root-not-accepted"]


@pytest.mark.parametrize(
    ("tee", "lines", "code"),
    [
        (Tee.AZURE_VTPM, 'vm_unique_id = ["v2"]', "azure-vtpm.vm-unique-id-not-accepted"),
        (Tee.AZURE_VTPM, 'vm_unique_id = ["v1"]', None),
        (Tee.AZURE_VTPM, 'issuer = ["not said by a quote"]', "azure-vtpm.issuer-not-accepted"),
        (Tee.GCP, 'zone = ["z1", "z2"]\nproject_id = ["p1"]', None),
        (Tee.GCP, 'project_id = ["p2"]', "gcp.project-id-not-accepted"),
        (Tee.GCP, 'instance_id = ["17"]', "gcp.instance-id-not-accepted"),
        (Tee.GCP, 'kind = ["confidential-space"]', "gcp.kind-not-accepted"),
    ],
)
def test_facts_of_the_cloud_count_where_evidence_says_them(tee: Tee, lines: str, code: str | None) -> None:
    assert _judge(tee, lines) == ([] if code is None else [code])


def test_a_token_of_azures_service_is_taken_only_by_name() -> None:
    open_ = {"unchecked": '[unchecked.azure-vtpm]\nmeasurement = "asked for by [[require]]"'}
    provider = 'kind = ["maa"]\nissuer = ["https://a.attest.azure.net"]\n'
    taken = policy_for(Tee.AZURE_VTPM, f'[azure-vtpm]\n{provider}compliance = ["azure-compliant-cvm"]\n', **open_)

    assert judged(taken, _MAA).accepted
    assert codes(judged(taken, changed(_MAA, flags=frozenset({"token", "not_compliant"}),
                                       details={"compliance": "None"}))) == [
        "azure-vtpm.not-compliant", "azure-vtpm.compliance-not-accepted"]  # fmt: skip
    by_default = policy_for(Tee.AZURE_VTPM, "[azure-vtpm]\n", **open_)
    assert codes(judged(by_default, _MAA)) == ["azure-vtpm.kind-not-accepted"]
    tokens = policy_for(Tee.AZURE_VTPM, f"[azure-vtpm]\n{provider}[snp]{_SNP}", **open_)
    assert codes(judged(tokens, _AZURE)) == ["azure-vtpm.kind-not-accepted"]
    both = provider.replace('"maa"', '"quote", "maa"')
    either = policy_for(Tee.AZURE_VTPM, f"[azure-vtpm]\n{both}[snp]{_SNP}", **open_)
    assert judged(either, _AZURE).accepted
    assert judged(either, _MAA).accepted
    quotes = policy_for(
        Tee.AZURE_VTPM, f'[azure-vtpm]\nissuer = ["https://a.attest.azure.net"]\n[snp]{_SNP}', **open_
    )
    assert codes(judged(quotes, _AZURE)) == ["azure-vtpm.issuer-not-accepted"]


def test_a_token_of_a_provider_that_anybody_may_have_set_up_is_refused() -> None:
    """Its owner writes its policy, which says what is compliant, and one key signs for all of a region."""
    open_ = {"unchecked": '[unchecked.azure-vtpm]\nmeasurement = "asked for by [[require]]"'}
    with pytest.raises(MalformedError) as refused:
        policy_for(Tee.AZURE_VTPM, '[azure-vtpm]\nkind = ["quote", "maa"]\n', **open_)
    assert refused.value.code == "policy.nothing-pinned"
    ours = policy_for(
        Tee.AZURE_VTPM, '[azure-vtpm]\nkind = ["maa"]\nissuer = ["https://a.attest.azure.net"]\n', **open_
    )
    stranger = changed(_MAA, details={"issuer": "https://evil.attest.azure.net"})
    assert judged(ours, _MAA).accepted
    assert codes(judged(ours, stranger)) == ["azure-vtpm.issuer-not-accepted"]


def test_a_token_of_confidential_space_is_asked_for_its_image_and_its_support() -> None:
    policy = policy_for(Tee.GCP, f"[gcp]\n{_IMAGE}")

    assert judged(policy, _SPACE).accepted, codes(judged(policy, _SPACE))
    other = {"image_digest": f"sha256:{'ac' * 32}"}
    assert codes(judged(policy, changed(_SPACE, details=other))) == ["gcp.image-digest-not-accepted"]
    stale = changed(_SPACE, flags=frozenset({"token", "not_stable"}), details={"support_attributes": "USABLE"})
    assert codes(judged(policy, stale)) == ["gcp.support-attributes-not-accepted"]
    assert judged(policy_for(Tee.GCP, f'[gcp]\n{_IMAGE}support_attributes = ["USABLE"]\n'), stale).accepted
    assert codes(judged(policy, _GCP))[0] == "gcp.kind-not-accepted"


def test_a_token_about_a_vm_whose_memory_is_plain_is_refused_until_a_policy_takes_that() -> None:
    plain = changed(_SPACE, hardware_model="GCP_SHIELDED_VM", flags=frozenset({"token", "no_hardware_proof"}))

    assert codes(judged(policy_for(Tee.GCP, f"[gcp]\n{_IMAGE}"), plain)) == ["gcp.no-hardware-proof"]
    assert judged(policy_for(Tee.GCP, f'[gcp]\n{_IMAGE}allow = ["no_hardware_evidence"]\n'), plain).accepted


def test_where_both_kinds_are_taken_each_needs_something_that_says_which_software() -> None:
    kinds = 'kind = ["quote", "confidential-space"]\n'
    image = policy_for(Tee.GCP, f"[gcp]\n{kinds}{_IMAGE}[gcp.snp]{_SNP}")
    both = policy_for(Tee.GCP, f"[gcp]\n{kinds}{_IMAGE}{_KERNEL}[gcp.snp]{_SNP}")

    assert codes(judged(image, _GCP)) == ["gcp.measurement-not-accepted"]
    assert judged(image, _SPACE).accepted
    assert judged(both, _GCP).accepted


@pytest.mark.parametrize(
    ("tee", "table", "code"),
    [
        (Tee.TPM, "[tpm]\n", "policy.nothing-pinned"),
        (Tee.TPM, f'[tpm]\npcr07 = ["{"04" * 32}"]\n', "policy.nothing-pinned"),
        (Tee.TPM, f"[tpm]\n{_KERNEL}secure_boot = false\n", "policy.bad-value"),
        (Tee.TPM, f'[tpm]\n{_KERNEL}bank = ["sha1"]\n', "policy.bad-value"),
        (Tee.TPM, f'[tpm]\n{_KERNEL}event_log = "some"\n', "policy.bad-value"),
        (Tee.TPM, f'[tpm]\npcr4 = ["{"04" * 32}"]\n', "policy.unknown-key"),
        (Tee.AZURE_VTPM, "[azure-vtpm]\n", "policy.nothing-pinned"),
        (Tee.AZURE_VTPM, f"[azure-vtpm]\n{_KERNEL}[azure-vtpm.snp]\n", "policy.nothing-pinned"),
        (Tee.GCP, "[gcp]\n", "policy.nothing-pinned"),
    ],
)
def test_a_table_that_pins_nothing_is_no_policy(tee: Tee, table: str, code: str) -> None:
    with pytest.raises(MalformedError) as refused:
        policy_for(tee, table)

    assert refused.value.code == code
