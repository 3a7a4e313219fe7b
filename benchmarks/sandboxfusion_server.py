"""SandboxFusion's own sandbox router under uvicorn, for ``sandboxfusion.py``. Started by path, not imported.

    python sandboxfusion_server.py FOLDER PATHS

Serves on a free port of the loopback, which it prints, until its stdin ends. Only the router that runs
code is mounted: the rest (data sets, a database, pages) takes no part in a request.
"""

import asyncio
import contextlib
import importlib
import json
import logging
import os
import socket
import sys
import threading

if __name__ == "__main__":
    # Not by PYTHONPATH, which the server would hand on to every program that it runs.
    sys.path[:0] = [sys.argv[1], *json.loads(sys.argv[2])]
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the server logs every request to stdout
    importlib.import_module("sandbox.utils.logging").configure_logging()
    logging.getLogger().setLevel(logging.ERROR)  # which is a favour: as it comes it logs at DEBUG
    api = importlib.import_module("sandbox.server.sandbox_api")
    fastapi, uvicorn = importlib.import_module("fastapi"), importlib.import_module("uvicorn")
    app = fastapi.FastAPI()
    app.include_router(api.sandbox_router)
    listener = socket.create_server(("127.0.0.1", 0))
    settings = uvicorn.Config(app, loop="asyncio", log_level="error", access_log=False)
    server = uvicorn.Server(settings)

    def leave_with_our_starter() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=leave_with_our_starter, daemon=True).start()
    os.write(answers, f"{listener.getsockname()[1]}\n".encode())
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve(sockets=[listener]))
