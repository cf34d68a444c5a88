"""From one commit to one build: files exported, dependencies installed, contract read, ID derived.

Nothing here reads the working tree, and nothing here holds a credential of Temporal's.
"""
