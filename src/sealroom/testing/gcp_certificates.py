"""Google's certificates of vTPM keys as they are written: names, usages, the instance (`tees.gcp.certificates`)."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealroom.evidence import Validity
from sealroom.testing import der
from sealroom.testing.pki import CertificateForm, NameForm

__all__ = ["GOOGLE_NAME", "InstanceForm", "ak_form"]

GOOGLE_NAME: NameForm = (
    ("2.5.4.6", 0x13, "US"),
    ("2.5.4.8", 0x13, "California"),
    ("2.5.4.10", 0x13, "Google LLC"),
    ("2.5.4.11", 0x13, "Google Cloud"),
    ("2.5.4.3", 0x0C, None),
)
EK_USAGE, AIK_USAGE = "2.23.133.8.1", "2.23.133.8.3"
INSTANCE = "1.3.6.1.4.1.11129.2.1.21"
_CONSTRAINTS, _KEY_USAGE, _USAGES, _ALTERNATIVE_NAME = "2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17"
_WINDOW = Validity(
    not_before=datetime(2025, 8, 31, 23, 11, 5, tzinfo=UTC), not_after=datetime(2049, 8, 24, 23, 16, 5, tzinfo=UTC)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceForm:
    """Whose VM it is."""

    zone: str = "europe-west4-a"
    project_number: int = 1021147225643
    project_id: str = "simulated-project"
    instance_id: int = 575814989817163620
    instance_name: str = "simulated-vm"
    production: bool | None = True
    """Of Google's production; None: not said."""
    more: bytes = field(default=b"", repr=False)
    """Behind all of it."""

    def encode(self) -> bytes:
        """The extension's value: with its security properties, as there are more of them in Google's."""
        said = b"" if self.production is None else der.element(0xA1, der.boolean(self.production))
        properties = der.element(0xA0, der.sequence(der.element(0xA0, der.integer(0)), said,
                                                    der.element(0xA2, der.boolean(True))))  # fmt: skip
        return der.sequence(
            der.utf8(self.zone), der.integer(self.project_number), der.utf8(self.project_id),
            der.integer(self.instance_id), der.utf8(self.instance_name), properties, self.more,
        )  # fmt: skip


def ak_form(
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    instance: InstanceForm | None,
    *,
    usages: tuple[str, ...] = (EK_USAGE,),
    window: Validity = _WINDOW,
) -> CertificateForm:
    """The form of an honest certificate; `dataclasses.replace` one field of it to have one fault."""
    tpm = der.sequence(der.element(0xA4, der.sequence(der.element(
        0x31, der.sequence(der.oid("2.23.133.2.1"), der.utf8("id:47434F47"))
    ))))  # fmt: skip
    extensions = [
        (_CONSTRAINTS, True, der.sequence()),
        (_KEY_USAGE, True, der.named_bits(0)),
        (_USAGES, True, der.sequence(*(der.oid(usage) for usage in usages))),
        (_ALTERNATIVE_NAME, True, tpm),
    ]
    if instance is not None:
        extensions.append((INSTANCE, False, instance.encode()))
    form = CertificateForm(subject="simulated-vm", public_key=key, serial=0x1D2, validity=window, name=GOOGLE_NAME)
    return replace(form, extensions=tuple(extensions))
