"""A policy says exactly what its author meant, or it is not loaded."""

import hashlib
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.errors import MalformedError
from sealroom.evidence import Tee
from sealroom.policy import Policy, default_policy, load_policy

_MEASUREMENT = "ab" * 48
_DIGEST = "sha256:" + "cd" * 32
WHOLE = f"""\
policy = 1
name = "whole"
description = "every key once"

[trust]
tees = ["snp"]
insecure_simulated = ["{_DIGEST}"]
freshness = "nonce"
max_age_seconds = 600

[snp]
measurement = ["{_MEASUREMENT}"]
products = ["Genoa"]
signing_key = ["VCEK"]
vmpl = [0]
host_data = ["{"01" * 32}"]
id_key_digest = ["{"02" * 48}"]
author_key_digest = ["{"03" * 48}"]
family_id = ["{"04" * 16}"]
image_id = ["{"05" * 16}"]
chip_id = ["{"06" * 64}"]
minimum_guest_svn = 1
allow = ["smt"]
revocation_list = "required"

[snp.minimum_tcb.Genoa]
bootloader = 10
tee = 0
snp = 23
microcode = 84

[model]
name = "SmolLM2-135M-Instruct"
digest = ["{_DIGEST}"]
package_digest = ["{_DIGEST}"]
minimum_version = 2

[engine]
name = ["llama.cpp"]
config_digest = ["{_DIGEST}"]
sandbox_layers = ["landlock"]
insecure_layers = ["insecure-stub"]

[init_data]
"sealroom.model" = "smollm2"

[[require]]
when = "claims.details.abi_major >= 1"
because = "older firmware is not tested"
fix = "update the firmware"

[unchecked]
freshness = "recordings"
"""


def _refused(document: str | bytes) -> MalformedError:
    with pytest.raises(MalformedError) as refused:
        load_policy(document, source="demo.toml")
    return refused.value


def _with(old: str, new: str) -> str:
    assert old in WHOLE
    return WHOLE.replace(old, new, 1)


def test_a_whole_document_is_read_as_it_stands() -> None:
    policy = load_policy(WHOLE, source="demo.toml")

    assert policy.name == "whole"
    assert policy.trust.tees == (Tee.SNP,)
    assert policy.trust.max_age.total_seconds() == 600
    assert policy.snp is not None
    assert policy.snp.minimum_tcb["Genoa"] == {"bootloader": 10, "tee": 0, "snp": 23, "microcode": 84}
    assert policy.model is not None
    assert policy.model.digest == (bytes.fromhex("cd" * 32),)
    assert policy.init_data == {"sealroom.model": "smollm2"}
    assert policy.unchecked == {"freshness": "recordings"}


def test_the_digest_is_that_of_the_documents_bytes() -> None:
    raw = WHOLE.replace("\n", "\r\n").encode()

    assert load_policy(raw, source="x").digest == hashlib.sha256(raw).digest()
    assert load_policy(WHOLE, source="x").digest == hashlib.sha256(WHOLE.encode()).digest()


@pytest.mark.parametrize("nothing", ["", "\n\n", "# only a comment\n"])
def test_an_empty_policy_is_an_error_and_never_means_anything_goes(nothing: str) -> None:
    assert _refused(nothing).code == "policy.empty"


def test_a_policy_that_pins_no_measurement_is_an_error_unless_it_says_why() -> None:
    pinned = f'measurement = ["{_MEASUREMENT}"]\n'

    assert _refused(_with(pinned, "")).code == "policy.nothing-pinned"
    opened = _with(pinned, "").replace("[unchecked]\n", '[unchecked]\nmeasurement = "daily images"\n')
    assert load_policy(opened, source="x").unchecked["measurement"] == "daily images"


def test_a_product_without_a_minimum_tcb_is_an_error_unless_it_says_why() -> None:
    two = _with('products = ["Genoa"]', 'products = ["Genoa", "Milan"]')

    assert _refused(two).code == "policy.no-minimum-tcb"
    assert load_policy(two.replace("[unchecked]\n", '[unchecked]\n').split("[snp.minimum_tcb.Genoa]")[0]
                       + '[unchecked]\nminimum_tcb = "a laboratory"\n', source="x")  # fmt: skip


