"""TPM 2.0 structures and quotes (TCG TPM 2.0 Library, parts 1 and 2), shared by `tpm`, `azure_vtpm` and `gcp`."""
