"""A recorded quote in a world of one's own: every certificate, list, document, report and quote signed anew.

Names, extensions, numbers and times stay as they were recorded; only the keys are others, from the root down. In such
a world any one thing can be changed and signed properly, so that one check alone can refuse it.
"""

from dataclasses import dataclass, field, replace

from sealroom.der import SEQUENCE, read_whole
from sealroom.evidence import TrustRoots
from sealroom.pem import as_pem, is_pem, read_pem
from sealroom.testing import der
from sealroom.testing.gym.json_spans import signed_body
from sealroom.testing.gym.mutation import Sample
from sealroom.testing.gym.own_keys import (
    PrivateKey,
    elements,
    own_p256,
    raw_point,
    raw_signature,
    signed,
    unsigned,
)
from sealroom.testing.gym.quote_parts import QuoteParts, split
from sealroom.testing.gym.quotes import rebound
from sealroom.testing.gym.signed_documents import with_signature
from sealroom.x509_reader import read_certificate

__all__ = ["Hierarchy", "with_revoked"]

_PEM_CHAIN = 5
_TIMES = (0x17, 0x18)


def _key(name: str) -> PrivateKey:
    return own_p256(f"re-minted {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """What is to be signed, and by whom. Change either with `dataclasses.replace`, and sign with `sample`.

    Certificates and lists are their signed parts (DER); documents the signed objects (JSON); ``…_signer`` names the
    key that signs, and ``…_chain`` the certificates that are said to vouch for it.
    """

    base: Sample = field(repr=False)
    parts: QuoteParts = field(repr=False)
    bound: bool = True
    """Whether the report data of the QE report are to be made right for the attestation key."""
    leaf: bytes = field(repr=False)
    leaf_signer: str = "intermediate"
    intermediate: bytes = field(repr=False)
    intermediate_signer: str = "root"
    root: bytes = field(repr=False)
    tcb_signer: bytes = field(repr=False)
    tcb_signer_signer: str = "root"
    qe_signer: bytes = field(repr=False)
    tcb_info: bytes = field(repr=False)
    qe_identity: bytes = field(repr=False)
    documents_signer: str = "tcb"
    documents_chain: tuple[str, ...] = ("tcb", "root")
    pck_crl: bytes = field(repr=False)
    pck_crl_signer: str = "intermediate"
    root_crl: bytes = field(repr=False)
    root_crl_signer: str = "root"
    report_signer: str = "pck"
    quote_chain: tuple[str, ...] = ("pck", "intermediate", "root")

    @classmethod
    def of(cls, sample: Sample) -> "Hierarchy | None":
        """The world of ``sample``; None: its quote carries no chain of three certificates."""
        parts, items = split(sample.raw), sample.collateral
        if parts.certification_type != _PEM_CHAIN:
            return None
        blocks = read_pem(parts.certification_data, "CERTIFICATE")
        signers = [read_pem(items[name], "CERTIFICATE")[0] for name in ("tcb_info_issuer_chain",
                                                                        "qe_identity_issuer_chain")]  # fmt: skip
        documents = [items[name] for name in ("tcb_info_response", "qe_identity_response")]
        if len(blocks) != 3:
            return None
        return cls(
            base=sample, parts=parts,
            leaf=unsigned(blocks[0], key=_key("pck")),
            intermediate=unsigned(blocks[1], key=_key("intermediate")), root=unsigned(blocks[2], key=_key("root")),
            tcb_signer=unsigned(signers[0], key=_key("tcb")), qe_signer=unsigned(signers[1], key=_key("tcb")),
            tcb_info=signed_body(documents[0]).of(documents[0]),
            qe_identity=signed_body(documents[1]).of(documents[1]),
            pck_crl=_list(items["pck_crl"]), root_crl=_list(items["root_ca_crl"]),
        )  # fmt: skip

    def serial(self, name: str) -> int:
        """The serial number of ``leaf``, ``intermediate`` or ``tcb_signer``."""
        return read_certificate(signed(getattr(self, name), _key("root"))).serial

    def sample(self) -> Sample:
        """Everything signed, and the own root trusted."""
        certificates = {
            "pck": signed(self.leaf, _key(self.leaf_signer)),
            "intermediate": signed(self.intermediate, _key(self.intermediate_signer)),
            "root": signed(self.root, _key("root")),
            "tcb": signed(self.tcb_signer, _key(self.tcb_signer_signer)),
        }
        qe = certificates | {"tcb": signed(self.qe_signer, _key(self.tcb_signer_signer))}
        root = certificates["root"]
        return replace(
            self.base,
            name=f"{self.base.name}, re-minted",
            raw=self._quote(as_pem(*(certificates[name] for name in self.quote_chain))),
            collateral={
                "tcb_info_response": self._document("tcb_info_response", self.tcb_info),
                "tcb_info_issuer_chain": as_pem(*(certificates[name] for name in self.documents_chain)),
                "qe_identity_response": self._document("qe_identity_response", self.qe_identity),
                "qe_identity_issuer_chain": as_pem(*(qe[name] for name in self.documents_chain)),
                "pck_crl": signed(self.pck_crl, _key(self.pck_crl_signer)),
                "pck_crl_issuer_chain": as_pem(certificates["intermediate"], root),
                "root_ca_crl": signed(self.root_crl, _key(self.root_crl_signer)),
            },
            roots=TrustRoots(insecure_simulated=frozenset({read_certificate(root).fingerprint})),
            own_root=root,
        )

    def _quote(self, chain: bytes) -> bytes:
        key, parts = own_p256("re-minted attestation key"), self.parts
        point = raw_point(key)
        report = rebound(parts.qe_report, point, parts.auth_data) if self.bound else parts.qe_report
        signer = own_p256(f"re-minted {self.report_signer}")
        return replace(
            parts, attestation_key=point, signature=raw_signature(key, parts.signed), qe_report=report,
            qe_report_signature=raw_signature(signer, report), certification_data=chain,
        ).joined()  # fmt: skip

    def _document(self, name: str, body: bytes) -> bytes:
        signer = own_p256(f"re-minted {self.documents_signer}")
        return with_signature(self.base.collateral[name], body, raw_signature(signer, body))


def with_revoked(body: bytes, serial: int) -> bytes:
    """The signed part of a revocation list with one entry more."""
    parts = elements(read_whole(body, SEQUENCE).content)
    times = [place for place, part in enumerate(parts) if part[0] in _TIMES]
    place = times[-1] + 1
    entry = der.sequence(der.integer(serial), parts[times[0]])
    there = place < len(parts) and parts[place][0] == SEQUENCE
    entries = read_whole(parts[place], SEQUENCE).content if there else b""
    return der.sequence(*parts[:place], der.sequence(entries + entry), *parts[place + there :])


def _list(raw: bytes) -> bytes:
    if is_pem(raw):
        raw = read_pem(raw, "X509 CRL")[0]
    return read_whole(raw, SEQUENCE).reader().take(SEQUENCE).whole
