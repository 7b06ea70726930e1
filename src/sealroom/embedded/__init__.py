"""The whole system on one machine, on simulated hardware: what ``sealroom up`` runs and ``sealroom attack`` attacks.

    state      where everything lies between runs, and the lock that keeps two from sharing it
    launch     what the owner and the operator do beforehand: hardware, sealed model, policies, configuration
    processes  broker and room as processes of their own
    system     the order in which all of it starts and stops

May import everything but `attacks` and `cli`.
"""
