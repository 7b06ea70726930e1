"""A recorded Azure guest in a world of one's own, and one fault at a time in it.

The SNP report is re-minted as `snp_hierarchy` does it; the vTPM has a key of one's own, which the runtime data names
and the report binds. Every field, register and time stays as it was recorded.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sealroom.evidence import Tee
from sealroom.testing.gym.azure import AzureParts, with_runtime
from sealroom.testing.gym.byte_edits import flipped
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.snp_hierarchy import SnpHierarchy, snp_hierarchy_mutations
from sealroom.testing.gym.vtpm import attest_spans, own_tpm
from sealroom.testing.tokens import base64url
from sealroom.testing.tpm import SoftTpm

__all__ = ["AzureWorld", "azure_world_mutations"]

Fault = tuple[str, "AzureWorld"]

_HARDWARE, _RUNTIME, _JSON, _REPORT_DATA = 32, 1216, 1236, 0x50
_HASH_TYPE = _RUNTIME + 12


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureWorld:
    """What is bound and quoted; change any with `dataclasses.replace`, and sign."""

    parts: AzureParts = field(repr=False)
    hardware: SnpHierarchy = field(repr=False)
    runtime: bytes = field(repr=False)
    report_data: bytes | None = field(default=None, repr=False)
    """None: the hash of `runtime`."""
    message: bytes = field(repr=False)
    pcrs: tuple[bytes, ...] = field(repr=False)
    signer: SoftTpm | None = field(default=None, repr=False)
    """Of the quote, in place of the key that is bound."""
    report: Callable[[bytes], bytes] = field(default=lambda raw: raw, repr=False)
    """What becomes of the paravisor's report, which nobody signs."""

    @classmethod
    def of(cls, sample: Sample) -> "AzureWorld | None":
        """The world of ``sample``; None: its hardware is not SNP, or its certificates are not three."""
        parts = AzureParts.of(sample)
        hardware = SnpHierarchy.of(parts.inner) if parts.guest.hcl.inner is Tee.SNP else None
        if hardware is None:
            return None
        said = json.loads(parts.guest.hcl.runtime_data)
        key = next(one for one in said["keys"] if one["kid"] == "HCLAkPub")
        key["n"] = _modulus(own_tpm())
        return cls(parts=parts, hardware=hardware, runtime=json.dumps(said).encode(), message=parts.form.message,
                   pcrs=tuple(parts.form.pcrs))  # fmt: skip

    def sample(self) -> Sample:
        """Everything signed, and the own root trusted."""
        return self.around(self.vouching().sample())

    def vouching(self) -> SnpHierarchy:
        """The hardware, whose report vouches for what it is to vouch for."""
        data = (
            hashlib.sha256(self.runtime).digest().ljust(64, b"\0") if self.report_data is None else self.report_data
        )
        report = self.hardware.report
        return replace(self.hardware, report=report[:_REPORT_DATA] + data + report[_REPORT_DATA + 64 :])

    def around(self, inner: Sample) -> Sample:
        """The guest's evidence around ``inner``, rightly quoted."""
        raw = with_runtime(self.parts, self.runtime)
        raw = raw[:_HASH_TYPE] + (1).to_bytes(4, "little") + raw[_HASH_TYPE + 4 :]
        raw = self.report(raw[:_HARDWARE] + inner.raw + raw[_HARDWARE + len(inner.raw) :])
        signature = (self.signer or own_tpm()).sign(self.message)[6:]
        made = self.parts.sample(hcl_report=raw, message=self.message, signature=signature, pcrs=self.pcrs, vcek=None)
        return replace(inner, tee=Tee.AZURE_VTPM, raw=made.raw, name=f"{self.parts.base.name}, re-minted")


def azure_world_mutations(world: AzureWorld) -> Iterator[Mutation]:
    """Every fault of this kind, and every one of the hardware's."""
    for label, faulty in (*_bindings(world), *_runtimes(world), *_reports(world), *_quotes(world)):
        yield Mutation(label=f"re-minted: {label}", level=Level.MINTED, expectation=Expectation.FORGERY,
                       sample=faulty.sample())  # fmt: skip
    for mutation in snp_hierarchy_mutations(world.vouching()):
        yield replace(mutation, label=f"hardware {mutation.label}", sample=world.around(mutation.sample))


