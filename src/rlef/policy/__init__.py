"""Models: sampling engines, policy and value networks, checkpoints."""
