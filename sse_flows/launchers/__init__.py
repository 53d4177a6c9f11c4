"""Campaigns on a cluster: FireWorks jobs, Slurm queues, and what to do when something breaks."""
