"""What a verified VM of Google's, or Google's service of it, says in the words that every TEE shares.

PCRs of the vTPM are ``pcr00`` to ``pcr23``, of the strongest bank that was quoted. Of a Confidential Space token the
measurement is ``image_digest``, and ``report_data`` the one nonce (the bytes of 64 hexadecimal digits, otherwise the
text as it is); of several nonces, none, since nobody could say which binds. Its detail ``token_type`` says who
vouches for the signer: ``PKI``, Google's root; ``OIDC``, whoever named the key.

    debug              the debug image, or a debugger since boot
    secure_boot_off    the token says so, or the vTPM's event log does not say that it is on
    token              a service's word, and no evidence
    not_stable         the image has no support attribute STABLE
    env_or_args_set    who started the workload gave it environment or arguments of their own
    not_confidential_space  a token of the same service on another kind of VM
    tcb_not_current    the token's TDX machine was behind Intel's reference values, by Google's word
    no_hardware_proof  a vTPM alone, or a token on other hardware than encrypts memory: nothing here proves that it is
    sha1_bank          no stronger bank than SHA-1 was quoted: two logs can give one value

The hardware's own report, where one came, is ``inner``; like Google's root it must be one that a policy takes.
"""

from collections.abc import Mapping
from typing import Any

from sealroom.errors import MisuseError
from sealroom.evidence import CLAIMED, Claims, Evidence, Tee, Verified
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees._tpm.event_log import log_details, log_flags, strongest_bank
from sealroom.tees.gcp.layout import GcpQuote
from sealroom.tees.gcp.pki_token import has_certificates
from sealroom.tees.gcp.space import (
    image_of,
    is_debug,
    is_overridden,
    nonce_of,
    support_of,
    tcb_of,
    text_of,
    token_details,
)
from sealroom.tees.gcp.verify import VerifiedSpace, VerifiedVtpm

__all__ = ["claims"]

_SPACE, _CURRENT = "CONFIDENTIAL_SPACE", "UpToDate"
_ENCRYPTS_MEMORY = frozenset({"GCP_AMD_SEV", "GCP_AMD_SEV_ES", "GCP_AMD_SEV_SNP", "GCP_INTEL_TDX"})
"""Of what a token may name as its hardware. Google names plain VMs too (``GCP_SHIELDED_VM``)."""


def claims(verified: Verified[Evidence]) -> Claims:
    """Translate ``verified``.

    Raises:
        MisuseError: ``verified`` is not of Google Cloud.
        MalformedError: ``gcp.token-claim``: a token's claim is of another type.
    """
    if isinstance(verified, VerifiedSpace):
        return _of_token(verified)
    if not isinstance(verified, VerifiedVtpm):
        raise MisuseError("gcp.other-tee", "this is no verified VM of Google's", got=type(verified).__name__)
    inner = verified.inner
    bank = strongest_bank({one.bank: {} for one in verified.vtpm.quotes})
    quote = next(one for one in verified.vtpm.quotes if one.bank is bank)
    instance = verified.instance
    named: dict[str, str | int] = {} if instance is None else {
        "zone": instance.zone, "project_id": instance.project_id, "project_number": instance.project_number,
        "instance_id": instance.instance_id, "instance_name": instance.instance_name,
    }  # fmt: skip
    return Claims(
        tee=Tee.GCP, hardware_model="GCE vTPM" if inner is None else f"GCE {inner.tee} {inner.hardware_model}",
        measurements=_pcrs(quote), report_data=quote.attest.extra_data,
        tcb=inner.tcb if inner else {}, debug=inner is not None and inner.debug,
        migratable=inner is None or inner.migratable, tcb_status=inner.tcb_status if inner else None,
        tcb_date=inner.tcb_date if inner else None, advisories=inner.advisories if inner else (),
        flags=frozenset(name for name, holds in {"no_hardware_proof": inner is None,
                                                 "sha1_bank": bank is TpmHash.SHA1}.items() if holds)
        | log_flags(verified.log),
        signer="AK", device_id=inner.device_id if inner else None,
        details={"pcr_bank": quote.bank.word, "reset_count": quote.attest.reset_count,
                 **log_details(verified.log), **named,
                 **({} if inner is None else {"inner_tee": inner.tee.value})},
        root=verified.root, simulated=verified.simulated, validity=verified.validity, warrant=CLAIMED, inner=inner,
    )  # fmt: skip


def _pcrs(quote: GcpQuote) -> dict[str, bytes]:
    return {f"pcr{index:02d}": value for index, value in quote.pcrs[quote.bank].items()}


def _of_token(verified: VerifiedSpace) -> Claims:
    token = verified.evidence.token
    said: Mapping[str, Any] = token.claims if token else {}
    image, debug, (status, date), hardware = image_of(said), is_debug(said), tcb_of(said), text_of(said, "hwmodel")
    flags = {"token": True, "debug": debug, "secure_boot_off": said.get("secboot") is not True,
             "not_stable": "STABLE" not in support_of(said), "env_or_args_set": is_overridden(said),
             "not_confidential_space": said.get("swname") != _SPACE,
             "tcb_not_current": status not in {None, _CURRENT},
             "no_hardware_proof": hardware not in _ENCRYPTS_MEMORY}  # fmt: skip
    return Claims(
        tee=Tee.GCP, hardware_model=hardware or "unknown",
        measurements={} if image is None else {"image_digest": image}, report_data=nonce_of(said), tcb={},
        debug=debug, migratable=False, tcb_status=status, tcb_date=date, advisories=(),
        flags=frozenset(name for name, holds in flags.items() if holds), signer="Confidential Space", device_id=None,
        details={**token_details(said), "token_type": "PKI" if token and has_certificates(token) else "OIDC"},
        root=verified.root, simulated=verified.simulated, validity=verified.validity, warrant=CLAIMED,
    )  # fmt: skip
