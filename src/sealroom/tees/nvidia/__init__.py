"""NVIDIA GPUs of Hopper and Blackwell, and NVLink switches: SPDM reports, reference values, revocation.

    raw ─layout.parse→ NvidiaEvidence ─verify.verify→ VerifiedNvidia ─claims.claims→ Claims ─topology→ one machine?
        (or NrasEvidence, what NVIDIA's service says of a device, → VerifiedAnswer: detached_eat, nras, nras_device)
         opaque: what the device says of itself   ↑ certificates: chain, firmware digest, identity
                                                  ↑ revocation, ocsp: stapled answers
                                                  ↑ appraisal, reference_values, rim*: NVIDIA's released values
                                                  ↑ standing: all of that but the signature, judged once
    JSON ─envelope→ raw of each device, with its chain

A report proves that a device in confidential mode runs a driver and firmware that NVIDIA released. It does not say
which machine uses the device: the nonce has to come from what the CPU's evidence vouches for
(`spec/evidence-bundle.md` section 4). `collect` asks the machine's own devices, and is imported by itself, since it
does I/O.
Sources: DMTF DSP0274 1.1, NVIDIA's attestation SDK, TCG RIM information model and its SWID profile, RFC 6960.
"""

from sealroom.tees.nvidia.claims import claims
from sealroom.tees.nvidia.layout import (
    DeviceEvidence,
    NrasEvidence,
    NvidiaEvidence,
    NvidiaReport,
    parse,
    parse_report,
)
from sealroom.tees.nvidia.verify import VerifiedAnswer, VerifiedNvidia, forget, verify

__all__ = [
    "DeviceEvidence",
    "NrasEvidence",
    "NvidiaEvidence",
    "NvidiaReport",
    "VerifiedAnswer",
    "VerifiedNvidia",
    "claims",
    "forget",
    "parse",
    "parse_report",
    "verify",
]
