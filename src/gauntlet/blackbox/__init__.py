"""Black-box access to a target: what an attacker can ask, how often, and what the target does about it."""
