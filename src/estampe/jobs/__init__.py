"""Durable operations: the workflow engine, nowhere else."""
