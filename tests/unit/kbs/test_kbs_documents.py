"""Init data, SNP evidence, messages: what is read, and what is not."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealroom.errors import MalformedError
from sealroom.evidence import Collateral
from sealroom.kbs.errors_json import parse_error
from sealroom.kbs.init_data import parse_init_data, write_init_data
from sealroom.kbs.json_text import b64_decode, b64url_decode
from sealroom.kbs.messages import ResourceId, parse_challenge
from sealroom.kbs.snp_certs import parse_cert_chain
from sealroom.kbs.snp_json import parse_snp_json, write_snp_json
from sealroom.pem import as_pem
from sealroom.testing.snp import SimulatedSnp, SnpPlatform


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True), st.text(max_size=40), max_size=5))
def test_init_data_that_we_write_says_what_it_was_given(data: dict[str, str]) -> None:
    data = {name: value.encode("utf-8", "ignore").decode() for name, value in data.items()}
    document = write_init_data(data)
    assert parse_init_data(document).data == data
    assert write_init_data(dict(reversed(data.items()))) == document


@pytest.mark.parametrize(
    "document",
    [
        b"", b"version", b"\xff", b'version = "0.1.0"\nalgorithm = "sha256"\n',
        b'version = "0.2.0"\nalgorithm = "sha256"\n[data]',
        b'version = "0.1.0"\nalgorithm = "md5"\n[data]', b'version = "0.1.0"\nalgorithm = "sha256"\n[data]\na = 1',
        b'version = "0.1.0"\nalgorithm = "sha256"\nextra = 1\n[data]',
        b'version = "0.1.0"\nalgorithm = ["sha256"]\n[data]',
        b'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n"a" = "' + b"x" * 300_000 + b'"',
    ],
)  # fmt: skip
def test_other_documents_are_no_init_data(document: bytes) -> None:
    with pytest.raises(MalformedError, match=r"kbs\.init-data"):
        parse_init_data(document)


@pytest.mark.parametrize("key", [b"a." * 100_000 + b"a", b'"a" . ' * 40_000 + b"'b'", b"'a'." * 50_000 + b"a"])
@pytest.mark.parametrize("form", [b"%b = 1", b"[%b]", b"x = { %b = 1 }", b"[[%b]]"])
def test_a_key_of_many_parts_does_not_take_the_brokers_memory(form: bytes, key: bytes) -> None:
    # TOML's reader keeps every prefix of a dotted key: 32 KB of it took a gigabyte, before any evidence was looked at
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError, match=r"kbs\.init-data"):
            parse_init_data(form % key)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_dots_in_the_values_of_init_data_are_nobodys_business() -> None:
    hosts = ",".join(f"10.0.{number}.1" for number in range(200))
    document = write_init_data({"no_proxy": hosts, "words": "one. two. " * 200, "row": "." * 500})
    assert parse_init_data(document).data["no_proxy"] == hosts


@pytest.mark.parametrize("version", [2, 3, 5])
def test_simulated_reports_survive_the_way_through_json(snp_platform: SnpPlatform, version: int) -> None:
    collected = SimulatedSnp(platform=snp_platform, version=version).collect(bytes(64))
    raw, collateral = parse_snp_json(write_snp_json(collected.raw, collected.collateral))
    assert raw == collected.raw
    assert collateral.items["leaf"] == collected.collateral.items["leaf"]
    assert collateral.items["chain"].split() == collected.collateral.items["chain"].split()


def test_a_report_that_the_form_can_not_carry_is_not_sent(snp_platform: SnpPlatform) -> None:
    raw = bytearray(SimulatedSnp(platform=snp_platform).report(bytes(64)))
    raw[0x4C] = 1  # reserved
    with pytest.raises(MalformedError, match=r"kbs\.snp-evidence"):
        write_snp_json(bytes(raw), Collateral(items={}))
    with pytest.raises(MalformedError, match=r"kbs\.snp-evidence"):
        write_snp_json(bytes(raw[:-1]), Collateral(items={}))


def test_evidence_with_a_member_of_the_wrong_form_is_malformed(snp_platform: SnpPlatform) -> None:
    collected = SimulatedSnp(platform=snp_platform).collect(bytes(64))
    for name in ("version", "report_data", "current_tcb", "current", "signature", "policy"):
        for wrong in (None, -1, 2**64, "1", True, 1.0, [], [256] * 64, {}, {"r": [0] * 72}):
            evidence = write_snp_json(collected.raw, collected.collateral)
            evidence["attestation_report"][name] = wrong  # type: ignore[call-overload,index]
            with pytest.raises(MalformedError, match=r"kbs\.snp-evidence"):
                parse_snp_json(evidence)


@pytest.mark.parametrize(
    "chain",
    [
        {}, [1], [{"cert_type": "VCEK", "data": "AA"}], [{"cert_type": "VCEK", "data": [300]}],
        [{"cert_type": "ARK", "data": [1]}, {"cert_type": "ARK", "data": [1]}],
        [{"cert_type": "VCEK", "data": [1]}, {"cert_type": "VLEK", "data": [1]}],
        [{"cert_type": "ASK", "data": list(b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----")}],
    ],
)  # fmt: skip
def test_ambiguous_certificate_lists_are_refused(snp_platform: SnpPlatform, chain: object) -> None:
    evidence = write_snp_json(SimulatedSnp(platform=snp_platform).report(bytes(64)), Collateral(items={}))
    evidence["cert_chain"] = chain  # type: ignore[assignment]
    with pytest.raises(MalformedError, match=r"kbs\.snp-evidence"):
        parse_snp_json(evidence)


def test_pem_leaves_and_vendor_tables_of_some_hosts_are_read(snp_platform: SnpPlatform) -> None:
    collected = SimulatedSnp(platform=snp_platform).collect(bytes(64))
    evidence = write_snp_json(collected.raw, collected.collateral)
    leaf = as_pem(snp_platform.leaf)
    evidence["cert_chain"] = [
        {"cert_type": "VCEK", "data": list(leaf)},
        {"cert_type": {"OTHER": "00000000-0000-0000-0000-000000000000"}, "data": [1, 2]},
    ]
    assert parse_snp_json(evidence)[1] == Collateral(items={"leaf": snp_platform.leaf})
    evidence["cert_chain"] = None
    assert parse_snp_json(evidence)[1] == Collateral(items={})


@settings(max_examples=200)
@given(st.text(max_size=12))
def test_base64_has_one_spelling(text: str) -> None:
    import base64

    for decode, encode in ((b64_decode, base64.b64encode), (b64url_decode, base64.urlsafe_b64encode)):
        try:
            raw = decode(text, what="x")
        except MalformedError:
            continue
        assert encode(raw).decode().rstrip("=") == text.rstrip("=")


@pytest.mark.parametrize("text", ["AAA", "AA", "A===", "AB==", "A A=", "_-8="])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        b64_decode(text, what="x")


@pytest.mark.parametrize("name", ["kbs:///a/b/c", "a/b/c", "default/key-1/v1.0_x"])
def test_a_resource_has_three_segments(name: str) -> None:
    assert str(ResourceId.parse(name)) == name.removeprefix("kbs:///")


@pytest.mark.parametrize(
    "raw", [b"{}", b'{"nonce":"AAAA"}', b'{"nonce":1}',
            b'{"nonce":"' + b"A" * 43 + b'=","extra-params":{"selected-hash-algorithm":"sha256"}}'],
)  # fmt: skip
def test_challenges_that_we_can_not_meet_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_challenge(raw)


def test_control_characters_of_a_refusal_do_not_reach_a_terminal() -> None:
    kind = "https://github.com/confidential-containers/kbs/errors/PolicyDeny"
    reply = parse_error(f'{{"type":"{kind}","detail":"no \\u001b[2J [snp.debug] [x y]"}}'.encode())
    assert reply.codes == ("snp.debug",)
    assert "\x1b" not in reply.detail


def test_an_empty_revocation_list_is_handed_on_to_be_refused_and_not_left_out() -> None:
    collateral = parse_cert_chain([{"cert_type": "CRL", "data": []}])
    assert dict(collateral.items) == {"crl": b""}
