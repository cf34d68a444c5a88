"""What the tables below `[tool.conduit]` may say, one module for each table.

A table is a model made from `Table`. A field of that type in `pipeline.config.Config` makes it a part of the
configuration: its schema and its error messages follow. Tables also travel in the build record.
"""
