"""GitHub's pages: deployments, check runs, comments, job summaries, and `conduit onboard`'s pull request.

PyGithub is imported here and nowhere else, and only once a connection is made.
"""
