"""What a token of Microsoft Azure Attestation says: its claims, each of its own type, wherever they stand.

A token of the type ``azurevm`` has those of the hardware inside ``x-ms-isolation-tee``; others have them at the top.
"""

from collections.abc import Mapping
from typing import Any

from sealroom.errors import MalformedError
from sealroom.tees._token import member

__all__ = ["MaaClaims"]

_AREA = "azure-vtpm"
_TDX = {"tdx_mrtd": "mr_td", "tdx_rtmr0": "rtmr0", "tdx_rtmr1": "rtmr1", "tdx_rtmr2": "rtmr2", "tdx_rtmr3": "rtmr3",
        "tdx_mrseam": "mr_seam", "tdx_mrsignerseam": "mr_signer_seam", "tdx_mrconfigid": "mr_config_id",
        "tdx_mrowner": "mr_owner", "tdx_mrownerconfig": "mr_owner_config",
        "tdx_report_data": "report_data"}  # fmt: skip
_SNP = {f"x-ms-sevsnpvm-{claim}": name for claim, name in {
        "launchmeasurement": "measurement", "hostdata": "host_data", "reportdata": "report_data",
        "idkeydigest": "id_key_digest", "authorkeydigest": "author_key_digest", "familyId": "family_id",
        "imageId": "image_id"}.items()}  # fmt: skip
_DEBUG = ("tdx_td_attributes_debug", "x-ms-sevsnpvm-is-debuggable")
_GUEST_DEBUG = tuple(f"x-ms-azurevm-{what}debug-enabled" for what in ("boot", "kernel", "hypervisor"))
_NO_DEBUGGERS = "x-ms-azurevm-debuggersdisabled"
"""What the service read of the guest's own software in its boot log (Microsoft, "Claim sets", VM attestation)."""
_MIGRATABLE = ("tdx_td_attributes_migratable", "x-ms-sevsnpvm-migration-allowed")
_RUNTIME = "x-ms-runtime"


class MaaClaims:
    """The claims of a token that was verified.

    Args:
        said: all of them.

    Raises:
        MalformedError: ``azure-vtpm.token-claim``, from whatever is asked: a claim is of another type.
    """

    def __init__(self, said: Mapping[str, Any]) -> None:
        self._said = said
        self._body: Mapping[str, Any] = member(said, "x-ms-isolation-tee", kind=dict, area=_AREA) or said

    @property
    def kind(self) -> str:
        """``sevsnpvm``, ``tdxvm`` …"""
        return str(self._body.get("x-ms-attestation-type"))

    @property
    def issuer(self) -> str:
        """Which of the service's providers signed."""
        return str(self._said.get("iss"))

    @property
    def compliance(self) -> str:
        """``azure-compliant-cvm``, or another word."""
        return str(self._body.get("x-ms-compliance-status"))

    @property
    def tcb_status(self) -> str | None:
        """Intel's word, of a TDX machine."""
        status: str | None = member(self._body, "attester_tcb_status", kind=str, area=_AREA)
        return status

    @property
    def debug(self) -> bool:
        """Whether the guest may be debugged: what is said in other words than no counts as said.

        Of ``dbgstat`` (RFC 9711 section 4.2.9) four words begin with ``disabled``, and mean it.
        """
        states = [one["dbgstat"] for one in (self._said, self._body) if one.get("dbgstat") is not None]
        may = any(not isinstance(state, str) or not state.startswith("disabled") for state in states)
        attached = self._said.get(_NO_DEBUGGERS, True) is not True
        return may or attached or self._holds(_DEBUG) or self._holds(_GUEST_DEBUG, self._said)

    @property
    def migratable(self) -> bool:
        """Whether it may be moved."""
        return self._holds(_MIGRATABLE)

    @property
    def vmpl(self) -> int | None:
        """Of SEV-SNP."""
        level: int | None = member(self._body, "x-ms-sevsnpvm-vmpl", kind=int, area=_AREA)
        return level

    @property
    def measurements(self) -> dict[str, bytes]:
        """The hardware's, under its own names."""
        return {name: _hex(member(self._body, claim, kind=str, area=_AREA), claim)
                for claim, name in (_TDX | _SNP).items() if self._body.get(claim) is not None}  # fmt: skip

    @property
    def configuration(self) -> dict[str, str | bool | int]:
        """The VM's, where the hardware's claims have it, or else the token."""
        for one in (self._body, self._said):
            found: dict[str, Any] | None = member(one, _RUNTIME, "vm-configuration", kind=dict, area=_AREA)
            if found is not None:
                return {name: item for name, item in found.items() if isinstance(item, str | bool | int)}
        return {}

    @property
    def secure_boot_off(self) -> bool:
        """Whether the service says so, in either place; where it says nothing, nothing is said."""
        answers = [one[name] for one, name in ((self._said, "secureboot"), (self.configuration, "secure-boot"))
                   if name in one]  # fmt: skip
        return any(answer is not True for answer in answers)

    @property
    def user_data(self) -> bytes:
        """The one value, at the top or with the hardware's claims; of two that differ, none."""
        texts = {member(one, _RUNTIME, "user-data", kind=str, area=_AREA) for one in (self._said, self._body)} - {
            None
        }
        return _hex(texts.pop(), f"{_RUNTIME}.user-data") if len(texts) == 1 else b""

    def _holds(self, names: tuple[str, ...], said: Mapping[str, Any] | None = None) -> bool:
        claims = self._body if said is None else said
        return any(claims.get(name) is not None and claims[name] is not False for name in names)


def _hex(text: str, where: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MalformedError("azure-vtpm.token-claim", "a claim is not hexadecimal", where=where) from None
