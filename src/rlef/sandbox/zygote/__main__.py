"""A slot's process. Started from this file by ``slot.py``; never imported.

Everything happens below ``main``, and only a test process, sealed, comes back up from it.
So the program runs on an almost empty stack, as under an ordinary interpreter.
"""

import importlib
import sys

if __name__ == "__main__":
    # At the end of the path: a neighbour called types.py must not hide the library's.
    sys.path.append(__file__.rsplit("/", 2)[0])
    program = importlib.import_module("zygote.boot").main()
    try:
        exec(program.code, program.scope)
    except BaseException as error:
        program.failed(error)
    program.finish()
