"""What holds an engine in: layers that a process puts on itself, without packages and mostly without privilege.

    layers        their names, and which are required unless configured otherwise
    process       limits, descriptors, locked memory, own network, own user, capabilities, dumpability
    landlock      which files remain
    seccomp       which system calls remain; assembled by bpf from a policy
    probes        the attempts to get out, made from inside, each of which must be refused
    outside       the supervisor's own look at the child, by /proc
    syscalls      numbers and the raw call

The child goes from top to bottom, then reports; the supervisor checks from outside before the model is parsed.
"""