def _bindings(world: AzureWorld) -> Iterator[Fault]:
    """Of what the hardware signed as its report data."""
    text = world.runtime
    right = hashlib.sha256(text).digest().ljust(64, b"\0")
    padded = text.ljust(2600 - _JSON, b"\0")
    for word, data in {
        "zeros": bytes(64), "one bit of it": flipped(right, 0), "a byte behind the hash": right[:-1] + b"\1",
        "the hash and a nonce": right[:32] + b"\x17" * 32, "its first half": right[:16].ljust(64, b"\0"),
        "the hash twice": right[:32] * 2, "turned around": right[::-1], "SHA-512": hashlib.sha512(text).digest(),
        "SHA-384": hashlib.sha384(text).digest().ljust(64, b"\0"),
        "of the padding too": hashlib.sha256(padded).digest().ljust(64, b"\0"),
        "of all but the last byte": hashlib.sha256(text[:-1]).digest().ljust(64, b"\0"),
        "of the header too": hashlib.sha256(bytes(20) + text).digest().ljust(64, b"\0"),
    }.items():  # fmt: skip
        yield f"report data: {word}", replace(world, report_data=data)


def _runtimes(world: AzureWorld) -> Iterator[Fault]:
    """Of what is bound: the hardware vouches for it as it stands."""
    stranger = SoftTpm.create()

    def said(change: Callable[[dict[str, Any]], object]) -> AzureWorld:
        document: dict[str, Any] = json.loads(world.runtime)
        change(document)
        return replace(world, runtime=json.dumps(document).encode())

    def keys(change: Callable[[dict[str, Any]], object]) -> AzureWorld:
        return said(lambda document: [change(key) for key in document["keys"] if key["kid"] == "HCLAkPub"])

    yield "another key is bound than the one that signed", keys(lambda key: key.update(n=_modulus(stranger)))
    yield "the bound key has another name", keys(lambda key: key.update(kid="HCLAkPub2"))
    yield "two keys of that name", said(lambda document: document["keys"].append(document["keys"][0]))
    yield "no keys", said(lambda document: document.update(keys=[]))
    yield "keys by name", said(lambda document: document.update(keys={"HCLAkPub": document["keys"][0]}))
    for name, value in (("kty", "EC"), ("e", "AQ"), ("e", "Aw"), ("n", ""), ("n", "A" + "_" * 84), ("n", None)):
        yield f"a bound key of {name} {value!s:.4}", keys(partial(_set, name, value))
    yield "user data too short", said(lambda document: document.update({"user-data": "00"}))
    yield "a member twice", replace(world, runtime=world.runtime[:-1] + b',"keys":[]}')
    yield "a byte order mark", replace(world, runtime=b"\xef\xbb\xbf" + world.runtime)
    yield "no JSON", replace(world, runtime=b"runtime data")


def _set(name: str, value: object, key: dict[str, Any]) -> None:
    key[name] = value


def _reports(world: AzureWorld) -> Iterator[Fault]:
    """Of the paravisor's report, which nobody signs; the hardware's inside holds."""

    def put(place: int, value: int, size: int = 4) -> AzureWorld:
        return replace(world, report=lambda raw: raw[:place] + value.to_bytes(size, "little") + raw[place + size :])

    length = len(world.runtime)
    yield "runtime data cut by one byte", put(_JSON - 4, length - 1)
    yield "runtime data with a byte of padding", put(_JSON - 4, length + 1)
    yield "both sizes cut by one byte", replace(world, report=lambda raw: raw[:_RUNTIME] + (length + 19).to_bytes(
        4, "little") + raw[_RUNTIME + 4 : _JSON - 4] + (length - 1).to_bytes(4, "little") + raw[_JSON:])  # fmt: skip
    yield "said to be bound by SHA-384", put(_HASH_TYPE, 2)
    yield "said to be bound by nothing", put(_HASH_TYPE, 0)
    yield "said to be of a TD", put(_RUNTIME + 8, 4)
    yield "another magic", put(0, 0x42434C48)


def _quotes(world: AzureWorld) -> Iterator[Fault]:
    """Of the vTPM's quote, rightly signed by the bound key."""
    spans = {span.name: span for span in attest_spans(world.message)}

    def put(name: str, value: bytes) -> AzureWorld:
        span = spans[name]
        return replace(world, message=world.message[: span.start] + value + world.message[span.end :])

    yield "a structure that no TPM made", put("magic", b"HCLA")
    yield "a time and no quote", put("type", b"\x80\x19")
    yield "another digest of registers", put("digest", bytes(32))
    yield "no register", put("bitmap 0", bytes(spans["bitmap 0"].end - spans["bitmap 0"].start))
    yield "a byte behind the quote", replace(world, message=world.message + b"\0")
    yield "another register", replace(world, pcrs=(b"\1" * len(world.pcrs[0]), *world.pcrs[1:]))
    yield "quoted by another vTPM", replace(world, signer=SoftTpm.create())


def _modulus(tpm: SoftTpm) -> str:
    numbers: Any = tpm.key.public_key().public_numbers()
    return base64url(numbers.n.to_bytes(256, "big"))
