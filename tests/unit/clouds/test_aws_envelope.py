"""Envelopes as KMS writes them open; all else is refused for its own reason, and nothing tells why a key failed.

Fault gpu-cloud 15: the answer of KMS is BER of indefinite length. OpenSSL judges both what we mint and what we read.
"""

import contextlib
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from sealroom.clouds.aws_envelope import open_envelope, parse_envelope
from sealroom.clouds.ber import MAX_DEPTH, definite
from sealroom.errors import MalformedError, SealroomError
from sealroom.testing import der
from sealroom.testing.kms_envelope import EnvelopeForm, envelope_faults, indefinite, oaep, padded

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FAULTS = {fault.name: fault for fault in envelope_faults(KEY.public_key())}
OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="the program openssl is not here")


def form(content: bytes, **changes: object) -> EnvelopeForm:
    return EnvelopeForm(public_key=KEY.public_key(), content=padded(content), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("chunk", [0, 1, 16, 20, 1000, 10_000])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 32, 4096])
def test_an_envelope_opens_however_its_content_is_cut_into_chunks(size, chunk):
    if size == 4096 and chunk == 1:
        chunk = 3  # one byte in three: larger than any envelope
    content = bytes(number & 0xFF for number in range(size))
    assert open_envelope(form(content, chunk=chunk).write(), KEY) == content


def test_the_shape_is_that_of_messages_that_kms_has_sent():
    """Read off published answers to Decrypt: which lengths are indefinite, and every algorithm to the byte."""
    raw = form(b"\5" * 8).write()
    head = "3080 06092a864886f70d010703 a080 3080 020102 3182016b 30820167 020102 8020"
    oaep_sha256 = ("303c 06092a864886f70d010107 302f a00f 300d 0609608648016503040201 0500"
                   "a11c 301a 06092a864886f70d010108 300d 0609608648016503040201 0500 04820100")  # fmt: skip
    content = "3080 06092a864886f70d010701 301d 060960864801650304012a 0410"
    assert raw.startswith(bytes.fromhex(head))
    assert raw[65:131] == bytes.fromhex(oaep_sha256)
    assert raw[387:].startswith(bytes.fromhex(content))
    assert raw[-30:-26] == bytes.fromhex("a080 0410")
    assert (raw[-10:], len(raw)) == (bytes(10), 461)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_for_its_own_reason(name):
    with pytest.raises(SealroomError) as refusal:
        open_envelope(FAULTS[name].raw, KEY)
    assert refusal.value.code == FAULTS[name].code


def test_an_envelope_that_does_not_open_never_says_why():
    """No oracle: a wrong key, a wrong length of it and a wrong padding are one error, to the letter."""
    said = set()
    for fault in FAULTS.values():
        if fault.code == "aws.envelope-not-opened":
            with pytest.raises(SealroomError) as refusal:
                open_envelope(fault.raw, KEY)
            said.add(refusal.value.diagnostics())
    assert len(said) == 1


def test_cut_off_anywhere_it_is_refused():
    raw = form(b"key").write()
    for size in range(len(raw)):
        with pytest.raises(MalformedError):
            parse_envelope(raw[:size])


def test_hashes_without_parameters_are_the_same_hashes():
    assert open_envelope(form(b"x", transport=oaep(null=b"")).write(), KEY) == b"x"


def test_chunks_may_be_in_chunks_and_in_a_string_of_their_own():
    raw = form(b"0123456789abcdef0123456789abcdef", chunk=16).write()
    at = raw.rindex(b"\xa0\x80") + 2
    chunks = raw[at:-10]
    assert chunks.count(b"\x04\x10") >= 3
    nested = raw[:at] + indefinite(0x24, chunks[:18], indefinite(0x24, chunks[18:])) + raw[-10:]
    assert open_envelope(nested, KEY) == b"0123456789abcdef0123456789abcdef"


def test_ber_of_one_element_is_its_der():
    string = der.octet_string(bytes(300))
    chunked = indefinite(0x24, der.octet_string(bytes(100)), indefinite(0x24, der.octet_string(bytes(200))))
    assert definite(indefinite(0x30, chunked, b"\x05\x00")) == der.sequence(string, b"\x05\x00")
    assert definite(der.sequence(string)) == der.sequence(string)


