"""Evidence of devices as the protocol carries it beside that of the CPU: ``additional_evidence``, a JSON text in a
string. ``spec/key-release.md`` section 4.2.

The text is hashed as it came, into what the CPU vouches for; so the CPU vouches for the exact evidence of each
device. Reading it is transcription: whether the bytes prove anything is the matter of `sealroom.tees`. Collateral
comes along in members of ours, which a stock broker passes over, each value once for all devices that share it.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping

from sealroom.errors import MalformedError, MisuseError, RefusedError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.kbs.binding import device_digest, fit
from sealroom.kbs.json_text import Json, JsonObject, b64_decode, b64_encode, compact, parse_object
from sealroom.x509_reader import read_certificates

__all__ = ["device_nonce", "parse_device_evidence", "write_device_evidence"]

_NVIDIA, _LIST, _COLLATERAL = "nvidia", "device_evidence_list", "collateral"
_CHAIN = "cert_chain"
_NONCE_SIZE = 32
_MAX_DEVICES, _MAX_ITEMS = 64, 16
_ITEM, _DIGEST = re.compile(r"[a-z][a-z0-9_]{0,31}"), re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_ARCHITECTURES = {"GH": "HOPPER", "GB": "BLACKWELL", "LS": "LS10"}
"""By how the name of a chip begins in its certificates."""


def device_nonce(runtime_data: JsonObject) -> bytes:
    """What the evidence of each device has to answer: 32 bytes."""
    return fit(device_digest(runtime_data), _NONCE_SIZE)


def write_device_evidence(devices: Iterable[CollectedEvidence]) -> str:
    """The text for ``devices``; empty for none.

    Raises:
        MisuseError: ``kbs.no-name``: the protocol has none for such a device.
        MalformedError: a device's certificates can not be read.
    """
    listed: list[Json] = []
    pool: JsonObject = {}
    for collected in devices:
        if collected.tee is not Tee.NVIDIA:
            raise MisuseError("kbs.no-name", "the protocol has no name for this device's evidence",
                              got=collected.tee.value, expected=Tee.NVIDIA.value)  # fmt: skip
        items = {name: item for name, item in collected.collateral.items.items() if name != _CHAIN}
        digests = {name: hashlib.sha256(item).hexdigest() for name, item in sorted(items.items())}
        pool |= {digests[name]: b64_encode(item) for name, item in items.items()}
        listed.append(_written(collected, digests))
    if not listed:
        return ""
    evidence: JsonObject = {_LIST: listed, **({_COLLATERAL: dict(sorted(pool.items()))} if pool else {})}
    return compact({_NVIDIA: evidence}).decode("utf-8")


def parse_device_evidence(text: str) -> tuple[CollectedEvidence, ...]:
    """Every device in ``text``, in the order in which they stand, with what came along; none for the empty text.

    Raises:
        RefusedError: ``broker.device-evidence-not-supported``: evidence of other devices than NVIDIA's.
        MalformedError: ``kbs.*``: it can not be read in one way only.
    """
    if not text:
        return ()
    kinds = parse_object(text.encode("utf-8", "surrogatepass"), what="additional_evidence")
    if kinds.keys() != {_NVIDIA}:
        raise RefusedError("broker.device-evidence-not-supported", "evidence of such devices is not verified here",
                           got=ascii(", ".join(sorted(kinds)))[:80], expected=_NVIDIA,
                           hint="unverified evidence must not pass for verified: send that of NVIDIA's devices alone",
                           )  # fmt: skip
    evidence = kinds[_NVIDIA]
    listed = evidence.get(_LIST) if isinstance(evidence, dict) else None
    if not isinstance(evidence, dict) or not isinstance(listed, list) or not 1 <= len(listed) <= _MAX_DEVICES:
        raise _unreadable(_LIST, f"it is no list of 1 to {_MAX_DEVICES} devices")
    pool = _pool(evidence.get(_COLLATERAL, {}))
    found = tuple(_parsed(entry, pool, f"{_LIST}[{index}]") for index, entry in enumerate(listed))
    used = {item for one in found for name, item in one.collateral.items.items() if name != _CHAIN}
    if used != set(pool.values()):
        raise _unreadable(_COLLATERAL, "something came along that no device asks for")
    return found


def _written(collected: CollectedEvidence, digests: Mapping[str, str]) -> JsonObject:
    chain = collected.collateral.require(_CHAIN)
    name = read_certificates(chain)[0].subject.common_name
    if name[:2] not in _ARCHITECTURES:
        raise MisuseError("kbs.no-name", "the protocol has no name for this device's family", got=ascii(name)[:80],
                          expected=", ".join(_ARCHITECTURES.values()))  # fmt: skip
    device: JsonObject = {
        "arch": _ARCHITECTURES[name[:2]], "uuid": "unknown", "evidence": b64_encode(collected.raw),
        "certificate": b64_encode(chain),
    }  # fmt: skip
    return {**device, **({_COLLATERAL: dict(digests)} if digests else {})}


def _parsed(entry: Json, pool: Mapping[str, bytes], where: str) -> CollectedEvidence:
    """What an entry says of itself (``arch``, ``uuid``) is nobody's word: a device's certificates say what it is."""
    if not isinstance(entry, dict):
        raise _unreadable(where, "a device is no object")
    raw, chain = _octets(entry, "evidence", where), _octets(entry, "certificate", where)
    names = entry.get(_COLLATERAL, {})
    if not isinstance(names, dict) or len(names) > _MAX_ITEMS or not all(map(_ITEM.fullmatch, names)):
        raise _unreadable(where, f"its collateral is no object of at most {_MAX_ITEMS} names")
    items = {_CHAIN: chain.rstrip(b"\x00")}  # NVML's buffer is longer than the chain
    for name, digest in names.items():
        if name == _CHAIN or not isinstance(digest, str) or digest not in pool:
            raise _unreadable(where, "its collateral names something that did not come along")
        items[name] = pool[digest]
    return CollectedEvidence(tee=Tee.NVIDIA, raw=raw, collateral=Collateral(items=items))


def _pool(value: Json) -> dict[str, bytes]:
    if not isinstance(value, dict) or len(value) > _MAX_DEVICES * _MAX_ITEMS:
        raise _unreadable(_COLLATERAL, "it is no object, or too large")
    pool = {}
    for digest, item in value.items():
        content = b64_decode(item, what=_COLLATERAL) if isinstance(item, str) else b""
        if not content or not _DIGEST.fullmatch(digest) or hashlib.sha256(content).hexdigest() != digest:
            raise _unreadable(_COLLATERAL, "a value is not what its name is the SHA-256 of")
        pool[digest] = content
    return pool


def _octets(entry: JsonObject, member: str, where: str) -> bytes:
    """Base64; older guests write hexadecimal digits."""
    value = entry.get(member)
    if not isinstance(value, str) or not value:
        raise _unreadable(where, f"{member} is no text")
    return bytes.fromhex(value) if _HEX.fullmatch(value) else b64_decode(value, what=member)


def _unreadable(where: str, why: str) -> MalformedError:
    return MalformedError("kbs.device-evidence", f"the evidence of devices can not be read: {why}", where=where)
