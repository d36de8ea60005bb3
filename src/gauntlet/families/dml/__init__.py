"""Deep metric learning: train embedding networks, attack them, score retrieval and clustering."""
