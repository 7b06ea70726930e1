"""Intel's root, pinned."""

from collections.abc import Mapping

__all__ = ["INTEL_ROOTS"]

INTEL_ROOTS: Mapping[bytes, str] = {
    # serial 22650cd65a9d3489f383b49552bf501b392706ac, 2018-05-21 to 2049-12-31, P-256
    bytes.fromhex("44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"): "Intel SGX Root CA",
}
"""SHA-256 of the DER of the root certificate, as Intel's certificate service publishes it. Computed on 2026-11-22 and
found identical in Phala-Network/dcap-qvl, google/go-tdx-guest and tinfoilsh/verifier. A second certificate of the
same name and key, with an end in 2033, is in circulation and is not accepted; nor are the roots of pre-production
platforms, which bear the same name."""
