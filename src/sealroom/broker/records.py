"""What the record says of an event: facts gathered as they become known, so that a refusal tells what led to it."""

import hashlib
from datetime import datetime
from typing import TypeAlias

from sealroom.broker.stores.audit import AuditLog
from sealroom.broker.stores.resources import Resource
from sealroom.errors import SealroomError
from sealroom.evidence import Claims, PolicyRefusedError

__all__ = ["Narrative", "machine_facts", "resource_facts", "session_trace"]

_Fact: TypeAlias = str | int | bool | list[str] | None


class Narrative:
    """The story of one request, told to the record once: how it ended."""

    def __init__(self, audit: AuditLog, **facts: _Fact) -> None:
        self._audit = audit
        self._facts: dict[str, _Fact] = dict(facts)

    def add(self, facts: dict[str, _Fact] | dict[str, str | None]) -> None:
        """Further facts; ids, digests, codes and numbers only."""
        self._facts.update(facts)

    def tell(self, event: str, *, at: datetime) -> None:
        """Write the record; durable when the transaction around it ends."""
        self._audit.append(event, self._facts, at=at)

    def tell_refusal(self, event: str, error: SealroomError, *, at: datetime) -> None:
        """Write the record of a refusal, with every reason that a policy gave."""
        codes = [error.code]
        if isinstance(error, PolicyRefusedError):
            codes = [check.code for check in error.appraisal.failures] or codes
            self.add(machine_facts(error.appraisal.claims, *error.appraisal.devices))
        self._facts["codes"] = list(dict.fromkeys(codes))
        self.tell(event, at=at)


def session_trace(session_id: str) -> str:
    """A name for the session in the record and the log, from which its cookie can not be had."""
    return hashlib.sha256(session_id.encode("ascii")).hexdigest()[:16]


_WHAT_RUNS = ("measurement", "mr_td", "mr_enclave", "rim", "pcr0", "pcr04")
"""What says which software was started, by the name that each TEE has for it."""


def machine_facts(claims: Claims, *devices: Claims) -> dict[str, _Fact]:
    """Which machine, by its own verified word, and which devices are said to be in it."""
    measured = (claims.inner or claims).measurements
    measurement = next((measured[name] for name in _WHAT_RUNS if name in measured), None)
    return {
        "tee": claims.tee.value,
        "hardware": claims.hardware_model,
        "simulated": any(one.simulated for one in (claims, *devices)),
        "measurement": None if measurement is None else measurement.hex(),
        "device": None if claims.device_id is None else claims.device_id.hex(),
        "root": claims.root.hex(),
        **({"devices": [_device_fact(device) for device in devices]} if devices else {}),
    }


def _device_fact(claims: Claims) -> str:
    """``nvidia GH100 A01 GSP BROM 48…``: kind, model as its maker certifies it, and the device's own id."""
    named = "" if claims.device_id is None else claims.device_id.hex()
    return f"{claims.tee.value} {claims.hardware_model} {named}".rstrip()


def resource_facts(resource: Resource) -> dict[str, _Fact]:
    """Which registration."""
    digest = resource.policy_digest
    return {
        "resource": resource.id,
        "model": resource.model,
        "version": resource.version,
        "policy": None if digest is None else digest.hex(),
    }
