"""What the gym is built of: spans, texts, quotes in parts, and the rules of who is asked what."""

import base64
import itertools
import json

import pytest
from gym_samples import recorded, snp_sample
from hypothesis import given
from hypothesis import strategies as st

from sealroom.der import SEQUENCE, read_whole
from sealroom.errors import UnavailableError
from sealroom.evidence import Tee
from sealroom.pem import as_pem, read_pem
from sealroom.testing.gym import mutations, run_gym
from sealroom.testing.gym.byte_edits import edits, length_edits
from sealroom.testing.gym.certificates import certificate_spans, same_certificates
from sealroom.testing.gym.json_spans import json_spans, signed_body
from sealroom.testing.gym.mutation import Expectation
from sealroom.testing.gym.own_keys import own_p256, reissued
from sealroom.testing.gym.quote_parts import spans, split
from sealroom.testing.gym.verifiers_service import DcapQvl, GoSevGuest, GoTdxGuest, installed_verifiers
from sealroom.x509_reader import read_certificate

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_characters="/~")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=12,
)


def at(value, path):
    for name in path.split("/")[1:]:
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


@given(JSON, st.sampled_from([None, 1]))
def test_a_json_span_is_just_the_bytes_of_its_value(value, indent):
    text = json.dumps(value, indent=indent).encode()
    found = list(json_spans(text))
    assert found[0].of(text) == text
    assert len({span.path for span in found}) == len(found)
    for span in found:
        assert json.loads(span.of(text)) == at(value, span.path)


def test_the_signed_body_is_the_member_that_is_not_the_signature():
    assert signed_body(b'{"signature":"00", "x": {"signature":1} }').of(
        b'{"signature":"00", "x": {"signature":1} }'
    ) == (b'{"signature":1}')


@given(st.binary(min_size=1, max_size=64), st.randoms(use_true_random=False))
def test_edits_keep_the_length_and_are_never_what_was_there(value, draw):
    found = [other for _, other in edits(value, draw)]
    assert all(len(other) == len(value) for other in found)
    assert value not in found
    assert len(set(found)) == len(found)
    assert found


def test_lies_about_a_length_are_lies():
    found = dict(length_edits((1000).to_bytes(4, "little"), 2000))
    assert {"0", "one less", "one more", "max", "one more than is there"} <= found.keys()
    assert (1000).to_bytes(4, "little") not in found.values()
    assert dict(length_edits(b"\xff", 3)).keys().isdisjoint({"max", "one more", "double"})


QUOTES = ("tdx", "sgx")


def test_every_recorded_quote_is_the_same_when_put_together_again(shared_vectors):
    versions = set()
    for sample in recorded(shared_vectors, *QUOTES):
        parts = split(sample.raw)
        assert parts.joined() == sample.raw
        fields = list(spans(sample.raw))
        assert fields[0].start == 0
        assert all(one.end == other.start for one, other in itertools.pairwise(fields))
        versions.add((sample.tee, sample.raw[0]))
    assert versions >= {(Tee.TDX, 4), (Tee.TDX, 5), (Tee.SGX, 3)}


def test_a_reissued_certificate_differs_in_key_and_signature_alone(snp_platform):
    leaf = snp_platform.leaf
    again = reissued(leaf, key=own_p256("pck"), signer=own_p256("root"))
    one, other = read_certificate(leaf), read_certificate(again)
    assert (one.subject, one.issuer, one.serial, one.validity, one.extensions) == (
        other.subject, other.issuer, other.serial, other.validity, other.extensions)  # fmt: skip
    assert one.public_key != other.public_key
    assert reissued(leaf, key=None, signer=own_p256("root")) != leaf


def test_certificate_spans_are_fields_of_the_certificate(snp_platform):
    leaf = snp_platform.leaf
    found = {span.name: span.of(leaf) for span in certificate_spans(leaf)}
    assert found["signature"] == b"\0" + read_certificate(leaf).signature
    assert read_whole(read_certificate(leaf).public_key, SEQUENCE).content == found["public key"]
    assert sum(name.startswith("extension") for name in found) == len(read_certificate(leaf).extensions)


def test_the_forgiving_reader_tells_another_certificate_from_another_spelling():
    block = b"\x30\x04abcd"
    text = as_pem(block)
    spelt = base64.b64encode(block)
    assert same_certificates(text.replace(b"\n", b"\r\n "), [block])
    assert same_certificates(text.replace(b"=", b""), [block])
    assert not same_certificates(text.replace(spelt[:1], b"A", 1), [block])
    assert not same_certificates(text + text, [block])
    assert read_pem(text, "CERTIFICATE") == [block]


