"""Privacy of trained federations: who was in the training data, and what the task had no need of."""
