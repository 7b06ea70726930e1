"""COSE (RFC 9052, 9053) as attestation uses it: one signature by an elliptic curve key."""
