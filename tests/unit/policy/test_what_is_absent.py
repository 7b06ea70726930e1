"""What is not there never passes for what was asked: no file, no fact, no device, no hardware, nothing in a list."""

from datetime import timedelta
from typing import Any

import pytest
from made_claims import AT, changed, codes, document, judged, made, policy_for

from sealroom.errors import MalformedError
from sealroom.evidence import Appraisal, Claims, Tee
from sealroom.policy import Policy, Subject, appraise, load_policy
from sealroom.policy.references.keys import REFERENCE_KEYS
from sealroom.statement import RoomStatement

_SIGNER = f'signers = ["sha256:{"11" * 32}"]'
_TIME = int(AT.timestamp() * 1000)
_SIZES = {table: {key: form.sizes[0] for key, form in forms.items() if form.sizes}
          for table, forms in REFERENCE_KEYS.items()}  # fmt: skip
_TCB = {kind: {"snp": 1, "bootloader": 1, "tee": 1, "microcode": 1} for kind in ("reported", "committed", "current")}
_CLAIMS: dict[str, Claims] = {
    "snp": made(Tee.SNP, hardware_model="Genoa", signer="VCEK", tcb=_TCB, details={"vmpl": 0}),
    "tdx": made(Tee.TDX, tcb_status="UpToDate", details={"qe_status": "UpToDate"}),
    "sgx": made(Tee.SGX, tcb_status="UpToDate", details={"qe_status": "UpToDate", "isv_prod_id": 1, "isv_svn": 1}),
    "nvidia": made(Tee.NVIDIA, report_data=b"\x0a" * 32,
                   details={"kind": "gpu", "architecture": "hopper", "driver_version": "550.90.07",
                            "vbios_version": "96.00.a5.00.01", "mode": "single", "driver_rim": "d", "vbios_rim": "v",
                            "measurements_compared": 40, "fwid": "11" * 48}),
    "nitro": made(Tee.NITRO, details={"document": "enclave", "timestamp_ms": _TIME}),
    "cca": made(Tee.CCA, details={"token": "cca", "lifecycle": "secured"}),
    "tpm": made(Tee.TPM, details={"pcr_bank": "sha256"}),
    "azure-vtpm": made(Tee.AZURE_VTPM, details={"pcr_bank": "sha256"}, inner=made(Tee.SNP)),
    "gcp": made(Tee.GCP, details={"pcr_bank": "sha256", "image_digest": f"sha256:{'ab' * 32}"}, inner=made(Tee.SNP)),
}  # fmt: skip
_STATEMENT = RoomStatement(
    nonce=bytes(32), key_configs=b"keys", model_name="m", model_version=1, model_digest=b"\x11" * 32,
    package_digest=b"\x22" * 32, engine_name="e", engine_version="1", engine_config_digest=b"\x33" * 32,
    sandbox_layers=("landlock",), software_version="1", created_at=AT, not_after=AT + timedelta(hours=1),
)  # fmt: skip
_TOGETHER = {**dict.fromkeys(("mr_td", "rtmr1", "rtmr2"), ("mr_td", "rtmr1", "rtmr2")),
             **dict.fromkeys(("pcr1", "pcr2"), ("pcr1", "pcr2"))}  # fmt: skip
"""Keys that say which software runs only together."""
_EXTRA = {"sgx": "isv_prod_id = [1]\nminimum_isv_svn = 0\n"}


def _with_files(table: str, key: str) -> Policy:
    """A policy that takes ``key`` from reference files alone, and leaves open whatever it may besides."""
    keys = ", ".join(f'"{one}"' for one in _TOGETHER.get(key, (key,)))
    rules = f'[[reference_files]]\nname = "r"\nfor = "{table}"\nkeys = [{keys}]\n{_SIGNER}\n'
    document_kind = 'document = "nitro-tpm"\n' if key.startswith("nitrotpm") else ""
    own = f"[{table}]\n{document_kind}{_EXTRA.get(table, '')}"
    for reasons in ('measurement = "x"\nminimum_tcb = "x"\nminimum_driver = "x"', 'minimum_tcb = "x"'):
        try:
            return policy_for(Tee(table), f"{own}{rules}", unchecked=reasons)
        except MalformedError as refused:
            if refused.code != "policy.contradiction":
                raise
    raise AssertionError(f"no policy takes [{table}] {key} from files alone")


def _all_measured(table: str) -> Claims:
    """Evidence that says everything that a file could name."""
    found = {key: b"\x01" * size for key, size in _SIZES[table].items()}
    kind = {"document": "enclave"} if table == "nitro" else {}
    return changed(_CLAIMS[table], measurements=found, details=kind)