@pytest.mark.parametrize("part", ["bootloader = 10\n", "tee = 0\n", "snp = 23\n", "microcode = 84\n"])
def test_a_minimum_tcb_that_forgets_a_part_is_an_error(part: str) -> None:
    assert _refused(_with(part, "")).code == "policy.missing-key"


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("measurement = [", "measurment = [", "policy.unknown-key", 12),
        ("max_age_seconds = 600", "max_age = 600", "policy.unknown-key", 9),
        ("[model]", "[modell]", "policy.unknown-key", 32),
        ("snp = 23", "spn = 23", "policy.unknown-key", 29),
        ("max_age_seconds = 600", 'max_age_seconds = "600"', "policy.wrong-type", 9),
        ("max_age_seconds = 600", "max_age_seconds = 600.0", "policy.wrong-type", 9),
        ("max_age_seconds = 600", "max_age_seconds = true", "policy.wrong-type", 9),
        ("max_age_seconds = 600", "max_age_seconds = 0", "policy.bad-value", 9),
        ("microcode = 84", "microcode = 256", "policy.bad-value", 30),
        ("vmpl = [0]", "vmpl = 0", "policy.wrong-type", 15),
        ("vmpl = [0]", "vmpl = [4]", "policy.bad-value", 15),
        ("vmpl = [0]", "vmpl = []", "policy.bad-value", 15),
        ("vmpl = [0]", "vmpl = [0, 0]", "policy.bad-value", 15),
        ("vmpl = [0]", "vmpl = [true]", "policy.wrong-type", 15),
        ('allow = ["smt"]', 'allow = ["debgu"]', "policy.bad-value", 23),
        ('allow = ["smt"]', "allow = []", "policy.bad-value", 23),
        ('revocation_list = "required"', 'revocation_list = "optional"', "policy.bad-value", 24),
        ('revocation_list = "required"', "revocation_list = true", "policy.wrong-type", 24),
        ('products = ["Genoa"]', 'products = ["genoa"]', "policy.bad-value", 13),
        ('products = ["Genoa"]', 'products = ["Milan"]', "policy.bad-value", 13),
        (f'["{_MEASUREMENT}"]', f'["{_MEASUREMENT[2:]}"]', "policy.bad-value", 12),
        (f'["{_MEASUREMENT}"]', f'["{_MEASUREMENT.upper()}"]', "policy.bad-value", 12),
        (f'["{_MEASUREMENT}"]', f'"{_MEASUREMENT}"', "policy.wrong-type", 12),
        (f'["{_MEASUREMENT}"]', "[]", "policy.bad-value", 12),
        ("06" * 64, "00" * 64, "policy.bad-value", 21),
        (f'insecure_simulated = ["{_DIGEST}"]', f'insecure_simulated = ["{"cd" * 32}"]', "policy.bad-value", 7),
        ('freshness = "nonce"', 'freshness = "none"', "policy.bad-value", 8),
        ('tees = ["snp"]', 'tees = ["sev"]', "policy.bad-value", 6),
        ('tees = ["snp"]', 'tees = ["snp", "tdx"]', "policy.tee-without-rules", 6),
        ('name = "whole"', 'name = ""', "policy.bad-value", 2),
        ('name = "whole"', 'name = "a\\u001b[2J"', "policy.bad-value", 2),
        ("policy = 1", "policy = 2", "policy.version", 1),
        ('["insecure-stub"]', '["stub"]', "policy.bad-value", 42),
        ("minimum_version = 2", "minimum_version = 0", "policy.bad-value", 36),
        ('when = "claims', 'when = "claim', "policy.bad-expression", 48),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_key_and_line(old: str, new: str, code: str, line: int) -> None:
    error = _refused(_with(old, new))

    assert error.code == code
    assert error.where is not None
    assert error.where.startswith(f"demo.toml:{line}: "), error.where


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("measurement = [", "measurment = [", "did you mean 'measurement'?"),
        ("[unchecked]", "[uncheked]", "did you mean 'unchecked'?"),
        ("because =", "becuase =", "did you mean 'because'?"),
        ('allow = ["smt"]', 'allow = ["migrate-ma"]', "did you mean 'migrate_ma'?"),
    ],
)
def test_a_typing_error_is_answered_with_the_nearest_known_word(old: str, new: str, hint: str) -> None:
    assert _refused(_with(old, new)).hint == hint


