"""From episodes to updates: advantages, losses, the learner, the loop."""
