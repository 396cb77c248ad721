"""Runs: a job that outlives the page, its event log on disk, and what it leaves behind."""
