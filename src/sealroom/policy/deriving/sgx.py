"""``[sgx]`` of a derived policy."""

from collections.abc import Iterator

from sealroom.evidence import Claims
from sealroom.policy.deriving.entry import Entry, Notes, heading, hexes, pin
from sealroom.policy.deriving.intel import flag_entries, platform_entries
from sealroom.policy.sgx import FLAGS

__all__ = ["sgx_entries"]

_MEANINGS = {
    "mr_enclave": "Pins code, data and manifest of the enclave (sealroom measure sgx reads it from a SIGSTRUCT). "
    "Changes with: each build. To accept later builds of the same signer, take this line out.",
    "mr_signer": "Pins who signed the enclave. Changes with: the signer's key.",
    "config_id": "Pins the configuration chosen at launch (KSS). Changes with: it.",
    "isv_family_id": "Pins the signer's product family (KSS). Changes with: the family.",
    "isv_ext_prod_id": "Pins the signer's extended product number (KSS). Changes with: the product.",
}


def sgx_entries(claims: Claims, notes: Notes) -> Iterator[Entry]:
    """The table, from claims of a verified SGX quote."""
    yield heading("sgx", "What an enclave must be, and the platform under it.")
    for name, meaning in _MEANINGS.items():
        value = claims.measurements[name]
        yield pin(
            name, hexes(value), meaning + ("" if any(value) else " Zero: not used."), details=notes.get(name, ())
        )
    yield pin("isv_prod_id", f"[{claims.details['isv_prod_id']}]", "Pins the product, by the signer's own number. "
              "Changes with: the product.")  # fmt: skip
    yield pin("minimum_isv_svn", str(claims.details["isv_svn"]), "Pins the oldest security version of the enclave; "
              "newer ones pass. Changes with: nothing; raise it when a release mends a hole.")  # fmt: skip
    yield from flag_entries(claims.flags, FLAGS)
    yield from platform_entries(claims)
