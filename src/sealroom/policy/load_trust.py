"""The table ``[trust]`` of a policy (``spec/policy.md`` section 2.2)."""

from datetime import timedelta

from sealroom.errors import MalformedError
from sealroom.evidence import Tee
from sealroom.policy.document import Table
from sealroom.policy.model import TrustRules

__all__ = ["INNER", "TRUST", "WRAPPERS", "trust_rules"]

WRAPPERS = (Tee.AZURE_VTPM, Tee.GCP)
INNER = (Tee.SNP, Tee.TDX)
"""What a wrapper can have in it, whose rules a policy then needs though it takes no such evidence by itself."""
TRUST = ("tees", "insecure_simulated", "token_signers", "device_keys", "minimum_vendors", "freshness",
         "max_age_seconds")  # fmt: skip
_DEFAULT_MAX_AGE = 3600
_LONGEST_AGE = 31 * 24 * 3600
_MOST_VENDORS = 5


def trust_rules(top: Table) -> TrustRules:
    """Read ``[trust]``, and see that every kind of evidence has its rules and every table its evidence.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table("trust", TRUST)
    table.must_have("tees")
    tees = tuple(Tee(name) for name in table.choices("tees", tuple(Tee)))
    _require_rules(top, table, tees)
    _require_keys_of_one_kind(table, tees)
    if (freshness := table.text("freshness", default="nonce")) != "nonce":
        raise table.bad_value("freshness", freshness, '"nonce"',
                              "to do without, say why in [unchecked] freshness")  # fmt: skip
    seconds = table.integer("max_age_seconds", low=1, high=_LONGEST_AGE, default=_DEFAULT_MAX_AGE)
    return TrustRules(
        tees=tees,
        insecure_simulated=frozenset(table.digests("insecure_simulated")),
        token_signers=frozenset(table.digests("token_signers")),
        device_keys=frozenset(table.digests("device_keys")),
        minimum_vendors=table.integer("minimum_vendors", low=1, high=_MOST_VENDORS, default=1),
        max_age=timedelta(seconds=seconds),
    )


def _require_keys_of_one_kind(table: Table, tees: tuple[Tee, ...]) -> None:
    """A TPM's owner has anything signed that does not look like a quote, and an Arm token does not: with one list for
    both, the key of a TPM would stand for an Arm platform of his making."""
    if "device_keys" in table and {Tee.CCA, Tee.TPM} <= set(tees):
        raise MalformedError("policy.contradiction", "the policy names keys, and not whether they are of Arm devices "
                             "or of TPMs", where=table.where("device_keys"),
                             hint="write one policy for cca, and one for tpm")  # fmt: skip


def _require_rules(top: Table, table: Table, tees: tuple[Tee, ...]) -> None:
    for tee in tees:
        if tee not in top:
            raise MalformedError("policy.tee-without-rules", f"the policy accepts {tee} and has no rules for it",
                                 where=table.where("tees"), expected=f"a table [{tee}]")  # fmt: skip
    inner = INNER if set(WRAPPERS) & set(tees) else ()
    for tee in Tee:
        if tee in top and tee not in (*tees, *inner, Tee.NVIDIA):
            raise MalformedError("policy.tee-without-rules", f"the policy has rules for {tee} and does not accept it",
                                 where=top.where(tee), hint=f"name {tee} in [trust] tees")  # fmt: skip
