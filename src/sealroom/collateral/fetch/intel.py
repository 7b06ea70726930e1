"""Intel's provisioning certification service, or any cache of it that speaks its paths (PCS API v4, PCCS).

Issuer chains come percent-encoded in headers, under names that changed between versions. Revocation lists come as
DER, PEM or hexadecimal text: they are kept as they came, and read by verification.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote_to_bytes

from sealroom.collateral.fetch.transport import Answer, Transport
from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Tee

__all__ = ["INTEL_ROOT_CRL", "INTEL_SERVICE", "IntelOptions", "fetch_intel"]

INTEL_SERVICE = "https://api.trustedservices.intel.com"
INTEL_ROOT_CRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
_UPDATES = ("standard", "early")
_CHAIN_HEADERS = {
    "tcb_info_issuer_chain": ("tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"),
    "qe_identity_issuer_chain": ("sgx-enclave-identity-issuer-chain",),
    "pck_crl_issuer_chain": ("sgx-pck-crl-issuer-chain",),
}


class _Needed(Protocol):
    @property
    def tee(self) -> Tee: ...
    @property
    def fmspc(self) -> bytes: ...
    @property
    def ca(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IntelOptions:
    """Whom to ask, and for which data set.

    Args:
        service: base address; another than Intel's own is taken for a PCCS, which has the root's list too.
        update: ``standard``, or ``early``, which knows of new advisories before platforms can have been mended.
        evaluation_number: a data set by its number, in place of ``update``.
    """

    service: str = INTEL_SERVICE
    update: str = "standard"
    evaluation_number: int | None = None

    @property
    def query(self) -> str:
        """What a request for TCB info or QE identity carries."""
        if self.update not in _UPDATES:
            raise MisuseError("collateral.update", "there is no such data set", got=self.update,
                              expected=", ".join(_UPDATES))  # fmt: skip
        if self.evaluation_number is not None:
            return f"tcbEvaluationDataNumber={self.evaluation_number}"
        return f"update={self.update}"


def fetch_intel(needed: _Needed, transport: Transport, options: IntelOptions | None = None) -> dict[str, bytes]:
    """All seven items for one platform.

    Raises:
        UnavailableError: ``collateral.service``.
        MalformedError: ``collateral.answer``: an answer lacks what belongs into it.
    """
    options = options or IntelOptions()
    base = options.service.rstrip("/")
    tcb = transport.get(f"{base}/{needed.tee.value}/certification/v4/tcb?fmspc={needed.fmspc.hex()}&{options.query}")
    identity = transport.get(f"{base}/{needed.tee.value}/certification/v4/qe/identity?{options.query}")
    revoked = transport.get(f"{base}/sgx/certification/v4/pckcrl?ca={needed.ca}&encoding=der")
    own = base == INTEL_SERVICE
    root = transport.get(INTEL_ROOT_CRL if own else f"{base}/sgx/certification/v4/rootcacrl")
    return {
        "tcb_info_response": tcb.body,
        "tcb_info_issuer_chain": _chain(tcb, "tcb_info_issuer_chain"),
        "qe_identity_response": identity.body,
        "qe_identity_issuer_chain": _chain(identity, "qe_identity_issuer_chain"),
        "pck_crl": revoked.body,
        "pck_crl_issuer_chain": _chain(revoked, "pck_crl_issuer_chain"),
        "root_ca_crl": root.body,
    }


def _chain(answer: Answer, item: str) -> bytes:
    names: Mapping[str, str] = answer.headers
    for header in _CHAIN_HEADERS[item]:
        if header in names:
            chain = unquote_to_bytes(names[header])
            if chain.lstrip().startswith(b"-----BEGIN CERTIFICATE-----"):
                return chain
    raise MalformedError("collateral.answer", "the service's answer came without its issuer chain",
                         where=item, expected=" or ".join(_CHAIN_HEADERS[item]))  # fmt: skip
