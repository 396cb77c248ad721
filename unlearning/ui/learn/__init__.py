"""The second page: learn a task while letting go of what is in its way (LWF)."""
