"""The parts of a derived policy: lines of TOML, each with what it pins and when it changes.

entry.py: a line and its comment            intel.py: what TDX and SGX share
snp.py, tdx.py, sgx.py: one table each      room.py: [model] and [engine], from a room's statement
"""
