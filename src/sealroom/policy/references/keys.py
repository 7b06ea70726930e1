"""Which keys of a policy a reference file may fill in, and how each value is written there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sealroom.policy.model_others import CCA_MEASUREMENTS, NITRO_MEASUREMENTS, NITRO_TPM_MEASUREMENTS, PCRS

__all__ = ["REFERENCE_KEYS", "Form"]

_TEXT = re.compile(r"[ -~]{1,300}")
_HEX = re.compile("(?:[0-9a-f]{2})+")
_DIGEST = re.compile("sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Form:
    """How a value is written, and what it is read as."""

    sizes: tuple[int, ...] = ()
    """Bytes, written in hexadecimal; empty: not that."""
    digest: bool = False
    """``sha256:`` and hexadecimal, read as 32 bytes."""
    digest_text: bool = False
    """The same, kept as text."""

    @property
    def expected(self) -> str:
        """In words."""
        if self.digest or self.digest_text:
            return "sha256: and 64 hexadecimal digits"
        return " or ".join(f"{2 * size} hexadecimal digits" for size in self.sizes) or "1 to 300 printable characters"

    def read(self, text: str) -> bytes | str | None:
        """The value; None if it is not written like this."""
        if self.digest or self.digest_text:
            fits = _DIGEST.fullmatch(text)
            return None if not fits else text if self.digest_text else bytes.fromhex(text.removeprefix("sha256:"))
        if self.sizes:
            return bytes.fromhex(text) if _HEX.fullmatch(text) and len(text) // 2 in self.sizes else None
        return text if _TEXT.fullmatch(text) else None


_VALUE, _TEXT_FORM = Form(digest=True), Form()
_PCRS: Mapping[str, Form] = dict.fromkeys(PCRS, Form((32, 48, 64)))


def _sized(sizes: Mapping[str, int]) -> dict[str, Form]:
    return {name: Form((size,)) for name, size in sizes.items()}


REFERENCE_KEYS: Mapping[str, Mapping[str, Form]] = {
    "snp": _sized({"measurement": 48, "host_data": 32, "id_key_digest": 48, "author_key_digest": 48,
                   "family_id": 16, "image_id": 16}),
    "tdx": _sized({"mr_td": 48, "rtmr0": 48, "rtmr1": 48, "rtmr2": 48, "rtmr3": 48, "mr_config_id": 48,
                   "mr_owner": 48, "mr_owner_config": 48, "mr_seam": 48}),
    "sgx": _sized({"mr_enclave": 32, "mr_signer": 32, "config_id": 64, "isv_family_id": 16, "isv_ext_prod_id": 16}),
    "nvidia": {"driver_version": _TEXT_FORM, "vbios_version": _TEXT_FORM, "fwid": Form((48,))},
    "nitro": _sized({**NITRO_MEASUREMENTS, **NITRO_TPM_MEASUREMENTS}),
    "cca": {name: Form(sizes) for name, sizes in CCA_MEASUREMENTS.items()},
    "tpm": _PCRS,
    "azure-vtpm": _PCRS,
    "gcp": {**_PCRS, "image_digest": Form(digest_text=True)},
    "model": {"digest": _VALUE, "package_digest": _VALUE},
    "engine": {"config_digest": _VALUE},
}  # fmt: skip
"""By table, then by key."""
