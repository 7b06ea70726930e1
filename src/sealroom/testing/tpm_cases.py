"""Minted evidence of TPMs that stand alone, as cases: the bench on which they are made, and all that is authentic."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealroom.tees._tpm.attest import Scheme, TpmHash
from sealroom.testing.tpm import AK_ATTRIBUTES, Selection, SoftTpm, sized
from sealroom.testing.tpm_log import boot, logged_boot
from sealroom.testing.tpm_quote import QuoteForm
from sealroom.testing.tpm_simulated import write_evidence

__all__ = ["NONCE", "TpmBench", "TpmCase", "authentic"]

NONCE = bytes(range(1, 33))
"""What honest evidence answers."""
_RESTRICTED = 1 << 16
_UNRESTRICTED = frozenset({"ak_unrestricted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmCase:
    """Evidence, and what is to come of it."""

    name: str
    code: str | None
    """Of our refusal; None: authentic."""
    raw: bytes = field(repr=False)
    keys: frozenset[bytes]
    """SHA-256 of the keys that were enrolled."""
    flags: frozenset[str] = frozenset()
    """Of the claims, where it is authentic."""


@dataclass(frozen=True, kw_only=True)
class TpmBench:
    """One TPM; whatever a case does not change is right."""

    tpm: SoftTpm

    @classmethod
    def create(cls, kind: str) -> "TpmBench":
        """With a new key of ``kind``, as `SoftTpm.create` has it."""
        return cls(tpm=SoftTpm.create(kind))

    @property
    def name(self) -> str:
        """For cases."""
        return self.tpm.scheme.name.lower()

    def case(
        self, name: str, code: str | None = None, *, raw: bytes | None = None, tpm: SoftTpm | None = None,
        flags: frozenset[str] = frozenset(), keys: frozenset[bytes] | None = None, **members: Any,
    ) -> TpmCase:  # fmt: skip
        """Honest evidence of ``tpm`` with ``members`` of its JSON changed, or other bytes altogether; ``...`` leaves
        a member out.
        """
        asked = tpm or self.tpm
        said = self.members(asked) | members
        written = json.dumps({member: value for member, value in said.items() if value is not ...}).encode()
        return TpmCase(name=f"{self.name}: {name}", code=code, raw=written if raw is None else raw, flags=flags,
                       keys=frozenset({asked.fingerprint}) if keys is None else keys)  # fmt: skip

    def members(self, tpm: SoftTpm | None = None, selection: Selection | None = None) -> dict[str, Any]:
        """Honest evidence before it is written."""
        asked = tpm or self.tpm
        raw = write_evidence(asked, *asked.quote(NONCE, selection), selection=selection)
        members: dict[str, Any] = json.loads(raw)
        return members

    def quote(self, **members: Any) -> dict[str, Any]:
        """Its quote, with ``members`` changed; bytes are written as base64."""
        honest: Mapping[str, Any] = self.members()["tpm_quote"]
        return {**honest, **{name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
                             for name, value in members.items()}}  # fmt: skip

    def quoted(self, name: str, code: str | None, form: QuoteForm, **options: Any) -> TpmCase:
        """With another quote, which the key signed."""
        message = form.encode()
        return self.case(name, code, tpm_quote=self.quote(message=message, signature=self.tpm.sign(message)),
                         **options)  # fmt: skip


def authentic(bench: TpmBench) -> Iterator[TpmCase]:
    """Everything that may differ and is right."""
    for make in (_keys, _registers, _spellings):
        yield from make(bench)


def _keys(bench: TpmBench) -> Iterator[TpmCase]:
    tpm = bench.tpm
    area = tpm.public_area()
    yield bench.case("as it is")
    yield bench.case("its public area without a size", ak_public=base64.b64encode(area).decode())
    yield bench.case("its key alone, which says nothing of what it signs", ak_public=tpm.spki.hex(),
                     flags=_UNRESTRICTED)  # fmt: skip
    loose = replace(tpm, attributes=AK_ATTRIBUTES & ~_RESTRICTED)
    yield bench.case("a key that signs anything", tpm=loose, flags=_UNRESTRICTED)
    for digest in (TpmHash.SHA384, TpmHash.SHA512):
        yield bench.case(f"signed over {digest.word}", tpm=replace(tpm, digest=digest))
    if tpm.scheme is Scheme.ECDSA:
        for curve in (ec.SECP384R1(), ec.SECP521R1()):
            yield bench.case(f"a key on {curve.name}", tpm=replace(tpm, key=ec.generate_private_key(curve)))
    else:
        larger = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        yield bench.case("a key of 3072 bits", tpm=replace(tpm, key=larger))


def _registers(bench: TpmBench) -> Iterator[TpmCase]:
    every = tuple(TpmHash)
    tpm = SoftTpm(key=bench.tpm.key, scheme=bench.tpm.scheme, pcrs=SoftTpm.create("ecdsa", banks=every).pcrs)
    for bank in every:
        weak = frozenset({"sha1_bank"}) if bank is TpmHash.SHA1 else frozenset[str]()
        yield bench.case(f"the bank {bank.word}", tpm=tpm, flags=weak, **bench.members(tpm, {bank: range(24)}))
    for name, indices in {"four of them": (0, 4, 7, 14), "the first": (0,), "the last": (23,)}.items():
        yield bench.case(name, tpm=tpm, **bench.members(tpm, {TpmHash.SHA256: indices}))
    sparse = bench.members(tpm, {TpmHash.SHA256: (0, 7)})
    all_of_them = [value.hex() for value in tpm.pcrs[TpmHash.SHA256].values()]
    yield bench.case("two of them, and the values of all", tpm=tpm, **{**sparse, "tpm_quote": {
        **sparse["tpm_quote"], "pcrs": all_of_them
    }})  # fmt: skip
    booted = replace(tpm, pcrs=SoftTpm(key=tpm.key).pcrs)
    log = base64.b64encode(logged_boot(booted, boot())).decode()
    yield bench.case("with the log of its boot", tpm=booted, event_log=log)
    yield bench.case("with its log under the other name", tpm=booted, eventlog=log)
    without = bench.members(booted, {TpmHash.SHA256: (0, 4, 8)})["tpm_quote"]
    yield bench.case("with the log of its boot, and no quote of the register that speaks of Secure Boot", tpm=booted,
                     tpm_quote=without, event_log=log, flags=frozenset({"secure_boot_off"}))  # fmt: skip
    insecure = replace(tpm, pcrs=SoftTpm(key=tpm.key).pcrs)
    log = base64.b64encode(logged_boot(insecure, boot(secure_boot=False))).decode()
    yield bench.case("booted without Secure Boot", tpm=insecure, event_log=log, flags=frozenset({"secure_boot_off"}))


def _spellings(bench: TpmBench) -> Iterator[TpmCase]:
    message, signature = bench.tpm.quote(NONCE)
    yield bench.case(
        "in hexadecimal", tpm_quote=bench.quote(message=message.hex(), signature=signature.hex().upper())
    )
    url = base64.urlsafe_b64encode(sized(bench.tpm.public_area())).rstrip(b"=").decode()
    yield bench.case("in base64 for addresses", ak_public=url)
    yield bench.case("octets as numbers", tpm_quote=bench.quote(message=list(message), signature=list(signature)))
    yield bench.case("a version of the software", svn="1")
    yield bench.case("no log, and it is said", event_log=None)
    for size in (0, 1, 50, 64):
        form = bench.tpm.form(bytes(size))
        yield bench.quoted(f"a nonce of {size} bytes", None, form)
    yield bench.quoted("after a sleep, with a clock that may have gone back", None,
                       replace(bench.tpm.form(NONCE), safe=0, restart_count=9))  # fmt: skip
    first = bench.tpm.form(NONCE)
    listed = replace(first, selection=[(int(TpmHash.SHA1), ()), *first.selection])
    yield bench.quoted("a bank that it lists and takes nothing of", None, listed)
    yield bench.quoted("a bitmap of four bytes", None, replace(first, select_size=4))
    yield bench.case("white space around it", raw=b" \n" + bench.case("x").raw + b"\n")
