"""Checks on NVIDIA claims, each device alone and all of them together (``spec/policy.md`` section 2.3.5)."""

from collections.abc import Iterator, Sequence

from sealroom.evidence import Check, Claims
from sealroom.policy.checks import accepted_bytes, accepted_word, asked, left_open
from sealroom.policy.flags import Flag, flag_checks
from sealroom.policy.load_nvidia import EVERY_FAMILY
from sealroom.policy.model import Policy
from sealroom.policy.model_others import NvidiaRules
from sealroom.policy.versions import Version, at_least, parse_decimal, parse_hexadecimal, written

__all__ = ["FLAGS", "device_set_checks", "is_switch", "nvidia_checks"]

FLAGS = {
    "devtools": Flag("devtools", "take the devices out of developer mode: in it, their memory can be read"),
    "sample_nonce": Flag("sample_nonce", "ask with a nonce drawn at random: anybody has answers to this one"),
    "certificate_hold": Flag("certificate_hold", "NVIDIA has suspended a certificate: ask the vendor why"),
    "revocation_not_checked": Flag("revocation_not_checked", "have NVIDIA's OCSP answers sent along (`ocsp`)"),
    "fwid_missing": Flag("fwid_missing", "update the driver: this one does not name the device's firmware"),
    "opaque_version_unknown": Flag("opaque_version_unknown", "use a release that knows this driver's reports"),
    "nvdec0_unknown": Flag("nvdec0_unknown", "restart the device: a part of it is in no known state"),
}
"""Every flag of NVIDIA claims that weakens something; the rest are judged by checks of their own."""
_JUDGED = {"protected_pcie": Flag("open_topology", ""), "reference_values_missing": Flag("none", "")}
_NEEDED = {"required": ("driver_rim", "vbios_rim"), "driver": ("driver_rim",), "vbios": ("vbios_rim",), "none": ()}
_FROM_SERVICE = "NRAS"
"""The signer of claims that are NVIDIA's service's own: it made the comparison, and hands on no report."""


def is_switch(claims: Claims) -> bool:
    """Whether this is an NVLink switch."""
    return claims.details.get("kind") == "switch"


def nvidia_checks(policy: Policy, claims: Claims) -> Iterator[Check]:
    """Every check on one device; none under a policy without ``[nvidia]``."""
    if (rules := policy.nvidia) is None:
        return
    yield from _flags(rules, claims)
    yield _reference_values(rules, claims)
    yield _mode(rules, claims)
    if is_switch(claims):
        yield from _switch(rules, claims)
    else:
        yield from _gpu(policy, rules, claims)
    if rules.ueid:
        yield accepted_word("nvidia.ueid", _detail(claims, "ueid"), rules.ueid, source="policy: [nvidia] ueid",
                            fix="use one of the named devices")  # fmt: skip


def device_set_checks(policy: Policy, devices: Sequence[Claims]) -> Iterator[Check]:
    """Every check on all devices together: how many, each once, and who is linked to whom."""
    if (rules := policy.nvidia) is None:
        return
    gpus, switches = (sum(is_switch(one) is kind for one in devices) for kind in (False, True))
    least = rules.minimum_count
    if not devices and rules.count is None and not least and not rules.switches:
        return
    yield asked(
        "nvidia.count", str(gpus), f"{rules.count}" if rules.count is not None else f"at least {least}",
        passed=gpus >= least if rules.count is None else gpus == rules.count,
        source=_source(rules, "count" if "count" in rules.named else "minimum_count"),
        fix="have the evidence of every GPU sent along, or correct the count",
    )  # fmt: skip
    if rules.switches is not None:
        yield asked("nvidia.switches", str(switches), str(rules.switches), passed=switches == rules.switches,
                    source="policy: [nvidia] switches", fix="have the evidence of every switch sent along",
                    )  # fmt: skip
    yield _topology(rules, devices)


def _topology(rules: NvidiaRules, devices: Sequence[Claims]) -> Check:
    from sealroom.tees.nvidia.topology import problems  # noqa: PLC0415 - most verdicts are on no devices

    found = problems(devices)
    open_ = "open_topology" in rules.allow
    twice_or_mixed = [one for one in found if "here twice" in one or "different nonces" in one]
    return Check(
        name="nvidia.topology",
        got="; ".join(found) or f"each of {len(devices)} once, and every link ends here",
        wanted="each device once" if open_ else "each device once, and every link ends at a device that is here",
        passed=not (twice_or_mixed if open_ else found),
        source="policy: [nvidia] allow" if open_ else "default",
        code="nvidia.topology",
        fix="send the evidence of all devices of this machine and of no other; for one device's report by itself: "
        '[nvidia] allow = ["open_topology"]',
    )


def _flags(rules: NvidiaRules, claims: Claims) -> Iterator[Check]:
    for check in flag_checks("nvidia", FLAGS | _JUDGED, rules.allow, claims):
        if check.name.partition(".")[2].replace("-", "_") not in _JUDGED:
            yield check