def test_forgeries_of_signed_text_never_keep_text_and_signature(shared_vectors):
    (sample,) = recorded(shared_vectors, "tdx/v4-b0c06f-uptodate")
    name = "tcb_info_response"
    body = signed_body(sample.collateral[name]).of(sample.collateral[name])
    checked = 0
    for mutation in mutations(sample, [sample]):
        if mutation.label.startswith(f"{name}: ") and mutation.expectation is Expectation.FORGERY:
            text = mutation.sample.collateral[name]
            same = text.count(body) == 1 and text.replace(body, b"") == sample.collateral[name].replace(body, b"")
            # the chain is what is forged where the document is as it was
            assert not same or mutation.sample.collateral != sample.collateral
            checked += 1
    assert checked > 200


class Asked:
    """Counts what a judge would be asked."""

    def __init__(self, judge, sample, others):
        self.labels = [m.label for m in mutations(sample, others) if judge.is_asked(sample, m)]


def test_dcap_qvl_is_asked_for_what_it_takes_and_agrees_on_an_original(shared_vectors):
    (sample,) = recorded(shared_vectors, "tdx/v4-b0c06f-uptodate")
    judge = DcapQvl()
    labels = Asked(judge, sample, [sample]).labels
    assert any(label.startswith("quote: mr_td") for label in labels)
    assert any(label.startswith("time:") for label in labels)
    assert not any("around it" in label or "crl: as " in label or label.startswith("without ") for label in labels)
    assert judge.judge(sample).accepted
    assert run_gym([sample], [judge], only="quote: mr_td").findings == []


def test_programs_are_asked_about_what_they_are_given_alone(shared_vectors, snp_platform, tmp_path):
    program = tmp_path / "check"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o700)
    (quote,) = recorded(shared_vectors, "tdx/v4-b0c06f-uptodate")
    labels = Asked(GoTdxGuest(program), quote, [quote]).labels
    assert labels
    assert all(label.startswith(("quote: ", "pck chain: ")) for label in labels)
    (report,) = recorded(shared_vectors, "snp/v2-milan-vcek")
    labels = Asked(GoSevGuest(program), report, [report]).labels
    assert any(label.startswith("report: measurement") for label in labels)
    assert not any("certificate 1:" in label or label.startswith("time:") for label in labels)
    assert Asked(GoSevGuest(program), snp_sample(snp_platform), []).labels == []


@pytest.mark.parametrize(
    ("script", "accepted", "crashed"),
    [("exit 0", True, False), ("echo no >&2; exit 2", False, False), ("echo 'panic: index' >&2; exit 2", False, True),
     ("kill -SEGV $$", False, True)],
)  # fmt: skip
def test_what_a_program_says_is_its_exit_status_and_a_panic_is_a_crash(
    shared_vectors, tmp_path, script, accepted, crashed
):
    program = tmp_path / "check"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    (quote,) = recorded(shared_vectors, "tdx/v4-b0c06f-uptodate")
    answer = GoTdxGuest(program).judge(quote)
    assert (answer.accepted, answer.crashed) == (accepted, crashed)


def test_a_program_is_given_evidence_and_root(shared_vectors, tmp_path):
    program = tmp_path / "check"
    program.write_text('#!/bin/sh\ncp "$2" "$0.seen"\nfor one; do echo "$one" >> "$0.said"; done\n')
    program.chmod(0o700)
    (minted,) = recorded(shared_vectors, "tdx/pki-v4-uptodate")
    GoTdxGuest(program).judge(minted)
    assert (tmp_path / "check.seen").read_bytes() == minted.raw
    assert "-trusted_roots=" in (tmp_path / "check.said").read_text()
    (report,) = recorded(shared_vectors, "snp/v2-milan-vcek")
    GoSevGuest(program).judge(report)
    seen = (tmp_path / "check.seen").read_bytes()
    assert seen.startswith(report.raw)
    assert all(block in seen for block in read_pem(report.collateral["chain"], "CERTIFICATE"))


def test_a_program_that_was_named_and_is_not_there_is_said(tmp_path):
    with pytest.raises(UnavailableError):
        list(installed_verifiers(tmp_path / "none", None))
    assert any(judge.name.startswith("dcap-qvl ") for judge in installed_verifiers(None, None))
