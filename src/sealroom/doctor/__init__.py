"""What this machine is, which evidence it can make, what is missing, and how to mend it.

    look() ─Facts→ diagnose() ─Diagnosis→ the command line
    `collect*`     `diagnosis`, which asks `confidential` (CPUs), `vtpm` (clouds' TPMs), `gpus`, `room`

`collect*` only looks: files, the bus, NVIDIA's driver, the list of a TPM's indices. Nothing is changed, and no
silicon is asked for evidence, which can be slow and is rationed: `collect_answers` does that, when told to. The rest
are pure functions of facts, so that a test can have any machine in the world.
"""
