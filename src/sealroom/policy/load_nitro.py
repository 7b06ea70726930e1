"""The table ``[nitro]`` of a policy (``spec/policy.md`` section 2.3.6)."""

from sealroom.policy.document import Table
from sealroom.policy.load_intel import measurements
from sealroom.policy.model_others import NITRO_ALLOWANCES, NITRO_MEASUREMENTS, NITRO_TPM_MEASUREMENTS, NitroRules
from sealroom.policy.nitro import says_nothing
from sealroom.policy.pinning import not_both, one_pinned_or_unchecked
from sealroom.policy.scope import Scope

__all__ = ["DOCUMENTS", "nitro_rules"]

DOCUMENTS = ("enclave", "nitro-tpm")
_PINS = {
    "enclave": (("pcr0",), ("pcr1", "pcr2"), ("pcr8",)),
    "nitro-tpm": (("nitrotpm_pcr4",), ("nitrotpm_pcr8",), ("nitrotpm_pcr9",), ("nitrotpm_pcr11",)),
}
"""What says which software runs: of an enclave the image, its parts, or who signed it; of an instance its kernel."""
_MEASUREMENTS = {"enclave": NITRO_MEASUREMENTS, "nitro-tpm": NITRO_TPM_MEASUREMENTS}
_LONGEST_AGE = 31 * 24 * 3600


def nitro_rules(top: Table, scope: Scope) -> NitroRules:
    """Read ``[nitro]``.

    Raises:
        MalformedError: ``policy.*``.
    """
    others = ("document", "module_id", "maximum_document_age_seconds", "allow")
    table = top.table("nitro", (*NITRO_MEASUREMENTS, *NITRO_TPM_MEASUREMENTS, *others))
    document = table.text("document", default="enclave")
    if document not in DOCUMENTS:
        raise table.bad_value("document", document, "one of " + ", ".join(DOCUMENTS))
    one_pinned_or_unchecked(table, _PINS[document], scope, by="measurement")
    pins = measurements(table, {**NITRO_MEASUREMENTS, **NITRO_TPM_MEASUREMENTS}, scope)
    allow = frozenset(table.choices("allow", NITRO_ALLOWANCES))
    for name, accepted in pins.items():
        if any(says_nothing(name, value, debug="debug" in allow) for value in accepted):
            raise table.bad_value(name, "zeros", "what some software measures to",
                                  "in debug mode, or unsigned, everything has zeros there",
                                  )  # fmt: skip
        if name not in _MEASUREMENTS[document]:
            raise table.bad_value("document", document, f"the kind of document that has {name}",
                                  "a NitroTPM's registers are not an enclave's, and have names of their own",
                                  )  # fmt: skip
        if name in dict.fromkeys(key for way in _PINS[document] for key in way):
            not_both(table, name, scope, by="measurement")
    return NitroRules(
        document=document,
        measurements=pins,
        module_id=table.texts("module_id"),
        maximum_age_seconds=table.integer("maximum_document_age_seconds", low=1, high=_LONGEST_AGE, default=1)
        if "maximum_document_age_seconds" in table
        else None,
        allow=allow,
        named=frozenset(table),
    )
