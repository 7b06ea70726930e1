"""Which measurement comes of which image, kernel or log; pure functions over bytes.

Launch:     snp_launch, mrtd (of a tdvf image), direct_boot (RTMRs predicted), sigstruct, eif
Event logs: tcg2 and ccel (read), event_digests (what each digest proves), replay (RTMRs), tpm_replay (PCRs), ima,
            dstack
"""
