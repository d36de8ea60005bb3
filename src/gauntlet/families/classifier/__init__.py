"""Image classifiers: train them, with or without a defense, calibrate them, and attack them."""
