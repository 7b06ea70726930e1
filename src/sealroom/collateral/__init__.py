"""What verification needs from outside, as data.

    attester ─CollectedEvidence→ bundle.DeviceEvidence ─┐
    room ─statement bytes────────────────────────────→ bundle.EvidenceBundle ─encode→ bytes on the wire
                                                       bytes ─parse_bundle→ EvidenceBundle ─→ verifier

`deterministic_cbor` is the strict subset of CBOR in which a bundle is written: one bundle has one encoding.
Reading a bundle proves nothing; `sealroom.verifier` does.
"""

from sealroom.collateral.bundle import MEDIA_TYPE, DeviceEvidence, EvidenceBundle, parse_bundle

__all__ = ["MEDIA_TYPE", "DeviceEvidence", "EvidenceBundle", "parse_bundle"]
