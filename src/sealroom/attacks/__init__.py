"""The enemies of an embedded system: real attacks on the wire, on disk and on the broker.

Nothing here is imported by the code that must notice. Each attack says what it did, who must notice, and with which
error code; `sealroom attack` runs them all and prints what happened.
"""