@pytest.mark.parametrize(("table", "key"), [(table, key) for table in _CLAIMS for key in REFERENCE_KEYS[table]])
def test_what_only_a_reference_file_names_is_refused_as_long_as_none_comes(table: str, key: str) -> None:
    policy = _with_files(table, key)
    claims = _all_measured(table)
    if key == "image_digest":
        claims = changed(claims, inner=None, flags=frozenset({"token"}))
    if table == "nvidia":
        subject = Subject.evidence_alone(expected_report_data=claims.report_data)
        refused = codes(appraise(policy, claims, subject=subject, at=AT))
    else:
        refused = codes(judged(policy, claims))

    assert f"{table}.{key.replace('_', '-')}-not-accepted" in refused


def _room(tables: str) -> Appraisal:
    policy = load_policy(document(Tee.NITRO, f'[nitro]\npcr0 = ["{"01" * 48}"]\n{tables}'), source="test.toml")
    claims = changed(_CLAIMS["nitro"], measurements={"pcr0": b"\x01" * 48})
    subject = Subject.room(_STATEMENT, expected_report_data=claims.report_data, nonce_answered=True)
    return appraise(policy, claims, subject=subject, at=AT)


_MODEL = f'[model]\nname = "m"\ndigest = ["sha256:{"11" * 32}"]\n'
_ENGINE = '[engine]\nsandbox_layers = ["landlock"]\n'


@pytest.mark.parametrize(
    ("tables", "for_", "key"),
    [
        (_MODEL + _ENGINE, "engine", "config_digest"),
        (_MODEL + _ENGINE, "model", "package_digest"),
        (_MODEL + '[engine]\nname = ["e"]\n', "engine", "config_digest"),
        ('[model]\nname = "m"\n' + _ENGINE, "model", "digest"),
    ],
)
def test_a_model_or_engine_that_only_a_file_names_is_refused_as_long_as_none_comes(
    tables: str, for_: str, key: str
) -> None:
    files = f'[[reference_files]]\nname = "r"\nfor = "{for_}"\nkeys = ["{key}"]\n{_SIGNER}\n'

    assert _room(_MODEL + _ENGINE).accepted
    assert codes(_room(tables + files)) == [f"{for_}.{key.replace('_', '-')}-not-accepted"]


@pytest.mark.parametrize("tee", [Tee.AZURE_VTPM, Tee.GCP])
def test_a_wrapper_with_nothing_in_it_is_refused_unless_it_says_why_and_the_policy_takes_that(tee: Tee) -> None:
    policy = policy_for(tee, f'[{tee}]\npcr04 = ["{"04" * 32}"]\n')
    empty = made(tee, measurements={"pcr04": b"\x04" * 32}, details={"pcr_bank": "sha256"})

    assert codes(judged(policy, empty)) == ["policy.no-inner-evidence"]
    for why in ("token", "no_hardware_proof"):
        assert not judged(policy, changed(empty, flags=frozenset({why}))).accepted


_RULES = {
    "snp": f'measurement = ["{"4d" * 48}"]\nminimum_guest_svn = 1\nhost_data = ["{"01" * 32}"]\n'
           "minimum_tcb = { Genoa = { snp = 0, bootloader = 0, tee = 0, microcode = 0 } }",
    "tdx": f'mr_td = ["{"4d" * 48}"]\nrtmr1 = ["{"4d" * 48}"]\nrtmr2 = ["{"4d" * 48}"]\nfmspc = ["{"00" * 6}"]\n'
           f'ppid = ["{"00" * 16}"]\nminimum_tcb_date = 2020-01-01\nminimum_tcb_evaluation_number = 1',
    "sgx": f'mr_enclave = ["{"4d" * 32}"]\nisv_prod_id = [0]\nminimum_isv_svn = 0',
    "nitro": f'pcr0 = ["{"4d" * 48}"]\nmodule_id = ["i-1"]',
    "cca": f'rim = ["{"4d" * 32}"]\nplatform_profile = ["x"]\n[cca.components.BL]\nminimum_version = "0"',
    "tpm": f'pcr04 = ["{"4d" * 32}"]\nevent_log = "required"',
    "azure-vtpm": f'pcr04 = ["{"4d" * 32}"]\nvm_unique_id = ["v"]',
    "gcp": f'pcr04 = ["{"4d" * 32}"]\nzone = ["z"]\nproject_id = ["p"]',
}  # fmt: skip


@pytest.mark.parametrize("table", _RULES)
def test_evidence_that_says_nothing_meets_nothing_that_is_named(table: str) -> None:
    """Every check on a fact that is not there fails; those that pass are about what must be absent."""
    silent = made(Tee(table), hardware_model="", signer="", device_id=None)
    verdict = judged(policy_for(Tee(table), f"[{table}]\n{_RULES[table]}\n"), silent)

    named = [check for check in verdict.checks if check.source.startswith(f"policy: [{table}")]
    assert named
    assert [check.name for check in named if check.passed] == []


