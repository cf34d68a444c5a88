"""The worker host: runs a research repo's activities. It depends on `temporalio` and `pydantic` alone.

Nothing here imports from the rest of the package, because this folder is what goes into a build.
"""
