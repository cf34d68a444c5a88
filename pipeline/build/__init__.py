"""From one commit to one build: its files exported, its dependencies installed, its contract read, its ID derived.

Nothing here reads the working tree, and nothing here holds a credential of Temporal's.
"""
