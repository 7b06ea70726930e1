"""JUDGE: what is acceptable, to whom, and why not (``spec/policy.md``).

    TOML ─load_policy→ Policy ─┐
    Claims, Subject, time ─────┴─appraise→ Appraisal ─→ render_appraisal, appraisal_as_dict
                       Policy ─explain→ text

`document` reads typed tables, `load` makes the `model` of them, `requirements` compiles CEL. The checks lie by what
they are about: `trust` (root, binding, freshness, init-data), `snp` (the silicon), `room` (the statement). `appraise`
makes them all and is the one place where an `Appraisal` comes from. `default` is for evidence without a policy,
`references` for values that others sign.
"""

from sealroom.policy.appraise import appraise
from sealroom.policy.default import default_policy
from sealroom.policy.explain import explain
from sealroom.policy.load import load_policy
from sealroom.policy.model import Policy
from sealroom.policy.references.accepting import with_references
from sealroom.policy.render import appraisal_as_dict, render_appraisal
from sealroom.policy.subject import InitData, Subject

__all__ = [
    "InitData",
    "Policy",
    "Subject",
    "appraisal_as_dict",
    "appraise",
    "default_policy",
    "explain",
    "load_policy",
    "render_appraisal",
    "with_references",
]
