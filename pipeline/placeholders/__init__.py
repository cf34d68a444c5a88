"""Placeholders: builds that are made from a contract alone and answer until the real algorithm is promoted over them.

A placeholder is a small research repo that the conduit writes itself, so that it goes the way of any other commit.
"""
