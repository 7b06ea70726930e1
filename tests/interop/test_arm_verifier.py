"""Minted realms before ccatoken 0.1.0 (Rust, of the Veraison project), which knows older firmware's tokens alone.

Its parts take minutes to compile, so scripts/setup-beside builds it only if SEALROOM_CARGO is set.
"""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sealroom.cbor import Tagged, encode_cbor, read_cbor
from sealroom.errors import SealroomError
from sealroom.tees._cose.key import read_key
from sealroom.testing.cca import CcaForm
from sealroom.testing.cca_cases import CHALLENGE, Bench, CcaCase, authentic
from sealroom.testing.cca_key_faults import faults

FOLDER = Path(__file__).parent / "rust"
PROGRAM = FOLDER / ".build" / "arm-verifier"
CURVES = {256: ("P-256", "ES256"), 384: ("P-384", "ES384"), 521: ("P-521", "ES512")}

NOT_BOUND = {
    "bound by sha-256 and said to be by sha-512", "the hash padded with zeros", "the hash turned around",
    "the hash all zero",
}  # fmt: skip
"""Its verdict is Ok all the same; that the realm is none is told by the trust vector alone."""
NOT_LOOKED_FOR = {
    "followed by a zero byte", "followed by itself", "with the platform twice", "platform token without its tag",
    "platform token under its tag twice", "platform token of five parts", "platform token with a byte behind it",
    "realm token without its tag", "realm token under its tag twice", "realm token of five parts",
    "realm token with a byte behind it", "platform's algorithm a text", "realm's algorithm a text",
    "platform payload with a byte behind it", "realm payload with a byte behind it",
}  # fmt: skip
"""None changes what is signed, or what it is taken for."""
CRASHES = {"platform token as a COSE_Sign", "platform token of three parts", "realm token as a COSE_Sign",
           "realm token of three parts"}  # fmt: skip


class OlderFirmware(Bench):
    """Every case as of older firmware."""

    def form(self) -> CcaForm:
        return self.realm.legacy_form(CHALLENGE)


@pytest.fixture(scope="module")
def judged() -> list[tuple[CcaCase, dict[str, Any]]]:
    if not PROGRAM.exists():
        pytest.skip("ccatoken is not built here: SEALROOM_CARGO=1 scripts/setup-beside builds it")
    bench = Bench.create()
    bench = OlderFirmware(platform=bench.platform, realm=bench.realm)
    asked = []
    for case in [*authentic(bench), *faults(bench)]:
        try:
            key = jwk(case.key)
        except SealroomError:
            continue
        # a key that is written as a point is no fault of older firmware
        if not case.name.startswith("device") and not case.name.endswith("written otherwise than it was hashed"):
            asked.append((case, {"evidence": older(case.raw).hex(), "key": key}))
    lines = "\n".join(json.dumps(question) for _, question in asked).encode()
    done = subprocess.run([PROGRAM], input=lines, capture_output=True, check=True, timeout=60)
    return list(zip([case for case, _ in asked], map(json.loads, done.stdout.splitlines()), strict=True))


def jwk(raw: bytes) -> str:
    numbers = read_key(raw, area="test").public_numbers()
    curve, algorithm = CURVES[numbers.curve.key_size]
    x, y = (base64.urlsafe_b64encode(value.to_bytes((numbers.curve.key_size + 7) // 8, "big")).rstrip(b"=").decode()
            for value in (numbers.x, numbers.y))  # fmt: skip
    return json.dumps({"kty": "EC", "crv": curve, "alg": algorithm, "x": x, "y": y})


def older(raw: bytes) -> bytes:
    """In the older wrapper, if there are two records to be wrapped."""
    try:
        whole = read_cbor(raw)
    except SealroomError:
        return raw
    match whole:
        case Tagged(tag=907, value=dict() as records) if all(isinstance(one, list) for one in records.values()):
            return encode_cbor(Tagged(399, {number: one[1] for number, one in records.items()}))
    return raw


def names(judged, holds) -> set[str]:
    return {case.name.partition(": ")[2] for case, answer in judged if holds(case, answer)}


def test_older_firmware_s_tokens_are_accepted(judged):
    accepted = names(judged, lambda case, answer: case.code is None and answer["accepted"] and answer["realm"] == 0)
    assert {"as it should be", "of older firmware", "in the older wrapper", "lifecycle 0x3003", "64 components",
            "headers that are not signed", "everything around written loosely, legacy=True"} <= accepted  # fmt: skip


def test_a_realm_that_is_not_bound_has_the_verdict_of_one_that_is(judged):
    """Whoever reads the result and no trust vector takes any realm for one that the platform vouches for."""
    not_bound = names(judged, lambda case, answer: case.code == "cca.binding" and answer["accepted"])
    assert not_bound == NOT_BOUND
    assert all(answer["realm"] == 99 for case, answer in judged if case.code == "cca.binding" and answer["accepted"])


def test_faults_around_what_is_signed(judged):
    about = ("cca.signature", "cca.cose", "cca.cbor")
    accepted = names(judged, lambda case, answer: (case.code or "").startswith(about) and answer["accepted"])
    assert accepted == NOT_LOOKED_FOR, "other than recorded: docs/reference/differential.md"
    assert names(judged, lambda _, answer: answer["crashed"]) == CRASHES
