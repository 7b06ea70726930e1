"""The built-in policy for somebody who verifies evidence without one (``spec/policy.md`` section 5).

It is a document like any other, so `explain` and the appraisal show what it leaves open. It can make no key trusted.
"""

from collections.abc import Collection

from sealroom.policy.load import load_policy
from sealroom.policy.model import Policy

__all__ = ["default_policy"]

_DOCUMENT = """\
policy = 1
name = "built-in default"
description = "genuine silicon with safe settings; says nothing of what runs on it"

[trust]
tees = ["snp", "tdx", "sgx", "nvidia", "nitro", "azure-vtpm", "gcp"]
max_age_seconds = 2678400
{simulated}
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


def default_policy(*, insecure_simulated: Collection[bytes] = ()) -> Policy:
    """The built-in policy.

    Args:
        insecure_simulated: SHA-256 of the DER of simulated roots to accept; verdicts under one say SIMULATED.
    """
    roots = ", ".join(f'"sha256:{root.hex()}"' for root in sorted(insecure_simulated))
    simulated = f"insecure_simulated = [{roots}]\n" if roots else ""
    return load_policy(_DOCUMENT.format(simulated=simulated), source="built-in default")
