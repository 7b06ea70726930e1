"""``[snp]`` of a derived policy."""

from collections.abc import Iterator

from sealroom.evidence import Claims
from sealroom.policy.allowances import SNP_WARNINGS
from sealroom.policy.deriving.entry import Entry, Notes, decide, heading, hexes, note, option, pin, texts
from sealroom.policy.snp import ALLOWANCES

__all__ = ["snp_entries"]

_MEANINGS = {
    "measurement": "Pins the launch: firmware, number and model of vCPUs and, where the firmware has a table of "
    "their hashes, kernel, initrd and command line (sealroom measure snp computes it). Changes with: the next "
    "firmware, kernel, initrd or command line, and other vCPUs.",
    "host_data": "Pins what the host stated at launch, such as the digest of init-data. Changes with: other "
    "init-data.",
    "id_key_digest": "Pins who signed the guest's ID block. Changes with: the signer's key.",
    "author_key_digest": "Pins who certified that signer. Changes with: the author's key.",
    "family_id": "Pins the family in the ID block. Changes with: the family.",
    "image_id": "Pins the image in the ID block. Changes with: the image.",
}
_COMMON = frozenset({"smt_allowed"})
"""Nearly every machine has it, and the built-in default lets it pass too."""
_PRIVILEGE = "vmpl_"


def snp_entries(claims: Claims, notes: Notes) -> Iterator[Entry]:
    """The table, from claims of a verified SNP report."""
    yield heading("snp", "What a guest must be, and the platform under it.")
    for name, meaning in _MEANINGS.items():
        value = claims.measurements[name]
        yield pin(name, hexes(value), meaning + ("" if any(value) else " Zero: nothing was stated."),
                  details=notes.get(name, ()))  # fmt: skip
    if svn := claims.details.get("guest_svn"):
        yield pin("minimum_guest_svn", str(svn), "Pins the oldest security version of the guest, by its ID block; "
                  "newer ones pass. Changes with: nothing; raise it when a release mends a hole.")  # fmt: skip
    yield from _privilege(claims)
    yield pin("signing_key", texts([claims.signer]), "Pins the kind of key: a VCEK is one chip's, a VLEK is a "
              "cloud's and names no chip. Changes with: the cloud.")  # fmt: skip
    yield from _chip(claims)
    yield from _revocation(claims)
    yield from _flags(claims)
    yield from _floor(claims)


def _privilege(claims: Claims) -> Iterator[Entry]:
    level = claims.details["vmpl"]
    if isinstance(level, int) and level <= 3:
        yield pin("vmpl", f"[{level}]", "Pins the privilege level of the code that asked. Changes with: a paravisor "
                  "or service module below the guest.")  # fmt: skip
    else:
        yield note("REFUSED: the host itself asked for this report, and no policy lets that pass.",
                   question="the host itself asked for this report, which no policy accepts")  # fmt: skip


def _chip(claims: Claims) -> Iterator[Entry]:
    if claims.device_id is not None:
        yield option("chip_id", hexes(claims.device_id), "this one machine alone. Changes with: the host.")


def _revocation(claims: Claims) -> Iterator[Entry]:
    why = "evidence without AMD's revocation list is refused. Changes with: who sends it; the list has to come along."
    if claims.details["revocation"] == "checked":
        yield pin("revocation_list", '"required"', f"Pins that {why}")
    else:
        yield option("revocation_list", '"required"', why)


def _flags(claims: Claims) -> Iterator[Entry]:
    found = {flag for flag in claims.flags if not flag.startswith(_PRIVILEGE)}
    for flag in sorted(found - ALLOWANCES.keys()):
        yield note(f"REFUSED: the evidence says {flag}, and no policy lets that pass.",
                   question=f"the evidence says {flag}, which no policy accepts")  # fmt: skip
    common = sorted(ALLOWANCES[flag] for flag in found & _COMMON)
    if common:
        yield pin("allow", texts(common), f"What is accepted beside: {_meanings(common)}. Changes with: the launch; "
                  "take it out if the guest can be started without.")  # fmt: skip
    asked = sorted(flag for flag in found & ALLOWANCES.keys() - _COMMON)
    if asked:
        words = sorted(ALLOWANCES[flag] for flag in asked)
        yield decide("allow", texts([*common, *words]), "refused, unless this line counts in place of any above: "
                     f"{_meanings(words)}.", f"the evidence says {', '.join(asked)}")  # fmt: skip


def _meanings(words: list[str]) -> str:
    return "; ".join(f"{word} {SNP_WARNINGS[word]}" for word in words)


def _floor(claims: Claims) -> Iterator[Entry]:
    yield heading(f"snp.minimum_tcb.{claims.hardware_model}", "The oldest firmware of the platform, part by part, as "
                  "reported here; newer passes. Changes with: nothing; raise it after a security bulletin. Another "
                  "product line needs a table of its own.")  # fmt: skip
    for part, level in claims.tcb["reported"].items():
        yield pin(
            part, str(level), f"Pins the oldest {part}. Changes with: nothing; raised by the host's next firmware."
        )
