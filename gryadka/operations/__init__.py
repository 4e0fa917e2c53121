"""What its operators do to a running Gryadka: change its members, forget deleted records."""
