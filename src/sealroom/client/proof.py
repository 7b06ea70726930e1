"""What was proved about a room, as plain data: for ``/sealroom/proof``, ``--json`` and whoever keeps records."""

import json
from datetime import UTC

from sealroom.client.address import RoomAddress
from sealroom.policy import appraisal_as_dict
from sealroom.verifier import AttestedRoom

__all__ = ["proof_of"]


def proof_of(room: AttestedRoom, address: RoomAddress) -> dict[str, object]:
    """Everything that a caller may rely on until ``valid_until`` (RFC 3339)."""
    return {
        "room": address.origin,
        "valid_until": room.key.validity.not_after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "policy": {
            "name": room.appraisal.policy_name,
            "digest": f"sha256:{room.appraisal.policy_digest.hex()}",
        },
        "appraisal": appraisal_as_dict(room.appraisal),
        "statement": json.loads(room.statement.encode()),
    }
