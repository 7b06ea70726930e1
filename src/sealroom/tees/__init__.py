"""PROVE: one folder per TEE, at least the same four files in each, the same four verbs.

    layout.parse     bytes → Evidence            exact lengths, zero reserved bytes, nothing trailing
    verify.verify    Evidence → Verified         against pinned roots, collateral and a time that are handed in
    claims.claims    Verified → Claims           the vendor's facts in words that are the same for every TEE
    collect          the machine's own silicon → bytes; the only file that does I/O

A TEE never imports another. Whoever does not know which one it has in hand asks `registry.for_tee`.
"""
