"""What each page of the report shows, computed from measurements: one file per page, no markup."""
