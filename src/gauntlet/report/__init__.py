"""Tables, figures, claims and the HTML report: from measurement files to paper_figures/.

This room knows measurement files and study declarations, never a family. ``study`` and
``claims.model`` import neither pandas nor matplotlib, because the workflow reads them while parsing.
"""
