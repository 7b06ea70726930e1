"""Reference values that others sign: files that widen a policy for a time (``spec/reference-values.md``).

`jws` reads and verifies the envelope, `payload` what it says; `load` reads ``[[reference_files]]``;
`accepting` judges a file at a time and puts its values beside those that the policy names itself; `signing` writes
such files.
"""
