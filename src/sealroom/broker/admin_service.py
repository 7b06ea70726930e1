"""The operator's half: register, delete, set a policy, raise a floor. ``spec/key-release.md`` section 11."""

import hmac
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sealroom.broker.records import Narrative, resource_facts
from sealroom.broker.registration import Registration
from sealroom.broker.stores.resources import Resource
from sealroom.broker.stores.state_dir import State
from sealroom.errors import MisuseError, RefusedError, UnverifiedError
from sealroom.kbs.messages import ResourceId
from sealroom.policy import load_policy

__all__ = ["BrokerAdmin"]

_log = logging.getLogger("sealroom.broker")


class BrokerAdmin:
    """What the owner of the keys may do. Every change is one transaction with its record."""

    def __init__(self, state: State, *, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._clock = clock

    def authorise(self, bearer: str | None) -> None:
        """Raise ``broker.admin-token`` unless ``bearer`` is the admin token."""
        shown = (bearer or "").encode("utf-8", "replace")
        if not hmac.compare_digest(shown, self._state.admin_token.encode("ascii")):
            _log.warning("an administrator's call without the admin token")
            raise UnverifiedError("broker.admin-token", "this call needs the admin token",
                                  hint="it lies in the broker's state directory")  # fmt: skip

    def register(self, registration: Registration) -> bool:
        """Keep a model's key; False if that very registration was there."""
        wanted = Resource(
            id=str(registration.resource), model=registration.model_name, version=registration.model_version,
            policy=registration.policy,
        )  # fmt: skip
        _require_usable(registration.policy)
        floor = 0 if registration.keep_older else registration.model_version
        return self._put(wanted, registration.key, floor=floor)

    def store(self, resource: ResourceId, key: bytes) -> bool:
        """Keep a key without a policy, as stock clients send it; nobody gets it until a policy is set."""
        present = self._state.resources.find(str(resource))
        return self._put(present or Resource(id=str(resource)), key, floor=0)

    def _put(self, wanted: Resource, key: bytes, *, floor: int) -> bool:
        resources = self._state.resources
        with self._state.database.transaction():
            present = resources.find(wanted.id)
            if present is not None and not hmac.compare_digest(resources.key(present), key):
                raise RefusedError("broker.key-differs", "this resource is registered with another key",
                                   where=wanted.id, hint="use a new version, or delete this one first")  # fmt: skip
            before = None if wanted.model is None else resources.floor(wanted.model)
            if wanted.model is not None:
                resources.raise_floor(wanted.model, floor)
                resources.require_above_floor(wanted)
            after = None if wanted.model is None else resources.floor(wanted.model)
            if present == replace(wanted, key_uri="" if present is None else present.key_uri) and before == after:
                return False
            resources.put(wanted, key)
            self._tell("registered", resource_facts(wanted) | {"minimum_version": after})
        return True

    def delete(self, resource: ResourceId) -> None:
        """Forget a key."""
        with self._state.database.transaction():
            present = self._require(resource)
            self._state.resources.delete(present.id)
            self._tell("deleted", resource_facts(present))

    def set_policy(self, resource: ResourceId, policy: str) -> None:
        """Release ``resource`` by ``policy`` from now on."""
        _require_usable(policy)
        with self._state.database.transaction():
            present = self._require(resource)
            wanted = replace(present, policy=policy)
            self._state.resources.put(wanted, self._state.resources.key(present))
            self._tell("policy-set", resource_facts(wanted))

    def raise_floor(self, model: str, version: int) -> None:
        """Release no version of ``model`` below ``version`` from now on."""
        with self._state.database.transaction():
            present = self._state.resources.floor(model)
            if present is None:
                raise RefusedError("broker.model-missing", "no model of this name was ever registered", where=model)
            if version < present:
                raise RefusedError("broker.floor-falls", "a floor never falls", where=model, got=version,
                                   expected=f"at least {present}")  # fmt: skip
            self._state.resources.raise_floor(model, version)
            self._tell("floor-raised", {"model": model, "minimum_version": version})

    def _require(self, resource: ResourceId) -> Resource:
        present = self._state.resources.find(str(resource))
        if present is None:
            raise RefusedError("broker.resource-missing", "there is no such resource", where=str(resource))
        return present

    def _tell(self, event: str, facts: dict[str, str | int | bool | list[str] | None]) -> None:
        story = Narrative(self._state.audit)
        story.add(facts)
        story.tell(event, at=self._clock())
        _log.info("%s", event)


def _require_usable(text: str) -> None:
    """Raise unless ``text`` is a policy under which a key can be released at all."""
    policy = load_policy(text, source="registered policy")
    if "report_data" in policy.unchecked:
        raise MisuseError("policy.evidence-alone", "a policy that leaves report data open releases no key",
                          hint="take report_data out of [unchecked]")  # fmt: skip
