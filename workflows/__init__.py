"""The engineers' side: Temporal workflows that call an algorithm by its name, and their models and worker.

It depends on `temporalio` and `pydantic` alone. Nothing of a research repo is imported here, and nothing has
to be deployed here when the algorithm changes.
"""