def _reference_values(rules: NvidiaRules, claims: Claims) -> Check:
    """A device of which nothing was compared is none that NVIDIA released, as far as anybody here knows."""
    compared, by_service = claims.details.get("measurements_compared", 0), claims.signer == _FROM_SERVICE
    wish = rules.reference_values
    if wish == "required":
        enough = "reference_values_missing" not in claims.flags and (by_service or _some(compared))
    else:
        needed = ("vbios_rim",) if is_switch(claims) and wish != "none" else _NEEDED[wish]
        enough = by_service or (all(claims.details.get(one) for one in needed) and (_some(compared) or not needed))
    found = [str(claims.details[one]) for one in ("driver_rim", "vbios_rim") if claims.details.get(one)]
    return Check(
        name="nvidia.reference-values",
        got="compared by NVIDIA's service" if by_service else f"{compared} compared, of {', '.join(found) or 'none'}",
        wanted={"required": "all of the device's", "none": "any or none"}.get(wish, f"those of the {wish}"),
        passed=enough,
        source=_source(rules, "reference_values"),
        code="nvidia.no-reference-values",
        fix="have the RIMs of this driver and VBIOS sent along (`driver_rim`, `vbios_rim`)",
    )


def _some(compared: object) -> bool:
    return isinstance(compared, int) and compared > 0


def _mode(rules: NvidiaRules, claims: Claims) -> Check:
    """Older firmware does not say; that passes only where every mode does. A switch never says: links tell of it."""
    mode = claims.details.get("mode")
    silent = mode is None and ("mode" not in rules.named or is_switch(claims))
    return asked("nvidia.mode", "not said" if mode is None else str(mode), ", ".join(rules.mode),
                 passed=mode in rules.mode or silent, source=_source(rules, "mode"),
                 fix="set the devices to an accepted confidential-computing mode")  # fmt: skip


def _gpu(policy: Policy, rules: NvidiaRules, claims: Claims) -> Iterator[Check]:
    yield accepted_word("nvidia.architecture", _detail(claims, "architecture"), rules.architectures,
                        source=_source(rules, "architectures"), fix="use an accepted generation")  # fmt: skip
    yield from _driver(policy, rules, claims)
    if rules.minimum_vbios:
        family = claims.hardware_model.partition(" ")[0]
        floor = rules.minimum_vbios.get(family, rules.minimum_vbios.get(EVERY_FAMILY))
        yield _floor("nvidia.minimum-vbios", parse_hexadecimal(_detail(claims, "vbios_version")), floor,
                     got=f"{_detail(claims, 'vbios_version')} ({family})", key="minimum_vbios")  # fmt: skip
    for key in ("driver_version", "vbios_version"):
        if _asks(policy, key):
            yield accepted_word(f"nvidia.{key.replace('_', '-')}", _detail(claims, key), getattr(rules, key),
                                source=f"policy: [nvidia] {key}", fix=f"install an accepted {key}")  # fmt: skip
    if _asks(policy, "fwid"):
        got = claims.details.get("fwid")
        yield accepted_bytes("nvidia.fwid", None if got is None else bytes.fromhex(str(got)), rules.fwid,
                             source="policy: [nvidia] fwid", fix="run accepted firmware")  # fmt: skip


def _driver(policy: Policy, rules: NvidiaRules, claims: Claims) -> Iterator[Check]:
    architecture, got = _detail(claims, "architecture"), _detail(claims, "driver_version")
    if rules.minimum_driver:
        yield _floor("nvidia.minimum-driver", parse_decimal(got), rules.minimum_driver.get(architecture),
                     got=got, key="minimum_driver")  # fmt: skip
    elif policy.leaves_open("minimum_driver"):
        yield left_open(policy, "minimum_driver", "nvidia.minimum-driver", got)


def _switch(rules: NvidiaRules, claims: Claims) -> Iterator[Check]:
    if rules.minimum_switch_bios is not None:
        got = _detail(claims, "vbios_version")
        yield _floor("nvidia.minimum-switch-bios", parse_hexadecimal(got), rules.minimum_switch_bios, got=got,
                     key="minimum_switch_bios")  # fmt: skip


def _floor(name: str, found: Version | None, floor: Version | None, *, got: str, key: str) -> Check:
    """No floor for this kind of device is no pass."""
    return Check(
        name=name,
        got=got,
        wanted=f"{written(floor)} or later" if floor else "a kind of device that the policy has a minimum for",
        passed=floor is not None and at_least(found, floor),
        source=f"policy: [nvidia] {key}",
        code=f"{name.replace('minimum-', '')}-below-minimum",
        fix="update the device's software, or name this kind of device with its minimum",
    )


def _asks(policy: Policy, key: str) -> bool:
    return policy.nvidia is not None and key in policy.nvidia.named | policy.supplied("nvidia")


def _detail(claims: Claims, key: str) -> str:
    return str(claims.details.get(key, "not said"))


def _source(rules: NvidiaRules, key: str) -> str:
    return f"policy: [nvidia] {key}" if key in rules.named else "default"
