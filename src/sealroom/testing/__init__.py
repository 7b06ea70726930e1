"""Simulated hardware, public on purpose: evidence that is right to the byte, under private roots.

There is no fake format. What is minted here is verified by the code that verifies silicon, and every verdict on it
says SIMULATED, because a policy has to name the private root under ``insecure_simulated``.

    der, pki          certificates and revocation lists, with every fault that one may want
    intel, dcap       Intel: a vendor's keys and documents; a platform, a TD and an enclave that ask for quotes
    snp               AMD SEV-SNP: a vendor's keys, a platform (chip), a guest that asks for reports
    attested          a room that states given keys, and the keys as verified by its caller or a broker
    nitro, cca, psa   AWS enclaves and NitroTPMs; Arm realms and PSA devices
    nvidia            a machine's GPUs and switches, with certificates, reference values and revocation answers
    tpm, azure, gcp   quotes of a TPM; a guest of Azure's or Google's around the hardware's report; their tokens
    machines          every kind of machine by its name, kept in a folder: what `sealroom up --simulate` runs on
    *_cases, *_faults what may differ and is right, and one fault at a time with the code that it has to give
    snp_store         a platform kept in a directory, so that several processes share one machine
    conformance       runs folders of test vectors
    gym               forgeries of recorded evidence, thousands of them, and what verifiers make of each
    kms, vendor_service  a key service, and vendors' services, on loopback
    stub_engine       an engine without a model
"""
