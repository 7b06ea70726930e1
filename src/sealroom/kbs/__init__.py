"""The wire formats of the KBS protocol 0.4.0, shared by broker and room. Pure: no I/O, no clock.

    json_text   strict JSON in, compact JSON out; base64 without tolerance
    messages    Request, Challenge, Attestation
    binding     RFC 8785 runtime data and the hash of it that goes into the hardware report
    tee_key     the ``tee-pubkey`` JWK, as a key that an answer may be encrypted to
    jwe         the answer: flattened JWE, sealed and opened
    init_data   the TOML document that HOST_DATA binds
    evidence    evidence by KBS name: the vendor's bytes and collateral, to and from JSON
    snp_json    SNP's report; snp_certs: its certificates; other_json: evidence of other TEEs
    device_evidence  the devices beside the CPU, in ``additional_evidence``
    errors_json the body of a refusal, and its reason codes

Normative: ``spec/key-release.md`` sections 1 to 5, 8 and 10.
"""
