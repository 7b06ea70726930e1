# ruff: noqa: INP001 - a folder of programs
"""The first corpus of readers for devices and tokens: GPUs, reference values, Nitro, Arm, CBOR, JSON web tokens."""

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealroom.cbor import CborValue, Tagged, encode_cbor
from sealroom.testing.gym.cose import signed_by
from sealroom.testing.gym.own_keys import own_p384
from sealroom.testing.kms_envelope import EnvelopeForm, padded
from sealroom.testing.nvidia import GpuMachine, SimulatedGpu
from sealroom.testing.nvidia_ocsp import UNKNOWN, revoked
from sealroom.testing.nvidia_report import write_report
from sealroom.testing.nvidia_rim import RimForm, RimSigner, write_rim
from sealroom.testing.nvidia_vendor import NvidiaVendor

__all__ = ["device_seeds"]

_TOKENS = Path(__file__).resolve().parents[2] / "shared" / "vectors" / "cca"


def device_seeds() -> Iterator[tuple[str, bytes]]:
    """Target and input."""
    vendor = NvidiaVendor.create()
    yield from (("nvidia-report", raw) for raw in reports(vendor))
    yield from (("reference-values", raw) for raw in documents())
    gpu = SimulatedGpu.create(vendor=vendor)
    for depth, status in ((1, revoked(6)), (2, UNKNOWN)):
        yield "ocsp-answer", gpu.answer(depth, status=status)
    yield "ocsp-answer", gpu.answer(1, has_end=False)
    yield "stapled-answers", encode_cbor([b"one", b"other"])
    yield from (("nitro-document", raw) for raw in nitro_documents())
    yield from (("kms-envelope", raw) for raw in envelopes())
    yield from (("cca-token", path.read_bytes()) for path in sorted(_TOKENS.glob("*/*.cbor")))
    yield from (("cose-key", raw) for raw in keys())
    yield "cbor", encode_cbor([1, -2, b"b", "t", {"k": [True, None]}, Tagged(18, "tagged")])
    yield "cbor", bytes.fromhex("9f5f4101ffbf616101ff7f6161ffff")
    yield from tokens()


def reports(vendor: NvidiaVendor) -> Iterator[bytes]:
    """Of each kind, with two blocks, so that the fuzzer has not to carry sixty."""
    machine = GpuMachine.create(gpus=1, switches=1, vendor=vendor)
    for device in (*machine.devices.values(), SimulatedGpu.create("blackwell", vendor=vendor)):
        form = device.form(bytes(32))
        yield write_report(replace(form, blocks=form.blocks[:2])) + bytes(96)


def documents() -> Iterator[bytes]:
    """With three indices."""
    form = RimForm(
        product="GH100", version="550.90.07", count=3, values={1: (bytes(48),), 2: (bytes(48), b"\1" * 48)}
    )
    signer = RimSigner(key=own_p384("seed"), certificates=(b"\x30\x00",) * 4)
    yield write_rim(form, signer)


def nitro_documents() -> Iterator[bytes]:
    """Of an enclave and of an instance; with a definite map and tagged."""
    members: dict[int | str | bytes, CborValue] = {
        "module_id": "i-1", "digest": "SHA384", "timestamp": 1_700_000_000_000, "pcrs": {0: bytes(48), 3: bytes(48)},
        "certificate": b"\x30\x00", "cabundle": [b"\x30\x00"], "public_key": None, "user_data": b"u", "nonce": b"n",
    }  # fmt: skip
    yield signed_by(own_p384("seed"), members)
    tpm = {("nitrotpm_pcrs" if name == "pcrs" else name): value for name, value in members.items()}
    yield signed_by(own_p384("seed"), tpm, tagged=True)


def envelopes() -> Iterator[bytes]:
    """As KMS writes them, and with the content whole; a key that is too short to be one keeps them small."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    form = EnvelopeForm(public_key=key, content=padded(bytes(40)), encrypted_key=bytes(8))
    yield replace(form, chunk=16).write()
    yield replace(form, chunk=0).write()


def keys() -> Iterator[bytes]:
    """One key in two ways."""
    numbers = ec.derive_private_key(7, ec.SECP256R1()).public_key().public_numbers()
    x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
    yield encode_cbor({1: 2, -1: 1, -2: x, -3: y})
    yield json.dumps({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)}).encode()


def tokens() -> Iterator[tuple[str, bytes]]:
    """Unsigned: the reader does not look at signatures."""
    for algorithm in ("RS256", "ES384"):
        parts = ({"alg": algorithm, "kid": "k", "typ": "JWT"}, {"iss": "https://x", "exp": 1, "eat_nonce": ["a"]})
        raw = [text(json.dumps(part).encode()) for part in parts]
        yield "web-token", f"{raw[0]}.{raw[1]}.{text(struct.pack('>Q', 7) * 8)}".encode()
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_numbers()
    n = numbers.n.to_bytes(256, "big")
    (key,) = [json.loads(raw) for raw in keys() if raw[:1] == b"{"]
    every = [{"kty": "RSA", "kid": "k", "use": "sig", "n": text(n), "e": "AQAB"}, {**key, "kid": "e"}]
    yield "web-keys", json.dumps({"keys": every}).encode()


def text(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
