"""One fault each in the evidence of a TPM that stands alone.

Whatever else is in it holds, so that one check alone can refuse it; the code is the one that this check gives.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.tees._tpm.attest import Scheme, TpmHash
from sealroom.testing.snp import flip_bit
from sealroom.testing.tokens import LEFT_OUT
from sealroom.testing.tpm import AK_ATTRIBUTES, SoftTpm, sized
from sealroom.testing.tpm_cases import NONCE, TpmBench, TpmCase
from sealroom.testing.tpm_log import boot, logged_boot, write_log

__all__ = ["faults"]

_EVIDENCE, _PCRS = "tpm.evidence", "tpm.pcrs"
_BITS = {"may leave its TPM": 1, "may leave its parent": 4, "was not made in it": 5, "does not sign": 18}


def faults(bench: TpmBench) -> Iterator[TpmCase]:
    """Every fault."""
    for make in (_attests, _signatures, _keys, _registers, _documents):
        yield from make(bench)


def _attests(bench: TpmBench) -> Iterator[TpmCase]:
    """Of what was signed; the key signs it as it stands."""
    tpm, form = bench.tpm, bench.tpm.form(NONCE)
    changes: Mapping[str, tuple[str, dict[str, Any]]] = {
        "a structure that no TPM made": ("tpm.magic", {"magic": 0xFF544348}),
        "bytes of somebody's choice": ("tpm.magic", {"magic": 0x68656C6C}),
        "a certificate in place of a quote": ("tpm.not-a-quote", {"kind": 0x8017}),
        "a session's audit": ("tpm.not-a-quote", {"kind": 0x8016}),
        "no bank": ("tpm.selection", {"selection": ()}),
        "a bank without a register": ("tpm.selection", {"selection": [(int(TpmHash.SHA256), ())]}),
        "a bank twice": ("tpm.selection", {"selection": [(int(TpmHash.SHA256), (0,))] * 2}),
        "a bank that nobody knows": ("tpm.selection", {"selection": [(0x12, (0,))]}),
        "nine banks": ("tpm.selection", {"selection": [(int(TpmHash.SHA256), (0,))] * 9}),
        "a bitmap of five bytes": ("tpm.selection", {"select_size": 5}),
        "a clock that is neither safe nor unsafe": ("tpm.clock", {"safe": 2}),
        "another digest": ("tpm.pcr-digest", {"pcr_digest": bytes(32)}),
        "a digest that is cut": ("tpm.pcr-digest", {"pcr_digest": form.pcr_digest[:31]}),
        "no digest": ("tpm.pcr-digest", {"pcr_digest": b""}),
    }  # fmt: skip
    for name, (code, change) in changes.items():
        yield bench.quoted(name, code, replace(form, **change))
    raw = form.encode()
    lengths = {"a byte behind it": ("tpm.trailing", raw + b"\0"), "its end cut off": ("tpm.truncated", raw[:-1]),
               "nothing but a type": ("tpm.truncated", raw[:6])}  # fmt: skip
    for name, (code, message) in lengths.items():
        yield bench.case(name, code, tpm_quote=bench.quote(message=message, signature=tpm.sign(message)))


def _signatures(bench: TpmBench) -> Iterator[TpmCase]:
    message, signature = bench.tpm.quote(NONCE)

    def signed(name: str, code: str, raw: bytes) -> TpmCase:
        return bench.case(name, code, tpm_quote=bench.quote(signature=raw))

    yield signed("a signature that was changed", "tpm.signature", flip_bit(signature, 8 * 8))
    yield signed("another key's signature", "tpm.signature", SoftTpm.create(bench.name).sign(message))
    yield bench.case("another quote under it", "tpm.signature",
                     tpm_quote=bench.quote(message=bench.tpm.form(b"other").encode()))  # fmt: skip
    yield signed("a byte behind a signature", "tpm.trailing", signature + b"\0")
    yield signed("a signature whose end is cut off", "tpm.truncated", signature[:-1])
    algorithm = "tpm.signature-algorithm"
    yield signed("a signature over SHA-1", algorithm, signature[:2] + b"\x00\x04" + signature[4:])
    yield signed("no scheme", algorithm, b"\x00\x10" + signature[2:])
    yield signed("a keyed hash", algorithm, b"\x00\x05\x00\x0b" + sized(bytes(32)))
    yield signed("a signature by a curve that TPMs alone have", algorithm, b"\x00\x1a" + signature[2:])
    yield signed("a signature over another hash", "tpm.signature", signature[:2] + b"\x00\x0c" + signature[4:])
    if bench.tpm.scheme is Scheme.ECDSA:
        by_rsa = SoftTpm.create("rsassa").sign(message)
        yield signed("a signature of another kind of key", "tpm.key", by_rsa)
        for name, number in {"of zero": bytes(32), "beyond the curve": b"\xff" * 32}.items():
            yield signed(f"numbers {name}", "tpm.signature", signature[:4] + sized(number) * 2)
        return
    yield signed("a signature of another kind of key", "tpm.key", SoftTpm.create("ecdsa").sign(message))
    other = Scheme.RSAPSS if bench.tpm.scheme is Scheme.RSASSA else Scheme.RSASSA
    yield signed("a scheme that was renamed", "tpm.signature", other.to_bytes(2, "big") + signature[2:])
    yield signed("a signature of zeros", "tpm.signature", signature[:4] + sized(bytes(256)))


def _keys(bench: TpmBench) -> Iterator[TpmCase]:
    tpm, stranger = bench.tpm, SoftTpm.create(bench.name)
    yield bench.case("a key that nobody enrolled", "tpm.unknown-key", keys=frozenset())
    yield bench.case("a stranger's evidence", "tpm.unknown-key", keys=frozenset({tpm.fingerprint}), tpm=stranger)
    yield bench.case("the stranger's quote under the enrolled key", "tpm.signature",
                     tpm_quote=bench.members(stranger)["tpm_quote"])  # fmt: skip
    for name, bit in _BITS.items():
        yield bench.case(f"a key that {name}", "tpm.key-attributes",
                         tpm=replace(tpm, attributes=AK_ATTRIBUTES & ~(1 << bit)))  # fmt: skip
    area = tpm.public_area()
    areas = {
        "a byte behind the key": ("tpm.trailing", area + b"\0"),
        "half a key": ("tpm.truncated", area[: len(area) // 2]),
        "a key that is for storage": ("tpm.public", area[:10] + b"\0\x06" + area[12:]),
        "a key that is neither RSA nor on a curve": ("tpm.public", b"\0\x08" + area[2:]),
        "a SubjectPublicKeyInfo that is none": ("tpm.unknown-key", b"\x30\x03abc"),
    }
    if tpm.scheme is Scheme.ECDSA:
        areas["a point off its curve"] = ("tpm.public", area[:-1] + bytes((area[-1] ^ 1,)))
        areas["a curve that is not taken"] = ("tpm.public", area.replace(b"\0\x03\0\x10", b"\0\x01\0\x10"))
    else:
        areas["a key of 1024 bits"] = ("tpm.public", area.replace(b"\x08\0\0\0\0\0", b"\x04\0\0\0\0\0", 1))
    for name, (code, raw) in areas.items():
        yield bench.case(name, code, ak_public=base64.b64encode(raw).decode())
    odd = ec.generate_private_key(ec.SECP256R1())
    yield bench.case("another key of the enrolled one's form", "tpm.unknown-key", keys=frozenset({tpm.fingerprint}),
                     tpm=SoftTpm(key=odd, scheme=Scheme.ECDSA))  # fmt: skip


def _registers(bench: TpmBench) -> Iterator[TpmCase]:
    pcrs = bench.members()["tpm_quote"]["pcrs"]

    def listed(name: str, code: str, values: Any) -> TpmCase:
        return bench.case(name, code, tpm_quote=bench.quote(pcrs=values))

    yield listed("a register that was changed", "tpm.pcr-digest", ["01" * 32, *pcrs[1:]])
    yield listed("registers in another order", "tpm.pcr-digest", [*pcrs[1:], pcrs[0]])
    yield listed("a register too few", _PCRS, pcrs[:-1])
    yield listed("more than a TPM has", _PCRS, [*pcrs, *pcrs])
    yield listed("a register of another bank", _PCRS, ["00" * 48, *pcrs[1:]])
    yield listed("a byte that moved to the register before", _PCRS, [pcrs[0] + pcrs[1][:2], pcrs[1][2:], *pcrs[2:]])
    yield listed("none", _PCRS, [])
    yield listed("registers by name", _PCRS, dict(enumerate(pcrs)))
    yield listed("a register that is no text", _EVIDENCE, [None, *pcrs[1:]])
    yield listed("a register that is no hexadecimal", _EVIDENCE, ["*" * 64, *pcrs[1:]])
    both = bench.tpm.form(NONCE, {TpmHash.SHA1: (0,), TpmHash.SHA256: range(24)})
    yield bench.quoted("two banks", _PCRS, both)
    booted = replace(bench.tpm, pcrs=SoftTpm(key=bench.tpm.key).pcrs)
    logged_boot(booted, boot())
    silent = write_log([event for event in boot() if event.index != 7], booted.pcrs)
    logs = {"of another boot": ("eventlog.register-mismatch", write_log(boot(application=b"other"), booted.pcrs)),
            "without an event": ("eventlog.register-mismatch", write_log(boot()[:-3], booted.pcrs)),
            "that says nothing of the register of Secure Boot": ("eventlog.register-mismatch", silent),
            "that is none": ("eventlog.malformed", b"no log"),
            "of another bank": ("tpm.event-log-bank", write_log(boot(), (TpmHash.SHA1,)))}  # fmt: skip
    for name, (code, log) in logs.items():
        yield bench.case(f"a log {name}", code, tpm=booted, event_log=base64.b64encode(log).decode())
    yield bench.case("two logs", _EVIDENCE, event_log="AAAA", eventlog="AAAA")


def _documents(bench: TpmBench) -> Iterator[TpmCase]:
    raw = bench.case("x").raw
    texts = {"nothing": b"", "half of it": raw[: len(raw) // 2], "a member twice": raw[:-1] + b',"svn":1,"svn":1}',
             "not UTF-8": b"\xff" + raw, "a number that JSON does not have": raw[:-1] + b',"svn":NaN}'}  # fmt: skip
    for name, text in texts.items():
        yield bench.case(name, "tpm.token", raw=text)
    yield bench.case("a list", _EVIDENCE, raw=json.dumps([json.loads(raw)]).encode())
    for name in ("tpm_quote", "ak_public"):
        yield bench.case(f"no {name}", _EVIDENCE, **{name: LEFT_OUT})
    yield bench.case("a member that nobody knows", _EVIDENCE, comment="hello")
    for name in ("message", "signature", "pcrs"):
        quote = bench.quote()
        del quote[name]
        yield bench.case(f"a quote without {name}", _EVIDENCE, tpm_quote=quote)
    yield bench.case("a quote with more in it", _EVIDENCE, tpm_quote=bench.quote(ak="00"))
    yield bench.case("a quote that is a text", _EVIDENCE, tpm_quote="AAAA")
    for name, value in {"a number": 5, "an empty text": "", "a list of no octets": [256], "booleans": [True],
                        "no base64": "*", "null": None}.items():  # fmt: skip
        yield bench.case(f"a key that is {name}", _EVIDENCE, ak_public=value)
