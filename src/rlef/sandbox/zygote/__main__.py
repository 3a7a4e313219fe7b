"""A slot's process. Started from this file by ``slot.py``; never imported."""

import importlib
import os
import sys

if __name__ == "__main__":
    # Modules register hooks that reseed or relock after a fork. Our forks have one thread, no
    # held lock and a seed that has to stay: no hooks, and each fork is a quarter cheaper.
    register, os.register_at_fork = os.register_at_fork, lambda **hooks: None
    # At the end of the path: a neighbour called types.py must not hide the library's.
    sys.path.append(__file__.rsplit("/", 2)[0])
    boot = importlib.import_module("zygote.boot")
    boot.preimport(*sys.argv[2:4])
    os.register_at_fork = register
    boot.main()
