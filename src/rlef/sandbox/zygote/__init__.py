"""The jailed zygote: what runs inside a slot's process. Standard library only, never rlef.

The trainer starts ``__main__.py`` as a fresh interpreter; nothing here is executed in the
trainer, except that it reads ``protocol`` and, in tests, ``seccomp`` and ``bpf``.
"""
