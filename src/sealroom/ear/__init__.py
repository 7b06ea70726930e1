"""EAR: what a verifier found, signed, for a relying party that does not verify evidence itself (draft-ietf-rats-ear).

`read_ear_jwt` and `read_ear_cwt` believe a result for its signature, and recompute its status from its vector;
`ear_of` makes one of our own `Appraisal`, `issue_jwt` and `issue_cwt` sign it. `read_claims_json` and
`read_claims_cbor` read claims that nobody signed, and verify nothing.
"""

from sealroom.ear.claims_cbor import read_claims_cbor
from sealroom.ear.claims_json import read_claims_json
from sealroom.ear.model import Ear, Spelling, Submodule, VerifierId
from sealroom.ear.of_appraisal import ear_of
from sealroom.ear.read import Wanted, read_ear_cwt, read_ear_jwt
from sealroom.ear.vector import Tier, TrustVector
from sealroom.ear.write import Consumer, claims_for, issue_cwt, issue_jwt

__all__ = ["Consumer", "Ear", "Spelling", "Submodule", "Tier", "TrustVector", "VerifierId", "Wanted", "claims_for",
           "ear_of", "issue_cwt", "issue_jwt", "read_claims_cbor", "read_claims_json", "read_ear_cwt",
           "read_ear_jwt"]  # fmt: skip
