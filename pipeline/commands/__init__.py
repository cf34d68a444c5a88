"""What the command line does, one verb a module; each returns what it found or did, and prints nothing."""
