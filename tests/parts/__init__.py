"""The real parts that integration tests run against, each started on free ports of 127.0.0.1."""
