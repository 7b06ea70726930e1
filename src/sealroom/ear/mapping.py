"""From our checks to a trustworthiness vector: which check speaks for which member (``docs/reference/ear.md``).

Only what was asked claims anything. A check that a policy left open, or that takes every answer, claims nothing, and
a member that nobody asked about stays 0.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sealroom.ear.vector import TrustVector
from sealroom.evidence import Check, Claims, Tee
from sealroom.policy.checks import is_left_open

__all__ = ["attesters", "checks_of", "vector_of"]

_GENUINE, _UNSAFE, _CONTRAINDICATED, _UNRECOGNISED = 2, 32, 96, 97
_UNRECOGNISED_CODE, _APPROVED_BOOT, _APPROVED_ALL = 33, 3, 2
_ENCRYPTS_MEMORY = frozenset({Tee.TDX, Tee.SGX, Tee.SNP, Tee.CCA})
"""TEEs whose evidence proves that the host sees ciphertext."""
_INDIFFERENT = frozenset({"either", "any or none"})
"""What a check wants that takes every answer: passing it says nothing."""
_GENERAL = frozenset({"trust", "binding", "freshness", "init-data", "statement", "model", "engine", "require",
                      "references"})  # fmt: skip
"""First words of checks that are about the machine as a whole: they count for the attester that vouches for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """Which checks, by the name after the attester's own, speak for which member, and what a failure of one says."""

    pattern: str
    member: str
    failed: int


_RULES: tuple[_Rule, ...] = (
    _Rule(pattern=r"trust\..*|root|window", member="hardware", failed=_UNRECOGNISED),
    _Rule(pattern=r"binding\..*|freshness", member="instance_identity", failed=_CONTRAINDICATED),
    _Rule(pattern=r"(chip|device|instance|module|vm-unique|platform-instance|implementation|machine)[a-z-]*|ueid|fmspc"
          r"|piid|ppid|project.*|zone.*|count|topology|repeated", member="instance_identity", failed=_UNRECOGNISED),
    _Rule(pattern=r"model.*", member="file_system", failed=_CONTRAINDICATED),
    _Rule(pattern=r"engine.*", member="executables", failed=_UNRECOGNISED_CODE),
    _Rule(pattern=r"measurements?.*|mr-(td|enclave|signer|seam|service-td)|rtmr.*|pcr.*|nitrotpm-pcr.*|rim.*|rem\d.*"
          r"|sw\..*|component\..*|image.*|id-key.*|author-key.*|fwid|reference-values", member="executables",
          failed=_UNRECOGNISED_CODE),
    _Rule(pattern=r"(td-|guest-|enclave-)?debug|mr-service-td-nonzero|dbgstat|devtools|migrat.*|perfmon"
          r"|td-attributes.*|other-flags|test-key|ak-unrestricted|lifecycle", member="hardware",
          failed=_CONTRAINDICATED),
    _Rule(pattern=r"tcb.*|product|signing-key|revocation.*|advisor.*|qe-.*|tdx-module.*|smt|cxl|minimum-.*|.*-status"
          r"|driver.*|vbios.*|architecture|generation|hardware.*|certificate-hold", member="hardware",
          failed=_UNSAFE),
)  # fmt: skip
_ELSE = _Rule(pattern=r".*", member="configuration", failed=_UNSAFE)


def attesters(claims: Claims, devices: Sequence[Claims]) -> dict[str, Claims]:
    """Who was appraised, by label: ``cpu0``, the ``vtpm0`` or ``cloud0`` around it, ``gpu0`` …, ``switch0`` …

    The silicon below a cloud's wrapper is ``cpu0``, since that is where a reader looks for it.
    """
    found: dict[str, Claims] = {}
    for layer in _layers(claims):
        found[_free(found, _kind(layer))] = layer
    for device in devices:
        found[_free(found, _kind(device))] = device
    return found


def _layers(claims: Claims) -> Iterator[Claims]:
    layer: Claims | None = claims
    while layer is not None:
        yield layer
        layer = layer.inner


def _kind(claims: Claims) -> str:
    if claims.tee is Tee.NVIDIA:
        return "switch" if claims.details.get("kind") == "switch" else "gpu"
    if claims.tee in {Tee.TPM, Tee.AZURE_VTPM}:
        return "vtpm"
    return "cloud" if claims.tee is Tee.GCP else "cpu"


def _free(taken: Mapping[str, Claims], kind: str) -> str:
    return next(label for number in range(len(taken) + 1) if (label := f"{kind}{number}") not in taken)


def checks_of(label: str, who: Mapping[str, Claims], checks: Iterable[Check]) -> tuple[Check, ...]:
    """The checks that speak of the attester called ``label``: its own, and the general ones if it vouches for all.

    A check whose first word is nobody's counts for whoever vouches for all, so that no failure is lost.
    """
    first = next(iter(who))
    return tuple(check for check in checks if label in (_owners(check.name, who) or (first,)))


def _owners(name: str, who: Mapping[str, Claims]) -> tuple[str, ...]:
    """Labels whose checks begin so: by the label itself (``gpu1.…``, ``gpu[1].…``), or by the TEE, which is all of
    its kind."""
    word = re.sub(r"\[(\d+)\]$", r"\1", name.partition(".")[0])
    if word in _GENERAL:
        return ()
    if word in who:
        return (word,)
    return tuple(label for label, claims in who.items() if claims.tee.value == word)


def vector_of(claims: Claims, checks: Sequence[Check]) -> TrustVector:
    """The vector of one attester from what it says and the checks that were made of it."""
    values: dict[str, int] = {}
    for check in checks:
        if is_left_open(check) or (check.passed and check.wanted in _INDIFFERENT):
            continue
        rule = _rule(check.name)
        value = rule.failed if not check.passed else _approved(rule.member, check.name)
        values[rule.member] = _worse(values.get(rule.member, 0), value)
    if claims.simulated or claims.debug:
        values["hardware"] = _worse(values.get("hardware", 0), _CONTRAINDICATED)
    if claims.tee in _ENCRYPTS_MEMORY and not claims.simulated:
        values["runtime_opaque"] = _CONTRAINDICATED if claims.debug else _GENUINE
    return TrustVector(**values)


def _rule(name: str) -> _Rule:
    first, _, rest = name.partition(".")
    subject = name if first in _GENERAL or not rest else rest
    return next((rule for rule in _RULES if re.fullmatch(rule.pattern, subject)), _ELSE)


def _approved(member: str, name: str) -> int:
    """Approved code at boot is 3; 2 says that what runs after it is approved as well, as an engine's check does."""
    if member != "executables":
        return _GENUINE
    return _APPROVED_ALL if name.partition(".")[0] == "engine" else _APPROVED_BOOT


def _worse(one: int, other: int) -> int:
    """The less trusted of two values of a member. 0 is nothing said; of 2 and 3 the one that says more wins."""
    if one == 0 or other == 0:
        return one or other
    if max(one, other) < _UNSAFE:
        return min(one, other)
    return max(one, other)
