"""The built-in policy for somebody who verifies evidence without one (``spec/policy.md`` section 5).

It is a document like any other, so `explain` and the appraisal show what it leaves open. It can make no key trusted.
"""

from collections.abc import Collection

from sealroom.evidence import Tee
from sealroom.policy.load import load_policy
from sealroom.policy.model import Policy

__all__ = ["default_policy"]

_ENROLLED = frozenset({Tee.CCA, Tee.TPM})
"""No vendor's root stands above their keys."""
_DOCUMENT = """\
policy = 1
name = "built-in default"
description = "genuine silicon with safe settings; says nothing of what runs on it"

[trust]
tees = ["snp", "tdx", "sgx", "nvidia", "nitro", "azure-vtpm", "gcp"{enrolled}]
max_age_seconds = 2678400
{roots}
[snp]
products = ["Milan", "Genoa", "Turin"]
signing_key = ["VCEK", "VLEK"]
vmpl = [0, 1, 2, 3]
allow = ["smt"]

[tdx]
tcb_status = ["UpToDate"]

[sgx]
tcb_status = ["UpToDate"]

[nvidia]
minimum_count = 0

[nitro]

[azure-vtpm]

[azure-vtpm.snp]
products = ["Milan", "Genoa", "Turin"]
allow = ["smt"]

[azure-vtpm.tdx]
allow = ["sept_ve_disable_off"]

[gcp]
{table}
[unchecked]
measurement = "no policy was given, so nothing says which software to expect"
minimum_tcb = "no policy was given, so nothing says how new the firmware must be"
minimum_driver = "no policy was given, so nothing says how new a driver must be"
freshness = "no policy was given; a recording answers no nonce of ours"
report_data = "no policy was given, so nothing says what the evidence must be bound to"
model = "no policy was given, so nothing says which model to expect"
engine = "no policy was given, so nothing says how the engine must run"
init_data = "no policy was given, so nothing says which init-data to expect"
"""


def default_policy(
    *, insecure_simulated: Collection[bytes] = (), keys: Collection[bytes] = (), keys_of: Tee | None = None
) -> Policy:
    """The built-in policy.

    Args:
        insecure_simulated: SHA-256 of the DER of simulated roots to accept; verdicts under one say SIMULATED.
        keys: SHA-256 of keys that somebody has enrolled: of devices without a vendor's root, or of token services.
        keys_of: whose evidence they sign.
    """
    enrolled = keys_of if keys and keys_of in _ENROLLED else None
    roots = {"insecure_simulated": insecure_simulated, "device_keys" if enrolled else "token_signers": keys}
    return load_policy(
        _DOCUMENT.format(
            enrolled=f', "{enrolled}"' if enrolled else "",
            table=f"\n[{enrolled}]\n" if enrolled else "",
            roots="".join(f"{name} = [{_listed(found)}]\n" for name, found in roots.items() if found),
        ),
        source="built-in default",
    )


def _listed(fingerprints: Collection[bytes]) -> str:
    return ", ".join(f'"sha256:{one.hex()}"' for one in sorted(fingerprints))
