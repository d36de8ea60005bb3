"""What a run will cost, from what earlier runs have cost: the plan before anything is submitted."""
