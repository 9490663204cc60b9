"""Training the hint network: seeded samples, losses, checkpoints, and a loop on one screen."""