@pytest.mark.parametrize("other", [der.integer(1), der.sequence(), b"\x80\x01a", b"\x05\x00"])
def test_a_chunk_of_another_kind_is_no_part_of_a_string(other):
    for chunks in ((other,), (der.octet_string(b"a"), other), (other, der.octet_string(b"a"))):
        with pytest.raises(MalformedError, match=r"ber\.encoding"):
            definite(indefinite(0x24, *chunks))


def test_the_depth_is_bounded():
    whole = b"\x05\x00"
    for _ in range(MAX_DEPTH):
        whole = indefinite(0x30, whole)
    assert definite(whole)
    with pytest.raises(MalformedError, match=r"ber\.encoding"):
        definite(indefinite(0x30, whole))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw):
    with contextlib.suppress(MalformedError):
        again = definite(raw)
        assert definite(again) == again


@given(st.integers(min_value=0, max_value=450), st.integers(min_value=1, max_value=255))
def test_a_flipped_byte_opens_to_nothing_or_is_refused_in_our_words(place, change):
    """CBC has no authentication: a flip in the content or its vector can give other content, and never an error of
    somebody else's."""
    raw = bytearray(WHOLE)
    raw[place % len(raw)] ^= change
    with contextlib.suppress(SealroomError):
        open_envelope(bytes(raw), KEY)


WHOLE = form(b"key").write()


@pytest.fixture(scope="module")
def openssl_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cms")
    (folder / "key.pem").write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "enclave")])
    now = datetime.now(UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(KEY.public_key())
    certificate = (
        x509.CertificateBuilder(name, name, KEY.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(identifier, critical=False)
        .sign(KEY, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return folder


def openssl(*words: str, content: bytes) -> bytes:
    assert OPENSSL is not None
    done = subprocess.run([OPENSSL, "cms", *words], input=content, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@needs_openssl
@pytest.mark.parametrize("chunk", [0, 16, 1000])
def test_openssl_opens_what_we_mint(openssl_files, chunk):
    raw = form(bytes(range(256)) * 10, chunk=chunk).write()
    found = openssl("-decrypt", "-inform", "DER", "-binary", "-inkey", str(openssl_files / "key.pem"), content=raw)
    assert found == bytes(range(256)) * 10


@needs_openssl
@pytest.mark.parametrize("size", [0, 32, 5000])
@pytest.mark.parametrize("streamed", [True, False])
def test_we_open_what_openssl_writes_in_ber(openssl_files, size, streamed):
    ways = ["-stream"] if streamed else ["-nodetach"]
    raw = openssl("-encrypt", *ways, "-binary", "-outform", "DER", "-aes256", "-keyid", "-recip",
                  str(openssl_files / "certificate.pem"), "-keyopt", "rsa_padding_mode:oaep", "-keyopt",
                  "rsa_oaep_md:sha256", content=b"\7" * size)  # fmt: skip
    assert (raw[1] == 0x80) == streamed
    assert open_envelope(raw, KEY) == b"\7" * size


@needs_openssl
@pytest.mark.parametrize(("cipher", "options"), [
    ("-aes128", ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256"]),
    ("-aes256", ["rsa_padding_mode:pkcs1"]),
    ("-aes256", ["rsa_padding_mode:oaep"]),
    ("-aes256", ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha1"]),
    ("-aes256", ["rsa_padding_mode:oaep", "rsa_oaep_md:sha512"]),
])  # fmt: skip
def test_what_openssl_makes_otherwise_is_refused_by_name(openssl_files, cipher, options):
    given = [word for option in options for word in ("-keyopt", option)]
    raw = openssl("-encrypt", "-binary", "-outform", "DER", cipher, "-keyid", "-recip",
                  str(openssl_files / "certificate.pem"), *given, content=b"x")  # fmt: skip
    with pytest.raises(SealroomError) as refusal:
        open_envelope(raw, KEY)
    assert refusal.value.code == "aws.envelope-algorithm"


def test_the_private_key_and_what_was_found_show_nowhere():
    envelope = parse_envelope(WHOLE)
    assert envelope.content.hex() not in repr(envelope)
    assert repr(replace(form(b"secret"))).count("secret") == 0