@pytest.mark.parametrize(
    "key", ["policy = 1\n", 'name = "whole"\n', 'tees = ["snp"]\n', 'because = "older firmware is not tested"\n']
)
def test_a_required_key_that_is_absent_is_named(key: str) -> None:
    error = _refused(_with(key, ""))

    assert error.code == "policy.missing-key"
    assert key.split(maxsplit=1)[0] in error.message


def test_one_list_of_keys_is_not_for_arm_devices_and_tpms_alike() -> None:
    """Whoever owns a TPM has its key sign what is no quote: such as the token of an Arm platform."""
    pins = f'[cca]\nrim = ["{"11" * 32}"]\n[tpm]\npcr04 = ["{"22" * 32}"]\n'
    document = f'policy = 1\nname = "both"\n[trust]\ntees = ["cca", "tpm"]\n%s\n{pins}'

    assert load_policy(document % "", source="x").trust.device_keys == frozenset()
    assert _refused(document % f'device_keys = ["sha256:{"33" * 32}"]').code == "policy.contradiction"


@pytest.mark.parametrize(
    "addition",
    ['model = "why"\n', 'engine = "why"\n', 'measurement = "why"\n', 'minimum_tcb = "why"\n', 'init_data = "why"\n'],
)
def test_what_is_pinned_and_unchecked_at_once_is_a_contradiction(addition: str) -> None:
    assert _refused(WHOLE + addition).code == "policy.contradiction"


def test_something_that_can_not_be_left_unchecked_is_an_unknown_key() -> None:
    assert _refused(WHOLE + 'debug = "we like it"\n').code == "policy.unknown-key"


def test_leaving_something_open_without_a_reason_is_refused() -> None:
    assert _refused(_with('freshness = "recordings"', 'freshness = ""')).code == "policy.bad-value"
    assert _refused(_with('freshness = "recordings"', "freshness = true")).code == "policy.wrong-type"


def test_rules_for_a_tee_that_is_not_accepted_are_refused() -> None:
    without = "\n".join(line for line in WHOLE.splitlines() if not line.startswith("tees"))

    assert _refused(without.replace("[trust]", '[trust]\ntees = ["tdx"]')).code == "policy.tee-without-rules"


@pytest.mark.parametrize(
    ("table", "code"), [("[engine]", "policy.nothing-pinned"), ("[init_data]", "policy.missing-key")]
)
def test_an_empty_table_is_refused_rather_than_taken_for_anything(table: str, code: str) -> None:
    head, _, tail = WHOLE.partition(table)
    rest = tail[tail.index("\n[") :]

    assert _refused(f"{head}{table}{rest}").code == code


@pytest.mark.parametrize("kept", ["config_digest", "sandbox_layers"])
def test_an_engine_of_which_only_the_name_is_pinned_is_an_error(kept: str) -> None:
    """A name says nothing of how it runs; either of the other two does."""
    pins = {"config_digest": f'config_digest = ["{_DIGEST}"]\n', "sandbox_layers": 'sandbox_layers = ["landlock"]\n'}
    nameless = WHOLE.replace(pins["config_digest"], "").replace(pins["sandbox_layers"], "")

    assert _refused(nameless).code == "policy.nothing-pinned"
    assert load_policy(nameless.replace("[engine]\n", "[engine]\n" + pins[kept]), source="x").engine


@pytest.mark.parametrize(
    "document", ["policy = ", "= 1", "[trust", "a = 1\na = 2", "x = " + "[" * 5000, b"\xff\xfe", "n = " + "9" * 5000]
)
def test_what_is_no_toml_is_refused_and_no_foreign_error_escapes(document: str | bytes) -> None:
    assert _refused(document).code in {"policy.not-toml", "policy.unknown-key"}


@pytest.mark.parametrize(
    "document", ["a" + ".a" * 100_000 + " = 1", "[a" + ".a" * 100_000 + "]", "a = {b" + " . b" * 50_000]
)
def test_a_key_of_very_many_parts_is_refused_and_costs_nothing(document: str) -> None:
    tracemalloc.start()
    try:
        assert _refused(document).code == "policy.not-toml"
        assert tracemalloc.get_traced_memory()[1] < 50 * len(document)
    finally:
        tracemalloc.stop()


