"""Model stealing: a substitute learns a target from its answers, then serves to attack it."""
