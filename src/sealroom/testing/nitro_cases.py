"""Minted Nitro documents as cases: what was done to one, and what a verifier has to make of it.

nitro_cases             a case, the bench on which it is made, and all that is authentic
nitro_faults            one fault each in encoding, members, times and signature: to be refused
nitro_chain_faults      one fault each in the certificates: to be refused
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sealroom.cbor import encode_cbor
from sealroom.testing.nitro import NitroMachine, NitroVendor, image_pcrs
from sealroom.testing.nitro_document import DocumentForm, Member, member, sign_document, write_members

__all__ = ["AT", "Bench", "NitroCase", "authentic"]

AT = datetime(2026, 6, 1, tzinfo=UTC)
"""The time at which a case is to be verified, unless it says another."""
_DEBUG = frozenset({"debug"})
_SIZE = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroCase:
    """A document, and what is to come of it."""

    name: str
    code: str | None
    """Of our refusal; None: authentic."""
    raw: bytes = field(repr=False)
    anchors: frozenset[bytes]
    """SHA-256 of the private roots to trust."""
    at: datetime = AT
    flags: frozenset[str] = frozenset()
    """Where authentic: what a policy has to see."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One security module on which cases are made; whatever a case does not change is right."""

    machine: NitroMachine
    name: str = "enclave"

    @classmethod
    def create(cls, vendor: NitroVendor | None = None) -> "Bench":
        """A new machine."""
        return cls(machine=NitroMachine.create(vendor=vendor))

    def form(self) -> DocumentForm:
        """An honest document before it is signed."""
        form = self.machine.form(AT, image_pcrs(self.machine))
        return replace(form, user_data=bytes(range(64)), nonce=b"asked")

    def members(self, changed: Member | None = None, *, without: Sequence[str] = ()) -> bytes:
        """The honest payload with one member another (or one more), or less these."""
        names = [encode_cbor(name) for name in without]
        members = [pair for pair in self.form().members() if pair[0] not in names]
        if changed is not None:
            in_place = any(name == changed[0] for name, _ in members)
            members = [changed if name == changed[0] else (name, value) for name, value in members]
            members += [] if in_place else [changed]
        return write_members(members)

    def case(
        self, name: str, code: str | None = None, *, raw: bytes | None = None, form: DocumentForm | None = None,
        payload: bytes | None = None, at: datetime = AT, flags: frozenset[str] = frozenset(),
    ) -> NitroCase:  # fmt: skip
        """A case; everything that is not given is honest.

        Args:
            name: what was done.
            code: of the refusal; None: authentic.
            raw: the document; ``payload``: or what is signed; ``form``: or what that is written from.
            at: when to verify; ``flags``: of an authentic one.
        """
        if raw is None:
            written = write_members((form or self.form()).members()) if payload is None else payload
            raw = sign_document(written, self.machine.key)
        return NitroCase(name=f"{self.name}: {name}", code=code, raw=raw, at=at, flags=flags,
                         anchors=frozenset({self.machine.vendor.root_fingerprint}))  # fmt: skip


def authentic(bench: Bench) -> Iterator[NitroCase]:
    """All that is a document, however it is written, and when."""
    form, key = bench.form(), bench.machine.key
    members = form.members()
    yield bench.case("as it should be")
    yield bench.case("with tag 18", raw=sign_document(write_members(members), key, tagged=True))
    yield bench.case("a map that says how many members it has", payload=write_members(members, indefinite=False))
    yield bench.case("members in another order", payload=write_members(members[::-1]))
    yield bench.case("numbers wider than they need be", payload=bench.members(_wide_pcrs(form)))
    yield bench.case("a string in chunks", payload=bench.members(_chunked(form.user_data or b"")))
    yield bench.case("nothing that was asked for", form=replace(form, user_data=None, nonce=None))
    unsaid = bench.members(without=("user_data", "nonce", "public_key"))
    yield bench.case("members left out that may be", payload=unsaid)
    largest = replace(form, public_key=bytes(1024), user_data=bytes(512), nonce=bytes(512))
    yield bench.case("everything as long as it can be", form=largest)
    yield bench.case("empty user data and nonce", form=replace(form, user_data=b"", nonce=b""))
    yield bench.case("32 PCRs", form=replace(form, pcrs=dict.fromkeys(range(32), b"\1" * _SIZE)))
    yield from _times(bench)
    yield from _debug(bench)
    tpm = NitroMachine.create(vendor=bench.machine.vendor, is_nitro_tpm=True)
    yield replace(bench, machine=tpm).case("of a NitroTPM")


def _times(bench: Bench) -> Iterator[NitroCase]:
    form, window = bench.form(), bench.machine.forms(AT)[-1].validity
    yield bench.case("at its certificate's first moment", at=window.not_before)
    yield bench.case("at its certificate's last moment", at=window.not_after)
    ahead = int((AT + timedelta(minutes=5)).timestamp() * 1000)
    yield bench.case("made by a clock five minutes ahead", form=replace(form, timestamp_ms=ahead))


def _debug(bench: Bench) -> Iterator[NitroCase]:
    form = bench.form()
    zero = dict.fromkeys(range(3), bytes(_SIZE))
    yield bench.case("debug mode", form=replace(form, pcrs={**form.pcrs, **zero}), flags=_DEBUG)
    without = {index: value for index, value in form.pcrs.items() if index > 2}
    yield bench.case("no PCR of the image at all", form=replace(form, pcrs=without), flags=_DEBUG)
    for kept in range(3):
        pcrs = {**form.pcrs, **zero, kept: form.pcrs[kept]}
        yield bench.case(f"of the image's PCRs only {kept} not zero", form=replace(form, pcrs=pcrs))


def _wide_pcrs(form: DocumentForm) -> Member:
    """Every index in eight bytes, the map's size in four."""
    pairs = b"".join(b"\x1b" + index.to_bytes(8, "big") + encode_cbor(value) for index, value in form.pcrs.items())
    return encode_cbor("pcrs"), b"\xba" + len(form.pcrs).to_bytes(4, "big") + pairs


def _chunked(content: bytes) -> Member:
    chunks = b"".join(encode_cbor(content[at : at + 10]) for at in range(0, len(content), 10))
    return member("user_data", None)[0], b"\x5f" + chunks + b"\xff"
