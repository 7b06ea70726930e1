"""A starting policy from evidence: it accepts this software on platforms like this one, and says line by line what
pins what and when that changes.

Claims in, text out. What is dangerous is not accepted by being there: the line that would accept it is written as a
comment, and the policy refuses the evidence until somebody has decided.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sealroom.errors import MisuseError
from sealroom.evidence import Claims, Tee
from sealroom.policy.deriving.entry import Entry, Notes, heading, note, pin, quoted, rendered, texts
from sealroom.policy.deriving.nvidia import device_entries, nvidia_entries
from sealroom.policy.deriving.others import azure_entries, cca_entries, gcp_entries, nitro_entries, tpm_entries
from sealroom.policy.deriving.room import room_entries
from sealroom.policy.deriving.sgx import sgx_entries
from sealroom.policy.deriving.snp import snp_entries
from sealroom.policy.deriving.tdx import tdx_entries
from sealroom.statement import RoomStatement

__all__ = ["DerivedPolicy", "derive_policy"]

_MAX_AGE = 3600
_TABLES: Mapping[Tee, Callable[[Claims, Notes], Iterator[Entry]]] = {
    Tee.SNP: snp_entries,
    Tee.TDX: tdx_entries,
    Tee.SGX: sgx_entries,
    Tee.NVIDIA: nvidia_entries,
    Tee.NITRO: nitro_entries,
    Tee.CCA: cca_entries,
    Tee.TPM: tpm_entries,
    Tee.AZURE_VTPM: azure_entries,
    Tee.GCP: gcp_entries,
}
_KEYS: Mapping[Tee, str] = {Tee.CCA: "device_keys", Tee.TPM: "device_keys"}
"""TEEs whose evidence no vendor's root stands above; a token's is said by its flag."""


@dataclass(frozen=True, slots=True)
class DerivedPolicy:
    """A document, and what it leaves to a person."""

    text: str
    """TOML; `load_policy` reads it."""
    undecided: tuple[str, ...]
    """What somebody has to decide, or should know, before this is a policy of theirs."""


def derive_policy(
    claims: Claims,
    *,
    name: str,
    at: datetime,
    statement: RoomStatement | None = None,
    devices: Sequence[Claims] = (),
    simulated_roots: Collection[bytes] = (),
    notes: Notes | None = None,
) -> DerivedPolicy:
    """Write the policy.

    Args:
        claims: of verified evidence.
        name: of the policy.
        at: when the evidence was judged, timezone-aware.
        statement: of the room that the evidence is of, bound by it; None for evidence alone.
        devices: that the room's evidence vouches for.
        simulated_roots: further ones that somebody named, such as that of simulated reference values.
        notes: by measurement, what an event log says of it that leads there.

    Raises:
        MisuseError: ``policy.not-derivable``: there are no rules for this TEE.
    """
    entries = [
        *_head(claims, name, at, _simulated(claims, devices, simulated_roots)),
        *_tee(claims, notes or {}),
        *(device_entries(devices) if devices else ()),
        *(() if statement is None else room_entries(statement)),
        *(_left_open() if statement is None else _closed()),
    ]
    asked = tuple(entry.question for entry in entries if entry.question is not None)
    return DerivedPolicy("\n".join(rendered(entries)) + "\n", asked)


def _tee(claims: Claims, notes: Notes) -> Iterator[Entry]:
    if claims.tee not in _TABLES:
        raise MisuseError("policy.not-derivable", "a policy has no rules for this TEE", got=claims.tee.value,
                          expected=", ".join(_TABLES))  # fmt: skip
    return _TABLES[claims.tee](claims, notes)


def _simulated(claims: Claims, devices: Sequence[Claims], named: Collection[bytes]) -> tuple[bytes, ...]:
    inner = () if claims.inner is None else (claims.inner,)
    own = [one.root for one in (claims, *inner, *devices) if one.simulated]
    return tuple(dict.fromkeys((*own, *sorted(named)))) if own else ()


def _head(claims: Claims, name: str, at: datetime, simulated: tuple[bytes, ...]) -> Iterator[Entry]:
    yield note(f"Derived from one piece of {claims.tee.value} evidence ({claims.hardware_model}), judged as of "
               f"{at.isoformat()}. A place to start: it accepts that software, whoever made it. Each comment says "
               "what the line below it pins, and what changes it. Lines under DECIDE weaken the policy and lines "
               "under OPTION narrow it: they count when you take the # away.")  # fmt: skip
    yield pin("policy", "1", "The version of the format. Changes with: nothing.")
    yield pin("name", quoted(name), "Stands in every verdict. Yours to choose.")
    yield heading("trust", "Whose evidence counts, and for how long.")
    yield pin("tees", texts([claims.tee.value]), "Pins the kind of evidence. Changes with: another kind of machine, "
              "which needs a table of its own too.")  # fmt: skip
    if simulated:
        yield pin("insecure_simulated", texts(f"sha256:{root.hex()}" for root in simulated), "SIMULATED: whoever has "
                  "the key of such a root can forge everything. Take the line out for real silicon.",
                  question="the evidence rests on a simulated root, which the policy accepts")  # fmt: skip
    key = "token_signers" if "token" in claims.flags or claims.signer == "NRAS" else _KEYS.get(claims.tee)
    if key is not None and not claims.simulated:
        yield pin(key, texts([f"sha256:{claims.root.hex()}"]), "Names the key that signed: no vendor's root stands "
                  "above it. Changes with: the device, or as the service changes its keys.",
                  question=f"somebody named the key under {key}: make sure whose it is")  # fmt: skip
    yield pin("max_age_seconds", str(_MAX_AGE), "For how many seconds after its making evidence may be used. Changes "
              "with: nothing; yours to choose.")  # fmt: skip


def _left_open() -> Iterator[Entry]:
    yield heading("unchecked", "What is left open, and why. Take both lines out before callers or a broker use this "
                  "policy: then evidence must answer them. They also need a table [model] and [engine], or "
                  "[init_data]; evidence alone says nothing of these, so rooms and guests are refused until somebody "
                  "writes them.")  # fmt: skip
    yield pin("report_data", quoted("derived from evidence alone: nothing said what it is bound to"), "Leaves open "
              "what the evidence is bound to; a policy with this line makes no key trusted.")  # fmt: skip
    yield pin("freshness", quoted("derived from evidence alone: a recording answers no nonce of ours"), "Leaves open "
              "whether the evidence is new.")  # fmt: skip


def _closed() -> Iterator[Entry]:
    yield note("Nothing is left open. A recording is accepted only with the nonce that it answers (sealroom verify "
               "--nonce). A broker needs a table [init_data] too.")  # fmt: skip
