"""Shadow models of a federation, for the attacks on membership that compare with them."""
