"""rlef: reinforcement learning with execution feedback (Gehring et al., arXiv 2410.02089).

Importing the package is free: no torch, no third-party module. The rooms are
imported by name, for example ``from rlef.sandbox import Sandbox``.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
