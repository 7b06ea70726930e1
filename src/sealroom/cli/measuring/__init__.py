"""The verbs under ``sealroom measure``, one file each."""
