"""Claims: a paper's statements made checkable (``model``), the statistics, the judge, the board."""
