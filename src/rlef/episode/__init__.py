"""The multi-turn environment: prompts, feedback, rewards and the token record."""