_LISTS = [("snp", "measurement"), ("snp", "allow"), ("snp", "vmpl"), ("tdx", "mr_td"), ("tdx", "tcb_status"),
          ("sgx", "mr_enclave"), ("sgx", "isv_prod_id"), ("nvidia", "driver_version"), ("nvidia", "architectures"),
          ("nvidia", "mode"), ("nitro", "pcr0"), ("cca", "rim"), ("tpm", "pcr04"), ("tpm", "bank"),
          ("azure-vtpm", "kind"), ("gcp", "zone"), ("gcp", "image_digest")]  # fmt: skip


@pytest.mark.parametrize(("table", "key"), _LISTS)
def test_an_empty_list_is_an_error_and_not_a_wildcard(table: str, key: str) -> None:
    with pytest.raises(MalformedError) as refused:
        policy_for(Tee(table), f"[{table}]\n{key} = []\n")
    assert refused.value.code.startswith("policy.")


@pytest.mark.parametrize(
    ("lines", "devices", "expected"),
    [
        ("", (), ["nvidia.count-not-accepted"]),
        ("count = 8", (), ["nvidia.count-not-accepted"]),
        ("minimum_count = 0", (), []),
        ("minimum_count = 0\nswitches = 4", (), ["nvidia.switches-not-accepted"]),
        ("minimum_count = 0", ("gpu",), []),
        ("", ("switch",), ["nvidia.count-not-accepted"]),
        ("count = 1", ("gpu", "other"), ["nvidia.count-not-accepted"]),
        ("count = 2", ("gpu", "gpu"), ["nvidia.topology"]),
        ("count = 2", ("gpu", "other"), []),
        ("count = 2", ("gpu", "blackwell"), ["nvidia.driver-below-minimum"]),
    ],
)
def test_devices_are_counted_and_none_is_not_enough(lines: str, devices: Any, expected: list[str]) -> None:
    gpu = _CLAIMS["nvidia"]
    found = {
        "gpu": gpu,
        "other": changed(gpu, device_id=b"\x02"),
        "blackwell": changed(
            gpu, device_id=b"\x03", details={"architecture": "blackwell", "driver_version": "570.1"}
        ),
        "switch": changed(gpu, device_id=b"\x04", details={"kind": "switch", "architecture": "ls10"}),
    }
    floors = 'minimum_driver = { hopper = "550.90", blackwell = "575.32" }'
    policy = policy_for(Tee.NITRO, f'[nitro]\npcr0 = ["{"01" * 48}"]\n[nvidia]\n{floors}\n{lines}\n')
    room = changed(_CLAIMS["nitro"], measurements={"pcr0": b"\x01" * 48})

    assert codes(judged(policy, room, devices=[found[name] for name in devices])) == expected


def test_an_expression_about_all_devices_is_true_of_none_and_the_count_is_not() -> None:
    """CEL says so, as logic does; a policy that means "and there are some" says how many under [nvidia]."""
    require = '[[require]]\nwhen = \'devices.all(one, one.signer == "FMC")\'\nbecause = "x"\n'
    pins = f'[nitro]\npcr0 = ["{"01" * 48}"]\n'
    room = changed(_CLAIMS["nitro"], measurements={"pcr0": b"\x01" * 48})

    assert judged(policy_for(Tee.NITRO, pins + require), room).accepted
    with_devices = policy_for(Tee.NITRO, f'{pins}[nvidia]\nminimum_driver = "1"\n{require}')
    assert codes(judged(with_devices, room)) == ["nvidia.count-not-accepted"]


@pytest.mark.parametrize(("got", "least", "enough"), [
    ("580.95.05", "580.9", True), ("580.9", "580.95.05", False), ("580.95.5", "580.95.05", True),
    ("580.095.05", "580.95.05", True), ("580", "580.0.0", True), ("580.0.1", "580", True), ("579.999", "580", False),
    ("1000.1", "999.9", True), ("", "1", False), ("580.95.", "1", False), ("580.95-beta", "1", False),
    ("v580", "1", False), ("-1", "0", False), ("580,95", "1", False), ("٥٨٠", "1", False), (" 580", "1", False),
    ("580\n", "1", False), ("9999999999", "1", False), ("1.1.1.1.1.1.1.1.1", "1", False), ("not said", "0", False),
])  # fmt: skip
def test_versions_are_numbers_and_what_is_none_is_older_than_any(got: str, least: str, enough: bool) -> None:
    policy = load_policy(
        document(Tee.NVIDIA, f'[nvidia]\nminimum_driver = "{least}"\n',
                 unchecked='report_data = "x"\nfreshness = "x"'), source="test.toml")  # fmt: skip
    gpu = changed(_CLAIMS["nvidia"], details={"driver_version": got})
    verdict = appraise(policy, gpu, subject=Subject.evidence_alone(expected_report_data=None), at=AT)

    assert codes(verdict) == ([] if enough else ["nvidia.driver-below-minimum"])