def test_dots_in_strings_and_comments_are_no_keys() -> None:
    dotted = WHOLE.replace("every key once", "1.2.3.4.5.6.7.8.9.10.11.12") + "\n# a.b.c.d.e.f.g.h.i.j.k.l\n"
    assert load_policy(dotted, source="x").description == "1.2.3.4.5.6.7.8.9.10.11.12"


def test_a_huge_document_is_refused_before_it_is_read() -> None:
    assert _refused("#" * 300_000).code == "policy.too-large"


@given(st.text(max_size=200))
def test_no_text_at_all_raises_anything_but_our_own_refusal(document: str) -> None:
    with pytest.raises(MalformedError):
        load_policy(document, source="x")


@given(st.integers(0, len(WHOLE)), st.text(st.characters(exclude_categories=["Cs"]), max_size=4))
def test_a_document_with_something_typed_into_it_loads_or_is_refused_by_us(index: int, typed: str) -> None:
    try:
        policy = load_policy(WHOLE[:index] + typed + WHOLE[index:], source="x")
    except MalformedError:
        return
    assert isinstance(policy, Policy)


def test_the_example_of_the_specification_loads_once_its_placeholders_are_filled() -> None:
    spec = (Path(__file__).resolve().parents[3] / "spec" / "policy.md").read_text("utf-8")
    example = re.search(r"```toml\n(.*?)```", spec, re.DOTALL)
    assert example is not None
    filled = re.sub(r"<(\d+) hex>", lambda digits: "a" * int(digits[1]), example[1])

    assert load_policy(filled, source="spec").name == "demo"


def test_the_document_of_the_specification_shows_every_table_that_the_reader_knows() -> None:
    from sealroom.policy import load, load_intel, load_nvidia, load_snp, model, model_others
    from sealroom.policy.load_clouds import AZURE_WORDS, GCP_WORDS
    from sealroom.policy.references.load import REFERENCE

    spec = (Path(__file__).resolve().parents[3] / "spec" / "policy.md").read_text("utf-8")

    for keys in (
        load._TOP,
        load._TRUST,
        load_snp._SNP,
        load._REQUIRE,
        load_intel.PLATFORM,
        model.TDX_MEASUREMENTS,
        model.SGX_MEASUREMENTS,
        model.UNCHECKABLE,
        load_nvidia._NVIDIA,
        model_others.NVIDIA_ALLOWANCES,
        model_others.CCA_ALLOWANCES,
        model_others.GCP_ALLOWANCES,
        model_others.AZURE_ALLOWANCES,
        AZURE_WORDS,
        GCP_WORDS,
        REFERENCE,
    ):
        assert all(f"`{key}" in spec or f".{key}`" in spec for key in keys)
    assert all(f"`model.{key}`" in spec for key in load._MODEL)
    assert all(f"`engine.{key}`" in spec for key in load._ENGINE)


def test_every_code_that_the_code_can_raise_stands_in_a_specification() -> None:
    root = Path(__file__).resolve().parents[3]
    spec = "".join(
        (root / "spec" / name).read_text("utf-8")
        for name in ("policy.md", "evidence-bundle.md", "reference-values.md")
    )
    sources = [root / "src/sealroom/statement.py", *(root / "src/sealroom/policy").rglob("*.py")]
    sources += (root / "src/sealroom/collateral").glob("*.py")
    code = re.compile(r'"((?:policy|reference|statement|bundle|cbor)\.[a-z][a-z0-9-]+)"')
    raised = {found for path in sources for found in code.findall(path.read_text("utf-8"))}

    assert raised
    assert {found for found in raised if f"`{found}`" not in spec} == set()


def test_the_built_in_default_leaves_open_by_name_whatever_it_does_not_pin() -> None:
    assert set(default_policy().unchecked) == {
        "measurement", "minimum_tcb", "minimum_driver", "freshness", "report_data", "model", "engine", "init_data",
    }  # fmt: skip
    assert default_policy().trust_roots.insecure_simulated == frozenset()
