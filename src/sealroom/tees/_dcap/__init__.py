"""Intel's Data Center Attestation Primitives (DCAP): what TDX and SGX share. Private to `sealroom.tees`."""
