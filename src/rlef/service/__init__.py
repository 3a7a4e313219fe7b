"""The judge over HTTP: a server for many trainers, a client for many servers.

`serve` starts the server (`rlef serve judge`), `client.RemoteJudge` is a judge whose sandbox is
elsewhere. See ``docs/service.md``.
"""
