"""Making calls again that an older build answered: found in histories, planned in a file, made at low priority."""
