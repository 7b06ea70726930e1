"""What verified Arm tokens say, in the words that every TEE shares.

Measurements of a realm: ``rim``, ``rem0`` to ``rem3``, and ``rpv``, its personalization; of the device below it, or
of a PSA device: ``implementation_id``, ``instance_id``, and each firmware component as ``sw.TYPE`` (``sw.0`` … where
the firmware names no type). Tokens of the profiles of 2024 have ``realm_instance_id``, ``device.0`` … and
``device.0.certificates``, digests of what attached devices measured and of their chains, and
``boot_key.NAME.ARRAY.INDEX``.

Flags are the facts that a policy has to see because they can weaken what the tokens promise:

    debug            the device's place in life allows to look into it (non-rot-debug, recoverable-rot-debug)
    not_secured      any other place than secured
    legacy_profile   claims of firmware before the profile had its present name
    test_key         the device's key is one whose private half is public
    unknown_claims   the token says something that is not known here
"""

from sealroom.errors import MisuseError
from sealroom.evidence import CLAIMED, Claims, Evidence, Tee, Verified
from sealroom.tees.cca.components import lifecycle_word
from sealroom.tees.cca.tokens import LEGACY_PLATFORM, DeviceClaims, RealmClaims
from sealroom.tees.cca.verify import VerifiedCca

__all__ = ["claims"]

_DEBUG = frozenset({"non-rot-debug", "recoverable-rot-debug"})


def claims(verified: Verified[Evidence]) -> Claims:
    """Translate ``verified``.

    Raises:
        MisuseError: ``verified`` is no Arm token.
    """
    if not isinstance(verified, VerifiedCca):
        raise MisuseError("cca.other-tee", "these are no verified Arm tokens", got=type(verified).__name__)
    device = verified.evidence.device.claims
    realm = verified.evidence.realm.claims if verified.evidence.realm else None
    flags = _flags(verified, device, realm)
    return Claims(
        tee=Tee.CCA,
        hardware_model="CCA realm" if realm else "PSA device",
        measurements={**_of_realm(realm), **_of_device(device)},
        report_data=realm.challenge if realm else device.challenge,
        tcb={},
        debug="debug" in flags,
        migratable=False,
        tcb_status=None,
        tcb_date=None,
        advisories=(),
        flags=flags,
        signer="CPAK" if realm else "IAK",
        device_id=device.instance_id,
        details=_details(device, realm),
        root=verified.root,
        simulated=verified.simulated,
        validity=verified.validity,
        warrant=CLAIMED,
    )


def _flags(verified: VerifiedCca, device: DeviceClaims, realm: RealmClaims | None) -> frozenset[str]:
    lifecycle = lifecycle_word(device.lifecycle)
    facts = {
        "debug": lifecycle in _DEBUG,
        "not_secured": lifecycle != "secured",
        "legacy_profile": device.profile == LEGACY_PLATFORM or (realm is not None and realm.profile is None),
        "test_key": verified.test_key is not None,
        "unknown_claims": bool(device.unknown or (realm and realm.unknown)),
    }
    return frozenset(name for name, holds in facts.items() if holds)


def _of_realm(realm: RealmClaims | None) -> dict[str, bytes]:
    if realm is None:
        return {}
    extensible = {f"rem{index}": value for index, value in enumerate(realm.extensible_measurements)}
    named = {} if realm.instance_id is None else {"realm_instance_id": realm.instance_id}
    return {"rim": realm.initial_measurement, **extensible, "rpv": realm.personalization, **named}


def _of_device(device: DeviceClaims) -> dict[str, bytes]:
    found = {"implementation_id": device.implementation_id, "instance_id": device.instance_id}
    for index, component in enumerate(device.components):
        name = f"sw.{component.type or index}"
        found[name if name not in found else f"{name}.{index}"] = component.measurement
    for index, attached in enumerate(device.extras.devices):
        found |= {f"device.{index}": attached.measurements, f"device.{index}.certificates": attached.certificates}
    return found | {f"boot_key.{key.name}.{key.array}.{key.index}": key.digest for key in device.extras.boot_keys}


def _details(device: DeviceClaims, realm: RealmClaims | None) -> dict[str, str | int]:
    details: dict[str, str | int | None] = {
        "token": "cca" if realm else "psa",
        "platform_profile": device.profile,
        "lifecycle": lifecycle_word(device.lifecycle),
        "security_lifecycle": device.lifecycle,
        "hash_algorithm": device.hash_name,
        "config": None if device.config is None else device.config.hex(),
        "client_id": device.client_id,
        "boot_seed": None if device.boot_seed is None else device.boot_seed.hex(),
        "certification_reference": device.reference,
        "realm_profile": realm.profile if realm else None,
        "realm_hash_algorithm": realm.hash_name if realm else None,
        "memory_context": realm.memory if realm else None,
        "manufacturing_config": None if device.extras.manufacturing is None else device.extras.manufacturing.hex(),
        "peer_signers": None if device.extras.peers is None else device.extras.peers.hex(),
    }
    for index, attached in enumerate(device.extras.devices):
        details |= {f"device_kind.{index}": attached.kind, f"device_protocol.{index}": attached.protocol,
                    f"device_ide.{index}": int(attached.uses_ide),
                    f"device_encryption.{index}": attached.encryption}  # fmt: skip
    for index, component in enumerate(device.components):
        name = component.type or str(index)
        details[f"sw_version.{name}"] = component.version
        details[f"sw_signer.{name}"] = None if component.signer_id is None else component.signer_id.hex()
    return {name: value for name, value in details.items() if value is not None}
